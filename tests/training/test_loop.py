"""The loop spends its budget, stops when it must, and a resumed run equals one never stopped."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import SMALL
from vaelib.config import Experiment
from vaelib.data import FaceSet, batches, evenly_spaced, flip, open_prepared, to_float
from vaelib.model import VAE, new_model
from vaelib.training import checkpoints, loop, runs
from vaelib.training.checkpoints import TrainingState
from vaelib.training.run_one import train_or_load
from vaelib.training.step import Execution

CPU = torch.device("cpu")
Watch = Callable[[int, str], None]


def unwatched(images: int, detail: str) -> None:
    """Watches a training and shows nothing."""


def fitted(
    folder: Path,
    faces: FaceSet,
    watch: Watch = unwatched,
    experiment: Experiment = SMALL,
    state: TrainingState | None = None,
) -> TrainingState:
    """The state after training, resumed from what the folder holds."""
    state = state or checkpoints.initial_state(experiment, CPU)
    checkpoints.restore(folder, state, experiment.budget)
    with closing(loop.CheckpointWriter(folder)) as checkpoint_writer:
        loop.fit(state, experiment, faces, Execution().resolved(CPU), watch, checkpoint_writer)
    return state


def history_without_times(state: TrainingState) -> list[object]:
    return [row._replace(seconds=0, images_per_second=0) for row in state.history]


@pytest.mark.slow
def test_a_resumed_run_has_the_weights_and_history_of_one_never_stopped(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(images: int, detail: str) -> None:
        if images == 64:
            raise RuntimeError(f"stopped in {detail}")

    whole = fitted(tmp_path / "whole", flat_faces)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint after every step
    with pytest.raises(RuntimeError, match="stopped"):
        fitted(tmp_path / "cut", flat_faces, stop)
    resumed = fitted(tmp_path / "cut", flat_faces)
    weights = resumed.model.state_dict()
    assert all(torch.equal(weights[name], w) for name, w in whole.model.state_dict().items())
    assert history_without_times(resumed) == history_without_times(whole)


@pytest.mark.slow
def test_a_checkpoint_is_kept_at_the_end_of_each_epoch(flat_faces: FaceSet, tmp_path: Path) -> None:
    fitted(tmp_path, flat_faces)
    assert [int(file.stem[-3:]) for file in sorted(tmp_path.iterdir())] == [32, 64]


def test_a_loss_that_is_not_finite_names_its_step_and_what_is_kept(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    def spoil(images: int, detail: str) -> None:
        if images == 64:
            with torch.no_grad():
                state.model.decoder.linear.bias.fill_(float("nan"))

    state = checkpoints.initial_state(SMALL, CPU)
    with pytest.raises(FloatingPointError) as stopped:
        fitted(tmp_path, flat_faces, spoil, state=state)
    message = str(stopped.value)
    assert "not finite at step 5 " in message
    assert "learning rate 0.001" in message
    assert "after 64 images" in message
    assert "\n" not in message
    saved = checkpoints.initial_state(SMALL, CPU)
    checkpoints.restore(tmp_path, saved, SMALL.budget)
    assert saved.images_seen == 64
    assert all(weight.isfinite().all() for weight in saved.model.parameters())


def minimised(
    experiment: Experiment, model: VAE, x: Tensor, noise: Tensor
) -> tuple[float, float, float]:
    """The loss, its reconstruction and its KL, by formulas written out here once more."""
    with torch.no_grad():
        mu, logvar = model.encode(x)
        reconstruction = model.decode(mu + torch.exp(logvar / 2) * noise)
    mse = float((x - reconstruction).square().mean())
    kl = float((mu.square() + logvar.exp() - logvar - 1).sum(dim=1).mean() / 2)
    pull = float(mu.square().sum(dim=1).mean() / 2)
    added = {"standard": 0.0, "plus_one": 1.0, "centre_pull": pull}[experiment.kl_reading]
    lam = 2 * mse / (3 * 64 * 48) if experiment.weighting == "calibrated" else experiment.lam
    return mse + lam * (kl + added), mse, kl


@pytest.mark.parametrize(
    "experiment",
    [
        replace(SMALL, lam=0.1),
        replace(SMALL, lam=0.1, kl_reading="plus_one"),
        replace(SMALL, lam=0.1, kl_reading="centre_pull"),
        replace(SMALL, weighting="calibrated"),
    ],
    ids=["standard", "plus_one", "centre_pull", "calibrated"],
)
def test_the_displayed_loss_is_the_one_that_is_minimised(
    experiment: Experiment, flat_faces: FaceSet, tmp_path: Path
) -> None:
    experiment = replace(experiment, budget=32)
    state = checkpoints.initial_state(experiment, CPU)
    first = next(batches(experiment, flat_faces, CPU))
    x = to_float(flip(first.images, first.mirrored))
    before_first_step = minimised(experiment, state.model.train(), x, first.noise)
    displayed, expected = [], []

    def compare(images: int, detail: str) -> None:
        validation = flat_faces.images[evenly_spaced(flat_faces.validation, loop.CURVE_FACES)]
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(len(validation), experiment.latent, generator=generator)
        state.model.eval()
        displayed.append(state.history[-1].loss)
        words = detail.replace(",", "").split()
        assert words[:3] == ["epoch", "1", "loss"]
        assert float(words[3]) == pytest.approx(displayed[-1], rel=1e-3)
        expected.append(minimised(experiment, state.model, to_float(validation), noise)[0])
        state.model.train()

    fitted(tmp_path, flat_faces, compare, experiment, state)
    assert displayed == pytest.approx(expected, rel=1e-5)
    row = next(row for row in state.history if row.split == "train")
    assert (row.loss, row.reconstruction, row.kl) == pytest.approx(before_first_step, rel=1e-4)


def test_a_checkpoint_that_cannot_be_written_is_reported_and_training_goes_on(
    flat_faces: FaceSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save", full)
    assert fitted(tmp_path, flat_faces).images_seen == SMALL.budget
    assert "No space left on device; no checkpoint is kept" in capsys.readouterr().err


def test_ctrl_c_stops_after_the_present_step_with_a_checkpoint(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    def press(images: int, detail: str) -> None:
        if images == 48:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"stopped after 64 images.*goes on from there"):
        fitted(tmp_path, flat_faces, press)
    assert max(tmp_path.iterdir()).stem.endswith("64")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_training_works_in_a_thread_that_gets_no_signals(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    states: list[TrainingState] = []
    thread = threading.Thread(target=lambda: states.append(fitted(tmp_path, flat_faces)))
    thread.start()
    thread.join()
    assert states[0].images_seen == SMALL.budget


def train_until_killed(prepared: Path, folder: Path, experiment: Experiment) -> None:
    """What the killed processes do: write a checkpoint after every step."""
    loop.CHECKPOINT_SECONDS = 0.0
    train_or_load(experiment, open_prepared(prepared), runs=folder, execution=Execution(threads=1))


@pytest.mark.parametrize(
    "kills", [pytest.param(2, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.long)]
)
def test_kills_at_random_moments_change_no_bit(
    kills: int, flat_faces: FaceSet, tmp_path: Path
) -> None:
    experiment = replace(SMALL, budget=24 * kills)
    undisturbed = train_or_load(experiment, flat_faces, runs=tmp_path / "undisturbed")
    processes = multiprocessing.get_context("forkserver")
    # Optimisers import the second when they are made.
    processes.set_forkserver_preload(["vaelib.training.run_one", "torch._dynamo"])
    moments = random.Random(0)
    runs_folder = tmp_path / "disturbed"
    folder = runs.run_folder(experiment, flat_faces, runs_folder)
    killed = with_checkpoint = 0
    while killed < kills:
        arguments = (flat_faces.folder, runs_folder, experiment)
        process = processes.Process(target=train_until_killed, args=arguments)
        process.start()
        process.join(moments.uniform(0.2, 1.5))
        if process.is_alive():
            process.kill()
            process.join()
            killed += 1
            with_checkpoint += bool(list(folder.glob("checkpoint-*")))
        else:  # it came to its end before it was killed: it must be right, and is trained again
            assert runs.same_weights(runs.load(folder), undisturbed)
            folder.joinpath(runs.FINISHED).unlink()
            checkpoints.remove(folder)
    if kills == 20:
        assert with_checkpoint >= 10  # most kills hit a training that had begun
    resumed = train_or_load(experiment, flat_faces, runs=runs_folder)
    assert runs.same_weights(resumed, undisturbed)


def test_evaluation_changes_no_weight_and_keeps_the_mode(flat_faces: FaceSet) -> None:
    model = new_model(SMALL).train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    loop.held_out_loss(model, flat_faces.images, SMALL)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert model.training


def test_evaluation_does_not_depend_on_the_batches(
    flat_faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = new_model(SMALL)
    whole = loop.held_out_loss(model, flat_faces.images, SMALL)
    monkeypatch.setattr(loop, "EVALUATION_BATCH", 16)
    in_parts = loop.held_out_loss(model, flat_faces.images, SMALL)
    assert in_parts.kl == pytest.approx(whole.kl, rel=1e-5)
    assert in_parts.reconstruction == pytest.approx(whole.reconstruction, rel=1e-3)


def test_seconds_and_rates_are_those_of_training(flat_faces: FaceSet, tmp_path: Path) -> None:
    started = time.perf_counter()
    state = fitted(tmp_path, flat_faces)
    rates = [row.images_per_second for row in state.history if row.split == "train"]
    assert all(rate > 0 for rate in rates)
    assert 0 < state.seconds < time.perf_counter() - started
