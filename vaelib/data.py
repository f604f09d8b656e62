"""Faces ready to train on: each source is decoded once, cached, and memory-mapped ever after."""

import contextlib
import json
import math
import os
import shutil
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from tqdm import tqdm

from vaelib import faces, paths, sources
from vaelib.config import IMAGE_SHAPE, PRESETS
from vaelib.errors import InputError

PREPARATION = 1  # raise it whenever the same source would be prepared differently

MOST_PIXELS = 50_000_000  # a photo that claims more is not decoded
BROKEN_LIMIT = 0.01  # share of broken photos from which on the source is refused
CELEBA_ASPECT = 178 / 218  # width / height
ASPECT_TOLERANCE = 0.10  # photos further off are cropped before they are resized


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
        broken = _decode_all(source, folder / "images.npy")
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


def _decode_all(source: sources.Source, target: Path) -> list[int]:
    """Decode every photo into one .npy file, and return the positions of those left out."""
    count = len(source.files)
    tolerance = ASPECT_TOLERANCE if source.kind == "photos" else math.inf
    rows = np.lib.format.open_memmap(target, "w+", np.uint8, (count, *IMAGE_SHAPE))

    def decode_some(indices: range) -> list[int]:
        broken = []
        for index in indices:
            try:
                rows[index] = decode(source.root / source.files[index], tolerance)
            except Exception:  # broken bytes make Pillow raise nearly every kind of exception
                broken.append(index)
        return broken

    # Few tasks of many photos each: a future for every photo of CelebA would fill the memory.
    tasks = [range(start, min(start + 64, count)) for start in range(0, count, 64)]
    broken = []
    with (
        warnings.catch_warnings(action="ignore"),  # Pillow's, about bombs, palettes and odd EXIF
        ThreadPoolExecutor(os.cpu_count()) as threads,
        tqdm(total=count, desc=f"preparing {source.name}", unit=" faces", disable=None) as bar,
    ):
        for task, failed in zip(tasks, threads.map(decode_some, tasks), strict=True):
            broken += failed
            bar.update(len(task))
    rows.flush()
    if broken:
        _leave_out(broken, source.files, target)
    return broken


def _leave_out(broken: Sequence[int], files: Sequence[str], target: Path) -> None:
    """Name the broken photos on stderr and take their rows out of the file of images."""
    named = ", ".join(files[index] for index in broken[:3]) + (", ..." if len(broken) > 3 else "")
    if len(broken) >= BROKEN_LIMIT * len(files):
        raise InputError(
            f"{len(broken)} of {len(files)} photos cannot be decoded: {named}; "
            "mend or remove them (a few, under 1 %, would be left out)"
        )
    images = "image" if len(broken) == 1 else "images"
    print(f"left out {len(broken)} broken {images} of {len(files)}: {named}", file=sys.stderr)
    rows = np.load(target, mmap_mode="r")
    kept = np.setdiff1d(np.arange(len(files)), broken)
    whole = target.with_name("whole.npy")
    fewer = np.lib.format.open_memmap(whole, "w+", np.uint8, (len(kept), *IMAGE_SHAPE))
    for start in range(0, len(kept), 4096):
        fewer[start : start + 4096] = rows[kept[start : start + 4096]]
    fewer.flush()
    del rows, fewer  # some systems do not replace a file that is still mapped
    whole.replace(target)


def decode(path: Path, tolerance: float) -> NDArray[np.uint8]:
    """One photo as uint8 (3, 64, 48): turned as its EXIF asks, RGB on white, the frame resized.

    The frame is the whole photo, or, where its aspect is off CelebA's by more than the tolerance
    (0.1 is 10 %), its largest centred part that has CelebA's aspect.
    Raises what Pillow raises on broken files, and ValueError on more than 50 megapixels.
    """
    _, height, width = IMAGE_SHAPE
    with Image.open(path) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{path} has {image.width} x {image.height} pixels")
        # A JPEG can be decoded at 1/2, 1/4 or 1/8. Kept at twice our size or more, and told where
        # its frame ends (within the last pixel), the result differs by at most 0.3 grey levels on
        # average over a photo, and large photos take a fifth of the time.
        draft = image.draft(None, (2 * height, 2 * height))
        image.load()
        across, down = draft[1][2:] if draft else image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        size = (height, width) if turned else (width, height)
        aspect = 1 / CELEBA_ASPECT if turned else CELEBA_ASPECT
        off = (down / across if turned else across / down) / CELEBA_ASPECT - 1
        frame, box = _rgb(image), (0.0, 0.0, float(across), float(down))
        if abs(off) > tolerance:
            frame = frame.crop(_centred(across, down, aspect))  # a box alone lets the rest shine in
            box = (0.0, 0.0, float(frame.width), float(frame.height))
        small = frame.resize(size, Image.Resampling.BILINEAR, box=box)
        small.info = image.info  # has the orientation: turning the small image is cheaper
    upright = ImageOps.exif_transpose(small)
    return np.asarray(upright).transpose(2, 0, 1)


def _centred(across: float, down: float, aspect: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the largest centred box of an aspect (width / height)."""
    wide, high = min(across, down * aspect), min(down, across / aspect)
    left, top = (across - wide) / 2, (down - high) / 2
    return round(left), round(top), round(left + wide), round(top + high)


def _rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, alpha laid on white, 16-bit grey scaled to 8 bits (Pillow would clip)."""
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
