"""Faces ready to train on: each source is decoded once, cached, and memory-mapped ever after."""

import contextlib
import functools
import hashlib
import math
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelib.config import FACE_BYTES, PRESETS, Experiment
from vaelib.sources import annotations, cache, layouts, prepare
from vaelib.sources.cache import Kind, clean_name
from vaelib.sources.layouts import Source
from vaelib.support import files, paths
from vaelib.support.errors import InputError


@dataclass(frozen=True, eq=False)
class FaceSet:
    """N faces with their split and, where the source has them, A attributes each."""

    name: str  # of the data: the folder that figures and runs go to
    images: torch.Tensor  # uint8 (N, 3, 64, 48), memory-mapped; writing to it changes no file
    attributes: torch.Tensor | None  # bool (N, A)
    attribute_names: tuple[str, ...]
    split: torch.Tensor  # uint8 (N,): 0 train, 1 validation, 2 test
    fingerprint: str  # the same for the same faces, wherever they lie
    kind: Kind
    folder: Path  # where they lie prepared: `open_prepared` opens them there in any process
    broken: tuple[str, ...] = ()  # photos left out because they cannot be decoded

    @property
    def train(self) -> torch.Tensor:
        """Positions of the training faces, int64."""
        return torch.nonzero(self.split == annotations.TRAIN).flatten()

    @property
    def validation(self) -> torch.Tensor:
        """Positions of the validation faces, int64."""
        return torch.nonzero(self.split == annotations.VALIDATION).flatten()

    @property
    def test(self) -> torch.Tensor:
        """Positions of the test faces, int64."""
        return torch.nonzero(self.split == annotations.TEST).flatten()

    def where(self, attribute_name: str) -> torch.Tensor:
        """Which faces have the attribute, bool (N,), whatever its case, hyphens and underscores.

        Raises InputError for an unknown one.
        """
        if self.attributes is None:
            raise InputError(f"the faces of {self.name!r} carry no attributes")
        same = [annotations.normalise_name(name) for name in self.attribute_names]
        if annotations.normalise_name(attribute_name) not in same:
            raise InputError(
                f"there is no attribute {attribute_name!r} in {self.name!r}; "
                f"choose from {', '.join(self.attribute_names)}"
            )
        return self.attributes[:, same.index(annotations.normalise_name(attribute_name))]


def evenly_spaced(positions: torch.Tensor, n: int) -> torch.Tensor:
    """At most n of these positions, spread evenly_spaced over all: the order of a folder has a meaning."""
    if len(positions) <= n:
        return positions
    return positions[torch.linspace(0, len(positions) - 1, n).round().long()]


def to_float(batch: torch.Tensor) -> torch.Tensor:
    """Images uint8 as float32 in [-1, 1], the range of the decoder's tanh."""
    return batch.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1] as uint8, rounded; what lies outside the range is clamped to it."""
    return images.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def flip(batch: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The batch (B, C, H, W) with those images mirrored left to right where mask, bool (B,), is."""
    return torch.where(mask[:, None, None, None], batch.flip(-1), batch)


def load(data: str = "auto", preset: str = "quick", name: str = "") -> FaceSet:
    """The faces of a source (see `layouts.find`), prepared on the first call, at once on others.

    The preset decides only how many procedural faces there are. `name` replaces the name of the
    source. The cache lies in `paths.CACHE`, in a folder called after the source and its
    key; it is checked on every call, and prepared again where it is damaged. The same
    folder, or a copy of it on another machine, is a source too, but cannot be prepared again.
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
    if source.prepared:
        return _mapped(source.prepared, name)
    count = source.count or PRESETS[preset].synthetic_faces
    folder = paths.CACHE / f"{source.name}-{prepare.cache_key(source, count)[:12]}"
    with contextlib.suppress(InputError):
        return open_prepared(folder, name)
    with _alone():
        with contextlib.suppress(InputError):
            return open_prepared(folder, name)  # another process was first
        _prepare(source, count, folder)
        return open_prepared(folder, name)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process prepares faces."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(
                files.locked(
                    paths.CACHE / ".lock", "another process prepares faces; waiting for its end"
                )
            )
        except OSError as error:
            raise InputError(
                f"cannot write to {paths.CACHE}: {error.strerror}; "
                "set VAELIB_CACHE to another folder"
            ) from error
        yield


def _prepare(source: Source, count: int, folder: Path) -> None:
    """Make the cache. What an interruption leaves is gone on with; nothing else is left behind."""
    if folder.exists():
        print(f"the cache {folder} is damaged; the faces are prepared again", file=sys.stderr)
        shutil.rmtree(folder)
    part = folder.with_name(f".{folder.name}.part")
    for stale in paths.CACHE.glob(f".{source.name}-*.part"):
        if stale != part:  # of this source before it changed: it will never be finished
            shutil.rmtree(stale)
    # Looked at first, because running out of disk under a memory map kills the process.
    kept = sum(getattr(file.stat(), "st_blocks", 0) * 512 for file in part.glob(cache.IMAGES))
    free, needed = shutil.disk_usage(paths.CACHE).free, count * FACE_BYTES - kept
    if free < needed:
        raise InputError(
            f"{paths.CACHE} has {free / 1e6:.0f} MB free and the faces need {needed / 1e6:.0f} MB; "
            "make room, or set VAELIB_CACHE to another folder"
        )
    part.mkdir(exist_ok=True)
    try:
        prepare.prepare(source, count, part)
    except BaseException as error:
        if isinstance(error, InputError) or not (part / prepare.JOURNAL).exists():
            shutil.rmtree(part)
        raise
    part.rename(folder)


def open_prepared(folder: Path, name: str = "") -> FaceSet:
    """The faces that lie prepared in a folder, of this machine or another. No photos are needed.

    `name` replaces the name under which they were prepared.
    Raises InputError where a file is missing or a bit is not as it was.
    """
    return _mapped(cache.read(folder), name)


def _mapped(prepared: cache.Prepared, name: str) -> FaceSet:
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


# Of the memory that is free on a GPU, the share that the faces may take; networks need the rest.
GPU_SHARE = 0.5


class Batch(NamedTuple):
    """One step's worth, on the device."""

    epoch: int  # from 1
    images: Tensor  # uint8 (n, 3, 64, 48)
    mirrored: Tensor  # bool (n,): which of them are to be mirrored
    noise: Tensor  # float32 (n, latent), standard normal
    ends_epoch: bool


def batches(
    experiment: Experiment, faces: FaceSet, device: torch.device, seen: int = 0
) -> Iterator[Batch]:
    """The batches of a run that has seen so many images already, until its budget is spent.

    Exactly `experiment.images` images in all. `seen` must be where a batch ends.
    """
    images = on_device(faces, device)
    train = faces.train.to(images.device)
    while seen < experiment.budget:
        epoch, start = seen // len(train) + 1, seen % len(train)
        drawn = _generator(experiment.seed, device, epoch)
        order = torch.randperm(len(train), generator=drawn, device=device)
        mirrored = torch.rand(len(train), generator=drawn, device=device) < 0.5
        order = train[order.to(train.device)]
        end = min(len(train), start + experiment.budget - seen)
        for first in range(start, end, experiment.batch_size):
            chosen = slice(first, min(first + experiment.batch_size, end))
            n = chosen.stop - first
            last = chosen.stop == len(train)
            drawn = _generator(experiment.seed, device, epoch, first)
            noise = torch.randn(n, experiment.latent, generator=drawn, device=device)
            taken = _take(images, order[chosen], device)
            yield Batch(epoch, taken, mirrored[chosen], noise, last)
            seen += n


def _generator(seed: int, device: torch.device, *place: int) -> torch.Generator:
    """A generator for this place of a run: what it draws depends on nothing drawn before."""
    told = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(told[:4]))


@functools.lru_cache(maxsize=1)
def on_device(faces: FaceSet, device: torch.device) -> Tensor:
    """All the images, uint8: in the GPU's memory where they fit, else memory-mapped as they are."""
    if device.type != "cuda":
        return faces.images
    free, _ = torch.cuda.mem_get_info(device)
    fits = math.prod(faces.images.shape) < GPU_SHARE * free
    return faces.images.to(device) if fits else faces.images


def _take(images: Tensor, chosen: Tensor, device: torch.device) -> Tensor:
    taken = images[chosen]
    if taken.device == device:
        return taken
    return taken.pin_memory().to(device, non_blocking=True)
