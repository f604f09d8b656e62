"""Experiments are trained together, each once, and come back by their labels."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import SHORT, refusal
from vaelib.data import FaceSet
from vaelib.training import launch
from vaelib.training.runs import MODEL, Run, is_finished, same_weights

OTHER = replace(SHORT, lam=1e-3)


@pytest.fixture(scope="module")
def trained(flat_faces: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Two models, trained one after another in this process; the second has two names."""
    runs = tmp_path_factory.mktemp("runs")
    experiments = {"one": SHORT, "other": OTHER, "one again": SHORT}
    return launch.run(experiments, flat_faces, runs=runs, jobs=1)


@pytest.mark.slow
def test_runs_come_in_the_order_of_the_experiments_and_by_every_label(
    trained: dict[str, Run],
) -> None:
    assert [run.experiment for run in trained.values()] == [SHORT, OTHER, SHORT]
    assert trained["one"].folder == trained["one again"].folder


@pytest.mark.slow
def test_finished_runs_are_loaded_wherever_they_would_be_trained(
    trained: dict[str, Run], flat_faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [trained[name].folder for name in ("other", "one")]
    files = [file for folder in folders for file in folder.iterdir()]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    monkeypatch.setattr("vaelib.training.processes.train", None)
    experiments = {"b": OTHER, "a": SHORT}
    runs = folders[0].parent.parent
    again = launch.run(experiments, flat_faces, runs=runs, cluster="tcp://no:1")
    assert [run.folder for run in again.values()] == folders
    assert before == [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]


@pytest.mark.slow
def test_a_damaged_run_is_trained_again(
    trained: dict[str, Run], flat_faces: FaceSet, tmp_path: Path
) -> None:
    folder = shutil.copytree(trained["one"].folder.parent, tmp_path / "flat") / trained["one"].key
    (folder / MODEL).write_bytes(b"damaged")
    again = launch.run({"one": SHORT}, flat_faces, runs=tmp_path)
    assert same_weights(again["one"], trained["one"])


@pytest.mark.slow
def test_an_error_is_raised_when_the_others_are_trained(
    flat_faces: FaceSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiments = {"wild": replace(SHORT, learning_rate=1e30), "tame": SHORT}
    with pytest.raises(FloatingPointError, match=r"^wild: the loss is not finite"):
        launch.run(experiments, flat_faces, runs=tmp_path, jobs=1)
    assert is_finished(SHORT, flat_faces, tmp_path)
    assert "wild failed: FloatingPointError: the loss is not finite" in capsys.readouterr().err


def test_no_model_at_a_time_is_refused(flat_faces: FaceSet, tmp_path: Path) -> None:
    message = refusal(lambda: launch.run({"one": SHORT}, flat_faces, runs=tmp_path, jobs=0))
    assert message == "jobs is 0; at least 1 model must be trained at a time"
