"""One style for all figures; one function per kind of figure. Tensors in, a picture out."""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vaelib.data import to_uint8
from vaelib.training.runs import Run

ENLARGED = 3  # face pixels are drawn as squares of 3 x 3, so that print shows them as they are
GAP = 2  # white pixels between faces, before enlarging
STRIP_NAME, STRIP_FONT = 310, 34  # width of a strip's name and height of its letters
DOTS_PER_INCH = 200
WIDTH_INCHES = 6.3
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
}
# Colour-blind safe (Okabe and Ito), in a fixed order.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#444444")


def image_grid(images: Tensor, columns: int) -> Image.Image:
    """Faces (n, 3, 64, 48), uint8 or in [-1, 1], row by row on white."""
    pixels = images if images.dtype == torch.uint8 else to_uint8(images)
    rows, columns = -(-len(pixels) // columns), min(columns, len(pixels))
    _, channels, height, width = pixels.shape
    down, across = height + GAP, width + GAP
    sheet = np.full((rows * down - GAP, columns * across - GAP, channels), 255, dtype=np.uint8)
    for place, face in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        top, left = place // columns * down, place % columns * across
        sheet[top : top + height, left : left + width] = face
    enlarged = sheet.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    return Image.fromarray(np.ascontiguousarray(enlarged))


def labelled_rows(rows: Mapping[str, Tensor]) -> Image.Image:
    """Faces uint8 (steps, 3, 64, 48) by name: a row for each, the name beside it."""
    sheets = [image_grid(faces, columns=len(faces)) for faces in rows.values()]
    height = sheets[0].height + ENLARGED * GAP
    size = (STRIP_NAME + max(sheet.width for sheet in sheets), height * len(sheets))
    picture = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(STRIP_FONT)
    for row, (name, sheet) in enumerate(zip(rows, sheets, strict=True)):
        pen.text((0, (row + 0.5) * height), name, "black", font, anchor="lm")
        picture.paste(sheet, (STRIP_NAME, row * height))
    return picture


def interpolation_grid(images: Tensor) -> Image.Image:
    """Interpolations (rows, steps, 3, 64, 48) in [-1, 1], each a row from left to right."""
    return image_grid(images.flatten(0, 1), columns=images.shape[1])


@mpl.rc_context(STYLE)
def loss_curves(runs: Mapping[str, Run]) -> Image.Image:
    """Reconstruction error and KL on validation faces against images seen, a line per model."""
    figure, (left, right) = _axes(1, 2, height=2.6)
    for (name, run), colour in zip(runs.items(), cycle(COLOURS), strict=False):
        rows = run.curve("validation")
        seen = [row.images_seen / 1000 for row in rows]
        left.plot(seen, [row.reconstruction for row in rows], color=colour, label=name)
        right.plot(seen, [row.kl for row in rows], color=colour, label=name)
    left.set(xlabel="images seen (thousands)", ylabel="mean squared error", yscale="log")
    right.set(xlabel="images seen (thousands)", ylabel="KL (nats)", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter(NullFormatter())
    left.legend()
    return _drawn(figure)


@mpl.rc_context(STYLE)
def training_curve(run: Run) -> Image.Image:
    """The loss of one model as it falls, on training and on validation faces."""
    figure, (axes,) = _axes(1, 1, height=2.6)
    lam = run.experiment.lam
    for split, colour in (("train", COLOURS[0]), ("validation", COLOURS[5])):
        rows = [row for row in run.curve(split) if row.images_seen]
        seen = [row.images_seen / 1000 for row in rows]
        total = [row.reconstruction + lam * row.kl for row in rows]
        axes.plot(seen, total, color=colour, label=split)
    axes.set(xlabel="images seen (thousands)", ylabel="loss", ylim=(0, None))
    axes.legend()
    return _drawn(figure)


@mpl.rc_context(STYLE)
def bars(values: Mapping[str, float], xlabel: str) -> Image.Image:
    """One horizontal bar per name, with its value written out."""
    figure, (axes,) = _axes(1, 1, height=0.5 + 0.3 * len(values))
    drawn = axes.barh(list(values), list(values.values()), color=COLOURS[0], height=0.6)
    axes.bar_label(drawn, fmt="%.3g", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel=xlabel)
    axes.grid(axis="y", visible=False)
    return _drawn(figure)


@mpl.rc_context(STYLE)
def latent_use(runs: Mapping[str, Tensor]) -> Image.Image:
    """KL of each latent in nats, most used first, a line per model; runs: name to (latent,)."""
    figure, (axes,) = _axes(1, 1, height=2.6)
    for (name, nats), colour in zip(runs.items(), cycle(COLOURS), strict=False):
        ranked = nats.sort(descending=True).values
        axes.plot(range(1, len(ranked) + 1), ranked, color=colour, label=name)
    axes.set(xlabel="latent, most used first", ylabel="KL (nats)", ylim=(0, None))
    axes.legend()
    return _drawn(figure)


@mpl.rc_context(STYLE)
def histogram(values: Mapping[str, Sequence[float]], xlabel: str) -> Image.Image:
    """Densities of several sets of values in one panel."""
    figure, (axes,) = _axes(1, 1, height=2.4)
    for (name, numbers), colour in zip(values.items(), cycle(COLOURS), strict=False):
        axes.hist(numbers, bins=60, density=True, histtype="step", color=colour, label=name)
    axes.set(xlabel=xlabel, ylabel="density")
    axes.legend()
    return _drawn(figure)


@mpl.rc_context(STYLE)
def optimum(
    lams: Sequence[float], bits: Sequence[Sequence[float]], marks: Mapping[str, float]
) -> Image.Image:
    """Code length against lambda, with intervals; lambdas to compare as upright lines by name.

    bits: value, low and high at each of `lams`.
    """
    figure, (axes,) = _axes(1, 1, height=2.6)
    value, low, high = np.array(bits).T
    axes.errorbar(lams, value, (value - low, high - value), color=COLOURS[0], marker="o", capsize=3)
    for (name, lam), colour in zip(marks.items(), COLOURS[1:], strict=False):
        axes.axvline(lam, color=colour, linestyle="--", label=f"{name}: {lam:.1e}")
    axes.set(xlabel="lambda", ylabel="code length (bits per value)", xscale="log")
    axes.legend()
    return _drawn(figure)


@mpl.rc_context(STYLE)
def rate_distortion(points: Mapping[str, tuple[float, float]]) -> Image.Image:
    """KL (nats) against mean squared error, a point per model with its name."""
    figure, (axes,) = _axes(1, 1, height=2.6)
    for (name, (kl, error)), colour in zip(points.items(), cycle(COLOURS), strict=False):
        axes.plot(kl, error, "o", color=colour)
        axes.annotate(name, (kl, error), (5, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="rate: KL (nats)", ylabel="distortion: mean squared error", xscale="log")
    axes.margins(x=0.15, y=0.15)
    return _drawn(figure)


@mpl.rc_context(STYLE)
def frequencies(
    truth: Mapping[str, float], models: Mapping[str, Mapping[str, Sequence[float]]]
) -> Image.Image:
    """Frequency of each attribute, of the data as a grey bar and of models as dots with intervals.

    models: by name, then by attribute, value, low and high.
    """
    names = sorted(truth, key=lambda name: truth[name])
    figure, (axes,) = _axes(1, 1, height=0.8 + 0.17 * len(names))
    places = np.arange(len(names))
    axes.barh(places, [truth[name] for name in names], color="#dddddd", label="held-out faces")
    for number, ((model, found), colour) in enumerate(zip(models.items(), COLOURS, strict=False)):
        value, low, high = np.array([found[name] for name in names]).T
        height = places + 0.16 * (number - (len(models) - 1) / 2)
        bounds = (value - low, high - value)
        axes.errorbar(
            value, height, xerr=bounds, color=colour, fmt="o", markersize=2.5, label=model
        )
    axes.set_yticks(places, [name.replace("_", " ") for name in names])
    axes.set(xlabel="frequency", ylim=(-0.8, len(names) - 0.2))
    axes.legend(loc="lower right")
    return _drawn(figure)


def _axes(rows: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    # Figure without pyplot: no global state, no window, the same in a notebook and on a cluster.
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DOTS_PER_INCH, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _drawn(figure: Figure) -> Image.Image:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    with Image.open(picture) as drawn:
        return drawn.convert("RGB")
