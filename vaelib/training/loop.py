"""The training loop: steps until the budget is spent, the loss in stages, checkpoints between."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vaelib.config import Experiment
from vaelib.data import FaceSet, batches, evenly_spaced, to_float
from vaelib.loss import vae_loss
from vaelib.model import VAE
from vaelib.support import progress
from vaelib.training import checkpoints
from vaelib.training.checkpoints import TrainingState
from vaelib.training.runs import HistoryRow
from vaelib.training.step import Execution, training_step, without_compile

STAGES = 12  # points of the loss curve
CURVE_FACES = 128  # validation faces behind each of them
EVALUATION_BATCH = 256
CHECKPOINT_SECONDS = 30.0  # besides those at the end of each epoch


def fit(
    state: TrainingState,
    experiment: Experiment,
    faces: FaceSet,
    execution: Execution,
    watch: progress.Watch,
    checkpoint_writer: "CheckpointWriter",
) -> None:
    """Train the state in place until its budget of images is seen. `execution` is resolved.

    Raises FloatingPointError, naming the step, when a loss is not finite; nothing of it is kept.
    The first Ctrl-C stops after the present step, with a checkpoint, as a KeyboardInterrupt.
    """
    device = next(state.model.parameters()).device
    validation = faces.images[evenly_spaced(faces.validation, CURVE_FACES)]
    stage_length = max(1, math.ceil(experiment.budget / STAGES))
    if not state.history:
        state.history.append(
            HistoryRow(0, "validation", 0, *held_out_loss(state.model, validation), 0.0, 0.0)
        )
    before = state.seconds
    started = time.perf_counter()
    pending: list[Tensor] = []  # losses that stay on the device until somebody needs them
    sizes: list[int] = []
    with (
        training_step(state.model, state.optimizer, experiment, execution) as step,
        _interrupts_between_steps() as interrupted,
    ):
        for batch in batches(experiment, faces, device, state.seen):
            pending.append(step(batch.images, batch.mirrored, batch.noise))
            sizes.append(len(batch.images))
            state.seen += len(batch.images)
            state.steps += 1
            finished = state.seen == experiment.budget
            stage_ends = finished or state.seen >= state.stage + stage_length
            keep = not finished and (
                batch.ends_epoch or checkpoint_writer.is_due() or interrupted()
            )
            if stage_ends or keep:
                _settle(state, experiment, pending, sizes, checkpoint_writer)
                state.seconds = before + time.perf_counter() - started
            if stage_ends:
                _end_stage(state, batch.epoch, validation)
                before, started = state.seconds, time.perf_counter()
            if keep:
                checkpoint_writer.keep(state)
            if interrupted() and not finished:
                raise KeyboardInterrupt(
                    f"stopped after {state.seen:,} images, which are kept: "
                    "the same command goes on from there"
                )
            latest = state.history[-1]
            watch(state.seen, batch.epoch, latest.reconstruction + experiment.lam * latest.kl)


def _settle(
    state: TrainingState,
    experiment: Experiment,
    pending: list[Tensor],
    sizes: list[int],
    checkpoint_writer: "CheckpointWriter",
) -> None:
    """Bring the losses of the last steps to the state, all of which have to be finite."""
    first = state.steps - len(pending) + 1
    for back, ((total, mse, kl), n) in enumerate(
        zip(torch.stack(pending).tolist(), sizes, strict=True)
    ):
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the loss is not finite at step {first + back} (mean squared error {mse:g}, "
                f"KL {kl:g}, learning rate {experiment.learning_rate:g}); {checkpoint_writer.told()}; "
                "a lower learning rate may help"
            )
        state.losses.append([mse, kl, n])
    pending.clear()
    sizes.clear()


def _end_stage(state: TrainingState, epoch: int, validation: Tensor) -> None:
    """Two rows of the history: the mean over this stage's images, and validation faces now."""
    seen = state.seen - state.stage
    mse = math.fsum(mse * n for mse, _, n in state.losses) / seen
    kl = math.fsum(kl * n for _, kl, n in state.losses) / seen
    earlier = state.history[-1].seconds
    rate = seen / max(state.seconds - earlier, 1e-9)
    with without_compile():
        held_out = held_out_loss(state.model, validation)
    for split, (error, divergence) in (("train", (mse, kl)), ("validation", held_out)):
        state.history.append(
            HistoryRow(epoch, split, state.seen, error, divergence, state.seconds, rate)
        )
    state.stage = state.seen
    state.losses = []


class CheckpointWriter:
    """Writes checkpoints of one run aside, while training goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = time.monotonic()
        self.kept = -1  # images seen at the newest checkpoint on disk
        self.writer = ThreadPoolExecutor(1)
        self.writing: Future[None] | None = None

    def is_due(self) -> bool:
        return time.monotonic() - self.last > CHECKPOINT_SECONDS

    def keep(self, state: TrainingState) -> None:
        """Copy the state now and write it behind the scenes."""
        self.wait()
        self.last = time.monotonic()
        self.writing = self.writer.submit(self._write, checkpoints.frozen(state), state.seen)

    def wait(self) -> None:
        """Return when nothing is being written any more.

        A checkpoint that cannot be written is said in a line; training goes on without it.
        """
        try:
            if self.writing:
                self.writing.result()
        except OSError as error:
            print(
                f"a checkpoint cannot be written to {self.folder}: {error.strerror}; {self.told()}",
                file=sys.stderr,
            )
        self.writing = None

    def told(self) -> str:
        """What is left on disk, in words."""
        if self.kept < 0:
            return "no checkpoint is kept"
        return f"the last checkpoint, after {self.kept:,} images, is kept in {self.folder}"

    def _write(self, arrays: checkpoints.Arrays, seen: int) -> None:
        checkpoints.save(self.folder, arrays, seen)
        self.kept = seen


@contextmanager
def _interrupts_between_steps() -> Iterator[Callable[[], bool]]:
    """Ctrl-C only makes the yielded function true; a second one interrupts at once."""
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # signals come to the main thread alone
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


class Evaluation(NamedTuple):
    """What a model reaches on faces it may not have seen, in float32."""

    reconstruction: float  # mean squared error, with z drawn from the posterior as in training
    kl: float  # nats


@torch.no_grad()
def held_out_loss(model: VAE, images: Tensor) -> Evaluation:
    """Both parts of the loss on these uint8 images (n, 3, 64, 48), unmirrored, in evaluation mode.

    z is drawn as in training, from noise that is the same in every call, so that the numbers can be
    compared with the training loss and with each other.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(2, dtype=torch.float64)
    for batch in images.split(EVALUATION_BATCH):
        x = to_float(batch.to(device))
        noise = torch.randn(len(batch), model.latent, generator=generator).to(device)
        reconstruction, mu, logvar = model(x, noise)
        losses = vae_loss(x, reconstruction, mu, logvar, lam=0.0)
        total += len(batch) * torch.stack([losses.reconstruction, losses.kl]).double().cpu()
    model.train(was_training)
    return Evaluation(*(total / len(images)).tolist())
