"""Training repeats itself, and trains nothing twice."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tests.conftest import SMALL, refusal
from vaelib.data import FaceSet
from vaelib.training import run_one
from vaelib.training.checkpoints import TrainingState
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import CHECKED, FINISHED, Run, run_folder, same_weights
from vaelib.training.step import Execution


@pytest.mark.slow
def test_the_same_seed_ends_in_the_same_bits_and_leaves_the_global_random_state(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    before = torch.random.get_rng_state()
    again = train_or_load(SMALL, flat_faces, runs=tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same_weights(trained, again)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_cores_changes_neither_the_key_nor_a_bit(
    trained: Run, flat_faces: FaceSet, tmp_path: Path, threads: int
) -> None:
    other = train_or_load(SMALL, flat_faces, runs=tmp_path, execution=Execution(threads=threads))
    assert other.key == trained.key
    assert same_weights(trained, other)


@pytest.mark.slow
def test_another_seed_ends_in_other_weights(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    other = train_or_load(replace(SMALL, seed=1), flat_faces, runs=tmp_path)
    assert not same_weights(trained, other)


@pytest.mark.slow
def test_adding_one_to_kl_changes_no_weight(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    with_one = train_or_load(replace(SMALL, kl_reading="plus_one"), flat_faces, runs=tmp_path)
    assert with_one.key != trained.key
    assert same_weights(trained, with_one)


@pytest.mark.slow
def test_centre_pull_changes_the_weights(trained: Run, flat_faces: FaceSet, tmp_path: Path) -> None:
    pulled = train_or_load(replace(SMALL, kl_reading="centre_pull"), flat_faces, runs=tmp_path)
    assert not same_weights(trained, pulled)


def test_a_finished_run_is_loaded_and_not_trained_again(
    trained: Run, flat_faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(run_one, "fit", refuse)
    again = train_or_load(SMALL, flat_faces, runs=trained.folder.parent.parent)
    assert again.history == trained.history
    assert same_weights(again, trained)


@pytest.mark.slow
def test_half_precision_is_close_to_single(
    trained: Run, flat_faces: FaceSet, tmp_path: Path
) -> None:
    half = train_or_load(replace(SMALL, precision="bfloat16"), flat_faces, runs=tmp_path)
    errors = [run.curve("validation")[-1].reconstruction for run in (trained, half)]
    assert errors[1] == pytest.approx(errors[0], rel=0.2)
    assert half.model.encoder.mu.weight.dtype == torch.float32


def test_nothing_bad_is_saved_as_finished(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = replace(SMALL, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match=r"not finite at step \d"):
        train_or_load(hot, flat_faces, runs=tmp_path)
    assert not list(tmp_path.rglob(FINISHED))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_by_permission(flat_faces: FaceSet, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot write" in refusal(lambda: train_or_load(SMALL, flat_faces, runs=tmp_path))


def test_a_folder_that_cannot_be_written_is_refused(flat_faces: FaceSet, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    message = refusal(lambda: train_or_load(SMALL, flat_faces, runs=tmp_path / "a file"))
    assert "cannot write to" in message
    assert "VAELIB_RUNS" in message


@pytest.mark.slow
def test_a_full_disk_at_the_end_keeps_the_checkpoints(
    trained: Run, flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(run_one, "finish", full)
        message = refusal(lambda: train_or_load(SMALL, flat_faces, runs=tmp_path))
    assert "No space left on device; make room" in message
    assert list(run_folder(SMALL, flat_faces, tmp_path).glob("checkpoint-*"))
    assert same_weights(train_or_load(SMALL, flat_faces, runs=tmp_path), trained)


LEFT = ("checkpoint-000000000064.safetensors", ".checkpoint-000000000080.safetensors.0123.part")


@pytest.fixture
def with_leftovers(trained: Run, tmp_path: Path) -> Path:
    """A finished run, in the folder of its key, with what a kill may leave beside it."""
    folder = shutil.copytree(trained.folder, tmp_path / "flat" / trained.key)
    for name in LEFT:
        (folder / name).write_bytes(b"left")
    return folder


def test_what_a_kill_left_in_a_finished_run_is_removed(
    with_leftovers: Path, flat_faces: FaceSet, tmp_path: Path
) -> None:
    train_or_load(SMALL, flat_faces, runs=tmp_path)
    assert {file.name for file in with_leftovers.iterdir()} == {*CHECKED, FINISHED}


def test_while_another_process_writes_there_nothing_is_removed(
    with_leftovers: Path, flat_faces: FaceSet, tmp_path: Path
) -> None:
    with FileLock(with_leftovers.with_name(f".{with_leftovers.name}.lock"), is_singleton=False):
        train_or_load(SMALL, flat_faces, runs=tmp_path)
    assert all((with_leftovers / name).exists() for name in LEFT)


def test_weights_that_end_infinite_make_no_finished_run(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(state: TrainingState, *_: object) -> None:
        with torch.no_grad():
            state.model.decoder.linear.bias.fill_(float("inf"))

    monkeypatch.setattr(run_one, "fit", spoil)
    with pytest.raises(FloatingPointError, match="the weights are not finite after the last step"):
        train_or_load(SMALL, flat_faces, runs=tmp_path)
    assert not list(tmp_path.rglob(FINISHED))
