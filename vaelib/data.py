"""Faces ready to train on, and the batches of a training run.

Each source of faces is decoded once and cached (see `vaelib.sources`); from then on its images are
memory-mapped. Images stay uint8 until a batch of them is used.
"""

import functools
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelib.config import PRESETS, Experiment
from vaelib.sources import annotations, cache, layouts, prepare
from vaelib.sources.cache import Kind, clean_name
from vaelib.support.errors import InputError

# The share of a GPU's free memory that the faces may take; the networks need the rest.
GPU_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class FaceSet:
    """N faces with their split and, where the source has them, A attributes each."""

    name: str  # of the data: the folder that figures and runs go to
    images: Tensor  # uint8 (N, 3, 64, 48), memory-mapped; writing to it changes no file
    attributes: Tensor | None  # bool (N, A)
    attribute_names: tuple[str, ...]
    split: Tensor  # uint8 (N,): 0 train, 1 validation, 2 test
    fingerprint: str  # the same for the same faces, wherever they lie
    kind: Kind
    folder: Path  # where they lie prepared: `open_prepared` opens them there in any process
    broken: tuple[str, ...] = ()  # photos left out because they cannot be decoded

    @property
    def train(self) -> Tensor:
        """Positions of the training faces, int64."""
        return torch.nonzero(self.split == annotations.TRAIN).flatten()

    @property
    def validation(self) -> Tensor:
        """Positions of the validation faces, int64."""
        return torch.nonzero(self.split == annotations.VALIDATION).flatten()

    @property
    def test(self) -> Tensor:
        """Positions of the test faces, int64."""
        return torch.nonzero(self.split == annotations.TEST).flatten()

    def where(self, attribute_name: str) -> Tensor:
        """Which faces have the attribute, bool (N,); case, hyphens and underscores do not matter.

        Raises InputError for an attribute that these faces do not have.
        """
        if self.attributes is None:
            raise InputError(f"the faces of {self.name!r} carry no attributes")
        known = [annotations.normalise_name(name) for name in self.attribute_names]
        wanted = annotations.normalise_name(attribute_name)
        if wanted not in known:
            raise InputError(
                f"there is no attribute {attribute_name!r} in {self.name!r}; "
                f"choose from {', '.join(self.attribute_names)}"
            )
        return self.attributes[:, known.index(wanted)]


def evenly_spaced(positions: Tensor, n: int) -> Tensor:
    """At most n of these positions, evenly spaced: the order within a folder is not random."""
    if len(positions) <= n:
        return positions
    return positions[torch.linspace(0, len(positions) - 1, n).round().long()]


def to_float(batch: Tensor) -> Tensor:
    """Images uint8 as float32 in [-1, 1], the range of the decoder's tanh."""
    return batch.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8, rounded; values outside the range are clamped."""
    return images.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def flip(batch: Tensor, mask: Tensor) -> Tensor:
    """The batch (n, 3, 64, 48), mirrored left to right where the mask, bool (n,), is true."""
    return torch.where(mask[:, None, None, None], batch.flip(-1), batch)


def load(data: str = "auto", preset: str = "quick", name: str = "") -> FaceSet:
    """The faces of a source, prepared on the first call and opened at once on later ones.

    data: "auto", "synthetic" or a path, see `layouts.find`. preset: decides only how many
    procedural faces there are. name: of the data, in place of the source's own.
    Raises InputError for an unknown preset, a name unfit for a folder, and an unusable source.
    """
    if preset not in PRESETS:
        raise InputError(f"preset is {preset!r}; it must be one of {', '.join(PRESETS)}")
    if name != clean_name(name):
        raise InputError(
            f"name is {name!r}; use letters, digits, '-', '_' and '.', with neither "
            "'-' nor '.' at either end"
        )
    source = layouts.find(data)
    count = source.count or PRESETS[preset].synthetic_faces
    return _memory_mapped(prepare.open_or_prepare(source, count), name)


def open_prepared(folder: Path, name: str = "") -> FaceSet:
    """The faces that lie prepared in a folder, on this machine or another. No photos are needed.

    name: of the data, in place of the one they were prepared under.
    Raises InputError where a file is missing or a bit has changed.
    """
    return _memory_mapped(cache.read(folder), name)


def _memory_mapped(prepared: cache.Prepared, name: str) -> FaceSet:
    # "c" is copy on write: torch warns about read-only memory, and the file must not change.
    images = np.load(prepared.folder / cache.IMAGES, mmap_mode="c")
    attributes = None
    if prepared.attribute_names:
        attributes = torch.from_numpy(np.load(prepared.folder / cache.ATTRIBUTES))
    return FaceSet(
        name=name or prepared.name,
        images=torch.from_numpy(images),
        attributes=attributes,
        attribute_names=prepared.attribute_names,
        split=torch.from_numpy(np.load(prepared.folder / cache.SPLIT)),
        fingerprint=prepared.fingerprint,
        kind=prepared.kind,
        folder=prepared.folder,
        broken=prepared.broken,
    )


class Batch(NamedTuple):
    """What one training step needs, on the device."""

    epoch: int  # from 1
    images: Tensor  # uint8 (n, 3, 64, 48)
    mirrored: Tensor  # bool (n,): which of them to mirror
    noise: Tensor  # float32 (n, latent), from N(0, I)
    ends_epoch: bool


def batches(
    experiment: Experiment, faces: FaceSet, device: torch.device, images_seen: int = 0
) -> Iterator[Batch]:
    """The batches of a run from `images_seen` on, until its budget is spent.

    They add up to `experiment.budget` images exactly. All of it follows from the seed and from how
    far the run is, so a run can be resumed in the middle of an epoch; `images_seen` must be where a
    batch ends.
    """
    images = on_device(faces, device)
    train = faces.train.to(images.device)
    while images_seen < experiment.budget:
        epoch, start = images_seen // len(train) + 1, images_seen % len(train)
        drawn_on = _where_drawn(device)
        generator = _generator(experiment.seed, drawn_on, epoch)
        order = torch.randperm(len(train), generator=generator, device=drawn_on)
        mirrored = torch.rand(len(train), generator=generator, device=drawn_on) < 0.5
        order = train[order.to(train.device)]
        end = min(len(train), start + experiment.budget - images_seen)
        for first in range(start, end, experiment.batch_size):
            last = min(first + experiment.batch_size, end)
            generator = _generator(experiment.seed, drawn_on, epoch, first)
            shape = (last - first, experiment.latent)
            noise = torch.randn(shape, generator=generator, device=drawn_on)
            yield Batch(
                epoch=epoch,
                images=_take(images, order[first:last], device),
                mirrored=mirrored[first:last].to(device),
                noise=noise.to(device),
                ends_epoch=last == len(train),
            )
            images_seen += last - first


def _where_drawn(device: torch.device) -> torch.device:
    """Where random numbers for a device are drawn: on a GPU of CUDA itself, else on the CPU."""
    return device if device.type == "cuda" else torch.device("cpu")


def _generator(seed: int, device: torch.device, *position: int) -> torch.Generator:
    """A random generator for one position in a run, independent of what was drawn before."""
    digest = hashlib.sha256(repr((seed, *position)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:4]))


@functools.lru_cache(maxsize=1)
def on_device(faces: FaceSet, device: torch.device) -> Tensor:
    """All images, uint8: in the GPU's memory where they fit, else memory-mapped as they are."""
    if device.type != "cuda":
        return faces.images
    free, _ = torch.cuda.mem_get_info(device)
    fits = math.prod(faces.images.shape) < GPU_SHARE * free
    return faces.images.to(device) if fits else faces.images


def _take(images: Tensor, positions: Tensor, device: torch.device) -> Tensor:
    batch = images[positions]
    if batch.device == device:
        return batch
    if device.type != "cuda":
        return batch.to(device)
    return batch.pin_memory().to(device, non_blocking=True)
