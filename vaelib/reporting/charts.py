"""Charts: one function for each kind, numbers in, a picture with alternative text out."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.patches import Ellipse
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from vaelib.latent import Posterior
from vaelib.loss import LossParts
from vaelib.reporting.chart_style import (
    COLOURS,
    HALF_INCHES,
    STYLE,
    WIDTH_INCHES,
    as_picture,
    empty_figure,
    legend_above,
    panel,
)
from vaelib.reporting.notation import model_formula, model_text, scientific
from vaelib.reporting.picture import Picture
from vaelib.training.runs import Run

IMAGES_SEEN = "images seen (thousands)"


@mpl.rc_context(STYLE)
def loss_curves(runs: Mapping[str, Run]) -> Picture:
    """Reconstruction error and KL on validation faces against images seen, a line per model."""
    figure = empty_figure(2.6)
    left, right = figure.subplots(1, 2)
    courses = []
    for name, run in runs.items():
        rows = run.curve("validation")
        seen = [row.images_seen / 1000 for row in rows]
        errors, nats = [row.reconstruction for row in rows], [row.kl for row in rows]
        left.plot(seen, errors, label=model_formula(name))
        right.plot(seen, nats, label=model_formula(name))
        courses.append(
            f"With {model_text(name)} the error goes {_course(errors)}, the KL {_course(nats)}."
        )
    left.set(xlabel=IMAGES_SEEN, ylabel="mean squared error", yscale="log")
    right.set(xlabel=IMAGES_SEEN, ylabel="KL (nats)", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter(NullFormatter())
    legend_above(figure, left)
    alt = f"Line charts of mean squared error and of KL in nats by images seen. {' '.join(courses)}"
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def training_curve(run: Run) -> Picture:
    """The loss of one model as it falls, on training and on validation faces."""
    figure, axes = panel(2.6)
    lam = run.experiment.lam
    courses = []
    for split, colour in (("train", COLOURS[0]), ("validation", COLOURS[5])):
        rows = [row for row in run.curve(split) if row.images_seen]
        seen = [row.images_seen / 1000 for row in rows]
        total = [row.reconstruction + lam * row.kl for row in rows]
        axes.plot(seen, total, color=colour, label=split)
        courses.append(f"{split} {_course(total)}")
    axes.set(xlabel=IMAGES_SEEN, ylabel="loss", ylim=(0, None))
    legend_above(figure, axes)
    alt = f"Line chart of the loss by images seen: {', '.join(courses)}."
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def loss_terms(terms: Mapping[str, Sequence[LossParts]]) -> Picture:
    """Both terms of the loss after each step of a few, a line per training."""
    figure = empty_figure(2.2)
    left, right = figure.subplots(1, 2)
    courses = []
    for name, parts in terms.items():
        errors = [part.reconstruction.item() for part in parts]
        nats = [part.kl.item() for part in parts]
        left.plot(range(1, len(parts) + 1), errors, label=name)
        right.plot(range(1, len(parts) + 1), nats, label=name)
        courses.append(f"With {name} the error goes {_course(errors)}, the KL {_course(nats)}.")
    left.set(xlabel="step", ylabel="mean squared error", ylim=(0, None))
    right.set(xlabel="step", ylabel="KL (nats)", ylim=(0, None))
    legend_above(figure, left)
    alt = f"Line charts of mean squared error and of KL in nats by steps. {' '.join(courses)}"
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def posteriors(by_stage: Mapping[str, Posterior], first: int, second: int) -> Picture:
    """The posteriors of some faces in the plane of two latents: a panel per stage of training.

    Each face is a dot at its mean, in its own colour, with the ellipse of one standard deviation;
    the dotted circle is that of the prior.
    """
    figure = empty_figure(1.9)
    panels = figure.subplots(1, len(by_stage), sharex=True, sharey=True, squeeze=False)[0]
    stages = []
    for axes, (stage, (mu, logvar)) in zip(panels, by_stage.items(), strict=True):
        axes.add_patch(Ellipse((0, 0), 2, 2, fill=False, linestyle=":", edgecolor="#444444"))
        centres, sigmas = mu[:, [first, second]], (0.5 * logvar[:, [first, second]]).exp()
        for i, (centre, sigma) in enumerate(zip(centres.tolist(), sigmas, strict=True)):
            colour = f"C{i % len(COLOURS)}"
            width, height = (2 * sigma).tolist()
            axes.add_patch(Ellipse(centre, width, height, alpha=0.35, facecolor=colour))
            axes.plot(*centre, "o", markersize=3, color=colour)
        axes.set(title=stage, xlabel=f"latent {first}", aspect="equal")
        stages.append(f"{stage}: {centres.norm(dim=1).mean():.2f} and {sigmas.mean():.2f}")
    panels[0].set(ylabel=f"latent {second}")
    alt = (
        f"The posteriors of {len(mu)} faces as ellipses, latent {second} against latent {first},"
        " with the circle of the prior; a panel for each stage of training. Mean distance from"
        f" the middle and mean standard deviation, {'; '.join(stages)}."
    )
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def bars(values: Mapping[str, float], xlabel: str) -> Picture:
    """One horizontal bar per name, with its value written out."""
    figure, axes = panel(0.5 + 0.3 * len(values), WIDTH_INCHES)
    drawn_bars = axes.barh(list(values), list(values.values()), height=0.6)
    axes.bar_label(drawn_bars, fmt="%.3g", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel=xlabel)
    axes.grid(axis="y", visible=False)
    longest, shortest = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    alt = (
        f"Bar chart, {xlabel}: {len(values)} bars, the longest {longest} with"
        f" {values[longest]:.3g}, the shortest {shortest} with {values[shortest]:.3g}."
    )
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def latent_use(kl_by_model: Mapping[str, Tensor]) -> Picture:
    """KL of each latent, most used first, a line per model.

    kl_by_model: (latent,) in nats, by the model's name.
    """
    figure, axes = panel(2.6)
    falls = []
    for name, nats in kl_by_model.items():
        ranked = nats.sort(descending=True).values
        axes.plot(range(1, len(ranked) + 1), ranked, label=model_formula(name))
        fall = f"from {ranked[0]:.2f} to {ranked[-1]:.2f} over {len(ranked)} latents"
        falls.append(f"{model_text(name)} {fall}")
    axes.set(xlabel="latent, most used first", ylabel="KL (nats)", ylim=(0, None))
    legend_above(figure, axes)
    alt = f"Line chart of the KL of each latent in nats, in falling order: {', '.join(falls)}."
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def spectra(by_model: Mapping[str, Tensor]) -> Picture:
    """Variances of z over all faces along its principal axes, a line per model.

    by_model: (latent,), falling, by the model's name. The dotted line is the prior's variance, 1.
    """
    figure, axes = panel(2.6)
    ends = []
    for name, variances in by_model.items():
        axes.plot(range(1, len(variances) + 1), variances, label=model_formula(name))
        ends.append(f"{model_text(name)} from {variances[0]:.3g} to {variances[-1]:.3g}")
    axes.axhline(1, color="#444444", linestyle=":", label="prior")
    axes.set(xlabel="principal axis", ylabel="variance of z", yscale="log")
    legend_above(figure, axes, columns=3)
    alt = f"Line chart of the variance of z along its principal axes: {', '.join(ends)}; prior 1."
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def histogram(values: Mapping[str, Sequence[float]], xlabel: str) -> Picture:
    """Densities of several sets of values in one panel, by the name of each set."""
    figure, axes = panel(2.4)
    for name, numbers in values.items():
        axes.hist(numbers, bins=60, density=True, histtype="step", label=model_formula(name))
    axes.set(xlabel=xlabel, ylabel="density")
    legend_above(figure, axes)
    spreads = [
        f"{model_text(name)} with mean {np.mean(numbers):.2f}"
        f" and standard deviation {np.std(numbers):.2f}"
        for name, numbers in values.items()
    ]
    return as_picture(figure, f"Histograms of {xlabel}: {', '.join(spreads)}.")


@mpl.rc_context(STYLE)
def optimum(
    lams: Sequence[float], bits: Sequence[Sequence[float]], marks: Mapping[str, float]
) -> Picture:
    """Code length against lambda, with intervals; the lambdas in `marks` are upright lines.

    bits: value, low and high at each of `lams`. marks: lambdas to compare, by name.
    """
    figure, axes = panel(2.5, HALF_INCHES)
    value, low, high = np.array(bits).T
    axes.errorbar(lams, value, (value - low, high - value), marker="o", capsize=3)
    known = {name: lam for name, lam in marks.items() if np.isfinite(lam)}
    for (name, lam), colour in zip(known.items(), COLOURS[1:], strict=False):
        axes.axvline(lam, color=colour, linestyle="--", label=f"{name}: ${scientific(lam)}$")
    axes.set(xlabel=r"$\lambda$", ylabel="code length (bits per value)", xscale="log")
    legend_above(figure, axes, columns=1)
    points = [f"{bit:.3f} at {lam:.1e}" for lam, bit in zip(lams, value, strict=True)]
    lines = [f"{name}, at {lam:.1e}" for name, lam in known.items()]
    alt = (
        f"Line chart of the code length in bits per value against lambda: {', '.join(points)}."
        f" Upright lines: {'; '.join(lines)}."
    )
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def rate_distortion(points: Mapping[str, tuple[float, float]]) -> Picture:
    """KL (nats) against mean squared error, a point per model with its name."""
    figure, axes = panel(2.5, HALF_INCHES)
    for name, (kl, error) in points.items():
        axes.plot(kl, error, "o")
        axes.annotate(
            model_formula(name), (kl, error), (5, 4), textcoords="offset points", fontsize=8
        )
    axes.set(xlabel="rate: KL (nats)", ylabel="distortion: mean squared error", xscale="log")
    axes.margins(x=0.3, y=0.15)
    places = [
        f"{model_text(name)} at {kl:.0f} nats and {error:.4f}"
        for name, (kl, error) in points.items()
    ]
    alt = f"Chart of mean squared error against KL, a point for each model: {', '.join(places)}."
    return as_picture(figure, alt)


@mpl.rc_context(STYLE)
def frequencies(
    truth: Mapping[str, float], models: Mapping[str, Mapping[str, Sequence[float]]]
) -> Picture:
    """Frequency of each attribute: of held-out faces a grey bar, of each model a dot with interval.

    truth: frequency by attribute. models: value, low and high by model and attribute.
    """
    attributes = sorted(truth, key=lambda name: truth[name])
    figure, axes = panel(0.8 + 0.14 * len(attributes))
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
            label=model_formula(model),
        )
    names = [name.replace("_", " ") for name in attributes]
    axes.set_yticks(positions, names, fontsize=8)
    axes.set(xlabel="frequency", ylim=(-0.8, len(attributes) - 0.2))
    legend_above(figure, axes, columns=3)
    rare = [
        f"{sum(intervals[name][0] < truth[name] / 2 for name in attributes)}"
        f" for {model_text(model)}"
        for model, intervals in models.items()
    ]
    alt = (
        f"Chart of how frequent {len(attributes)} attributes are, a bar for held-out faces and a"
        " dot for the faces of each model. Attributes less than half as frequent as among"
        f" held-out faces: {', '.join(rare)}."
    )
    return as_picture(figure, alt)


def _course(values: Sequence[float]) -> str:
    """A line in words: its ends, and its highest point where that is higher than both."""
    first, last, highest = values[0], values[-1], max(values)
    peak = f" up to {highest:.3g} and down" if highest > max(first, last) else ""
    return f"from {first:.3g}{peak} to {last:.3g}"
