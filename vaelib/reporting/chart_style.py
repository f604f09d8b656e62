"""How charts look: their style and size, and a matplotlib figure made into a picture."""

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from PIL import Image

from vaelib.reporting.picture import Picture

DOTS_PER_INCH = 200  # of the picture in pixels
# Charts are drawn in the size that they are printed in: across the page, or half as wide.
WIDTH_INCHES, NARROW_INCHES, HALF_INCHES = 5.9, 4.4, 2.85
# Colour-blind safe (Okabe and Ito), in a fixed order.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#444444")
# The page has the paper's own font in place of this one, which matplotlib brings along to measure.
FONT, PRINTED_FONT = "STIXGeneral", "'Libertinus Serif', 'STIX Two Text', serif"
STYLE: Any = {
    "font.family": FONT,
    "mathtext.fontset": "stix",
    "svg.fonttype": "none",  # words stay words
    "svg.hashsalt": "vaelib",  # the same numbers give the same file
    "axes.prop_cycle": cycler(color=COLOURS),
    "font.size": 9,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
}


def panel(height: float, width: float = NARROW_INCHES) -> tuple[Figure, Axes]:
    """An empty figure with one panel, in inches."""
    figure = empty_figure(height, width)
    return figure, figure.subplots()


def empty_figure(height: float, width: float = WIDTH_INCHES) -> Figure:
    """An empty figure, in inches."""
    # Figure without pyplot: no global state, no window, the same in a notebook and on a cluster.
    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def legend_above(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """Names the lines of a panel above it, where no line runs through them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(columns, len(labels)))


def as_picture(figure: Figure, alt: str) -> Picture:
    """The figure as pixels and as a drawing, with its alternative text."""
    pixels, drawing = io.BytesIO(), io.StringIO()
    figure.savefig(pixels, format="png")
    figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    with Image.open(pixels) as picture:
        image = picture.convert("RGB")
    return Picture(image, alt, drawing.getvalue().replace(f"'{FONT}'", PRINTED_FONT))
