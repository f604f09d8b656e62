"""Photos of any size and mode become faces of one size: decoded, upright, cropped and resized.

Imported where photos are decoded and not before: a machine that only trains may lack the decoders.
"""

import hashlib
import io
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from vaelib.config import IMAGE_SHAPE
from vaelib.sources.alignment import CELEBA_ASPECT, find_face, frame_around, middle_frame
from vaelib.sources.storage import PhotoData

Crop = Literal["none", "middle", "face"]  # how a photo was cropped

MAX_PIXELS = 50_000_000  # a photo that claims more is not decoded
ASPECT_TOLERANCE = 0.10  # photos whose aspect differs by more from CelebA's are cropped

# A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. Kept at this many times our size or more,
# the result differs by 0.7 grey levels on average over CelebA-sized portraits (1.7 at most), and
# takes two thirds of the time; large photos take a fifth.
MIN_REDUCTION = 1.6
MIN_WIDTH = math.ceil(MIN_REDUCTION * IMAGE_SHAPE[2])
MIN_HEIGHT = math.ceil(MIN_REDUCTION * IMAGE_SHAPE[1])

LARGE = 640  # pixels of a reduced photo's sides, at least, in which a face is looked for

JPEG, EXIF = b"\xff\xd8\xff", b"Exif\0\0"  # how a JPEG begins; its EXIF may rotate it


class Face(NamedTuple):
    """A photo as it is trained on, and how it was cropped."""

    pixels: NDArray[np.uint8]  # (3, 64, 48)
    crop: Crop


def decode(photo: PhotoData, align: bool = False) -> Face:
    """One photo rotated by its EXIF, in RGB on white, cropped and resized.

    A photo whose aspect differs from CelebA's by more than ASPECT_TOLERANCE is cropped to that
    aspect: around the face in it where `align` is true and one is found, else to its middle.
    Raises what Pillow raises on broken files, and ValueError on empty ones and on more than 50
    megapixels.
    """
    content = photo if isinstance(photo, bytes) else Path(photo).read_bytes()
    if not content:
        raise ValueError("empty")
    small, crop = _decode_plain_jpeg(content, align) or _decode_any(content, align)
    return Face(np.asarray(small).transpose(2, 0, 1), crop)


def _is_cropped(width: float, height: float) -> bool:
    return abs(width / height / CELEBA_ASPECT - 1) > ASPECT_TOLERANCE


def _smallest(width: int, height: int, align: bool) -> tuple[int, int]:
    """Width and height that a photo may be reduced to while it is decoded."""
    return (LARGE, LARGE) if align and _is_cropped(width, height) else (MIN_WIDTH, MIN_HEIGHT)


def _decode_plain_jpeg(content: bytes, align: bool) -> tuple[Image.Image, Crop] | None:
    """A JPEG like CelebA's, in colour and upright, cropped and resized; None for any other.

    There are hundreds of thousands of such photos, and this takes two thirds of Pillow's time.
    """
    if not content.startswith(JPEG) or EXIF in content:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours != "YCbCr" or width * height > MAX_PIXELS:
            return None
        min_width, min_height = _smallest(width, height, align)
        pixels = simplejpeg.decode_jpeg(
            content, min_height=min_height, min_width=min_width, min_factor=2
        )
    except ValueError:  # damaged: Pillow's message says how
        return None
    eighths = 8 * len(pixels) // height
    extent = (width * eighths / 8, height * eighths / 8)
    return crop_and_resize(Image.fromarray(pixels), extent, align)


def _decode_any(content: bytes, align: bool) -> tuple[Image.Image, Crop]:
    """A photo in any format, mode and orientation, cropped and resized by Pillow."""
    with Image.open(io.BytesIO(content)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height}, over 50 megapixels")
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        sideways = orientation >= 5  # as stored, its width is the height of the photo
        size = (image.height, image.width) if sideways else image.size
        smallest = _smallest(*size, align)
        draft = image.draft(None, smallest[::-1] if sideways else smallest)
        image.load()
        # The last row and column of a reduced photo may be there in part: where it really ends.
        extent = draft[1][2:] if draft else image.size
        upright = to_rgb(image)
        if align and orientation != 1:  # a face that lies on its side would not be found
            upright.info = image.info
            upright = ImageOps.exif_transpose(upright)
            extent, sideways, orientation = (extent[::-1] if sideways else extent), False, 1
        small, crop = crop_and_resize(upright, extent, align, sideways)
        if orientation != 1:
            small.info = image.info  # has the orientation: rotating the small image is cheaper
            small = ImageOps.exif_transpose(small)
    return small, crop


def crop_and_resize(
    image: Image.Image, extent: tuple[float, float], align: bool = False, sideways: bool = False
) -> tuple[Image.Image, Crop]:
    """The image resized to 48 x 64 (width x height), or to 64 x 48 where it is stored sideways.

    extent: its width and height, which may end within its last column and row.
    """
    _, target_height, target_width = IMAGE_SHAPE
    size = (target_height, target_width) if sideways else (target_width, target_height)
    width, height = extent[::-1] if sideways else extent  # as it is seen
    crop: Crop = "none"
    if _is_cropped(width, height):
        face = find_face(np.asarray(image)) if align else None
        crop = "face" if face else "middle"
        frame = frame_around(face, width, height) if face else middle_frame(width, height)
        left, top, width, height = frame
        if sideways:  # the middle: a face is looked for in what is upright
            left, top, width, height = top, left, height, width
        # Cropped, as resizing a box alone would mix in pixels from beyond it.
        image = image.crop((left, top, left + width, top + height))
        extent = image.size
    return image.resize(size, Image.Resampling.BILINEAR, box=(0, 0, *extent)), crop


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
    crops: dict[Crop, int]  # how many of them were cropped how


def decode_block(
    number: int, photos: Sequence[tuple[int, PhotoData]], file: Path, align: bool
) -> DecodedBlock:
    """Decode photos into those rows of a .npy file that are their positions.

    Runs in a process of its own, and is therefore in a module that is quick to load.
    """
    images = np.zeros((len(photos), *IMAGE_SHAPE), dtype=np.uint8)
    broken = []
    crops: Counter[Crop] = Counter()
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about bombs, palettes and odd EXIF
        for k, (position, photo) in enumerate(photos):
            try:
                images[k], crop = decode(photo, align)
                crops[crop] += 1
            except Exception as error:  # broken bytes make Pillow raise nearly every exception
                broken.append((position, failure_reason(error)))
    rows = np.load(file, mmap_mode="r+")
    rows[[position for position, _ in photos]] = images
    checksum = hashlib.sha256(images.data).hexdigest()
    return DecodedBlock(number, len(photos), checksum, broken, dict(crops))
