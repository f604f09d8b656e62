"""Results carry the commit they were made at, and say when the code differed from it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from vaelib.support import paths, provenance


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small project in the place of ours, outside git; git heeds nothing beyond it."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = tmp_path / "project"
    (root / "vaelib").mkdir(parents=True)
    (root / "vaelib" / "loss.py").write_text("lam = 1e-5\n")
    (root / "README.md").write_text("Faces.\n")
    monkeypatch.setattr(paths, "PACKAGE", root / "vaelib")
    provenance.commit.cache_clear()
    yield root
    provenance.commit.cache_clear()


def git(project: Path, *arguments: str) -> str:
    author = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org")
    result = subprocess.run(
        ["git", *author, *arguments], cwd=project, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


@pytest.fixture
def head(project: Path) -> str:
    """The full name of the only commit of a project in git."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "Faces")
    return git(project, "rev-parse", "HEAD")


def test_the_commit_is_unknown_outside_git() -> None:
    assert provenance.commit() == "unknown"


def test_the_commit_is_unknown_where_git_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit() == "unknown"


def test_the_commit_is_the_head(head: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{10,}", provenance.commit())
    assert head.startswith(provenance.commit())


def test_code_that_differs_from_the_commit_is_marked(head: str, project: Path) -> None:
    (project / "vaelib" / "loss.py").write_text("lam = 1e-4\n")
    assert provenance.commit() == f"{head[:10]}+changes"


def test_removed_code_is_marked(head: str, project: Path) -> None:
    (project / "vaelib" / "loss.py").unlink()
    assert provenance.commit() == f"{head[:10]}+changes"


def test_changes_that_are_staged_are_marked(head: str, project: Path) -> None:
    (project / "vaelib" / "model.py").write_text("latent = 64\n")
    git(project, "add", "vaelib")
    assert provenance.commit() == f"{head[:10]}+changes"


def test_changes_outside_the_code_are_not_marked(head: str, project: Path) -> None:
    (project / "README.md").write_text("More faces.\n")
    assert provenance.commit() == head[:10]


def test_the_commit_stays_what_it_was_when_the_program_started(head: str, project: Path) -> None:
    at_start = provenance.commit()
    (project / "vaelib" / "loss.py").write_text("lam = 1e-4\n")
    assert provenance.commit() == at_start == head[:10]


def test_the_environment_names_versions_machine_and_commit(head: str) -> None:
    environment = provenance.environment(torch.device("cpu"))
    assert (environment["torch"], environment["numpy"]) == (torch.__version__, np.__version__)
    assert environment["device"] == provenance.processor()
    assert environment["threads"] == torch.get_num_threads()
    assert environment["commit"] == head[:10]


def test_the_processor_has_a_name_where_the_system_gives_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert provenance.processor()
