"""A finished run is a folder that explains itself, can be carried away, and is checked."""

import csv
import json
import random
import re
import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.conftest import SMALL
from tests.training.damage import damaged, forgeries, seal
from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.support.errors import DamagedError
from vaelib.training import runs
from vaelib.training.loop import held_out_loss
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import Run


@pytest.fixture
def copied(trained: Run, tmp_path: Path) -> Path:
    """A copy of the run's folder, to be damaged."""
    return shutil.copytree(trained.folder, tmp_path / trained.key)


def test_a_run_folder_explains_itself(trained: Run, flat_faces: FaceSet) -> None:
    settings = json.loads((trained.folder / runs.EXPERIMENT).read_text())
    assert Experiment(**settings) == SMALL
    environment = json.loads((trained.folder / runs.ENVIRONMENT).read_text())
    assert environment["torch"] == torch.__version__
    assert environment["fingerprint"] == flat_faces.fingerprint
    assert environment["compile"] == "off"
    with (trained.folder / runs.HISTORY).open() as lines:
        assert next(csv.reader(lines)) == list(runs.HistoryRow._fields)


def test_what_training_took_is_recorded(trained: Run) -> None:
    record = runs.training_record({"one": trained, "other": trained})
    assert record["models"] == 2
    assert record["images"] == 2 * SMALL.budget
    assert record["seconds"] == round(2 * trained.history[-1].seconds)
    assert record["diverged"] == []
    assert record["torch"] == [torch.__version__]
    finished = (trained.folder / runs.FINISHED).stat().st_mtime
    assert record["date"] == datetime.fromtimestamp(finished, UTC).date().isoformat()
    assert json.loads(json.dumps(record)) == record


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


def test_history_ends_with_the_loss_of_the_model_that_was_saved(
    trained: Run, flat_faces: FaceSet
) -> None:
    now = held_out_loss(trained.model, flat_faces.images[flat_faces.validation], SMALL)
    last = trained.curve("validation")[-1]
    assert (now.loss, now.reconstruction, now.kl) == pytest.approx(
        (last.loss, last.reconstruction, last.kl), rel=1e-5
    )


def test_any_tool_reads_the_weights(trained: Run) -> None:
    with safe_open(trained.folder / "model.safetensors", framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        for name, weight in trained.model.state_dict().items():
            assert np.array_equal(file.get_tensor(name), weight.cpu().numpy()), name


def test_a_loaded_model_is_in_evaluation_mode_without_gradients(trained: Run) -> None:
    assert not trained.model.training
    assert not any(weight.requires_grad for weight in trained.model.parameters())


def test_a_run_is_portable(trained: Run, copied: Path) -> None:
    loaded = runs.load(copied)
    assert loaded.history == trained.history
    assert runs.same_weights(loaded, trained)


def test_a_run_trained_elsewhere_is_accepted(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    folder = runs.run_folder(SMALL, flat_faces, tmp_path)
    shutil.copytree(trained.folder, folder)
    written = (folder / runs.MODEL).stat().st_mtime_ns
    assert train_or_load(SMALL, flat_faces, runs=tmp_path).folder == folder
    assert (folder / runs.MODEL).stat().st_mtime_ns == written


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


@pytest.mark.parametrize("checksums", [{}, {runs.MODEL: "0"}])
def test_a_marker_without_the_checksum_of_each_file_proves_nothing(
    copied: Path, checksums: dict[str, str]
) -> None:
    marker = {"images_seen": SMALL.budget, "sha256": checksums}
    (copied / runs.FINISHED).write_text(json.dumps(marker))
    with pytest.raises(DamagedError, match=r"has no checksum of experiment\.json"):
        runs.load(copied)


def test_a_run_in_the_folder_of_another_is_trained_again(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.folder, tmp_path / "another")
    assert runs.load_if_finished(tmp_path / "another") is None
    said = capsys.readouterr().err
    assert said == f"{tmp_path / 'another'} holds another run, {trained.key}; it is trained again\n"


def test_a_history_that_ends_early_is_no_finished_run(
    trained: Run, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (copied / runs.HISTORY).read_text().splitlines(keepends=True)
    (copied / runs.HISTORY).write_text("".join(lines[:-4]))
    seal(copied)
    assert runs.load_if_finished(copied) is None
    assert f"ends before {SMALL.budget} images; it is trained again" in capsys.readouterr().err


def test_weights_that_are_not_finite_are_refused_though_their_checksum_is_right(
    trained: Run, tmp_path: Path
) -> None:
    weights = trained.model.state_dict()
    weights["decoder.linear.bias"] = torch.full_like(weights["decoder.linear.bias"], float("nan"))
    runs.finish(tmp_path, trained.experiment, trained.history, trained.environment, weights)
    with pytest.raises(DamagedError, match=r"decoder\.linear\.bias has values that are not finite"):
        runs.load(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", runs.CHECKED)
def test_whatever_a_stranger_puts_in_a_file_is_a_run_or_is_refused(copied: Path, name: str) -> None:
    content, draw = (copied / name).read_bytes(), random.Random(0)
    contents = [damaged(content, draw) for _ in range(10)]
    if name != runs.MODEL:
        contents += forgeries(content, draw)
    for forged in contents:
        (copied / name).write_bytes(forged)
        seal(copied)
        with suppress(DamagedError):
            run = runs.load(copied)
            assert json.dumps(runs.training_record({"forged": run}))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*runs.CHECKED, runs.FINISHED])
def test_an_accident_to_any_file_is_noticed(trained: Run, copied: Path, name: str) -> None:
    content, draw = (copied / name).read_bytes(), random.Random(1)
    for _ in range(20):
        (copied / name).write_bytes(damaged(content, draw))
        with suppress(DamagedError):
            run = runs.load(copied)  # a space in the marker, say
            assert (run.experiment, run.history) == (trained.experiment, trained.history)


@pytest.mark.slow
def test_a_damaged_run_is_trained_again(
    trained: Run,
    copied: Path,
    flat_faces: FaceSet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = runs.run_folder(SMALL, flat_faces, tmp_path)
    folder.parent.mkdir()
    copied.rename(folder)
    (folder / runs.MODEL).write_bytes(b"cut short")
    again = train_or_load(SMALL, flat_faces, runs=tmp_path)
    assert "is not as it was written; it is trained again" in capsys.readouterr().err
    assert runs.same_weights(again, trained)


def test_another_recipe_is_another_run(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = runs.run_folder(SMALL, flat_faces, tmp_path)
    monkeypatch.setattr(runs, "RECIPE", runs.RECIPE + 1)
    assert runs.run_folder(SMALL, flat_faces, tmp_path) != before


def test_a_training_that_diverges_says_so_while_it_runs_and_in_the_record(
    flat_faces: FaceSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging = replace(SMALL, learning_rate=10.0)
    run = train_or_load(diverging, flat_faces, "wild", runs=tmp_path)
    assert run.has_diverged
    assert re.search(r"loss \S+, above the \S+ of the untrained model", capsys.readouterr().err)
    assert runs.training_record({"wild": run})["diverged"] == ["wild"]
