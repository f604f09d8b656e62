"""Faces ready to train on: each source is decoded once, cached, and memory-mapped ever after."""

import contextlib
import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray

from vaelib import faces, paths, photos, sources
from vaelib.config import IMAGE_SHAPE, PRESETS
from vaelib.errors import InputError

PREPARATION = 1  # raise it whenever the same source would be prepared differently


@dataclass(frozen=True, eq=False)
class FaceSet:
    """N faces with their split and, where the source has them, A attributes each."""

    name: str  # of the data: the folder that figures and runs go to
    images: torch.Tensor  # uint8 (N, 3, 64, 48), memory-mapped; writing to it changes no file
    attributes: torch.Tensor | None  # bool (N, A)
    attribute_names: tuple[str, ...]
    split: torch.Tensor  # uint8 (N,): 0 train, 1 validation, 2 test
    fingerprint: str  # the same for the same faces, wherever they lie
    kind: sources.Kind
    broken: tuple[str, ...] = ()  # photos left out because they cannot be decoded

    @property
    def train(self) -> torch.Tensor:
        """Positions of the training faces, int64."""
        return torch.nonzero(self.split == sources.TRAIN).flatten()

    @property
    def validation(self) -> torch.Tensor:
        """Positions of the validation faces, int64."""
        return torch.nonzero(self.split == sources.VALIDATION).flatten()

    @property
    def test(self) -> torch.Tensor:
        """Positions of the test faces, int64."""
        return torch.nonzero(self.split == sources.TEST).flatten()

    def where(self, attribute_name: str) -> torch.Tensor:
        """Which faces have the attribute, bool (N,). Raises InputError for an unknown one."""
        if self.attributes is None:
            raise InputError(f"the faces of {self.name!r} carry no attributes")
        if attribute_name not in self.attribute_names:
            raise InputError(
                f"there is no attribute {attribute_name!r} in {self.name!r}; "
                f"choose from {', '.join(self.attribute_names)}"
            )
        return self.attributes[:, self.attribute_names.index(attribute_name)]


def evenly(positions: torch.Tensor, n: int) -> torch.Tensor:
    """At most n of these positions, spread evenly over all: the order of a folder has a meaning."""
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
    """The faces of a source (see `sources.find`), prepared on the first call, at once on others.

    The preset decides only how many procedural faces there are. `name` replaces the name of the
    source. The cache lies in `paths.CACHE`, in a folder called after name and fingerprint.
    Raises InputError for an unknown preset, a name unfit for a folder, and an unusable source.
    """
    if preset not in PRESETS:
        raise InputError(f"preset is {preset!r}; it must be one of {', '.join(PRESETS)}")
    if name != sources.clean_name(name):
        raise InputError(
            f"name is {name!r}; use letters, digits, '-', '_' and '.', with neither "
            "'-' nor '.' at either end"
        )
    source = sources.find(data)
    count = len(source.files) or PRESETS[preset].synthetic_faces
    fingerprint = sources.fingerprint(source, count, PREPARATION)
    name = name or source.name
    folder = paths.CACHE / f"{name}-{fingerprint[:12]}"
    ready = _open(folder, name, fingerprint)
    if ready is None:
        aside = _make_aside(folder, count)
        try:
            prepare(source, count, fingerprint, aside)
            ready = _install(aside, folder, name, fingerprint)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return ready


def prepare(source: sources.Source, count: int, fingerprint: str, folder: Path) -> None:
    """Write the source's faces into an existing folder.

    images.npy uint8 (N, 3, 64, 48), attributes.npy bool (N, A) where there are any, split.npy
    uint8 (N,), and facts.json. A photo that cannot be decoded is left out and named on stderr.
    Raises InputError where the lists do not hold together or 1 % of the photos or more are broken.
    """
    attributes: NDArray[np.bool_] | None
    broken: list[int] = []
    if source.kind == "synthetic":
        images, attributes = faces.generate(count, 0)
        attribute_names = faces.ATTRIBUTES
        np.save(folder / "images.npy", images)
        split = sources.split_by_hash([str(number) for number in range(count)])
    else:
        attributes, attribute_names = sources.read_attributes(source)
        official = sources.read_partition(source)  # before the slow part, as it may be refused
        broken = photos.decode_all(source, folder / "images.npy")
        kept = np.setdiff1d(np.arange(count), broken)
        attributes = None if attributes is None else attributes[kept]
        if official is None:
            split = sources.split_by_hash([source.files[index] for index in kept])
        else:
            split = official[kept]
    if attributes is not None:
        np.save(folder / "attributes.npy", attributes)
    np.save(folder / "split.npy", split)
    facts = {
        "fingerprint": fingerprint,
        "kind": source.kind,
        "faces": len(split),
        "train_validation_test": np.bincount(split, minlength=3).tolist(),
        "attribute_names": list(attribute_names) if attributes is not None else [],
        "broken": [source.files[index] for index in broken],
    }
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _make_aside(folder: Path, count: int) -> Path:
    """A new folder beside the one to come, for this process alone, with room for the faces."""
    aside = folder.with_name(f".{folder.name}.part-{os.getpid()}-{uuid4().hex[:8]}")
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"cannot write to {paths.CACHE}: {error.strerror}; set VAELIB_CACHE to another folder"
        ) from error
    # Looked at first, because running out of disk under a memory map kills the process.
    free, needed = shutil.disk_usage(aside).free, count * math.prod(IMAGE_SHAPE)
    if free < needed:
        aside.rmdir()
        raise InputError(
            f"{paths.CACHE} has {free / 1e6:.0f} MB free and the faces need {needed / 1e6:.0f} MB; "
            "make room, or set VAELIB_CACHE to another folder"
        )
    return aside


def _install(aside: Path, folder: Path, name: str, fingerprint: str) -> FaceSet:
    """Move the finished cache to its place, unless another process has put one there meanwhile."""
    for _ in range(2):
        with contextlib.suppress(OSError):  # refused where there is a folder with something in it
            aside.rename(folder)
        ready = _open(folder, name, fingerprint)  # another process's faces are as good as ours
        if ready is not None:
            return ready
        spoiled = aside.with_name(f"{aside.name}.spoiled")
        with contextlib.suppress(OSError):  # in one step, so that nobody opens half of it
            folder.rename(spoiled)
        shutil.rmtree(spoiled, ignore_errors=True)
    raise InputError(f"the cache {folder} cannot be read back; remove it and check the disk")


def _open(folder: Path, name: str, fingerprint: str) -> FaceSet | None:
    """The faces cached in the folder; None where it is missing, incomplete or of wrong sizes."""
    try:
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        count, attribute_names = facts["faces"], tuple(facts["attribute_names"])
        # "c" is copy on write: torch warns about read-only memory, and the file must not change.
        images = np.load(folder / "images.npy", mmap_mode="c")
        split = np.load(folder / "split.npy")
        attributes = np.load(folder / "attributes.npy") if attribute_names else None
        whole = (
            facts["fingerprint"] == fingerprint
            and (images.dtype, images.shape) == (np.uint8, (count, *IMAGE_SHAPE))
            and (split.dtype, split.shape) == (np.uint8, (count,))
            and (attributes is None or attributes.shape == (count, len(attribute_names)))
        )
        if not whole:
            return None
        return FaceSet(
            name=name,
            images=torch.from_numpy(images),
            attributes=None if attributes is None else torch.from_numpy(attributes),
            attribute_names=attribute_names,
            split=torch.from_numpy(split),
            fingerprint=fingerprint,
            kind=facts["kind"],
            broken=tuple(facts["broken"]),
        )
    except (OSError, EOFError, ValueError, TypeError, KeyError):
        return None
