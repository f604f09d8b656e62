"""Notebooks run by the tools' own commands, as their manuals say, with nothing special set."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.try_it import BUDGET, SIDE_BUDGET
from tests.reporting.conftest import alt_texts
from vaelib.publishing.notebooks import Parameters, copy_with_parameters
from vaelib.support import paths

pytestmark = pytest.mark.notebook

SMOKE: Parameters = {
    "data": "synthetic",
    "preset": "smoke",
    "budget": str(BUDGET),
    "side_budget": SIDE_BUDGET,
}


def by_hand(
    program: str, *arguments: object, cwd: Path = paths.ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a program that lies beside the running Python."""
    command = [str(Path(sys.executable).parent / program), *(str(each) for each in arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def smoke_copy(name: str, folder: Path) -> Path:
    """A copy of a notebook in the smoke preset, for a program that takes no parameters."""
    copy = folder / f"{name}.ipynb"
    copy_with_parameters(
        paths.NOTEBOOKS / f"{name}.ipynb", copy, SMOKE | {"out": str(folder / "out")}
    )
    return copy


def test_papermill_runs_a_notebook_with_parameters(tmp_path: Path) -> None:
    executed = tmp_path / "out.ipynb"
    parameters = [*SMOKE.items(), ("out", tmp_path)]
    options = [word for name, value in parameters for word in ("-p", name, value)]
    run = by_hand("papermill", "notebooks/03_lambda_study.ipynb", executed, *options)
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "figures/synthetic").glob("fig0*.png"))) == 8
    outputs = [out for cell in nbformat.read(executed, 4).cells for out in cell.get("outputs", [])]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert kinds <= {"text/html", "text/markdown", "text/plain"}  # no bar is left


def test_papermill_ends_with_a_line_that_says_what_is_wrong(tmp_path: Path) -> None:
    cases = {
        ("preset", "smok"): "preset 'smok' is unknown",
        ("data", "no/such/folder"): "no/such/folder",
    }
    for option, words in cases.items():
        run = by_hand(
            "papermill", "01_data.ipynb", tmp_path / "out.ipynb", "-p", *option, cwd=paths.NOTEBOOKS
        )
        assert run.returncode != 0
        last = run.stderr.strip().splitlines()[-1]
        assert last.startswith("InputError: ")
        assert words in last


def test_the_report_alone_says_which_notebooks_to_run_before(tmp_path: Path) -> None:
    options = [word for name, value in SMOKE.items() for word in ("-p", name, value)]
    run = by_hand(
        "papermill",
        "notebooks/06_report.ipynb",
        tmp_path / "out.ipynb",
        *options,
        "-p",
        "out",
        tmp_path,
    )
    assert "run the notebooks before" in run.stderr.strip().splitlines()[-1]


def test_nbval_compares_the_outputs_that_are_marked(tmp_path: Path) -> None:
    copy = smoke_copy("01_data", tmp_path)
    run = by_hand("pytest", "--nbval-lax", copy, "-p", "no:xdist", cwd=paths.NOTEBOOKS)
    assert run.returncode == 0, run.stdout + run.stderr
    notebook = nbformat.read(copy, as_version=4)
    (marked, *_) = (cell for cell in notebook.cells if "# NBVAL_CHECK_OUTPUT" in cell.source)
    marked.outputs[0].text = "another output\n"
    nbformat.write(notebook, copy)
    run = by_hand("pytest", "--nbval-lax", copy, "-p", "no:xdist", cwd=paths.NOTEBOOKS)
    assert run.returncode == 1
    assert "another output" in run.stdout


def test_nbval_says_first_how_much_is_to_be_trained(tmp_path: Path) -> None:
    nothing_trained = os.environ | {"VAELIB_RUNS": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--collect-only", "notebooks/"]
    run = subprocess.run(
        command, cwd=paths.ROOT, capture_output=True, text=True, env=nothing_trained, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (line,) = [line for line in run.stdout.splitlines() if "models are not trained yet" in line]
    assert "minutes on two cores" in line
    assert "02_training.ipynb" in run.stdout


def test_nbconvert_makes_a_page_of_a_notebook_that_it_runs(tmp_path: Path) -> None:
    copy = smoke_copy("02_training", tmp_path)
    run = by_hand("jupyter", "nbconvert", "--to", "html", "--execute", copy, cwd=paths.NOTEBOOKS)
    assert run.returncode == 0, run.stderr
    assert "Alternative text is missing" not in run.stderr
    page = copy.with_suffix(".html").read_text(encoding="utf-8")
    assert "steps of the engine" in page or "losses of 12 steps within 0.005: True" in page
    assert len(alt_texts(page)) >= 6
