"""The loop spends its budget, stops when it must, and a resumed run equals one never stopped."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vaelib.config import Experiment
from vaelib.data import FaceSet, open_prepared
from vaelib.model import new_model
from vaelib.training import checkpoints, loop, runs
from vaelib.training.checkpoints import TrainingState
from vaelib.training.run_one import train_or_load
from vaelib.training.step import Execution

SMALL = Experiment(latent=4, budget=96, batch_size=16)
CPU = torch.device("cpu")


def nobody(images: int, epoch: int, loss: float) -> None:
    """Watches a training and says nothing."""


def fitted(folder: Path, faces: FaceSet, watch: Callable[..., None] = nobody) -> TrainingState:
    """The state after training, resumed from what the folder holds."""
    state = checkpoints.initial_state(SMALL, CPU)
    checkpoints.restore(folder, state)
    checkpoint_writer = loop.CheckpointWriter(folder)
    try:
        loop.fit(state, SMALL, faces, Execution().resolved(CPU), watch, checkpoint_writer)
    finally:
        checkpoint_writer.wait()
    return state


def without_times(state: TrainingState) -> list[object]:
    return [row._replace(seconds=0, images_per_second=0) for row in state.history]


def test_a_resumed_run_has_the_weights_and_history_of_one_never_stopped(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(images: int, epoch: int, loss: float) -> None:
        if images == 64:
            raise RuntimeError(f"stopped in epoch {epoch} at a loss of {loss}")

    whole = fitted(tmp_path / "whole", flat_faces)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint after every step
    with pytest.raises(RuntimeError, match="stopped"):
        fitted(tmp_path / "cut", flat_faces, stop)
    resumed = fitted(tmp_path / "cut", flat_faces)
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert without_times(resumed) == without_times(whole)


def test_a_checkpoint_is_kept_at_the_end_of_each_epoch(flat_faces: FaceSet, tmp_path: Path) -> None:
    fitted(tmp_path, flat_faces)
    assert [int(file.stem[-3:]) for file in sorted(tmp_path.iterdir())] == [32, 64]


def test_a_loss_that_is_not_finite_names_its_step_and_what_is_kept(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(images: int, epoch: int, loss: float) -> None:
        if images == 64:
            with torch.no_grad():
                state.model.decoder.linear.bias.fill_(float("nan"))

    state = checkpoints.initial_state(SMALL, CPU)
    checkpoint_writer = loop.CheckpointWriter(tmp_path)
    with pytest.raises(FloatingPointError) as stopped:
        loop.fit(state, SMALL, flat_faces, Execution().resolved(CPU), spoil, checkpoint_writer)
    checkpoint_writer.wait()
    told = str(stopped.value)
    assert "not finite at step 5 " in told
    assert "learning rate 0.001" in told
    assert "after 64 images" in told
    assert "\n" not in told
    kept = checkpoints.initial_state(SMALL, CPU)
    checkpoints.restore(tmp_path, kept)
    assert kept.seen == 64
    assert all(weight.isfinite().all() for weight in kept.model.parameters())


def test_a_checkpoint_that_cannot_be_written_is_said_and_training_goes_on(
    flat_faces: FaceSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save", full)
    assert fitted(tmp_path, flat_faces).seen == SMALL.budget
    assert "No space left on device; no checkpoint is kept" in capsys.readouterr().err


def test_ctrl_c_stops_after_the_present_step_with_a_checkpoint(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    def press(images: int, epoch: int, loss: float) -> None:
        if images == 48:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"stopped after 64 images.*goes on from there"):
        fitted(tmp_path, flat_faces, press)
    assert max(tmp_path.iterdir()).stem.endswith("64")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_works_in_a_thread_that_gets_no_signals(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    states: list[TrainingState] = []
    thread = threading.Thread(target=lambda: states.append(fitted(tmp_path, flat_faces)))
    thread.start()
    thread.join()
    assert states[0].seen == SMALL.budget


def train_until_killed(prepared: Path, folder: Path, experiment: Experiment) -> None:
    """What the killed processes do: keep a checkpoint after every step."""
    loop.CHECKPOINT_SECONDS = 0.0
    train_or_load(experiment, open_prepared(prepared), runs=folder, execution=Execution(threads=1))


def test_twenty_kills_at_random_moments_change_no_bit(flat_faces: FaceSet, tmp_path: Path) -> None:
    experiment = replace(SMALL, budget=480)
    undisturbed = train_or_load(experiment, flat_faces, runs=tmp_path / "undisturbed")
    started = multiprocessing.get_context("forkserver")
    started.set_forkserver_preload(
        ["vaelib.training.run_one", "torch._dynamo"]
    )  # Adam imports the second
    moments = random.Random(0)
    kills, kept, disturbed = 0, 0, tmp_path / "disturbed"
    folder = runs.run_folder(experiment, flat_faces, disturbed)
    while kills < 20:
        arguments = (flat_faces.folder, disturbed, experiment)
        process = started.Process(target=train_until_killed, args=arguments)
        process.start()
        process.join(moments.uniform(0.2, 1.5))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
            kept += bool(list(folder.glob("checkpoint-*.npz")))
        elif kills < 20:  # it came to its end before the next kill: it must be right, once more
            assert runs.same_weights(runs.load(folder), undisturbed)
            folder.joinpath(runs.FINISHED).unlink()
            checkpoints.remove(folder)
    assert kept >= 10  # most kills hit a training that had begun
    resumed = train_or_load(experiment, flat_faces, runs=disturbed)
    assert runs.same_weights(resumed, undisturbed)


def test_evaluation_changes_no_weight_and_keeps_the_mode(flat_faces: FaceSet) -> None:
    model = new_model(SMALL).train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    loop.held_out_loss(model, flat_faces.images)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert model.training


def test_evaluation_does_not_depend_on_the_batches(
    flat_faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = new_model(SMALL)
    whole = loop.held_out_loss(model, flat_faces.images)
    monkeypatch.setattr(loop, "EVALUATION_BATCH", 16)
    in_parts = loop.held_out_loss(model, flat_faces.images)
    assert in_parts.kl == pytest.approx(whole.kl, rel=1e-5)
    assert in_parts.reconstruction == pytest.approx(whole.reconstruction, rel=1e-3)


def test_loss_is_checked_for_the_time_it_takes(flat_faces: FaceSet, tmp_path: Path) -> None:
    started = time.perf_counter()
    state = fitted(tmp_path, flat_faces)
    rates = [row.images_per_second for row in state.history if row.split == "train"]
    assert all(rate > 0 for rate in rates)
    assert 0 < state.seconds < time.perf_counter() - started
