"""Photos of any size and mode become faces of one size: decoded, turned upright, framed."""

import math
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from tqdm import tqdm

from vaelib import sources
from vaelib.config import IMAGE_SHAPE
from vaelib.errors import InputError

MOST_PIXELS = 50_000_000  # a photo that claims more is not decoded
BROKEN_LIMIT = 0.01  # share of broken photos from which on the source is refused
CELEBA_ASPECT = 178 / 218  # width / height
ASPECT_TOLERANCE = 0.10  # photos further off are cropped before they are resized


def decode_all(source: sources.Source, target: Path) -> list[int]:
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
