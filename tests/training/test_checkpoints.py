"""A checkpoint brings a training back to the bit, or is refused for the one before it."""

from pathlib import Path

import pytest
import torch

from vaelib.config import Experiment
from vaelib.training import checkpoints
from vaelib.training.checkpoints import TrainingState
from vaelib.training.runs import HistoryRow

EXPERIMENT = Experiment(latent=4, norm="batch")  # which has running averages to keep
CPU = torch.device("cpu")


def a_state(seen: int) -> TrainingState:
    """A state after one step of nonsense, which gives every weight moments of its own."""
    state = checkpoints.initial_state(EXPERIMENT, CPU)
    for weight in state.model.parameters():
        weight.grad = torch.full_like(weight, 0.01 * seen)
    for average in state.model.buffers():
        average.fill_(seen)
    state.optimizer.step()
    state.seen, state.steps, state.seconds, state.stage = seen, seen // 8, 1.5, 8
    state.losses = [[0.1, 2.0, 8.0]]
    state.history = [HistoryRow(1, "train", 8, 0.25, 3.0, 1.0, 8.0)]
    return state


def kept(folder: Path, seen: int) -> TrainingState:
    state = a_state(seen)
    checkpoints.save(folder, checkpoints.frozen(state), state.seen)
    return state


def restored(folder: Path) -> TrainingState:
    state = checkpoints.initial_state(EXPERIMENT, CPU)
    checkpoints.restore(folder, state)
    return state


def assert_same(one: TrainingState, other: TrainingState) -> None:
    for name in ("seen", "steps", "seconds", "stage", "losses", "history"):
        assert getattr(one, name) == getattr(other, name)
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    for weight, same in pairs:
        assert torch.equal(weight, same)
        moments, others = one.optimizer.state[weight], other.optimizer.state[same]
        assert moments.keys() == others.keys()
        assert all(torch.equal(moments[name], others[name]) for name in moments)
    for average, also in zip(one.model.buffers(), other.model.buffers(), strict=True):
        assert torch.equal(average, also)


def test_a_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    state = kept(tmp_path, 16)
    assert_same(restored(tmp_path), state)


def test_no_checkpoint_is_a_new_state(tmp_path: Path) -> None:
    assert restored(tmp_path).seen == 0


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for seen in (8, 16, 24, 32):
        kept(tmp_path, seen)
    assert [file.name[-6:-4] for file in sorted(tmp_path.iterdir())] == ["24", "32"]


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "altered":
        content[len(content) // 2] ^= 1
    file.write_bytes(content if how == "altered" else content[: len(content) // 2])


@pytest.mark.parametrize("how", ["altered", "cut short"])
def test_a_damaged_one_is_said_and_the_one_before_it_used(
    tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = kept(tmp_path, 16)
    kept(tmp_path, 24)
    damage(max(tmp_path.iterdir()), how)
    assert_same(restored(tmp_path), before)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "0024.npz is damaged" in said


def test_where_all_are_damaged_training_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path, 16)
    damage(max(tmp_path.iterdir()), "altered")
    state, new = restored(tmp_path), checkpoints.initial_state(EXPERIMENT, CPU)
    assert state.seen == 0
    for weight, wanted in zip(state.model.parameters(), new.model.parameters(), strict=True):
        assert torch.equal(weight, wanted)


def test_finished_runs_need_none(tmp_path: Path) -> None:
    kept(tmp_path, 16)
    checkpoints.remove(tmp_path)
    assert not list(tmp_path.iterdir())
