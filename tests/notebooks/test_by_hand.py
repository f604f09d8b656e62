"""Notebooks run by the tools' own commands, as their manuals say, with nothing special set."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.try_it import smoke_parameters
from tests.reporting.conftest import alt_texts
from vaelib import study as studies
from vaelib.publishing.notebooks import copy_with_parameters
from vaelib.study import open_study
from vaelib.support import paths

pytestmark = pytest.mark.notebook


def by_hand(
    program: str, *arguments: object, cwd: Path = paths.ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a program that lies beside the running Python."""
    command = [str(Path(sys.executable).parent / program), *(str(each) for each in arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def smoke_copy(name: str, folder: Path) -> Path:
    """A copy of a notebook in the smoke preset, for a program that takes no parameters."""
    copy = folder / f"{name}.ipynb"
    copy_with_parameters(paths.NOTEBOOKS / copy.name, copy, smoke_parameters(folder / "out"))
    return copy


def papermill_options(out: Path) -> list[str]:
    """The parameters of the smoke preset as options of papermill."""
    parameters = smoke_parameters(out).items()
    return [word for name, value in parameters for word in ("-p", name, str(value))]


def test_papermill_runs_a_notebook_with_parameters(tmp_path: Path) -> None:
    executed = tmp_path / "out.ipynb"
    options = papermill_options(tmp_path)
    run = by_hand("papermill", "notebooks/03_lambda_study.ipynb", executed, *options)
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "figures/synthetic").glob("fig0*.png"))) == 8
    outputs = [out for cell in nbformat.read(executed, 4).cells for out in cell.get("outputs", [])]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert kinds <= {"text/html", "text/markdown", "text/plain"}  # no bar is left


def test_papermill_ends_with_a_line_that_says_what_is_wrong(tmp_path: Path) -> None:
    executed = tmp_path / "out.ipynb"
    run = by_hand(
        "papermill", "01_data.ipynb", executed, "-p", "preset", "smok", cwd=paths.NOTEBOOKS
    )
    assert run.returncode != 0
    assert run.stderr.strip().splitlines()[-1].startswith("InputError: preset 'smok' is unknown")


def test_the_report_alone_says_which_notebooks_to_run_before(tmp_path: Path) -> None:
    executed, options = tmp_path / "out.ipynb", papermill_options(tmp_path)
    run = by_hand("papermill", "notebooks/06_report.ipynb", executed, *options)
    assert "run the notebooks before" in run.stderr.strip().splitlines()[-1]


def test_nbval_compares_the_outputs_that_are_marked(tmp_path: Path) -> None:
    copy = smoke_copy("01_data", tmp_path)
    run = by_hand("pytest", "--nbval-lax", copy, "-p", "no:xdist", cwd=paths.NOTEBOOKS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout


def test_nbval_says_first_how_much_is_to_be_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("hooks", paths.NOTEBOOKS / "conftest.py")
    assert spec
    assert spec.loader
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    study = open_study("synthetic", "smoke", out=str(tmp_path), budget=2_000)
    monkeypatch.setattr(hooks, "open_study", lambda: study)
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    models = len(study.all_experiments())
    line = hooks.what_is_missing()
    assert line.startswith(f"{models} of {models} models are not trained yet")
    assert "about 1 minute on two cores" in line
    monkeypatch.setattr(studies, "is_finished", lambda *_: True)
    assert hooks.what_is_missing() == ""


def test_nbconvert_makes_a_page_of_a_notebook_that_it_runs(tmp_path: Path) -> None:
    copy = smoke_copy("02_training", tmp_path)
    run = by_hand("jupyter", "nbconvert", "--to", "html", "--execute", copy, cwd=paths.NOTEBOOKS)
    assert run.returncode == 0, run.stderr
    assert "Alternative text is missing" not in run.stderr
    page = copy.with_suffix(".html").read_text(encoding="utf-8")
    assert "losses of 12 steps within 0.005: True" in page
    assert len(alt_texts(page)) >= 6
