"""Charts draw the very numbers that they are given, say them in words, and leave no state."""

import re
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
from matplotlib.patches import Ellipse
from matplotlib.text import Annotation
from PIL import Image

from vaelib.config import SEVEN, Experiment
from vaelib.latent import Posterior
from vaelib.loss import LossParts
from vaelib.publishing.cells import TEXT_INCHES
from vaelib.reporting import chart_style, charts
from vaelib.reporting.notation import model_formula
from vaelib.reporting.picture import Picture
from vaelib.training.runs import HistoryRow, Run, Split


def run(name: str, scale: float = 1.0) -> Run:
    """A finished run of one of the seven, with a made-up history and nothing on disk."""
    history = [HistoryRow(0, "validation", 0, 4 * scale, 4 * scale, 50 * scale, 0.0, 0.0)]
    for seen in (1000, 2000, 3000):
        fallen = scale * 1000 / seen
        losses: dict[Split, float] = {"train": fallen, "validation": 2 * fallen}
        for split, loss in losses.items():
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

TERMS = {
    name: [LossParts(*torch.tensor([0.0, error, kl])) for error, kl in steps]
    for name, steps in {
        "one": [(0.5, 8.0), (0.25, 120.0)],
        "two": [(0.5, 8.0), (0.375, 0.125)],
    }.items()
}
POSTERIORS = {
    "before": Posterior(torch.zeros(2, 3), torch.zeros(2, 3)),
    "after": Posterior(torch.tensor([[1.0, 9, 2], [3, 9, 4]]), torch.full((2, 3), 0.25).log() * 2),
}

KL_OF_LATENTS = {"one": torch.tensor([0.5, 3.0, 1.0]), "two": torch.tensor([0.0, 1.25])}

SPECTRA = {"one": torch.tensor([20.0, 3.0, 0.5]), "two": torch.tensor([1.25, 0.75])}

CHARTS: dict[str, Callable[[], Picture]] = {
    "loss_curves": lambda: charts.loss_curves(runs(3)),
    "training_curve": lambda: charts.training_curve(run("lam-1e-5")),
    "bars": lambda: charts.bars({"one": 1.0, "two": 2.0}, "things"),
    "loss_terms": lambda: charts.loss_terms(TERMS),
    "posteriors": lambda: charts.posteriors(POSTERIORS, first=2, second=0),
    "latent_use": lambda: charts.latent_use(KL_OF_LATENTS),
    "spectra": lambda: charts.spectra(SPECTRA),
    "histogram": lambda: charts.histogram({"one": [0.0, 1.0, 1.5], "two": [2.0]}, "things"),
    "optimum": lambda: charts.optimum(LAMS, BITS, {"theory": 3e-5, "found": 2e-5}),
    "rate_distortion": lambda: charts.rate_distortion(POINTS),
    "frequencies": lambda: charts.frequencies(TRUTH, MODELS),
}


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The panels of the charts that were drawn, to look at what they hold; no pixels."""
    axes: list[Axes] = []

    def keep_axes(figure: Figure, alt: str) -> Picture:
        axes.extend(figure.axes)
        figure.draw_without_rendering()
        return Picture(Image.new("RGB", (1, 1)), alt)

    monkeypatch.setattr(charts, "as_picture", keep_axes)
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


# --- charts


@pytest.fixture(scope="module")
def every_chart() -> dict[str, Picture]:
    """Every chart, drawn once."""
    return {name: draw() for name, draw in CHARTS.items()}


def test_charts_are_rgb_pictures_with_something_on_white(every_chart: dict[str, Picture]) -> None:
    needed = {(255, 255, 255), rgb_of(chart_style.COLOURS[0])}
    offenders = [
        name
        for name, chart in every_chart.items()
        if chart.image.mode != "RGB" or not needed <= colours_of(chart.image)
    ]
    assert offenders == []


def test_charts_are_drawn_in_the_size_they_are_printed_in(every_chart: dict[str, Picture]) -> None:
    for name, chart in every_chart.items():
        [points] = re.findall(r'<svg [^>]*width="([\d.]+)pt"', chart.svg)
        assert float(points) / 72 <= TEXT_INCHES + 1e-6, name
        assert chart.image.width == pytest.approx(float(points) / 72 * 200, abs=1), name


def test_a_chart_keeps_its_words_as_words_in_the_papers_font(
    every_chart: dict[str, Picture],
) -> None:
    for name, chart in every_chart.items():
        assert "<text" in chart.svg, name
        assert "STIXGeneral" not in chart.svg, name
    assert "Libertinus Serif" in every_chart["optimum"].svg
    assert "mean squared error</text>" in every_chart["loss_curves"].svg


@pytest.mark.slow
def test_the_same_numbers_give_the_same_picture_and_leave_no_global_state(
    every_chart: dict[str, Picture],
) -> None:
    before = dict(mpl.rcParams)
    again = {name: draw() for name, draw in CHARTS.items()}
    for name, chart in every_chart.items():
        assert again[name].image.tobytes() == chart.image.tobytes(), name
        assert again[name].svg == chart.svg, name
    assert pyplot.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_the_style_reaches_the_legends(panels: list[Axes]) -> None:
    for name in sorted(CHARTS.keys() - {"bars", "rate_distortion", "posteriors"}):
        panels.clear()
        CHARTS[name]()
        figure = panels[0].figure
        assert isinstance(figure, Figure)
        [legend] = figure.legends
        assert not legend.get_frame_on(), name
        assert legend.get_texts()[0].get_fontsize() == chart_style.STYLE["font.size"], name


def test_loss_curves_draw_the_validation_losses_of_every_model(panels: list[Axes]) -> None:
    charts.loss_curves(runs(7))
    error, kl = (lines(panel) for panel in panels)
    assert list(error) == list(kl) == [model_formula(name) for name in SEVEN]
    second = model_formula("lam-1e-4")
    assert error[second].x == kl[second].x == [0, 1, 2, 3]
    assert error[second].y == pytest.approx([8, 4, 2, 4 / 3])
    assert kl[second].y == pytest.approx([100, 400, 200, 400 / 3])


def test_every_model_has_a_colour_of_its_own(panels: list[Axes]) -> None:
    charts.loss_curves(runs(7))
    assert len({line.get_color() for line in panels[0].lines}) == 7


def test_a_training_curve_draws_the_loss_that_was_minimised(panels: list[Axes]) -> None:
    charts.training_curve(run("lam-1e-3"))
    drawn = lines(panels[0])
    assert drawn["train"].x == drawn["validation"].x == [1, 2, 3]  # nothing before training
    assert drawn["train"].y == pytest.approx([1.1, 0.55, 1.1 / 3])  # 1 + 1e-3 x 100 at first
    assert drawn["validation"].y == pytest.approx([2.2, 1.1, 2.2 / 3])


def test_bars_are_as_long_as_their_values_and_in_their_order(panels: list[Axes]) -> None:
    charts.bars({"one": 1.0, "three": 3.0, "two": 2.0}, "things")
    [panel] = panels
    [bars] = panel.containers
    assert isinstance(bars, BarContainer)
    assert [bar.get_width() for bar in bars] == [1, 3, 2]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["one", "three", "two"]
    heights = [panel.transData.transform((0, bar.get_y()))[1] for bar in bars]
    assert heights == sorted(heights, reverse=True)  # from the top down


def test_bars_have_their_values_written_out(panels: list[Axes]) -> None:
    charts.bars({"one": 1.2345, "two": 20.0}, "things")
    assert [text.get_text() for text in panels[0].texts] == ["1.23", "20"]


def test_a_bar_chart_grows_with_the_number_of_bars() -> None:
    few, many = (charts.bars({f"{i}": 1.0 for i in range(n)}, "things") for n in (2, 7))
    assert many.image.height - few.image.height == 5 * 0.3 * 200


def test_latent_use_ranks_the_latents(panels: list[Axes]) -> None:
    charts.latent_use({"base": torch.tensor([0.5, 3.0, 0.0, 1.0])})
    assert lines(panels[0])["base"] == Line([1, 2, 3, 4], [3.0, 1.0, 0.5, 0.0])


def test_a_spectrum_is_drawn_with_the_variance_of_the_prior(panels: list[Axes]) -> None:
    charts.spectra(SPECTRA)
    drawn = lines(panels[0])
    assert drawn["one"] == Line([1, 2, 3], [20.0, 3.0, 0.5])
    assert set(drawn["prior"].y) == {1}


def test_a_histogram_draws_densities(panels: list[Axes]) -> None:
    charts.histogram({"few": [0.0, 0.5, 2.0], "many": [float(i) for i in range(200)]}, "things")
    for patch in panels[0].patches:
        x, y = np.asarray(patch.get_path().vertices).T
        assert np.trapezoid(y, x) == pytest.approx(1)  # the area under the outline


def test_a_histogram_names_its_sets(panels: list[Axes]) -> None:
    charts.histogram({"held out": [0.0, 1.0], "generated": [0.5, 2.0]}, "things")
    figure = panels[0].figure
    assert isinstance(figure, Figure)
    [legend] = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"held out", "generated"}


def test_code_lengths_stand_at_their_lambdas_with_their_intervals(panels: list[Axes]) -> None:
    charts.optimum(LAMS, BITS, {"found": 2e-5})
    [drawn] = intervals(panels[0])
    expected = [
        (lam, value, [[lam, low], [lam, high]])
        for lam, (value, low, high) in zip(LAMS, BITS, strict=True)
    ]
    assert drawn == expected


def test_lambdas_to_compare_are_upright_lines_by_name(panels: list[Axes]) -> None:
    charts.optimum(LAMS, BITS, {"theory": 3e-5, "found": 2.04e-5})
    drawn = lines(panels[0])
    predicted = drawn[r"theory: $3.0 \times 10^{-5}$"]
    assert predicted == Line([3e-5] * 2, [0, 1])  # from the bottom to the top
    assert drawn[r"found: $2.0 \times 10^{-5}$"] == Line([2.04e-5] * 2, [0, 1])


def test_a_lambda_that_is_no_number_is_drawn_nowhere(panels: list[Axes]) -> None:
    charts.optimum(LAMS, BITS, {"found": 2e-5})
    charts.optimum(LAMS, BITS, {"found": 2e-5, "theory": float("nan")})
    without, with_nan = panels
    assert with_nan.get_xlim() == without.get_xlim()


def test_lambdas_are_on_a_logarithmic_scale(panels: list[Axes]) -> None:
    charts.optimum(LAMS, BITS, {"found": 2e-5})
    assert panels[0].get_xscale() == "log"


def test_a_model_is_a_point_of_its_rate_and_distortion(panels: list[Axes]) -> None:
    charts.rate_distortion(POINTS)
    drawn = [(line.x, line.y) for line in map(as_line, panels[0].lines)]
    assert drawn == [([kl], [error]) for kl, error in POINTS.values()]


def test_a_point_has_the_name_of_its_model(panels: list[Axes]) -> None:
    charts.rate_distortion(POINTS)
    named = {text.get_text(): text.xy for text in panels[0].texts if isinstance(text, Annotation)}
    assert named == {model_formula(name): point for name, point in POINTS.items()}


def test_no_model_is_left_out_for_want_of_colours(panels: list[Axes]) -> None:
    charts.rate_distortion({f"{n}": (1.0 + n, 0.1) for n in range(10)})
    assert len(panels[0].lines) == 10


def test_frequencies_of_held_out_faces_are_bars_from_rare_to_common(panels: list[Axes]) -> None:
    charts.frequencies(TRUTH, MODELS)
    [bars] = [item for item in panels[0].containers if isinstance(item, BarContainer)]
    assert [bar.get_width() for bar in bars] == [0.05, 0.4, 0.75]
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels == ["Wearing Hat", "Male", "Young"]


def test_frequencies_of_models_are_dots_with_their_intervals(panels: list[Axes]) -> None:
    charts.frequencies(TRUTH, MODELS)
    for drawn, model in zip(intervals(panels[0]), MODELS.values(), strict=True):
        found = [[dot.x, *(x for x, _ in dot.ends)] for dot in drawn]
        expected = [model[name] for name in ("Wearing_Hat", "Male", "Young")]
        np.testing.assert_allclose(found, expected)


def test_dots_of_models_lie_side_by_side_within_their_bar(panels: list[Axes]) -> None:
    charts.frequencies(TRUTH, MODELS)
    first, second = ([dot.y for dot in drawn] for drawn in intervals(panels[0]))
    assert first == pytest.approx([-0.08, 0.92, 1.92])
    assert second == pytest.approx([0.08, 1.08, 2.08])


def test_a_chart_of_frequencies_grows_with_the_number_of_attributes() -> None:
    few, many = (
        charts.frequencies({f"{i}": 0.5 for i in range(n)}, {}).image.height for n in (3, 23)
    )
    assert many - few == 560  # 20 x 0.14 inches


def test_marks_points_and_models_are_seen(every_chart: dict[str, Picture]) -> None:
    with_less = {
        "optimum": charts.optimum(LAMS, BITS, {"theory": 3e-5}),
        "rate_distortion": charts.rate_distortion({"one": (1.0, 0.1)}),
        "frequencies": charts.frequencies(TRUTH, {}),
    }
    palette = {rgb_of(colour) for colour in chart_style.COLOURS}
    for name, less in with_less.items():
        assert (colours_of(every_chart[name].image) - colours_of(less.image)) & palette, name


def test_both_terms_are_drawn_after_each_step(panels: list[Axes]) -> None:
    charts.loss_terms(TERMS)
    error, kl = (lines(panel) for panel in panels)
    assert error["two"] == Line([1, 2], [0.5, 0.375])
    assert kl["one"] == Line([1, 2], [8, 120])


def test_a_posterior_is_an_ellipse_of_one_standard_deviation_around_its_mean(
    panels: list[Axes],
) -> None:
    charts.posteriors(POSTERIORS, first=2, second=0)
    assert [panel.get_title() for panel in panels] == ["before", "after"]
    prior, *faces = (patch for patch in panels[1].patches if isinstance(patch, Ellipse))
    assert (prior.center, prior.width, prior.height) == ((0, 0), 2, 2)
    drawn = [(*face.center, face.width, face.height) for face in faces]
    assert drawn == [(2, 1, 0.5, 0.5), (4, 3, 0.5, 0.5)]


def test_alternative_texts_say_what_the_charts_show(every_chart: dict[str, Picture]) -> None:
    expected = {
        "loss_curves": (
            "Line charts of mean squared error and of KL in nats by images seen."
            " With λ = 10⁻³ the error goes from 4 to 0.667,"
            " the KL from 50 up to 200 and down to 66.7."
            " With λ = 10⁻⁴ the error goes from 8 to 1.33,"
            " the KL from 100 up to 400 and down to 133."
            " With λ = 10⁻⁵ the error goes from 12 to 2,"
            " the KL from 150 up to 600 and down to 200."
        ),
        "training_curve": (
            "Line chart of the loss by images seen: train from 1 to 0.334,"
            " validation from 2 to 0.667."
        ),
        "bars": "Bar chart, things: 2 bars, the longest two with 2, the shortest one with 1.",
        "loss_terms": (
            "Line charts of mean squared error and of KL in nats by steps."
            " With one the error goes from 0.5 to 0.25, the KL from 8 to 120."
            " With two the error goes from 0.5 to 0.375, the KL from 8 to 0.125."
        ),
        "posteriors": (
            "The posteriors of 2 faces as ellipses, latent 0 against latent 2, with the circle of"
            " the prior; a panel for each stage of training. Mean distance from the middle and mean"
            " standard deviation, before: 0.00 and 1.00; after: 3.62 and 0.25."
        ),
        "latent_use": (
            "Line chart of the KL of each latent in nats, in falling order: one from 3.00 to 0.50"
            " over 3 latents, two from 1.25 to 0.00 over 2 latents."
        ),
        "spectra": (
            "Line chart of the variance of z along its principal axes: one from 20 to 0.5, two"
            " from 1.25 to 0.75; prior 1."
        ),
        "histogram": (
            "Histograms of things: one with mean 0.83 and standard deviation 0.62,"
            " two with mean 2.00 and standard deviation 0.00."
        ),
        "optimum": (
            "Line chart of the code length in bits per value against lambda: 3.500 at 1.0e-03,"
            " 2.500 at 1.0e-04, 3.000 at 1.0e-05. Upright lines: theory, at 3.0e-05;"
            " found, at 2.0e-05."
        ),
        "rate_distortion": (
            "Chart of mean squared error against KL, a point for each model:"
            " λ = 10⁻³ at 5 nats and 0.1000, λ = 10⁻⁵ at 80 nats and 0.0400,"
            " λ = 10⁻⁶ at 200 nats and 0.0300."
        ),
        "frequencies": (
            "Chart of how frequent 3 attributes are, a bar for held-out faces and a dot for the"
            " faces of each model. Attributes less than half as frequent as among held-out faces:"
            " 1 for λ = 10⁻³, 0 for centre pull."
        ),
    }
    assert {name: chart.alt for name, chart in every_chart.items()} == expected


def test_a_lambda_that_is_no_number_is_not_mentioned(panels: list[Axes]) -> None:
    chart = charts.optimum(LAMS, BITS, {"found": 2e-5, "theory": float("nan")})
    assert chart.alt.endswith("Upright lines: found, at 2.0e-05.")
