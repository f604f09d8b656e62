"""The figures: one function for each kind, tensors in, a PIL image out, all in one style."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from vaelib.data import to_uint8
from vaelib.training.runs import Run

ENLARGEMENT = 3  # a pixel of a face is printed as a square of 3 x 3, with sharp edges
GAP = 2  # white pixels between faces, before they are enlarged
NAME_WIDTH, NAME_FONT_SIZE = 310, 34  # pixels: of the name beside a row of faces
DOTS_PER_INCH = 200
WIDTH_INCHES = 6.3
# Colour-blind safe (Okabe and Ito), in a fixed order.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#444444")
STYLE: Any = {
    "axes.prop_cycle": cycler(color=COLOURS),
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
}


def image_grid(images: Tensor, columns: int) -> Image.Image:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], row by row on white, without an outer border.

    torchvision's make_grid draws a border around all faces but a single one, and importing it
    takes longer than everything else here together.
    """
    pixels = images if images.dtype == torch.uint8 else to_uint8(images)
    columns = min(columns, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    _, channels, height, width = pixels.shape
    down, across = height + GAP, width + GAP
    grid = np.full((rows * down - GAP, columns * across - GAP, channels), 255, dtype=np.uint8)
    for index, face in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        row, column = divmod(index, columns)
        top, left = row * down, column * across
        grid[top : top + height, left : left + width] = face
    return ImageOps.scale(Image.fromarray(grid), ENLARGEMENT, Image.Resampling.NEAREST)


def labelled_rows(rows: Mapping[str, Tensor]) -> Image.Image:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], by name: a row for each, its name on the left."""
    grids = [image_grid(faces, columns=len(faces)) for faces in rows.values()]
    row_height = grids[0].height + ENLARGEMENT * GAP
    size = (NAME_WIDTH + max(grid.width for grid in grids), row_height * len(grids))
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(NAME_FONT_SIZE)
    for index, (name, grid) in enumerate(zip(rows, grids, strict=True)):
        draw.text((0, (index + 0.5) * row_height), name, "black", font, anchor="lm")
        picture.paste(grid, (NAME_WIDTH, index * row_height))
    return picture


def interpolation_grid(images: Tensor) -> Image.Image:
    """Interpolations (rows, steps, 3, 64, 48) in [-1, 1], each a row from left to right."""
    return image_grid(images.flatten(0, 1), columns=images.shape[1])


@mpl.rc_context(STYLE)
def loss_curves(runs: Mapping[str, Run]) -> Image.Image:
    """Reconstruction error and KL on validation faces against images seen, a line per model."""
    figure = _figure(2.6)
    left, right = figure.subplots(1, 2)
    for name, run in runs.items():
        rows = run.curve("validation")
        seen = [row.images_seen / 1000 for row in rows]
        left.plot(seen, [row.reconstruction for row in rows], label=name)
        right.plot(seen, [row.kl for row in rows], label=name)
    left.set(xlabel="images seen (thousands)", ylabel="mean squared error", yscale="log")
    right.set(xlabel="images seen (thousands)", ylabel="KL (nats)", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter(NullFormatter())
    left.legend()
    return _as_image(figure)


@mpl.rc_context(STYLE)
def training_curve(run: Run) -> Image.Image:
    """The loss of one model as it falls, on training and on validation faces."""
    figure, axes = _panel(2.6)
    lam = run.experiment.lam
    for split, colour in (("train", COLOURS[0]), ("validation", COLOURS[5])):
        rows = [row for row in run.curve(split) if row.images_seen]
        seen = [row.images_seen / 1000 for row in rows]
        total = [row.reconstruction + lam * row.kl for row in rows]
        axes.plot(seen, total, color=colour, label=split)
    axes.set(xlabel="images seen (thousands)", ylabel="loss", ylim=(0, None))
    axes.legend()
    return _as_image(figure)


@mpl.rc_context(STYLE)
def bars(values: Mapping[str, float], xlabel: str) -> Image.Image:
    """One horizontal bar per name, with its value written out."""
    figure, axes = _panel(0.5 + 0.3 * len(values))
    drawn_bars = axes.barh(list(values), list(values.values()), height=0.6)
    axes.bar_label(drawn_bars, fmt="%.3g", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel=xlabel)
    axes.grid(axis="y", visible=False)
    return _as_image(figure)


@mpl.rc_context(STYLE)
def latent_use(kl_by_model: Mapping[str, Tensor]) -> Image.Image:
    """KL of each latent, most used first, a line per model.

    kl_by_model: (latent,) in nats, by the model's name.
    """
    figure, axes = _panel(2.6)
    for name, nats in kl_by_model.items():
        ranked = nats.sort(descending=True).values
        axes.plot(range(1, len(ranked) + 1), ranked, label=name)
    axes.set(xlabel="latent, most used first", ylabel="KL (nats)", ylim=(0, None))
    axes.legend()
    return _as_image(figure)


@mpl.rc_context(STYLE)
def histogram(values: Mapping[str, Sequence[float]], xlabel: str) -> Image.Image:
    """Densities of several sets of values in one panel, by the name of each set."""
    figure, axes = _panel(2.4)
    for name, numbers in values.items():
        axes.hist(numbers, bins=60, density=True, histtype="step", label=name)
    axes.set(xlabel=xlabel, ylabel="density")
    axes.legend()
    return _as_image(figure)


@mpl.rc_context(STYLE)
def optimum(
    lams: Sequence[float], bits: Sequence[Sequence[float]], marks: Mapping[str, float]
) -> Image.Image:
    """Code length against lambda, with intervals; the lambdas in `marks` are upright lines.

    bits: value, low and high at each of `lams`. marks: lambdas to compare, by name.
    """
    figure, axes = _panel(2.6)
    value, low, high = np.array(bits).T
    axes.errorbar(lams, value, (value - low, high - value), marker="o", capsize=3)
    for (name, lam), colour in zip(marks.items(), COLOURS[1:], strict=False):
        axes.axvline(lam, color=colour, linestyle="--", label=f"{name}: {lam:.1e}")
    axes.set(xlabel="lambda", ylabel="code length (bits per value)", xscale="log")
    axes.legend()
    return _as_image(figure)


@mpl.rc_context(STYLE)
def rate_distortion(points: Mapping[str, tuple[float, float]]) -> Image.Image:
    """KL (nats) against mean squared error, a point per model with its name."""
    figure, axes = _panel(2.6)
    for name, (kl, error) in points.items():
        axes.plot(kl, error, "o")
        axes.annotate(name, (kl, error), (5, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="rate: KL (nats)", ylabel="distortion: mean squared error", xscale="log")
    axes.margins(x=0.15, y=0.15)
    return _as_image(figure)


@mpl.rc_context(STYLE)
def frequencies(
    truth: Mapping[str, float], models: Mapping[str, Mapping[str, Sequence[float]]]
) -> Image.Image:
    """Frequency of each attribute: of held-out faces a grey bar, of each model a dot with interval.

    truth: frequency by attribute. models: value, low and high by model and attribute.
    """
    attributes = sorted(truth, key=lambda name: truth[name])
    figure, axes = _panel(0.8 + 0.17 * len(attributes))
    positions = np.arange(len(attributes))
    shares = [truth[name] for name in attributes]
    axes.barh(positions, shares, color="#dddddd", label="held-out faces")
    for index, (model, intervals) in enumerate(models.items()):
        value, low, high = np.array([intervals[name] for name in attributes]).T
        axes.errorbar(
            value,
            positions + 0.16 * (index - (len(models) - 1) / 2),
            xerr=(value - low, high - value),
            fmt="o",
            markersize=2.5,
            label=model,
        )
    axes.set_yticks(positions, [name.replace("_", " ") for name in attributes])
    axes.set(xlabel="frequency", ylim=(-0.8, len(attributes) - 0.2))
    axes.legend(loc="lower right")
    return _as_image(figure)


def _panel(height: float) -> tuple[Figure, Axes]:
    figure = _figure(height)
    return figure, figure.subplots()


def _figure(height: float) -> Figure:
    # Figure without pyplot: no global state, no window, the same in a notebook and on a cluster.
    return Figure(figsize=(WIDTH_INCHES, height), dpi=DOTS_PER_INCH, layout="constrained")


def _as_image(figure: Figure) -> Image.Image:
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png")
    with Image.open(encoded) as picture:
        return picture.convert("RGB")
