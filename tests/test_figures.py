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
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vaelib import figures
from vaelib.config import IMAGE_SHAPE, SEVEN, Experiment
from vaelib.data import to_float
from vaelib.runs import Row, Run

HEIGHT, WIDTH, GAP = 64 * 3, 48 * 3, 2 * 3  # as printed, three pixels for one


def dark_faces(n: int) -> Tensor:
    """Different faces (n, 3, 64, 48) of which no pixel is white."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 200, (n, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator)


def enlarged(face: Tensor) -> NDArray[np.uint8]:
    """What a face (3, 64, 48) looks like where each of its pixels is a square of 3 x 3."""
    return np.kron(face.permute(1, 2, 0).numpy(), np.ones((3, 3, 1), np.uint8))


def place(picture: NDArray[np.uint8], row: int, column: int) -> NDArray[np.uint8]:
    """The part of a sheet where the face of a row and column stands, as a view."""
    top, left = row * (HEIGHT + GAP), column * (WIDTH + GAP)
    return picture[top : top + HEIGHT, left : left + WIDTH]


def run(name: str, scale: float = 1.0) -> Run:
    """A finished run of one of the seven, with a made-up history and nothing on disk."""
    history = [Row(0, "validation", 0, 4 * scale, 50 * scale, 0.0, 0.0)]
    for seen in (1000, 2000, 3000):
        fallen = scale * 1000 / seen
        history.append(Row(1, "train", seen, fallen, 100 * fallen, 1.0, 1000.0))
        history.append(Row(1, "validation", seen, 2 * fallen, 200 * fallen, 1.0, 1000.0))
    return Run(Path(), SEVEN.get(name, Experiment()), history)


def runs(n: int) -> dict[str, Run]:
    """The first n of the seven, each with twice, three times, ... the losses of the first."""
    return {name: run(name, float(times)) for times, name in enumerate(list(SEVEN)[:n], start=1)}


CHARTS: dict[str, Callable[[], Image.Image]] = {
    "loss_curves": lambda: figures.loss_curves(runs(3)),
    "training_curve": lambda: figures.training_curve(run("lam-1e-5")),
    "bars": lambda: figures.bars({"one": 1.0, "two": 2.0}, "things"),
    "latent_use": lambda: figures.latent_use({"one": torch.rand(8), "two": torch.rand(16)}),
    "histogram": lambda: figures.histogram({"one": [0.0, 1.0, 1.5], "two": [2.0]}, "things"),
}


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The panels of the charts that were drawn, to look at what they hold."""
    seen: list[Axes] = []
    drawn = figures._drawn

    def look(figure: Figure) -> Image.Image:
        seen.extend(figure.axes)
        return drawn(figure)

    monkeypatch.setattr(figures, "_drawn", look)
    return seen


class Line(NamedTuple):
    x: list[float]
    y: list[float]


def lines(panel: Axes) -> dict[str, Line]:
    """The lines in a panel, by their names."""
    return {
        str(line.get_label()): Line(
            [float(x) for x in np.asarray(line.get_xdata())],
            [float(y) for y in np.asarray(line.get_ydata())],
        )
        for line in panel.lines
    }


# --- sheets of faces


@pytest.mark.parametrize(("count", "columns"), [(6, 3), (5, 3), (4, 1), (2, 2)])
def test_each_face_stands_at_its_row_and_column(count: int, columns: int) -> None:
    faces = dark_faces(count)
    sheet = np.asarray(figures.face_sheet(faces, columns))
    for number, face in enumerate(faces):
        shown = place(sheet, number // columns, number % columns)
        np.testing.assert_array_equal(shown, enlarged(face))


@pytest.mark.parametrize(("count", "columns"), [(6, 3), (5, 3), (4, 1), (2, 2)])
def test_all_between_faces_is_white(count: int, columns: int) -> None:
    sheet = np.array(figures.face_sheet(dark_faces(count), columns))
    for number in range(count):
        place(sheet, number // columns, number % columns)[:] = 255
    assert sheet.min() == 255


@pytest.mark.parametrize(("count", "rows", "columns"), [(6, 2, 3), (5, 2, 3), (4, 4, 1)])
def test_a_sheet_ends_where_its_faces_do(count: int, rows: int, columns: int) -> None:
    sheet = figures.face_sheet(dark_faces(count), columns)
    assert sheet.size == (
        columns * WIDTH + (columns - 1) * GAP,
        rows * HEIGHT + (rows - 1) * GAP,
    )


def test_a_single_face_is_shown_whole() -> None:
    [face] = faces = dark_faces(1)
    np.testing.assert_array_equal(np.asarray(figures.face_sheet(faces, 1)), enlarged(face))


def test_faces_as_floats_look_as_they_do_as_bytes() -> None:
    faces = dark_faces(3)
    from_bytes, from_floats = (figures.face_sheet(f, 3) for f in (faces, to_float(faces)))
    np.testing.assert_array_equal(np.asarray(from_floats), np.asarray(from_bytes))


def test_each_interpolation_is_a_row_from_left_to_right() -> None:
    faces = dark_faces(6).view(2, 3, *IMAGE_SHAPE)
    sheet = np.asarray(figures.interpolation_sheet(to_float(faces)))
    assert sheet.shape == (2 * HEIGHT + GAP, 3 * WIDTH + 2 * GAP, 3)
    for row in range(2):
        for step in range(3):
            np.testing.assert_array_equal(place(sheet, row, step), enlarged(faces[row, step]))


# --- charts


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_is_an_rgb_picture_with_something_on_white(chart: str) -> None:
    picture = CHARTS[chart]()
    assert picture.mode == "RGB"
    colours = {colour for _, colour in picture.getcolors(picture.width * picture.height) or []}
    drawn = tuple(round(255 * part) for part in to_rgb(figures.COLOURS[0]))
    assert {(255, 255, 255), drawn} <= colours


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_is_as_wide_as_the_reports_text(chart: str) -> None:
    assert CHARTS[chart]().width == 6.3 * 200


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_leaves_no_global_state(chart: str) -> None:
    before = dict(mpl.rcParams)
    CHARTS[chart]()
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("chart", CHARTS)
def test_the_same_numbers_give_the_same_picture(chart: str) -> None:
    torch.manual_seed(0)
    first = np.asarray(CHARTS[chart]())
    torch.manual_seed(0)
    np.testing.assert_array_equal(np.asarray(CHARTS[chart]()), first)


@pytest.mark.parametrize("chart", ["loss_curves", "training_curve", "latent_use", "histogram"])
def test_the_style_reaches_the_legend(chart: str, panels: list[Axes]) -> None:
    CHARTS[chart]()
    legend = panels[0].get_legend()
    assert legend is not None
    assert not legend.get_frame_on()
    assert legend.get_texts()[0].get_fontsize() == figures.STYLE["font.size"]


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


def test_strips_stand_below_each_other_beside_their_names() -> None:
    white, black = torch.full((8, 3, 64, 48), 255, dtype=torch.uint8), torch.zeros(4, 3, 64, 48)
    picture = figures.strips({"white": white, "black": black.to(torch.uint8)})
    sheet = figures.face_sheet(white, columns=8)
    pixels = np.asarray(picture)
    assert picture.width == figures.STRIP_NAME + sheet.width
    half = picture.height // 2
    assert pixels[:half, figures.STRIP_NAME :].min() == 255
    assert pixels[half : half + 64, figures.STRIP_NAME : figures.STRIP_NAME + 48].max() == 0
    assert pixels[half + 64, -48:].min() == 255  # four faces are fewer than eight
    assert (pixels[:half, : figures.STRIP_NAME] < 128).any()  # a name
