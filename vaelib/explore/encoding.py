"""Faces as bytes for a page: a PNG in the loop, and a GIF and a PNG to save. No matplotlib."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vaelib.data import to_uint8

FASTEST = 1  # of zlib's levels: half the time of its default for 2 % more bytes
MILLISECONDS = 80  # a picture of a GIF
GIF_COLOURS = 128


def png(image: Image.Image) -> bytes:
    """The image as PNG, encoded fast."""
    written = io.BytesIO()
    image.save(written, "PNG", compress_level=FASTEST)
    return written.getvalue()


def sheet(images: Tensor) -> bytes:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], side by side as a PNG of 64 rows."""
    return png(_row(images))


def _row(images: Tensor) -> Image.Image:
    pixels = images if images.dtype == torch.uint8 else to_uint8(images)
    row = pixels.permute(2, 0, 3, 1).flatten(1, 2)  # 64, n x 48, 3
    return Image.fromarray(np.ascontiguousarray(row.numpy()))


def gif(steps: list[Tensor]) -> bytes:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], side by side at each step, there and back."""
    frames = [_doubled(images) for images in [*steps, *steps[-2:0:-1]]]
    written = io.BytesIO()
    frames[0].save(
        written, "GIF", save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0
    )
    return written.getvalue()


def _doubled(images: Tensor) -> Image.Image:
    row = _row(images)
    large = row.resize((2 * row.width, 2 * row.height), Image.Resampling.NEAREST)
    # Without dithering, whose noise a GIF cannot pack: a third of the bytes.
    return large.quantize(GIF_COLOURS, dither=Image.Dither.NONE)


def jpeg(image: Image.Image) -> bytes:
    """A photo as JPEG, which takes a fifth of a PNG's bytes."""
    written = io.BytesIO()
    image.save(written, "JPEG", quality=88)
    return written.getvalue()
