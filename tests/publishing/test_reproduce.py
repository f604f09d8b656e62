"""Every notebook of the report takes the parameters that the report gives it."""

from dataclasses import replace
from pathlib import Path

import pytest

from vaelib.publishing import notebooks, reproduce
from vaelib.study import Study, open_study
from vaelib.support import paths
from vaelib.training import speed

PARAMETERS = ("data", "preset", "name", "out", "seed", "budget", "side_budget")


def test_every_notebook_takes_the_parameters_of_the_report_in_one_cell() -> None:
    parameters: notebooks.Parameters = dict.fromkeys(PARAMETERS, "")
    for name in reproduce.NOTEBOOKS:
        notebook = paths.NOTEBOOKS / f"{name}.ipynb"
        notebooks.check_parameters(notebook, parameters)
        cells = notebooks.original_cells(notebook)
        tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
        assert len(tagged) == 1, name


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of which nothing is trained, on a machine that trains 10 images per second."""
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    monkeypatch.setattr(speed, "images_per_second", lambda _: 10.0)
    return open_study("synthetic", "smoke", out=str(tmp_path))


def test_before_it_trains_a_report_says_how_long_that_takes(study: Study) -> None:
    minutes = round(sum(each.budget for each in study.untrained().values()) / 10 / 60)
    assert 20 < minutes < 40
    assert reproduce._plan(study).splitlines()[-1] == (
        f"train    16 of 16 models, side studies included: about {minutes} minutes at 10 images/s"
    )


def test_where_it_takes_hours_the_quicker_preset_is_named(study: Study) -> None:
    full = replace(study, preset="full", budgets=(100_000,), side_budget=1_000)
    last = reproduce._plan(full).splitlines()[-1]
    assert last.endswith("hours at 10 images/s; --preset quick takes 8 hours")


def test_where_all_is_trained_no_time_is_said(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Study, "untrained", lambda _: {})
    assert reproduce._plan(study).endswith("train    0 of 16 models, side studies included")
