"""What the training loop is compared with: the loop of every tutorial, and pythae's trainer.

Both train the same network, written here once more from plain layers, so that it stays plain
whatever is done to `vaelib.model`. Either is a function that trains for a while whenever it is
called and tells how many images it got through in a second, its first steps left out.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from vaelib.data import FaceSet, to_float
from vaelib.training import hardware

Measure = Callable[[], float]  # images per second
MISSING = "missing"

# Channels in, channels out, kernel, stride; the padding is 1.
ENCODER = (
    *((3, 32, 4, 2), (32, 32, 3, 1), (32, 64, 4, 2), (64, 64, 3, 1)),
    *((64, 128, 4, 2), (128, 128, 3, 1), (128, 256, 4, 2), (256, 256, 3, 1)),
)
DECODER = (
    *((256, 256, 3, 1), (256, 128, 4, 2), (128, 128, 3, 1), (128, 64, 4, 2)),
    *((64, 64, 3, 1), (64, 32, 4, 2), (32, 32, 3, 1), (32, 3, 4, 2)),
)
SHAPE = (3, 64, 48)
FEATURES = (256, 4, 3)
LATENT, LAM, LEARNING_RATE = 64, 1e-5, 1e-3

WARM_UP = 8  # steps that are not timed
AHEAD = 8  # batches left unread, so that the loader's processes have work to the end
WORKERS = 2


class PlainEncoder(nn.Module):
    """Table 1 from plain layers: images (n, 3, 64, 48) to mu and logvar, each (n, 64)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for row in ENCODER:
            layers += [nn.Conv2d(*row, padding=1), nn.InstanceNorm2d(row[1]), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.mu = nn.Linear(256 * 4 * 3, LATENT)
        self.logvar = nn.Linear(256 * 4 * 3, LATENT)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.convolutions(x).flatten(1)
        return self.mu(features), self.logvar(features)


class PlainDecoder(nn.Module):
    """Table 2 from plain layers: z (n, 64) to images (n, 3, 64, 48)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(LATENT, 256 * 4 * 3)
        layers: list[nn.Module] = []
        for row in DECODER:
            layers.append(nn.ConvTranspose2d(*row, padding=1))
            layers += [nn.InstanceNorm2d(row[1]), nn.ReLU()] if row[1] > 3 else [nn.Tanh()]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.convolutions(self.linear(z).unflatten(1, FEATURES))
        return images


class PlainVAE(nn.Module):
    """Both, and z drawn between them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = PlainEncoder()
        self.decoder = PlainDecoder()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encoder(x)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decoder(z), mu, logvar


def version(package: str) -> str:
    """The version of a package, or MISSING."""
    if importlib.util.find_spec(package) is None:
        return MISSING
    return importlib.metadata.version(package)


def tutorial(place: Path, drawn: int, batch_size: int, steps: int) -> Measure:
    """The loop of every tutorial, over photos of CelebA's size that are drawn under `place` now.

    torchvision's CelebA and transforms, a DataLoader with two processes, the network in float32,
    Adam, and a sum of losses that waits for every step.
    """
    from torchvision import datasets, transforms  # only here: a GPU machine may not have it

    from benchmarks import prepare

    train_part = (WARM_UP + steps + AHEAD) * batch_size
    prepare.draw(place / "celeba", max(drawn, 10 * train_part // 8 + 10), drawn)
    prepare.write_lists(place / "celeba")
    prepared = [transforms.Resize(SHAPE[1:]), transforms.RandomHorizontalFlip()]
    prepared += [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    with mock.patch.object(datasets.CelebA, "_check_integrity", return_value=True):
        photos = datasets.CelebA(str(place), "train", transform=transforms.Compose(prepared))
    device = hardware.pick_device()
    model = PlainVAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def measure() -> float:
        loader = DataLoader(photos, batch_size=batch_size, shuffle=True, num_workers=WORKERS)
        model.train()
        stamps: list[float] = []
        _tutorial_epoch(model, optimizer, loader, device, stamps, WARM_UP + steps)
        return _rate(stamps, batch_size)

    return measure


def _tutorial_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: Iterable[list[Tensor]],
    device: torch.device,
    stamps: list[float],
    steps: int,
) -> float:
    """One epoch, left after so many steps; notes when each of them ended."""
    running = 0.0
    for batch, _ in loader:
        x = batch.to(device)
        reconstruction, mu, logvar = model(x)
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
        loss = functional.mse_loss(reconstruction, x) + LAM * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
        stamps.append(time.perf_counter())
        if len(stamps) == steps:
            break
    return running


def pythae(place: Path, faces: FaceSet, batch_size: int, steps: int) -> Measure:
    """pythae's own trainer and VAE with the network of the tables, over faces in memory."""
    chosen = faces.train[torch.arange((WARM_UP + steps) * batch_size) % len(faces.train)]
    stamps: list[float] = []
    with _quiet(), mock.patch.dict(os.environ):  # the trainer's configuration sets variables
        trainers = importlib.import_module("pythae.trainers")
        data = importlib.import_module("pythae.data.datasets")
        trainer = trainers.BaseTrainer(
            model=_pythae_model(),
            train_dataset=data.BaseDataset(
                to_float(faces.images[chosen]), torch.zeros(len(chosen))
            ),
            training_config=trainers.BaseTrainerConfig(
                output_dir=str(place / "pythae"),
                per_device_train_batch_size=batch_size,
                learning_rate=LEARNING_RATE,
                no_cuda=hardware.pick_device().type != "cuda",
            ),
            callbacks=[_pythae_clock(stamps)],
        )
        trainer.prepare_training()

    def measure() -> float:
        stamps.clear()
        with _quiet():
            trainer.train_step(1)
        return _rate(stamps, batch_size)

    return measure


def _pythae_model() -> Any:
    """Its VAE around the plain network. pythae has no types, so mypy is told as much."""
    models = importlib.import_module("pythae.models")
    bases = importlib.import_module("pythae.models.nn")
    output = importlib.import_module("pythae.models.base.base_utils").ModelOutput
    base_encoder: Any = bases.BaseEncoder
    base_decoder: Any = bases.BaseDecoder

    class Encoder(base_encoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.plain = PlainEncoder()

        def forward(self, x: Tensor) -> Any:
            mu, logvar = self.plain(x)
            return output(embedding=mu, log_covariance=logvar)

    class Decoder(base_decoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.plain = PlainDecoder()

        def forward(self, z: Tensor) -> Any:
            return output(reconstruction=self.plain(z))

    return models.VAE(models.VAEConfig(input_dim=SHAPE, latent_dim=LATENT), Encoder(), Decoder())


def _pythae_clock(stamps: list[float]) -> Any:
    """A callback that notes when each step ended."""
    base: Any = importlib.import_module("pythae.trainers.training_callbacks").TrainingCallback

    class Clock(base):  # type: ignore[misc]
        def on_train_step_end(self, *_: object, **__: object) -> None:
            stamps.append(time.perf_counter())

    return Clock()


def _quiet() -> contextlib.redirect_stderr[io.StringIO]:
    """Nothing of a peer's own lines and bars."""
    return contextlib.redirect_stderr(io.StringIO())


def _rate(stamps: list[float], batch_size: int) -> float:
    """Images per second, from when each step ended."""
    return (len(stamps) - WARM_UP) * batch_size / (stamps[-1] - stamps[WARM_UP - 1])
