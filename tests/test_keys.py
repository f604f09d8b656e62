"""What is kept is named by what it was made from and by a number, never by the code's text."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vaelib.support import paths

# Prepares faces, trains a model and the attribute classifier, and measures the model.
EVERYTHING = """
from dataclasses import replace
from vaelib import config, data
from vaelib.evaluation import attributes, evaluate
from vaelib.training.run_one import train_or_load

attributes.MAX_IMAGES = 128
config.PRESETS["smoke"] = replace(config.PRESETS["smoke"], synthetic_faces=150)
faces = data.load("synthetic", "smoke")
run = train_or_load(config.Experiment(latent=4, budget=64, batch_size=32), faces)
evaluate.measure(run, faces, generated=16, seed=0)
"""


def make_everything(code: Path, home: Path) -> dict[str, int]:
    """Run this copy of the library; every file that is kept then, with its time of change."""
    environment = os.environ | {
        "PYTHONPATH": str(code),
        "VAELIB_CACHE": str(home / "cache"),
        "VAELIB_RUNS": str(home / "runs"),
    }
    command = [sys.executable, "-c", EVERYTHING]
    subprocess.run(command, env=environment, cwd=home, check=True, capture_output=True, text=True)
    kept = (file for file in home.rglob("*") if file.is_file() and file.suffix != ".lock")
    return {str(file.relative_to(home)): file.stat().st_mtime_ns for file in kept}


@pytest.mark.slow
def test_a_comment_in_every_file_makes_nothing_again(tmp_path: Path) -> None:
    home, commented = tmp_path / "home", tmp_path / "commented"
    home.mkdir()
    shutil.copytree(paths.ROOT / "vaelib", commented / "vaelib")
    for file in commented.rglob("*.py"):
        file.write_text(file.read_text(encoding="utf-8") + "\n# A comment.\n", encoding="utf-8")
    before = make_everything(paths.ROOT, home)
    names = " ".join(before)
    for kind in ("cache/", "history.csv", "classifier-", "measures/"):
        assert kind in names
    assert make_everything(commented, home) == before
