"""A photo of one's own: read, turned upright, and framed as the models know faces.

Everything happens in memory; nothing is written to disk. A frame has CelebA's aspect, and what is
in it becomes 64 x 48.
"""

import io
import math
import warnings
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from vaelib import latent
from vaelib.config import IMAGE_SHAPE
from vaelib.data import to_float
from vaelib.model import VAE
from vaelib.sources.decode import CELEBA_ASPECT, MAX_PIXELS, failure_reason, to_rgb
from vaelib.support.errors import InputError

MOST_BYTES = 20_000_000
# Read by Pillow itself: a format such as EPS would start another program.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
LONGEST = 1_600  # pixels of the longer side that is kept; the rest cannot be seen at 64 x 48
MOST_ZOOM = 8.0
# Where CelebA's alignment puts eyes and mouth: shares of the frame's width and height.
EYES, MOUTH = ((0.39, 0.51), (0.61, 0.51)), ((0.41, 0.70), (0.59, 0.70))

GUESSED_ZOOMS = (1.0, 1.3, 1.7, 2.2, 2.9, 3.8)
STEPS_PER_FRAME = 5  # how finely frames are tried: so many to a frame's width
MOST_TRIED = 320  # frames, at first; then those around the best
# RunEntry on 36 pictures, faces put into backgrounds: of the scores that were tried, this one's frames
# overlapped most with the faces on the whole, 0.54 of their union against 0.29 by plain error.
BLURRED = 17  # pixels; what is smoother is no detail
LEAST_DETAIL = 0.01  # mean square of detail, in [-1, 1], that tells a face from a wall


class Photo(NamedTuple):
    """A picture as it was meant to be seen, and what was done to it in words."""

    image: Image.Image  # RGB, upright
    notes: tuple[str, ...]


class Frame(NamedTuple):
    """Which part of a photo becomes the face."""

    zoom: float = 1.0  # 1: the largest frame that fits; 2: half as wide
    across: float = 0.5  # the frame's centre, as shares of the room that is left for it, in [0, 1]
    down: float = 0.5

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Left, top, right and bottom within an image of this width and height."""
        width, height = size
        wide = min(width, height * CELEBA_ASPECT) / self.zoom
        high = wide / CELEBA_ASPECT
        left, top = self.across * (width - wide), self.down * (height - high)
        return left, top, left + wide, top + high


def read(content: bytes) -> Photo:
    """The photo in a file's content: RGB on white, turned as its EXIF asks.

    Raises InputError for more than 20 MB or 50 megapixels, and for what is no picture.
    """
    if len(content) > MOST_BYTES:
        raise InputError(too_large(len(content)))
    try:
        # Without Pillow's warnings, about bombs and odd EXIF.
        with warnings.catch_warnings(action="ignore"), _opened(content) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(_too_many(image.width, image.height))
            notes = tuple(_notes(image))
            image.draft(None, (LONGEST, LONGEST))
            image.load()
            upright = ImageOps.exif_transpose(image)
            return Photo(_reduced(to_rgb(upright)), notes)
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(_too_many()) from None
    except Exception as error:  # broken bytes make Pillow raise nearly every kind
        raise InputError(
            f"this file cannot be read as a picture ({failure_reason(content, error)}); "
            "choose a JPEG, PNG or WebP"
        ) from None


def _opened(content: bytes) -> Image.Image:
    Image.init()  # or Pillow would know of some formats only
    known = [kind for kind in FORMATS if kind in Image.OPEN]
    return Image.open(io.BytesIO(content), formats=known)


def too_large(size: int) -> str:
    """Why a file of this many bytes is refused."""
    return f"the file has {size / 1e6:.1f} MB; choose one of at most {MOST_BYTES / 1e6:.0f} MB"


def _too_many(width: int = 0, height: int = 0) -> str:
    size = f"{width:,} x {height:,} pixels" if width else "far more pixels"
    return f"the picture has {size}; choose one of at most {MAX_PIXELS / 1e6:.0f} megapixels"


def _notes(image: Image.Image) -> list[str]:
    several = getattr(image, "n_frames", 1) > 1 and image.format != "MPO"  # a phone's extras
    notes = ["it has several pictures; the first is used"] if several else []
    if image.mode == "CMYK":
        notes.append("its colours were made for print (CMYK) and are converted")
    if image.mode in ("1", "L", "LA") or image.mode.startswith("I"):
        notes.append("it is gray; the models have learnt coloured faces only")
    return notes


def _reduced(image: Image.Image) -> Image.Image:
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR)
    return image


def cut(image: Image.Image, frames: list[Frame]) -> Tensor:
    """What is in these frames as faces, uint8 (n, 3, 64, 48)."""
    _, height, width = IMAGE_SHAPE
    bilinear = Image.Resampling.BILINEAR
    faces = [
        np.asarray(image.resize((width, height), bilinear, frame.box(image.size)))
        for frame in frames
    ]
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).contiguous()


def shown(image: Image.Image, frame: Frame, height: int) -> Image.Image:
    """The photo, so many pixels high, with the frame drawn over it and the rest darkened.

    Within the frame, where CelebA's faces have their eyes and mouth.
    """
    scale = height / image.height
    small = image.resize((max(1, round(image.width * scale)), height), Image.Resampling.BILINEAR)
    left, top, right, bottom = (scale * side for side in frame.box(image.size))
    dark = Image.blend(small, Image.new("RGB", small.size, "black"), 0.5)
    inside = (round(left), round(top), round(right), round(bottom))
    dark.paste(small.crop(inside), inside[:2])
    pen = ImageDraw.Draw(dark)
    pen.rectangle((left, top, right - 1, bottom - 1), outline="white", width=2)
    wide, high = right - left, bottom - top
    arm = wide / 24
    for across, down in EYES:
        x, y = left + across * wide, top + down * high
        pen.line((x - arm, y, x + arm, y), "white", 1)
        pen.line((x, y - arm, x, y + arm), "white", 1)
    pen.line([(left + x * wide, top + y * high) for x, y in MOUTH], "white", 1)
    return dark


def guess(image: Image.Image, model: VAE) -> Frame:
    """The frame whose content the model reconstructs best, by the share of detail it misses.

    Tried over zooms and places, then more finely around the best.
    """
    frames = _tried(image.size)
    best = frames[int(_missed(image, frames, model).argmin())]
    near = [
        Frame(
            min(max(1.0, best.zoom * zoom), MOST_ZOOM),
            min(max(0.0, best.across + across), 1.0),
            min(max(0.0, best.down + down), 1.0),
        )
        for zoom in (0.88, 1.0, 1.14)
        for across in _shifts(image.width, best.box(image.size)[0::2])
        for down in _shifts(image.height, best.box(image.size)[1::2])
    ]
    return near[int(_missed(image, near, model).argmin())]


def _shifts(size: int, ends: tuple[float, ...]) -> tuple[float, ...]:
    """Half a step to either side, as shares of the room beside a frame that has these ends."""
    wide = ends[1] - ends[0]
    room = size - wide
    if room < 1:
        return (0.0,)
    half = wide / STEPS_PER_FRAME / 2 / room
    return (-half, 0.0, half)


def _tried(size: tuple[int, int]) -> list[Frame]:
    """Frames of every zoom, evenly_spaced over the photo; fewer places where they would be too many."""
    frames: list[Frame] = []
    for steps in range(STEPS_PER_FRAME, 0, -1):
        frames = [frame for zoom in GUESSED_ZOOMS for frame in _places(size, zoom, steps)]
        if len(frames) <= MOST_TRIED:
            break
    return frames[:: math.ceil(len(frames) / MOST_TRIED)]  # of a long strip there are still more


def _places(size: tuple[int, int], zoom: float, steps: int) -> list[Frame]:
    left, top, right, bottom = Frame(zoom).box(size)
    counts = [
        1 + math.ceil(steps * (whole / part - 1))
        for whole, part in zip(size, (right - left, bottom - top), strict=True)
    ]
    across, down = ([0.5] if n == 1 else np.linspace(0, 1, n).tolist() for n in counts)
    return [Frame(zoom, x, y) for y in down for x in across]


def _missed(image: Image.Image, frames: list[Frame], model: VAE) -> Tensor:
    """The share of each frame's detail that the model's reconstruction misses, (n,).

    Of the detail, or a plain wall would be reconstructed best.
    """
    faces = cut(image, frames)
    wanted = _detail(to_float(faces))
    error = (_detail(latent.reconstruct(model, faces)) - wanted).square().mean(dim=(1, 2, 3))
    there = wanted.square().mean(dim=(1, 2, 3)).clamp(min=1e-6)
    return (error + LEAST_DETAIL) / there


def _detail(x: Tensor) -> Tensor:
    """What a blur over some pixels takes from images (n, 3, 64, 48)."""
    padded = F.pad(x, (BLURRED // 2,) * 4, mode="replicate")
    return x - F.avg_pool2d(padded, BLURRED, 1)
