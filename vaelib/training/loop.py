"""The training loop: steps until the budget is spent, the loss in stages, checkpoints between."""

import math
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from vaelib.config import Experiment
from vaelib.data import FaceSet, batches, evenly_spaced, to_float
from vaelib.loss import vae_loss
from vaelib.model import VAE
from vaelib.support import progress
from vaelib.support.interrupts import on_first_interrupt
from vaelib.training import checkpoints
from vaelib.training.checkpoints import MeanLoss, TrainingState, mean_over
from vaelib.training.runs import HistoryRow, Split
from vaelib.training.step import Execution, training_step

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

    Raises FloatingPointError, naming the step, when a loss is not finite; that step is in no
    checkpoint. The first Ctrl-C stops after the present step, with a checkpoint, as a
    KeyboardInterrupt.
    """
    device = next(state.model.parameters()).device
    recorder = HistoryRecorder(state, experiment, faces, checkpoint_writer)
    interrupted = threading.Event()
    with (
        training_step(state.model, state.optimizer, experiment, execution) as step,
        on_first_interrupt(interrupted.set),
    ):
        for batch in batches(experiment, faces, device, state.images_seen):
            losses = step(batch.images, batch.mirrored, batch.noise)
            recorder.add(losses, len(batch.images))

            finished = state.images_seen == experiment.budget
            stop = interrupted.is_set() and not finished
            stage_ends = finished or recorder.stage_is_full()
            checkpoint_due = stop or batch.ends_epoch or checkpoint_writer.is_due()
            if stage_ends:
                recorder.end_stage(batch.epoch)
            if checkpoint_due and not finished:
                recorder.collect()
                checkpoint_writer.write(state)
            if stop:
                raise KeyboardInterrupt(
                    f"stopped after {state.images_seen:,} images, which are kept: "
                    "the same command goes on from there"
                )
            watch(state.images_seen, f"epoch {batch.epoch}, {recorder.loss_in_words()}")


class HistoryRecorder:
    """Brings the losses of the steps, and the time they took, to the history of a state."""

    def __init__(
        self,
        state: TrainingState,
        experiment: Experiment,
        faces: FaceSet,
        checkpoint_writer: "CheckpointWriter",
    ) -> None:
        self.state = state
        self.experiment = experiment
        self.checkpoint_writer = checkpoint_writer
        self.validation = faces.images[evenly_spaced(faces.validation, CURVE_FACES)]
        self.stage_length = max(1, math.ceil(experiment.budget / STAGES))
        # Losses stay on the device until they are needed, so that no step waits for it.
        self.pending: list[Tensor] = []
        self.pending_n: list[int] = []
        if not state.history:
            self._append(0, "validation", self._validation_loss(), 0.0)
        self.started = time.perf_counter() - state.seconds

    def add(self, losses: Tensor, n: int) -> None:
        """Note a step on n images: its losses (3,), in the order of `LossParts`."""
        self.pending.append(losses)
        self.pending_n.append(n)
        self.state.images_seen += n
        self.state.steps += 1

    def stage_is_full(self) -> bool:
        return self.state.images_seen >= self.state.history[-1].images_seen + self.stage_length

    def collect(self) -> None:
        """Bring the pending losses to the state. Raises FloatingPointError: all must be finite."""
        if not self.pending:
            return
        rows: list[list[float]] = torch.stack(self.pending).tolist()  # waits for the device
        step = self.state.steps - len(rows)
        for n, row in zip(self.pending_n, rows, strict=True):
            step += 1
            losses = MeanLoss(n, *row)
            if not math.isfinite(losses.loss):
                raise FloatingPointError(
                    f"the loss is not finite at step {step} (mean squared error "
                    f"{losses.reconstruction:g}, KL {losses.kl:g}, learning rate "
                    f"{self.experiment.learning_rate:g}); {self.checkpoint_writer.describe_last()};"
                    " a lower learning rate may help"
                )
            self.state.stage_losses.append(losses)
        self.pending.clear()
        self.pending_n.clear()
        self.state.seconds = time.perf_counter() - self.started

    def end_stage(self, epoch: int) -> None:
        """Two rows of the history: the mean over this stage's images, and validation faces now."""
        self.collect()
        state = self.state
        training = mean_over(state.stage_losses)
        rate = training.n / max(state.seconds - state.history[-1].seconds, 1e-9)
        self._append(epoch, "train", training, rate)
        with torch.compiler.set_stance("force_eager"):  # compiling would not pay for this shape
            self._append(epoch, "validation", self._validation_loss(), rate)
        state.stage_losses = []
        self.started = time.perf_counter() - state.seconds  # without the evaluation

    def loss_in_words(self) -> str:
        """The loss of validation faces, and whether it is larger than before the first step."""
        first, last = self.state.history[0].loss, self.state.history[-1].loss
        if last > first:
            return f"loss {last:.4g}, above the {first:.4g} of the untrained model"
        return f"loss {last:.4f}"

    def _validation_loss(self) -> MeanLoss:
        return held_out_loss(self.state.model, self.validation, self.experiment)

    def _append(self, epoch: int, split: Split, mean: MeanLoss, rate: float) -> None:
        _, loss, reconstruction, kl = mean
        seen, seconds = self.state.images_seen, self.state.seconds
        row = HistoryRow(epoch, split, seen, loss, reconstruction, kl, seconds, rate)
        self.state.history.append(row)


class CheckpointWriter:
    """Writes the checkpoints of one run in a thread of its own, while training goes on.

    A checkpoint that cannot be written is reported in a line; training goes on without it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last_write = time.monotonic()
        self.thread = ThreadPoolExecutor(1)
        self.writing: Future[None] | None = None

    def is_due(self) -> bool:
        return time.monotonic() - self.last_write > CHECKPOINT_SECONDS

    def write(self, state: TrainingState) -> None:
        """Copy the state now and write it in the background."""
        self.wait()
        self.last_write = time.monotonic()
        self.writing = self.thread.submit(
            checkpoints.save, self.folder, checkpoints.snapshot(state)
        )

    def wait(self) -> None:
        """Return when nothing is being written any more."""
        try:
            if self.writing:
                self.writing.result()
        except OSError as error:
            print(
                f"a checkpoint cannot be written to {self.folder}: {error.strerror}; "
                f"{checkpoints.describe_last(self.folder)}",
                file=sys.stderr,
            )
        self.writing = None

    def describe_last(self) -> str:
        """Which checkpoint there is to go on from, in words."""
        self.wait()
        return checkpoints.describe_last(self.folder)

    def close(self) -> None:
        """Wait and end the thread."""
        self.wait()
        self.thread.shutdown()


@torch.no_grad()
def held_out_loss(model: VAE, images: Tensor, experiment: Experiment) -> MeanLoss:
    """The experiment's loss on uint8 images (n, 3, 64, 48), unmirrored, in evaluation mode.

    In float32. z is drawn from the posterior as in training, but from noise that is the same in
    every call, so that the numbers can be compared with the training loss and with each other.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    generator = torch.Generator().manual_seed(0)
    parts = []
    for batch in images.split(EVALUATION_BATCH):
        x = to_float(batch.to(device))
        noise = torch.randn(len(batch), model.latent, generator=generator).to(device)
        reconstruction, mu, logvar = model(x, noise)
        lam, kl_reading, weighting = experiment.lam, experiment.kl_reading, experiment.weighting
        losses = vae_loss(x, reconstruction, mu, logvar, lam, kl_reading, weighting)
        parts.append(MeanLoss(len(batch), *torch.stack(losses).tolist()))
    model.train(was_training)
    return mean_over(parts)
