"""`make` makes the environment that its commands need, where it is missing or belongs elsewhere."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vaelib.support import paths

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a Makefile, and with an environment that was made there."""
    for name in ("pyproject.toml", "requirements.txt", "Makefile"):
        shutil.copy(paths.ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "ready").write_text(f"{tmp_path}\n")
    return tmp_path


def commands(checkout: Path, *arguments: str) -> str:
    """What `make` would do, or why it does nothing; also where `make` runs these tests."""
    command = ["make", "--dry-run", *arguments]
    given = ("MAKE", "VENV", "PYTHON", "TORCH", "ARGS")
    outside = {name: value for name, value in os.environ.items() if not name.startswith(given)}
    done = subprocess.run(
        command, cwd=checkout, env=outside, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_an_environment_is_made_once(checkout: Path) -> None:
    assert commands(checkout, "report") == ".venv/bin/python -m vaelib report \n"


def test_one_that_was_moved_with_its_checkout_is_made_again(checkout: Path) -> None:
    moved = checkout.with_name("moved, and with a space")
    checkout.rename(moved)
    assert "-m venv --clear .venv" in commands(moved, "report")


def test_one_that_was_copied_with_its_checkout_is_made_again(checkout: Path) -> None:
    copy = shutil.copytree(checkout, checkout.with_name("copy"), copy_function=shutil.copy2)
    assert "-m venv --clear .venv" in commands(copy, "report")
    assert "-m venv" not in commands(checkout, "report")


def test_without_a_gpu_nothing_is_installed_that_only_one_can_use(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    made = commands(checkout, "report", "TORCH=cpu")
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in made
    (script,) = (part for part in made.split("'") if part.startswith("/^("))
    filtered = subprocess.run(
        ["sed", "-E", script, "requirements.txt"], cwd=checkout, capture_output=True, text=True
    ).stdout
    assert "\ntorch==" in filtered
    assert "hash" not in filtered
    assert not [line for line in filtered.splitlines() if line.startswith(("nvidia", "cuda"))]
    assert not [line for line in filtered.splitlines() if line.endswith("\\")]


def test_everything_that_is_installed_has_a_checksum() -> None:
    lines = (paths.ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = [k for k, line in enumerate(lines) if "==" in line and not line.startswith(" ")]
    assert len(pinned) > 100
    assert [lines[k] for k in pinned if not lines[k + 1].startswith("    --hash=sha256:")] == []


def test_another_kind_of_torch_is_refused(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    assert "TORCH is gpu; it must be cpu, or left out" in commands(checkout, "report", "TORCH=gpu")
