"""Photos of any size and mode become faces of one size: decoded, turned upright, framed.

Imported where photos are decoded and not before: a machine that only trains may lack the decoders.
"""

import contextlib
import hashlib
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from vaelib.config import IMAGE_SHAPE
from vaelib.sources.storage import Photo

MOST_PIXELS = 50_000_000  # a photo that claims more is not decoded
CELEBA_ASPECT = 178 / 218  # width / height
ASPECT_TOLERANCE = 0.10  # photos further off are cropped before they are resized
WHOLE_FRAME = math.inf  # tolerance that crops no photo: for faces that are aligned already

# A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. Kept at this many times our size or more,
# the result differs by 0.7 grey levels on average over CelebA-sized portraits (1.7 at most), and
# takes two thirds of the time; large photos take a fifth.
REDUCED = 1.6
LEAST = (math.ceil(REDUCED * IMAGE_SHAPE[2]), math.ceil(REDUCED * IMAGE_SHAPE[1]))  # wide, high

JPEG, EXIF = b"\xff\xd8\xff", b"Exif\0\0"  # how such content begins, and what may turn it


def decode(photo: Photo, tolerance: float = ASPECT_TOLERANCE) -> NDArray[np.uint8]:
    """One photo as uint8 (3, 64, 48): turned as its EXIF asks, RGB on white, its frame resized.

    tolerance: see `framed`. Raises what Pillow raises on broken files, and ValueError on more than
    50 megapixels.
    """
    content = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
    plain = _plain_jpeg(content)
    small = framed(plain[0], tolerance, plain[1]) if plain else _any_image(content, tolerance)
    return np.asarray(small).transpose(2, 0, 1)


def _plain_jpeg(content: bytes) -> tuple[Image.Image, tuple[float, float]] | None:
    """A JPEG like CelebA's, in colour and upright, reduced, and where it ends; None for any other.

    Such photos come in hundreds of thousands, and this takes two thirds of Pillow's time.
    """
    if not content.startswith(JPEG) or EXIF in content:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours != "YCbCr" or width * height > MOST_PIXELS:
            return None
        pixels = simplejpeg.decode_jpeg(
            content, min_height=LEAST[1], min_width=LEAST[0], min_factor=2
        )
    except ValueError:  # damaged: Pillow will tell how
        return None
    eighths = 8 * len(pixels) // height
    return Image.fromarray(pixels), (width * eighths / 8, height * eighths / 8)


def _any_image(content: bytes, tolerance: float) -> Image.Image:
    """The frame of a photo in any format, mode and orientation, by Pillow."""
    with Image.open(io.BytesIO(content)) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} x {image.height}, over 50 megapixels")
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        turned = orientation >= 5  # as the camera held it, width is height
        draft = image.draft(None, LEAST[::-1] if turned else LEAST)
        image.load()
        # Of a reduced photo the last row and column may be there in part: where it really ends.
        small = framed(rgb(image), tolerance, draft[1][2:] if draft else image.size, turned)
        if orientation != 1:
            small.info = image.info  # has the orientation: turning the small image is cheaper
            small = ImageOps.exif_transpose(small)
    return small


def framed(
    image: Image.Image,
    tolerance: float = ASPECT_TOLERANCE,
    ends: tuple[float, float] | None = None,
    turned: bool = False,
) -> Image.Image:
    """An image's frame resized to 48 x 64 (wide and high), or to 64 x 48 where it lies on its side.

    The frame is the whole image, or, where its aspect is off CelebA's by more than the tolerance
    (0.1 is 10 %), its largest centred part that has CelebA's aspect. ends: where the image ends, if
    within its last column and row.
    """
    _, height, width = IMAGE_SHAPE
    across, down = ends or image.size
    aspect = 1 / CELEBA_ASPECT if turned else CELEBA_ASPECT
    box = (0.0, 0.0, float(across), float(down))
    if abs((down / across if turned else across / down) / CELEBA_ASPECT - 1) > tolerance:
        image = image.crop(_centred(across, down, aspect))  # a box alone lets the rest shine in
        box = (0.0, 0.0, float(image.width), float(image.height))
    size = (height, width) if turned else (width, height)
    return image.resize(size, Image.Resampling.BILINEAR, box=box)


def _centred(across: float, down: float, aspect: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the largest centred box of an aspect (width / height)."""
    wide, high = min(across, down * aspect), min(down, across / aspect)
    left, top = (across - wide) / 2, (down - high) / 2
    return round(left), round(top), round(left + wide), round(top + high)


def rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, alpha laid on white, 16-bit grey scaled to 8 bits (Pillow would clip)."""
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def why_broken(photo: Photo, error: Exception) -> str:
    """Why a photo cannot be decoded, in a few words."""
    with contextlib.suppress(OSError):
        if (len(photo) if isinstance(photo, bytes) else Path(photo).stat().st_size) == 0:
            return "empty"
    if isinstance(error, Image.DecompressionBombError):
        return "over 50 megapixels"
    if isinstance(error, UnidentifiedImageError):
        return "no image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if "truncated" in str(error):
        return "cut short"
    return " ".join(str(error).split())[:80] or type(error).__name__


class Decoded(NamedTuple):
    """What is told of photos that were decoded together."""

    block: int
    photos: int
    checksum: str  # of their rows
    broken: list[tuple[int, str]]  # which cannot be decoded, and why; their rows are zero


def decode_block(
    block: int, photos: Sequence[tuple[int, Photo]], rows: Path, tolerance: float
) -> Decoded:
    """Decode photos into those rows of a .npy file that are their positions.

    Made to run in a process of its own, and therefore in a module that is quick to load.
    """
    images = np.zeros((len(photos), *IMAGE_SHAPE), dtype=np.uint8)
    broken = []
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about bombs, palettes and odd EXIF
        for k, (position, photo) in enumerate(photos):
            try:
                images[k] = decode(photo, tolerance)
            except Exception as error:  # broken bytes make Pillow raise nearly every kind
                broken.append((position, why_broken(photo, error)))
    whole = np.load(rows, mmap_mode="r+")
    whole[[position for position, _ in photos]] = images
    return Decoded(block, len(photos), hashlib.sha256(images.data).hexdigest(), broken)
