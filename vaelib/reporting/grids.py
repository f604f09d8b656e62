"""Grids of faces: tensors in, pictures with alternative text out."""

import functools
import importlib.util
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from vaelib.data import to_uint8
from vaelib.reporting.notation import model_text
from vaelib.reporting.picture import Picture

ENLARGEMENT = 3  # a pixel of a face is printed as a square of 3 x 3, with sharp edges
GAP = 1  # white pixels between faces, before they are enlarged
SET_APART = 4  # the same between the ends of an interpolation and what lies between them
POWERS = dict(zip("⁻·⁰¹²³⁴⁵⁶⁷⁸⁹", "−.0123456789", strict=True))  # as they are drawn, raised
POWER_SIZE, POWER_RISE = 0.68, 0.38  # shares of the font's size
NAME_WIDTH, NAME_FONT_SIZE = 310, 38  # pixels: of the name beside a row of faces


def image_grid(images: Tensor, columns: int, subject: str) -> Picture:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], row by row on white, without an outer border.

    subject: what the faces are, for the alternative text: "faces that lam-1e-3 draws".
    """
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    layout = f"{rows} rows of {columns}" if rows > 1 else "a row"
    count = f": {len(images)} images in {layout}" if len(images) > 1 else ""
    return Picture(_grid(images, rows, columns), f"{_capitalised(subject)}{count}.")


def _grid(images: Tensor, rows: int, columns: int) -> Image.Image:
    # torchvision's make_grid draws a border around all faces but a single one, and importing it
    # takes longer than everything else here together.
    pixels = images if images.dtype == torch.uint8 else to_uint8(images)
    _, channels, height, width = pixels.shape
    down, across = height + GAP, width + GAP
    grid = np.full((rows * down - GAP, columns * across - GAP, channels), 255, dtype=np.uint8)
    for index, face in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        row, column = divmod(index, columns)
        top, left = row * down, column * across
        grid[top : top + height, left : left + width] = face
    return ImageOps.scale(Image.fromarray(grid), ENLARGEMENT, Image.Resampling.NEAREST)


def labelled_rows(rows: Mapping[str, Tensor], subject: str) -> Picture:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], by name: a row for each, its name on the left."""
    grids = [_grid(faces, 1, len(faces)) for faces in rows.values()]
    row_height = grids[0].height + ENLARGEMENT * GAP
    size = (NAME_WIDTH + max(grid.width for grid in grids), row_height * len(grids))
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for index, (name, grid) in enumerate(zip(rows, grids, strict=True)):
        _write(draw, model_text(name), (index + 0.5) * row_height)
        picture.paste(grid, (NAME_WIDTH, index * row_height))
    names = ", ".join(model_text(name) for name in rows)
    return Picture(picture, f"{_capitalised(subject)}. Rows from the top: {names}.")


def interpolation_grid(images: Tensor, subject: str) -> Picture:
    """Interpolations (rows, steps, 3, 64, 48) in [-1, 1], each a row from left to right.

    The ends are set apart from what lies between them.
    """
    rows, steps = images.shape[:2]
    parts = [images[:, :1], images[:, 1:-1], images[:, -1:]]
    grids = [_grid(part.flatten(0, 1), rows, part.shape[1]) for part in parts if part.shape[1]]
    gap = SET_APART * ENLARGEMENT
    width = sum(grid.width for grid in grids) + gap * (len(grids) - 1)
    picture, left = Image.new("RGB", (width, grids[0].height), "white"), 0
    for grid in grids:
        picture.paste(grid, (left, 0))
        left += grid.width + gap
    layout = f"{rows} rows of {steps}" if rows > 1 else f"a row of {steps}"
    return Picture(picture, f"{_capitalised(subject)}: {layout}, the ends of each set apart.")


def _write(draw: ImageDraw.ImageDraw, name: str, middle: float) -> None:
    """Write a name from the left edge on, around this height; the font has no superscripts."""
    left = 0.0
    for place, part in enumerate(re.split(f"([{''.join(POWERS)}]+)", name)):
        is_power = place % 2 == 1
        words = "".join(POWERS[sign] for sign in part) if is_power else part
        font = _serif_font(round(POWER_SIZE * NAME_FONT_SIZE) if is_power else NAME_FONT_SIZE)
        baseline = middle + NAME_FONT_SIZE * (0.3 - (POWER_RISE if is_power else 0))
        draw.text((left, baseline), words, "black", font, anchor="ls")
        left += font.getlength(words)


@functools.cache
def _serif_font(size: int) -> ImageFont.FreeTypeFont:
    """The font that charts are drawn with; found without loading the library that brings it."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    fonts = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(str(fonts / "STIXGeneral.ttf"), size)


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
