"""Faces as the bytes of a file: PNG for the page, others to save, JPEG of a photo."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vaelib.data import to_uint8
from vaelib.explore.state import Face

FASTEST = 1  # of zlib's levels: half the time of its default for 2% more bytes
FRAME_MILLISECONDS = 80  # of a GIF
GIF_COLOURS = 128


def side_by_side(images: Tensor) -> bytes:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], in one row as a PNG of 64 x 48 n pixels."""
    return _encoded(_row(images), "PNG", compress_level=FASTEST)


def grid(images: Tensor, columns: int) -> bytes:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], in rows of so many as a PNG, enlarged."""
    from vaelib.reporting import grids  # only here: it takes half a second to load

    return _encoded(grids.image_grid(images, columns, "").image, "PNG", compress_level=FASTEST)


def labelled_rows(rows: Mapping[str, Tensor]) -> bytes:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], a row for each name as a PNG."""
    from vaelib.reporting import grids  # only here: it takes half a second to load

    return _encoded(grids.labelled_rows(rows, "").image, "PNG", compress_level=FASTEST)


def gif(steps: list[Tensor]) -> bytes:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], in one row at each step, there and back."""
    first, *others = [_gif_frame(images) for images in [*steps, *steps[-2:0:-1]]]
    duration = FRAME_MILLISECONDS
    return _encoded(first, "GIF", save_all=True, append_images=others, duration=duration, loop=0)


def jpeg(image: Image.Image) -> bytes:
    """A photo as JPEG, which takes a fifth of a PNG's bytes."""
    return _encoded(image, "JPEG", quality=88)


def npz(faces: Mapping[str, Face]) -> bytes:
    """Kept faces by name with their z, as `numpy.load` reads them.

    "names" (n,); "images" uint8 (n, 64, 48, 3); "models" (n,): which drew each, or empty;
    "z" float32 (n, most latents): NaN where a model has fewer, or no model drew the face.
    """
    most = max((len(face.z) for face in faces.values() if face.z is not None), default=0)
    z = np.full((len(faces), most), np.nan, dtype=np.float32)
    for row, face in zip(z, faces.values(), strict=True):
        if face.z is not None:
            row[: len(face.z)] = face.z.numpy()
    images = torch.stack([face.image for face in faces.values()]).permute(0, 2, 3, 1).numpy()
    models = [face.model for face in faces.values()]
    content = io.BytesIO()
    np.savez_compressed(content, names=list(faces), images=images, models=models, z=z)
    return content.getvalue()


def _encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, file_format, **options)
    return content.getvalue()


def _row(images: Tensor) -> Image.Image:
    pixels = images if images.dtype == torch.uint8 else to_uint8(images)
    row = pixels.permute(2, 0, 3, 1).flatten(1, 2)  # 64, n x 48, 3
    return Image.fromarray(np.ascontiguousarray(row.numpy()))


def _gif_frame(images: Tensor) -> Image.Image:
    row = _row(images)
    large = row.resize((2 * row.width, 2 * row.height), Image.Resampling.NEAREST)
    # Without dithering, whose noise a GIF cannot pack: a third of the bytes.
    return large.quantize(GIF_COLOURS, dither=Image.Dither.NONE)
