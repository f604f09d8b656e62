"""Figures show the very pixels and numbers that they are given, and touch no global state."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vaelib.config import IMAGE_SHAPE, SEVEN, Experiment
from vaelib.data import to_float
from vaelib.reporting import figures
from vaelib.training.runs import HistoryRow, Run

HEIGHT, WIDTH, GAP = 64 * 3, 48 * 3, 2 * 3  # as printed, three pixels for one


def dark_faces(n: int) -> Tensor:
    """Different faces (n, 3, 64, 48) of which no pixel is white."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 200, (n, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator)


def enlarged(face: Tensor) -> NDArray[np.uint8]:
    """What a face (3, 64, 48) looks like where each of its pixels is a square of 3 x 3."""
    return np.kron(face.permute(1, 2, 0).numpy(), np.ones((3, 3, 1), np.uint8))


def place(picture: NDArray[np.uint8], row: int, column: int) -> NDArray[np.uint8]:
    """The part of a grid where the face of a row and column stands, as a view."""
    top, left = row * (HEIGHT + GAP), column * (WIDTH + GAP)
    return picture[top : top + HEIGHT, left : left + WIDTH]


def run(name: str, scale: float = 1.0) -> Run:
    """A finished run of one of the seven, with a made-up history and nothing on disk."""
    history = [HistoryRow(0, "validation", 0, 4 * scale, 4 * scale, 50 * scale, 0.0, 0.0)]
    for seen in (1000, 2000, 3000):
        fallen = scale * 1000 / seen
        for split, loss in (("train", fallen), ("validation", 2 * fallen)):
            history.append(HistoryRow(1, split, seen, loss, loss, 100 * loss, 1.0, 1000.0))
    return Run(Path(), SEVEN.get(name, Experiment()), history)


def runs(n: int) -> dict[str, Run]:
    """The first n of the seven, each with twice, three times, ... the losses of the first."""
    return {name: run(name, float(times)) for times, name in enumerate(list(SEVEN)[:n], start=1)}


LAMS = [1e-3, 1e-4, 1e-5]
BITS = [[3.5, 3.25, 3.75], [2.5, 2.0, 2.75], [3.0, 3.0, 3.0]]  # value, low and high
POINTS = {"lam-1e-3": (5.0, 0.1), "lam-1e-5": (80.0, 0.04), "lam-1e-6": (200.0, 0.03)}
TRUTH = {"Young": 0.75, "Wearing_Hat": 0.05, "Male": 0.4}
MODELS = {
    "lam-1e-3": {"Male": [0.3, 0.2, 0.45], "Wearing_Hat": [0.0, 0.0, 0.1], "Young": [0.9, 0.8, 1]},
    "centred": {"Male": [0.5, 0.4, 0.6], "Wearing_Hat": [0.1, 0.1, 0.1], "Young": [0.7, 0.6, 0.8]},
}

CHARTS: dict[str, Callable[[], Image.Image]] = {
    "loss_curves": lambda: figures.loss_curves(runs(3)),
    "training_curve": lambda: figures.training_curve(run("lam-1e-5")),
    "bars": lambda: figures.bars({"one": 1.0, "two": 2.0}, "things"),
    "latent_use": lambda: figures.latent_use({"one": torch.rand(8), "two": torch.rand(16)}),
    "histogram": lambda: figures.histogram({"one": [0.0, 1.0, 1.5], "two": [2.0]}, "things"),
    "optimum": lambda: figures.optimum(LAMS, BITS, {"theory": 3e-5, "found": 2e-5}),
    "rate_distortion": lambda: figures.rate_distortion(POINTS),
    "frequencies": lambda: figures.frequencies(TRUTH, MODELS),
}


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The panels of the charts that were drawn, to look at what they hold; no pixels."""
    axes: list[Axes] = []

    def keep_axes(figure: Figure) -> Image.Image:
        axes.extend(figure.axes)
        figure.draw_without_rendering()
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(figures, "_as_image", keep_axes)
    return axes


class Line(NamedTuple):
    x: list[float]
    y: list[float]


def lines(panel: Axes) -> dict[str, Line]:
    """The lines in a panel, by their names."""
    return {str(line.get_label()): as_line(line) for line in panel.lines}


def as_line(line: Line2D) -> Line:
    return Line(
        [float(x) for x in np.asarray(line.get_xdata())],
        [float(y) for y in np.asarray(line.get_ydata())],
    )


def colours_of(picture: Image.Image) -> set[object]:
    """All the colours in a picture."""
    return {colour for _, colour in picture.getcolors(picture.width * picture.height) or []}


def rgb_of(colour: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in to_rgb(colour))


class Interval(NamedTuple):
    """A dot in a panel, and the line through it from end to end."""

    x: float
    y: float
    ends: list[list[float]]


def intervals(panel: Axes) -> list[list[Interval]]:
    """The dots with intervals in a panel, by model."""
    found: list[list[Interval]] = []
    for container in panel.containers:
        if isinstance(container, ErrorbarContainer):
            dots, _, [bars] = container
            assert isinstance(bars, LineCollection)
            ends = [np.asarray(segment).tolist() for segment in bars.get_segments()]
            places = np.column_stack([dots.get_xdata(), dots.get_ydata()]).tolist()
            found.append([Interval(x, y, end) for (x, y), end in zip(places, ends, strict=True)])
    return found


# --- grids of faces


def expected_grid(faces: Tensor, rows: int, columns: int) -> NDArray[np.uint8]:
    """The faces at their rows and columns, white between them, no border around them."""
    size = (rows * (HEIGHT + GAP) - GAP, columns * (WIDTH + GAP) - GAP, 3)
    grid = np.full(size, 255, np.uint8)
    for index, face in enumerate(faces):
        place(grid, index // columns, index % columns)[:] = enlarged(face)
    return grid


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(6, 2, 3), (5, 2, 3), (4, 4, 1), (2, 1, 2), (1, 1, 1)]
)
def test_a_grid_holds_its_faces_row_by_row_on_white(count: int, rows: int, columns: int) -> None:
    faces = dark_faces(count)
    grid = np.asarray(figures.image_grid(faces, columns))
    np.testing.assert_array_equal(grid, expected_grid(faces, rows, columns))


def test_a_grid_is_no_wider_than_its_faces() -> None:
    grid = np.asarray(figures.image_grid(dark_faces(2), columns=8))
    np.testing.assert_array_equal(grid, expected_grid(dark_faces(2), 1, 2))


def test_faces_as_floats_look_as_they_do_as_bytes() -> None:
    faces = dark_faces(3)
    from_bytes, from_floats = (figures.image_grid(f, 3) for f in (faces, to_float(faces)))
    np.testing.assert_array_equal(np.asarray(from_floats), np.asarray(from_bytes))


def test_each_interpolation_is_a_row_from_left_to_right() -> None:
    faces = dark_faces(6).view(2, 3, *IMAGE_SHAPE)
    grid = np.asarray(figures.interpolation_grid(to_float(faces)))
    np.testing.assert_array_equal(grid, expected_grid(faces.flatten(0, 1), 2, 3))


# --- charts


@pytest.fixture(scope="module")
def charts() -> dict[str, Image.Image]:
    """Every chart, drawn once."""
    torch.manual_seed(0)
    return {name: draw() for name, draw in CHARTS.items()}


def test_charts_are_rgb_pictures_with_something_on_white(charts: dict[str, Image.Image]) -> None:
    needed = {(255, 255, 255), rgb_of(figures.COLOURS[0])}
    offenders = [
        name
        for name, chart in charts.items()
        if chart.mode != "RGB" or not needed <= colours_of(chart)
    ]
    assert offenders == []


def test_charts_are_as_wide_as_the_reports_text(charts: dict[str, Image.Image]) -> None:
    assert [name for name, chart in charts.items() if chart.width != 6.3 * 200] == []


@pytest.mark.slow
def test_the_same_numbers_give_the_same_picture_and_leave_no_global_state(
    charts: dict[str, Image.Image],
) -> None:
    before = dict(mpl.rcParams)
    torch.manual_seed(0)
    again = {name: draw() for name, draw in CHARTS.items()}
    assert [name for name in charts if again[name].tobytes() != charts[name].tobytes()] == []
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_the_style_reaches_the_legends(panels: list[Axes]) -> None:
    for name in sorted(CHARTS.keys() - {"bars", "rate_distortion"}):
        panels.clear()
        CHARTS[name]()
        legend = panels[0].get_legend()
        assert legend is not None, name
        assert not legend.get_frame_on(), name
        assert legend.get_texts()[0].get_fontsize() == figures.STYLE["font.size"], name


def test_loss_curves_draw_the_validation_losses_of_every_model(panels: list[Axes]) -> None:
    figures.loss_curves(runs(7))
    error, kl = (lines(panel) for panel in panels)
    assert list(error) == list(kl) == list(SEVEN)
    assert error["lam-1e-4"].x == kl["lam-1e-4"].x == [0, 1, 2, 3]
    assert error["lam-1e-4"].y == pytest.approx([8, 4, 2, 4 / 3])
    assert kl["lam-1e-4"].y == pytest.approx([100, 400, 200, 400 / 3])


def test_every_model_has_a_colour_of_its_own(panels: list[Axes]) -> None:
    figures.loss_curves(runs(7))
    assert len({line.get_color() for line in panels[0].lines}) == 7


def test_a_training_curve_draws_the_loss_that_was_minimised(panels: list[Axes]) -> None:
    figures.training_curve(run("lam-1e-3"))
    drawn = lines(panels[0])
    assert drawn["train"].x == drawn["validation"].x == [1, 2, 3]  # nothing before training
    assert drawn["train"].y == pytest.approx([1.1, 0.55, 1.1 / 3])  # 1 + 1e-3 x 100 at first
    assert drawn["validation"].y == pytest.approx([2.2, 1.1, 2.2 / 3])


def test_bars_are_as_long_as_their_values_and_in_their_order(panels: list[Axes]) -> None:
    figures.bars({"one": 1.0, "three": 3.0, "two": 2.0}, "things")
    [panel] = panels
    [bars] = panel.containers
    assert isinstance(bars, BarContainer)
    assert [bar.get_width() for bar in bars] == [1, 3, 2]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["one", "three", "two"]
    heights = [panel.transData.transform((0, bar.get_y()))[1] for bar in bars]
    assert heights == sorted(heights, reverse=True)  # from the top down


def test_bars_have_their_values_written_out(panels: list[Axes]) -> None:
    figures.bars({"one": 1.2345, "two": 20.0}, "things")
    assert [text.get_text() for text in panels[0].texts] == ["1.23", "20"]


def test_a_bar_chart_grows_with_the_number_of_bars() -> None:
    few, many = (figures.bars({f"{i}": 1.0 for i in range(n)}, "things") for n in (2, 7))
    assert many.height - few.height == 5 * 0.3 * 200


def test_latent_use_ranks_the_latents(panels: list[Axes]) -> None:
    figures.latent_use({"base": torch.tensor([0.5, 3.0, 0.0, 1.0])})
    assert lines(panels[0])["base"] == Line([1, 2, 3, 4], [3.0, 1.0, 0.5, 0.0])


def test_a_histogram_draws_densities(panels: list[Axes]) -> None:
    figures.histogram({"few": [0.0, 0.5, 2.0], "many": [float(i) for i in range(200)]}, "things")
    for patch in panels[0].patches:
        x, y = np.asarray(patch.get_path().vertices).T
        assert np.trapezoid(y, x) == pytest.approx(1)  # the area under the outline


def test_a_histogram_names_its_sets(panels: list[Axes]) -> None:
    figures.histogram({"held out": [0.0, 1.0], "generated": [0.5, 2.0]}, "things")
    legend = panels[0].get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {"held out", "generated"}


def test_code_lengths_stand_at_their_lambdas_with_their_intervals(panels: list[Axes]) -> None:
    figures.optimum(LAMS, BITS, {"found": 2e-5})
    [drawn] = intervals(panels[0])
    expected = [
        (lam, value, [[lam, low], [lam, high]])
        for lam, (value, low, high) in zip(LAMS, BITS, strict=True)
    ]
    assert drawn == expected


def test_lambdas_to_compare_are_upright_lines_by_name(panels: list[Axes]) -> None:
    figures.optimum(LAMS, BITS, {"theory": 3e-5, "found": 2.04e-5})
    drawn = lines(panels[0])
    assert drawn["theory: 3.0e-05"] == Line([3e-5] * 2, [0, 1])  # from the bottom to the top
    assert drawn["found: 2.0e-05"] == Line([2.04e-5] * 2, [0, 1])


def test_a_lambda_that_is_no_number_is_drawn_nowhere(panels: list[Axes]) -> None:
    figures.optimum(LAMS, BITS, {"found": 2e-5})
    figures.optimum(LAMS, BITS, {"found": 2e-5, "theory": float("nan")})
    without, with_nan = panels
    assert with_nan.get_xlim() == without.get_xlim()


def test_lambdas_are_on_a_logarithmic_scale(panels: list[Axes]) -> None:
    figures.optimum(LAMS, BITS, {"found": 2e-5})
    assert panels[0].get_xscale() == "log"


def test_a_model_is_a_point_of_its_rate_and_distortion(panels: list[Axes]) -> None:
    figures.rate_distortion(POINTS)
    drawn = [(line.x, line.y) for line in map(as_line, panels[0].lines)]
    assert drawn == [([kl], [error]) for kl, error in POINTS.values()]


def test_a_point_has_the_name_of_its_model(panels: list[Axes]) -> None:
    figures.rate_distortion(POINTS)
    named = {text.get_text(): text.xy for text in panels[0].texts if isinstance(text, Annotation)}
    assert named == POINTS


def test_no_model_is_left_out_for_want_of_colours(panels: list[Axes]) -> None:
    figures.rate_distortion({f"{n}": (1.0 + n, 0.1) for n in range(10)})
    assert len(panels[0].lines) == 10


def test_frequencies_of_held_out_faces_are_bars_from_rare_to_common(panels: list[Axes]) -> None:
    figures.frequencies(TRUTH, MODELS)
    [bars] = [item for item in panels[0].containers if isinstance(item, BarContainer)]
    assert [bar.get_width() for bar in bars] == [0.05, 0.4, 0.75]
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels == ["Wearing Hat", "Male", "Young"]


def test_frequencies_of_models_are_dots_with_their_intervals(panels: list[Axes]) -> None:
    figures.frequencies(TRUTH, MODELS)
    for drawn, model in zip(intervals(panels[0]), MODELS.values(), strict=True):
        found = [[dot.x, *(x for x, _ in dot.ends)] for dot in drawn]
        expected = [model[name] for name in ("Wearing_Hat", "Male", "Young")]
        np.testing.assert_allclose(found, expected)


def test_dots_of_models_lie_side_by_side_within_their_bar(panels: list[Axes]) -> None:
    figures.frequencies(TRUTH, MODELS)
    first, second = ([dot.y for dot in drawn] for drawn in intervals(panels[0]))
    assert first == pytest.approx([-0.08, 0.92, 1.92])
    assert second == pytest.approx([0.08, 1.08, 2.08])


def test_a_chart_of_frequencies_grows_with_the_number_of_attributes() -> None:
    few, many = (figures.frequencies({f"{i}": 0.5 for i in range(n)}, {}).height for n in (3, 23))
    assert many - few == 680  # 20 x 0.17 inches


def test_marks_points_and_models_are_seen(charts: dict[str, Image.Image]) -> None:
    with_less = {
        "optimum": figures.optimum(LAMS, BITS, {"theory": 3e-5}),
        "rate_distortion": figures.rate_distortion({"one": (1.0, 0.1)}),
        "frequencies": figures.frequencies(TRUTH, {}),
    }
    palette = {rgb_of(colour) for colour in figures.COLOURS}
    for name, less in with_less.items():
        assert (colours_of(charts[name]) - colours_of(less)) & palette, name


def test_rows_stand_below_each_other_beside_their_names() -> None:
    white, black = torch.full((8, 3, 64, 48), 255, dtype=torch.uint8), torch.zeros(4, 3, 64, 48)
    picture = figures.labelled_rows({"white": white, "black": black.to(torch.uint8)})
    pixels, left = np.asarray(picture), figures.NAME_WIDTH
    half = picture.height // 2
    assert picture.width == left + figures.image_grid(white, columns=8).width
    assert pixels[:half, left:].min() == 255
    assert pixels[half : half + 64, left : left + 48].max() == 0
    assert pixels[half + 64, -48:].min() == 255  # four faces are fewer than eight
    assert (pixels[:half, :left] < 128).any()  # a name
