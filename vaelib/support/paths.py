"""The folders of the project, each named here and nowhere else."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the project
NOTEBOOKS = ROOT / "notebooks"
REPORT = ROOT / "report"  # template, filter and bibliography of the PDF
CELEBA = ROOT / "data" / "celeba"  # where `--data auto` looks for a copy of CelebA

# Caches and trained models may live on another disk; the tests keep theirs in a temporary folder.
CACHE = Path(os.environ.get("VAELIB_CACHE", ROOT / "data" / "cache")).absolute()
RUNS = Path(os.environ.get("VAELIB_RUNS", ROOT / "runs")).absolute()
