"""A photo of the user's own: read, turned upright, and framed as the models know faces.

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
from PIL import Image, ImageOps
from torch import Tensor

from vaelib import latent
from vaelib.config import IMAGE_SHAPE
from vaelib.data import to_float
from vaelib.model import VAE
from vaelib.sources import alignment
from vaelib.sources.alignment import CELEBA_ASPECT
from vaelib.sources.decode import MAX_PIXELS, failure_reason, to_rgb
from vaelib.support.errors import InputError

MAX_BYTES = 20_000_000
# Read by Pillow itself: a format such as EPS would start another program.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MAX_SIDE = 1_600  # pixels of the longer side that is kept; the rest cannot be seen at 64 x 48
SHOWN_SIDE = 800  # pixels of the longer side on a page
MAX_ZOOM = 8.0
# Where CelebA's alignment puts eyes and mouth: shares of the frame's width and height.
EYES, MOUTH = ((0.39, 0.51), (0.61, 0.51)), ((0.41, 0.70), (0.59, 0.70))

GUESSED_ZOOMS = (1.0, 1.3, 1.7, 2.2, 2.9, 3.8)
STEPS_PER_FRAME = 5  # positions that are tried within a frame's width
MAX_CANDIDATES = 320  # frames, at first; then those around the best
# Tried on 38 photos put into backgrounds: frames around a detected face overlapped with the true
# ones by 0.87 of their union, in 0.1 s; those that a model reconstructs best by 0.52, in 2.6 s.
BLUR_SIZE = 17  # pixels; what is smoother is no detail
LEAST_DETAIL = 0.01  # mean square of detail, in [-1, 1], that distinguishes a face from a wall


class UserPhoto(NamedTuple):
    """A picture as it was meant to be seen, and in words what was done to it."""

    image: Image.Image  # RGB, upright
    notes: tuple[str, ...]


class Frame(NamedTuple):
    """Which part of a photo becomes the face."""

    zoom: float = 1.0  # 1: the largest frame that fits; 2: half as wide
    across: float = 0.5  # the frame's position, as shares of the room that is left, in [0, 1]
    down: float = 0.5

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Left, top, right and bottom within an image of this width and height."""
        width, height = size
        frame_width = min(width, height * CELEBA_ASPECT) / self.zoom
        frame_height = min(height, frame_width / CELEBA_ASPECT)  # beyond it by rounding alone
        left, top = self.across * (width - frame_width), self.down * (height - frame_height)
        return left, top, left + frame_width, top + frame_height


def read(content: bytes) -> UserPhoto:
    """The photo in a file's content: RGB on white, turned as its EXIF asks.

    Raises InputError for more than 20 MB or 50 megapixels, and for what is no picture.
    """
    if len(content) > MAX_BYTES:
        raise InputError(too_large(len(content)))
    Image.init()  # or Pillow would know of some formats only
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        if not content:
            raise ValueError("empty")
        # Without Pillow's warnings, about bombs and odd EXIF.
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(content), formats=formats) as image,
        ):
            if image.width * image.height > MAX_PIXELS:
                raise InputError(_too_many_pixels(f"{image.width:,} x {image.height:,}"))
            notes = tuple(_notes(image))
            image.draft(None, (MAX_SIDE, MAX_SIDE))
            image.load()
            upright = to_rgb(ImageOps.exif_transpose(image))
            upright.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BILINEAR)
            return UserPhoto(upright, notes)
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(_too_many_pixels("far more")) from None
    except Exception as error:  # broken bytes make Pillow raise nearly every kind
        raise InputError(
            f"this file cannot be read as a picture ({failure_reason(error)}); "
            "choose a JPEG, PNG or WebP"
        ) from None


def too_large(size: int) -> str:
    """Why a file of this many bytes is refused."""
    return f"the file has {size / 1e6:.1f} MB; choose one of at most {MAX_BYTES / 1e6:.0f} MB"


def _too_many_pixels(size: str) -> str:
    most = MAX_PIXELS / 1e6
    return f"the picture has {size} pixels; choose one of at most {most:.0f} megapixels"


def _notes(image: Image.Image) -> list[str]:
    is_animation = getattr(image, "n_frames", 1) > 1 and image.format != "MPO"  # a phone's extras
    notes = ["it has several pictures; the first is used"] if is_animation else []
    if image.mode == "CMYK":
        notes.append("its colours were made for print (CMYK) and are converted")
    if image.mode in ("1", "L", "LA") or image.mode.startswith("I"):
        notes.append("it is gray; the models have learnt coloured faces only")
    return notes


def crop(image: Image.Image, frames: list[Frame]) -> Tensor:
    """What is in these frames as faces, uint8 (n, 3, 64, 48)."""
    _, height, width = IMAGE_SHAPE
    bilinear = Image.Resampling.BILINEAR
    faces = [
        np.asarray(image.resize((width, height), bilinear, frame.box(image.size)))
        for frame in frames
    ]
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).contiguous()


def to_show(image: Image.Image) -> Image.Image:
    """The photo, small enough to be sent to a page."""
    small = image.copy()
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.BILINEAR)
    return small


def guess(image: Image.Image, model: VAE) -> Frame:
    """The frame around the clearest face, or where a detector finds none, what the model knows."""
    return around_face(image) or best_reconstructed(image, model)


def around_face(image: Image.Image) -> Frame | None:
    """The frame that has the clearest face where CelebA's frames have it; None without a face."""
    face = alignment.find_face(np.asarray(image))
    if face is None:
        return None
    largest = min(image.width, image.height * CELEBA_ASPECT)
    box = alignment.frame_around(face, *image.size)
    zoom = min(largest / box.width, MAX_ZOOM)
    return Frame(
        max(1.0, zoom),
        _share(box.left, image.width - box.width),
        _share(box.top, image.height - box.height),
    )


def _share(start: float, room: float) -> float:
    """Where a frame starts as a share of the room that is left, in [0, 1]."""
    return 0.5 if room < 1 else min(max(start / room, 0.0), 1.0)


def best_reconstructed(image: Image.Image, model: VAE) -> Frame:
    """The frame whose content the model reconstructs best, by the share of detail it misses.

    Candidates of several zooms and positions are tried, then finer ones around the best.
    """
    candidates = _candidates(image.size)
    best = candidates[int(_missed_detail(image, candidates, model).argmin())]
    left, top, right, bottom = best.box(image.size)
    near = [
        Frame(
            min(max(1.0, best.zoom * zoom), MAX_ZOOM),
            min(max(0.0, best.across + across), 1.0),
            min(max(0.0, best.down + down), 1.0),
        )
        for zoom in (0.88, 1.0, 1.14)
        for across in _shifts(image.width, right - left)
        for down in _shifts(image.height, bottom - top)
    ]
    return near[int(_missed_detail(image, near, model).argmin())]


def _shifts(image_side: int, frame_side: float) -> tuple[float, ...]:
    """Half a step to either side, as shares of the room that the frame leaves in the image."""
    room = image_side - frame_side
    if room < 1:
        return (0.0,)
    half = frame_side / STEPS_PER_FRAME / 2 / room
    return (-half, 0.0, half)


def _candidates(size: tuple[int, int]) -> list[Frame]:
    """Frames of every zoom, evenly spaced over an image of this width and height.

    With fewer positions where they would be more than MAX_CANDIDATES.
    """
    frames: list[Frame] = []
    for steps in range(STEPS_PER_FRAME, 0, -1):
        frames = []
        for zoom in GUESSED_ZOOMS:
            left, top, right, bottom = Frame(zoom).box(size)
            across = _shares(size[0] / (right - left), steps)
            down = _shares(size[1] / (bottom - top), steps)
            frames += [Frame(zoom, x, y) for y in down for x in across]
        if len(frames) <= MAX_CANDIDATES:
            break
    return frames[:: math.ceil(len(frames) / MAX_CANDIDATES)]  # a long strip still has more


def _shares(frames: float, steps: int) -> list[float]:
    """Evenly spaced positions in [0, 1] along a side that is this many frames long."""
    count = 1 + math.ceil(steps * (frames - 1))
    return [0.5] if count == 1 else np.linspace(0, 1, count).tolist()


def _missed_detail(image: Image.Image, frames: list[Frame], model: VAE) -> Tensor:
    """The share of each frame's detail that the model's reconstruction misses, (n,).

    Of the detail, or a plain wall would be reconstructed best.
    """
    faces = crop(image, frames)
    target = _detail(to_float(faces))
    error = (_detail(latent.reconstruct(model, faces)) - target).square().mean(dim=(1, 2, 3))
    amount = target.square().mean(dim=(1, 2, 3)).clamp(min=1e-6)
    return (error + LEAST_DETAIL) / amount


def _detail(x: Tensor) -> Tensor:
    """What a blur over some pixels removes from images (n, 3, 64, 48)."""
    padded = F.pad(x, (BLUR_SIZE // 2,) * 4, mode="replicate")
    return x - F.avg_pool2d(padded, BLUR_SIZE, 1)
