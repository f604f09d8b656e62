"""A checkpoint brings a training back to the bit, or is refused for the one before it."""

import json
import random
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file

from tests.training.damage import damaged
from vaelib.config import Experiment
from vaelib.model import new_model
from vaelib.training import checkpoints
from vaelib.training.checkpoints import MeanLoss, SavedProgress, TrainingState
from vaelib.training.runs import HistoryRow

EXPERIMENT = Experiment(latent=4, norm="batch")  # which has running averages to save
CPU = torch.device("cpu")


def state_after(images_seen: int) -> TrainingState:
    """A state after one step on made-up gradients, which gives every weight moments of its own."""
    state = checkpoints.initial_state(EXPERIMENT, CPU)
    for weight in state.model.parameters():
        weight.grad = torch.full_like(weight, 0.01 * images_seen)
    for average in state.model.buffers():
        average.fill_(images_seen)
    state.optimizer.step()
    state.images_seen, state.steps = images_seen, images_seen // 8
    state.seconds = 1.5
    state.stage_losses = [MeanLoss(8, 0.1 + 0.2, 0.1, 2.0)]
    state.history = [HistoryRow(1, "train", images_seen - 8, 0.3, 0.25, 3.0, 1.0, 8.0)]
    return state


def saved(folder: Path, images_seen: int) -> TrainingState:
    state = state_after(images_seen)
    checkpoints.save(folder, checkpoints.snapshot(state))
    return state


def restored(folder: Path) -> TrainingState:
    state = checkpoints.initial_state(EXPERIMENT, CPU)
    checkpoints.restore(folder, state, EXPERIMENT.budget)
    return state


def differences(state: TrainingState, other: TrainingState) -> list[str]:
    """What is not the same in two states, by name; empty where all is, to the bit."""
    fields = SavedProgress.__struct_fields__
    found = [name for name in fields if getattr(state, name) != getattr(other, name)]
    tensors = checkpoints.snapshot(state).tensors
    others = checkpoints.snapshot(other).tensors
    found += sorted(tensors.keys() ^ others.keys())
    found += [name for name in tensors if not torch.equal(tensors[name], others[name])]
    return found


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_state_is_restored_to_the_bit(tmp_path: Path) -> None:
    state = saved(tmp_path, 16)
    assert not differences(restored(tmp_path), state)


def test_later_steps_do_not_change_a_snapshot() -> None:
    state = state_after(16)
    snapshot = checkpoints.snapshot(state)
    state.optimizer.step()
    same = state_after(16)
    assert all(
        torch.equal(tensor, snapshot.tensors[name])
        for name, tensor in checkpoints.snapshot(same).tensors.items()
    )


def test_a_restored_optimiser_keeps_the_settings_of_its_own_device(tmp_path: Path) -> None:
    saved(tmp_path, 16)
    state = checkpoints.initial_state(EXPERIMENT, CPU)
    state.optimizer.param_groups[0]["capturable"] = True  # as on a GPU
    checkpoints.restore(tmp_path, state, EXPERIMENT.budget)
    assert state.optimizer.param_groups[0]["capturable"]


def test_any_tool_reads_the_weights_of_a_checkpoint(tmp_path: Path) -> None:
    state = saved(tmp_path, 16)
    tensors = load_file(tmp_path / "checkpoint-000000000016.safetensors")
    for name, weight in state.model.state_dict().items():
        assert torch.equal(tensors[f"model/{name}"], weight), name


def test_without_a_checkpoint_the_state_stays_new(tmp_path: Path) -> None:
    assert not differences(restored(tmp_path), checkpoints.initial_state(EXPERIMENT, CPU))


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for images_seen in (8, 16, 24, 32):
        saved(tmp_path, images_seen)
    expected = ["checkpoint-000000000024.safetensors", "checkpoint-000000000032.safetensors"]
    assert names(tmp_path) == expected


def spoil(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    if damage == "cut short":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    elif damage == "zeros":
        content = bytearray(len(content))
    elif damage == "another format":
        content = bytearray(b"PK\x03\x04" + bytes(1000))
    else:  # a bit flipped, at this share of the file
        content[int(float(damage) * len(content))] ^= 1
    path.write_bytes(content)


def written(folder: Path, progress: dict[str, object], **tensors: torch.Tensor) -> None:
    """Write a checkpoint without a checksum after 24 images, as older ones are, with changes."""
    snapshot = checkpoints.snapshot(state_after(24))
    text = json.dumps(json.loads(snapshot.progress) | progress)
    content = safetensors.torch.save(snapshot.tensors | tensors, {"progress": text})
    (folder / "checkpoint-000000000024.safetensors").write_bytes(content)


def test_an_older_one_without_a_checksum_is_used(tmp_path: Path) -> None:
    written(tmp_path, {})
    assert not differences(restored(tmp_path), state_after(24))


BIAS = torch.zeros_like(new_model(EXPERIMENT).decoder.linear.bias)


@pytest.mark.parametrize(
    ("progress", "tensors", "reason"),
    [
        ({}, {"model/decoder.linear.bias": BIAS / 0}, "has values that are not finite"),
        ({}, {"model/decoder.linear.bias": BIAS[1:]}, "model/decoder.linear.bias is [3071]"),
        ({}, {"model/decoder.linear.bias": BIAS.double()}, "not [3072] torch.float32"),
        ({}, {"model/another.bias": BIAS}, "model/another.bias is unknown"),
        ({}, {"optimizer/decoder.linear.bias/exp_avg_sq": BIAS - 1}, "is negative"),
        ({"images_seen": 32}, {}, "it is of 32 images"),
        ({"history": []}, {}, "history"),
        ({"history": [[1, "train", 20, 0.3, 0.25, 3.0, 1.0, 8.0]]}, {}, "its history is not that"),
        ({"stage_losses": [["8", 0.1, 0.1, 2.0]]}, {}, "Expected `int`"),
        ({"steps": 10**400}, {}, "Expected `int`"),
    ],
    ids=range(10),
)
def test_one_that_is_wrong_inside_changes_nothing_of_the_state(
    tmp_path: Path,
    progress: dict[str, object],
    tensors: dict[str, torch.Tensor],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    written(tmp_path, progress, **tensors)
    assert not differences(restored(tmp_path), checkpoints.initial_state(EXPERIMENT, CPU))
    message = capsys.readouterr().err
    assert reason in message
    assert message.endswith("; training starts anew\n")


def test_that_of_another_run_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "other", 16)
    (tmp_path / "other").rename(tmp_path / "this")
    assert not restored(tmp_path / "this").images_seen
    assert "it is of another run, other; training starts anew" in capsys.readouterr().err


def test_one_beyond_the_budget_is_not_used(tmp_path: Path) -> None:
    saved(tmp_path, 32)
    state = checkpoints.initial_state(EXPERIMENT, CPU)
    checkpoints.restore(tmp_path, state, budget=32)
    assert not state.images_seen


@pytest.mark.slow
def test_no_accident_to_the_newest_is_restored_as_something_else(tmp_path: Path) -> None:
    before, newest = saved(tmp_path, 16), saved(tmp_path, 24)
    path = max(tmp_path.iterdir())
    content, draw = path.read_bytes(), random.Random(0)
    for _ in range(15):
        path.write_bytes(damaged(content, draw))
        state = restored(tmp_path)
        assert not differences(state, before) or not differences(state, newest)


@pytest.mark.parametrize("damage", ["0.5", "0.99", "cut short", "empty", "zeros", "another format"])
def test_a_damaged_one_is_reported_in_a_line_and_the_one_before_it_used(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = saved(tmp_path, 16)
    saved(tmp_path, 24)
    spoil(max(tmp_path.iterdir()), damage)
    assert not differences(restored(tmp_path), before)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "0024.safetensors is damaged: " in message
    assert message.endswith("; training goes on after 16 images\n")


@pytest.mark.slow
def test_no_flipped_bit_in_the_header_is_restored_as_something_else(tmp_path: Path) -> None:
    before, newest = saved(tmp_path, 16), saved(tmp_path, 24)
    path = max(tmp_path.iterdir())
    content = path.read_bytes()
    header = int.from_bytes(content[:8], "little")
    offenders = []
    for position in [*range(0, 8, 3), *range(8, header, header // 10)]:
        flipped = bytearray(content)
        flipped[position] ^= 4
        path.write_bytes(flipped)
        state = restored(tmp_path)
        if differences(state, before) and differences(state, newest):
            offenders.append(position)
    assert not offenders


def test_where_all_are_damaged_training_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, 16)
    spoil(max(tmp_path.iterdir()), "0.5")
    assert not differences(restored(tmp_path), checkpoints.initial_state(EXPERIMENT, CPU))
    assert "training starts anew" in capsys.readouterr().err


def test_files_with_other_names_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-of-mine.safetensors").touch()
    saved(tmp_path, 16)
    assert restored(tmp_path).images_seen == 16
    checkpoints.remove(tmp_path)
    assert names(tmp_path) == ["checkpoint-of-mine.safetensors"]


def test_what_a_kill_left_of_one_is_removed_when_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint-000000000024.safetensors.0123abcd.part").write_bytes(b"half")
    restored(tmp_path)
    assert not names(tmp_path)


def test_a_new_checkpoint_replaces_damaged_ones_ahead_of_it(tmp_path: Path) -> None:
    for images_seen in (32, 40):
        saved(tmp_path, images_seen)
        spoil(max(tmp_path.iterdir()), "0.5")
    state = saved(tmp_path, 8)
    assert names(tmp_path) == ["checkpoint-000000000008.safetensors"]
    assert not differences(restored(tmp_path), state)


def test_a_finished_run_removes_them_and_what_a_kill_left_of_one(tmp_path: Path) -> None:
    saved(tmp_path, 16)
    (tmp_path / ".checkpoint-000000000024.safetensors.0123abcd.part").write_bytes(b"half")
    checkpoints.remove(tmp_path)
    assert not names(tmp_path)
