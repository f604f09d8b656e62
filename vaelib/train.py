"""Train one experiment, or load it if it was trained before."""

import csv
import io
import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vaelib import device as hardware
from vaelib import files, paths, progress, provenance
from vaelib.config import Experiment
from vaelib.data import FaceSet, evenly, flip, to_float
from vaelib.loss import LossParts, vae_loss
from vaelib.model import VAE

STAGES = 12  # points of the loss curve
CURVE_FACES = 128  # validation faces behind each of them
EVALUATION_BATCH = 256
FINISHED = "finished.json"  # the marker that is written last


class Row(NamedTuple):
    """One line of history.csv: the mean over the images of a stage, or over validation faces."""

    epoch: int
    split: str  # "train" or "validation"
    images_seen: int
    reconstruction: float  # mean squared error
    kl: float  # nats
    seconds: float  # of training so far, evaluations left out
    images_per_second: float  # while training, in this stage


@dataclass(frozen=True)
class Run:
    """A finished training run: its folder and what lies there."""

    folder: Path
    experiment: Experiment
    history: list[Row] = field(repr=False)

    @property
    def key(self) -> str:
        return self.folder.name

    @cached_property
    def model(self) -> VAE:
        """The trained network in evaluation mode, on the device at hand, without gradients."""
        model = VAE(self.experiment.latent)
        model.load_state_dict(load_file(self.folder / "model.safetensors"))
        return model.to(hardware.pick_device()).eval().requires_grad_(False)

    def curve(self, split: str) -> list[Row]:
        """The history of one split, in the order of training."""
        return [row for row in self.history if row.split == split]


def train_or_load(
    experiment: Experiment, faces: FaceSet, label: str = "", runs: Path | None = None
) -> Run:
    """The finished run of this experiment on these faces; trained now if it is not there yet.

    It lies in <runs>/<faces.name>/<key>, where the key covers the experiment and the faces.
    """
    folder = run_folder(experiment, faces, runs)
    if not (folder / FINISHED).exists():
        _train_into(folder, experiment, faces, label or folder.name)
    return load(folder)


def run_folder(experiment: Experiment, faces: FaceSet, runs: Path | None = None) -> Path:
    """Where the run of this experiment on these faces lies, trained or not."""
    return (runs or paths.RUNS) / faces.name / experiment.key(faces.fingerprint)


def is_finished(experiment: Experiment, faces: FaceSet) -> bool:
    """Whether this run can be loaded."""
    return (run_folder(experiment, faces) / FINISHED).exists()


def same_weights(one: Run, other: Run) -> bool:
    """Whether two runs ended in the same weights, bit for bit."""
    first, second = one.model.state_dict(), other.model.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def load(folder: Path) -> Run:
    """The finished run in this folder."""
    experiment = Experiment(**json.loads((folder / "experiment.json").read_text(encoding="utf-8")))
    with (folder / "history.csv").open(encoding="utf-8", newline="") as lines:
        history = [
            Row(
                epoch=int(line["epoch"]),
                split=line["split"],
                images_seen=int(line["images_seen"]),
                reconstruction=float(line["reconstruction"]),
                kl=float(line["kl"]),
                seconds=float(line["seconds"]),
                images_per_second=float(line["images_per_second"]),
            )
            for line in csv.DictReader(lines)
        ]
    return Run(folder, experiment, history)


def _train_into(folder: Path, experiment: Experiment, faces: FaceSet, label: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
    device = hardware.pick_device()
    model = new_model(experiment).to(device)
    with progress.watching(label, experiment.images) as watch:
        history = fit(model, experiment, faces, watch)
    told = {"faces": faces.name, "kind": faces.kind, "fingerprint": faces.fingerprint}
    files.write_json(folder / "experiment.json", asdict(experiment))
    files.write_json(folder / "environment.json", {**provenance.environment(device), **told})
    files.write_text(folder / "history.csv", _as_csv(history))
    with files.written_aside(folder / "model.safetensors") as aside:
        save_file({name: t.contiguous().cpu() for name, t in model.state_dict().items()}, aside)
    files.write_json(folder / FINISHED, {"images_seen": experiment.images})


def new_model(experiment: Experiment) -> VAE:
    """The untrained network with the initial weights of the experiment's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return VAE(experiment.latent)


def fit(model: VAE, experiment: Experiment, faces: FaceSet, watch: progress.Watch) -> list[Row]:
    """Train the model in place until its budget of images is seen; the history of its loss.

    Raises FloatingPointError, naming the place, when the loss is no longer finite.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=experiment.learning_rate, fused=True)
    validation = faces.images[evenly(faces.validation, CURVE_FACES)]
    stage_length = max(1, math.ceil(experiment.images / STAGES))
    history: list[Row] = []
    parts: list[Tensor] = []  # stay on the device until the stage ends
    seen = stage_start = 0
    seconds = 0.0
    started = time.perf_counter()
    history.append(Row(0, "validation", 0, *evaluate(model, validation), 0.0, 0.0))
    for epoch, x, noise in batches(experiment, faces, device):
        losses = step(model, optimizer, experiment, x, noise)
        parts.append(torch.stack([losses.reconstruction, losses.kl]).detach() * len(x))
        seen += len(x)
        if seen >= stage_start + stage_length or seen == experiment.images:
            mse, kl = (torch.stack(parts).sum(dim=0) / (seen - stage_start)).tolist()
            if not math.isfinite(mse + experiment.lam * kl):
                raise FloatingPointError(
                    f"the loss is not finite after {seen} images (mean squared error {mse},"
                    f" KL {kl}, learning rate {experiment.learning_rate:g}); nothing was saved"
                )
            spent = time.perf_counter() - started
            rate = (seen - stage_start) / spent
            seconds += spent
            history.append(Row(epoch, "train", seen, mse, kl, seconds, rate))
            held_out = evaluate(model, validation)
            history.append(Row(epoch, "validation", seen, *held_out, seconds, rate))
            parts, stage_start, started = [], seen, time.perf_counter()
        latest = history[-1]
        watch(seen, epoch, latest.reconstruction + experiment.lam * latest.kl)
    return history


def batches(
    experiment: Experiment, faces: FaceSet, device: torch.device
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Epoch, images (n, 3, 64, 48) in [-1, 1], half of them mirrored, and noise (n, latent).

    Exactly `experiment.images` images in all. Each epoch has a generator of its own, seeded from
    the run's seed and the epoch's number: what it sees depends on nothing before it.
    """
    left = experiment.images
    epoch = 0
    while left > 0:
        epoch += 1
        generator = torch.Generator(device).manual_seed(experiment.seed * 1_000_003 + epoch)
        order = torch.randperm(len(faces.train), generator=generator, device=device).cpu()
        for chosen in faces.train[order][:left].split(experiment.batch_size):
            n = len(chosen)
            mirrored = torch.rand(n, generator=generator, device=device) < 0.5
            noise = torch.randn(n, experiment.latent, generator=generator, device=device)
            images = faces.images[chosen].to(device)
            yield epoch, to_float(flip(images, mirrored)), noise
            left -= n


def step(
    model: VAE, optimizer: torch.optim.Optimizer, experiment: Experiment, x: Tensor, noise: Tensor
) -> LossParts:
    """One step of gradient descent on one batch; the parts of its loss before the step."""
    model.train()
    half = experiment.precision == "bfloat16"
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=half):
        reconstruction, mu, logvar = model(x, noise)
    losses = vae_loss(x, reconstruction, mu, logvar, experiment.lam, experiment.kl_reading)
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    optimizer.step()
    return losses


class Evaluation(NamedTuple):
    """What a model reaches on faces it may not have seen, in float32."""

    reconstruction: float  # mean squared error, with z drawn from the posterior as in training
    kl: float  # nats


@torch.no_grad()
def evaluate(model: VAE, images: Tensor) -> Evaluation:
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


def _as_csv(history: list[Row]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(history)
    return text.getvalue()
