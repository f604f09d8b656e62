"""Photos of any size and mode become faces of one size: decoded, upright, cropped and resized.

Imported where photos are decoded and not before: a machine that only trains may lack the decoders.
"""

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
from vaelib.sources.storage import PhotoData

MAX_PIXELS = 50_000_000  # a photo that claims more is not decoded
CELEBA_ASPECT = 178 / 218  # width / height
ASPECT_TOLERANCE = 0.10  # photos that differ by more are cropped before they are resized
NO_CROP = math.inf  # the tolerance for faces that are aligned already

# A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. Kept at this many times our size or more,
# the result differs by 0.7 grey levels on average over CelebA-sized portraits (1.7 at most), and
# takes two thirds of the time; large photos take a fifth.
MIN_REDUCTION = 1.6
MIN_WIDTH = math.ceil(MIN_REDUCTION * IMAGE_SHAPE[2])
MIN_HEIGHT = math.ceil(MIN_REDUCTION * IMAGE_SHAPE[1])

JPEG, EXIF = b"\xff\xd8\xff", b"Exif\0\0"  # how a JPEG begins; its EXIF may rotate it


def decode(photo: PhotoData, tolerance: float = ASPECT_TOLERANCE) -> NDArray[np.uint8]:
    """One photo as uint8 (3, 64, 48): rotated by its EXIF, in RGB on white, cropped and resized.

    A photo is cropped to its largest centred part that has CelebA's aspect where its own differs
    from that by more than the tolerance (0.1 is 10%). Raises what Pillow raises on broken files,
    and ValueError on empty ones and on more than 50 megapixels.
    """
    content = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
    if not content:
        raise ValueError("empty")
    small = _decode_plain_jpeg(content, tolerance) or _decode_any(content, tolerance)
    return np.asarray(small).transpose(2, 0, 1)


def _decode_plain_jpeg(content: bytes, tolerance: float) -> Image.Image | None:
    """A JPEG like CelebA's, in colour and upright, cropped and resized; None for any other.

    There are hundreds of thousands of such photos, and this takes two thirds of Pillow's time.
    """
    if not content.startswith(JPEG) or EXIF in content:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours != "YCbCr" or width * height > MAX_PIXELS:
            return None
        pixels = simplejpeg.decode_jpeg(
            content, min_height=MIN_HEIGHT, min_width=MIN_WIDTH, min_factor=2
        )
    except ValueError:  # damaged: Pillow's message says how
        return None
    eighths = 8 * len(pixels) // height
    extent = (width * eighths / 8, height * eighths / 8)
    return crop_and_resize(Image.fromarray(pixels), tolerance, extent)


def _decode_any(content: bytes, tolerance: float) -> Image.Image:
    """A photo in any format, mode and orientation, cropped and resized by Pillow."""
    with Image.open(io.BytesIO(content)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height}, over 50 megapixels")
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        sideways = orientation >= 5  # as stored, its width is the height of the photo
        smallest = (MIN_HEIGHT, MIN_WIDTH) if sideways else (MIN_WIDTH, MIN_HEIGHT)
        draft = image.draft(None, smallest)
        image.load()
        # The last row and column of a reduced photo may be there in part: where it really ends.
        extent = draft[1][2:] if draft else image.size
        small = crop_and_resize(to_rgb(image), tolerance, extent, sideways)
        if orientation != 1:
            small.info = image.info  # has the orientation: rotating the small image is cheaper
            small = ImageOps.exif_transpose(small)
    return small


def crop_and_resize(
    image: Image.Image, tolerance: float, extent: tuple[float, float], sideways: bool = False
) -> Image.Image:
    """The image resized to 48 x 64 (width x height), or to 64 x 48 where it is stored sideways.

    tolerance: how far its aspect may be from CelebA's before it is cropped, 0.1 is 10%. extent:
    its width and height, which may end within its last column and row.
    """
    _, target_height, target_width = IMAGE_SHAPE
    width, height = extent
    if abs((height / width if sideways else width / height) / CELEBA_ASPECT - 1) > tolerance:
        aspect = 1 / CELEBA_ASPECT if sideways else CELEBA_ASPECT
        box_width, box_height = min(width, height * aspect), min(height, width / aspect)
        left, top = (width - box_width) / 2, (height - box_height) / 2
        # Cropped, as resizing a box alone would mix in pixels from beyond it.
        image = image.crop((left, top, left + box_width, top + box_height))
        width, height = image.size
    size = (target_height, target_width) if sideways else (target_width, target_height)
    return image.resize(size, Image.Resampling.BILINEAR, box=(0, 0, width, height))


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, alpha laid on white, 16-bit grey scaled to 8 bits (Pillow would clip)."""
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64) / 257
        image = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def failure_reason(error: Exception) -> str:
    """Why a photo cannot be decoded, in a few words."""
    if isinstance(error, Image.DecompressionBombError):
        return "over 50 megapixels"
    if isinstance(error, UnidentifiedImageError):
        return "no image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if "truncated" in str(error):
        return "cut short"
    return " ".join(str(error).split())[:80] or type(error).__name__


class DecodedBlock(NamedTuple):
    """The outcome for photos that were decoded together."""

    number: int
    photos: int
    checksum: str  # of their rows
    broken: list[tuple[int, str]]  # positions that cannot be decoded, and why; their rows are zero


def decode_block(
    number: int, photos: Sequence[tuple[int, PhotoData]], file: Path, tolerance: float
) -> DecodedBlock:
    """Decode photos into those rows of a .npy file that are their positions.

    Runs in a process of its own, and is therefore in a module that is quick to load.
    """
    images = np.zeros((len(photos), *IMAGE_SHAPE), dtype=np.uint8)
    broken = []
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about bombs, palettes and odd EXIF
        for k, (position, photo) in enumerate(photos):
            try:
                images[k] = decode(photo, tolerance)
            except Exception as error:  # broken bytes make Pillow raise nearly every exception
                broken.append((position, failure_reason(error)))
    rows = np.load(file, mmap_mode="r+")
    rows[[position for position, _ in photos]] = images
    return DecodedBlock(number, len(photos), hashlib.sha256(images.data).hexdigest(), broken)
