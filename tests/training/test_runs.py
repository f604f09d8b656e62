"""A finished run is a folder that explains itself, can be carried away, and is checked."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.training import runs
from vaelib.training.loop import held_out_loss
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import Run

SMALL = Experiment(latent=4, budget=96, batch_size=16)


@pytest.fixture(scope="module")
def trained(flat_faces: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train_or_load(SMALL, flat_faces, runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copied(trained: Run, tmp_path: Path) -> Path:
    """A copy of the run's folder, to be spoilt."""
    return shutil.copytree(trained.folder, tmp_path / trained.key)


def test_a_run_folder_explains_itself(trained: Run, flat_faces: FaceSet) -> None:
    told = json.loads((trained.folder / runs.EXPERIMENT).read_text())
    assert Experiment(**told) == SMALL
    machine = json.loads((trained.folder / runs.ENVIRONMENT).read_text())
    assert machine["torch"] == torch.__version__
    assert machine["fingerprint"] == flat_faces.fingerprint
    assert machine["compile"] == "off"
    with (trained.folder / runs.HISTORY).open() as lines:
        assert next(csv.reader(lines)) == list(runs.HistoryRow._fields)


def test_a_finished_run_keeps_no_checkpoint(trained: Run) -> None:
    names = {file.name for file in trained.folder.iterdir()}
    assert names == {
        runs.EXPERIMENT,
        runs.ENVIRONMENT,
        runs.HISTORY,
        runs.MODEL,
        runs.FINISHED,
    }


def test_history_ends_at_the_budget_on_both_splits(trained: Run) -> None:
    assert trained.curve("train")[-1].images_seen == SMALL.budget
    assert trained.curve("validation")[-1].images_seen == SMALL.budget
    assert trained.curve("validation")[0].images_seen == 0


def test_history_tells_the_error_of_the_model_that_was_saved(
    trained: Run, flat_faces: FaceSet
) -> None:
    now = held_out_loss(trained.model, flat_faces.images[flat_faces.validation])
    last = trained.curve("validation")[-1]
    assert now.reconstruction == pytest.approx(last.reconstruction, rel=1e-5)
    assert now.kl == pytest.approx(last.kl, rel=1e-5)


def test_a_loaded_model_is_ready_to_be_asked(trained: Run) -> None:
    assert not trained.model.training
    assert not any(weight.requires_grad for weight in trained.model.parameters())


def test_a_run_is_portable(trained: Run, copied: Path) -> None:
    elsewhere = runs.load(copied)
    assert elsewhere.history == trained.history
    assert runs.same_weights(elsewhere, trained)


def test_a_run_trained_elsewhere_is_accepted(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    there = runs.run_folder(SMALL, flat_faces, tmp_path)
    shutil.copytree(trained.folder, there)
    made = (there / runs.MODEL).stat().st_mtime_ns
    assert train_or_load(SMALL, flat_faces, runs=tmp_path).folder == there
    assert (there / runs.MODEL).stat().st_mtime_ns == made


@pytest.mark.parametrize("name", [runs.MODEL, runs.HISTORY, runs.EXPERIMENT, runs.ENVIRONMENT])
def test_an_altered_file_is_named(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is not as it was written"):
        runs.load(copied)


@pytest.mark.parametrize("name", [runs.MODEL, runs.FINISHED])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ValueError, match=name):
        runs.load(copied)


def test_a_damaged_run_is_trained_again(
    trained: Run,
    copied: Path,
    flat_faces: FaceSet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = runs.run_folder(SMALL, flat_faces, tmp_path)
    there.parent.mkdir()
    copied.rename(there)
    (there / runs.MODEL).write_bytes(b"cut short")
    again = train_or_load(SMALL, flat_faces, runs=tmp_path)
    assert "is not as it was written; it is trained again" in capsys.readouterr().err
    assert runs.same_weights(again, trained)


def test_a_key_knows_the_code_that_trains(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = runs.run_folder(SMALL, flat_faces, tmp_path)
    monkeypatch.setattr(runs, "code", lambda: "other code")
    assert runs.run_folder(SMALL, flat_faces, tmp_path) != before
