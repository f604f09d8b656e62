"""Measures and verdicts as tables for readers: each a header and rows of text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vaelib.evaluation.bootstrap import interval
from vaelib.evaluation.claims import MeasuresByModel
from vaelib.evaluation.lambda_optimum import PROGRAMS, beta_of_lambda, lambda_of_beta

Table = tuple[list[str], list[list[str]]]

# A value with the low and high end of its 95 % interval; None where there is no number.
RecordedInterval = Sequence[float | None]

# Every measure of every model, as numbers.json keeps it: by model, then by measure.
Numbers = Mapping[str, Mapping[str, RecordedInterval]]

# How measures of groups and of attributes are named: "deformed Wearing_Hat" and so on.
WITHIN_GROUP, OUTSIDE_GROUP, FREQUENCY = "deformed ", "deformed not ", "frequency "

# Columns of the tables: the heading, the measure below it, and how its numbers are formatted.
Columns = Mapping[str, tuple[str, str]]

ERRORS: Columns = {
    "error": ("reconstruction", ".4f"),
    "PSNR": ("psnr", ".1f"),
    "KL": ("kl", ".0f"),
    "bits": ("bits_per_dimension", ".3f"),
}
RECONSTRUCTION: Columns = {**ERRORS, "in use": ("active_units", ".0f")}
POSTERIOR: Columns = {
    "mean μ²": ("mean_square_mu", ".2f"),
    "variance": ("aggregate_variance", ".2f"),
    "kurtosis": ("aggregate_kurtosis", ".2f"),
}
GENERATED: Columns = {
    "distance": ("distance", ".2f"),
    "deformed": ("deformed", ".3f"),
    "realism": ("realism", ".2f"),
    "precision": ("precision", ".2f"),
    "recall": ("recall", ".2f"),
    "coverage": ("coverage", ".2f"),
}
APPEARANCE: Columns = {
    "asymmetry": ("asymmetry", ".2f"),
    "variety": ("variety", ".2f"),
    "detail": ("sharpness", ".3f"),
}
# What a printed page has room for, of GENERATED and APPEARANCE.
PRINTED: Columns = {
    heading: {**GENERATED, **APPEARANCE}[heading]
    for heading in ("distance", "deformed", "realism", "recall", "variety")
}
INTERPOLATION: Columns = {
    "travel": ("travel", ".2f"),
    "evenness": ("evenness", ".2f"),
    "middle": ("middle", ".2f"),
    "skin": ("skin_travel", ".1f"),
    "pose": ("pose_travel", ".3f"),
    "hair": ("hair_travel", ".2f"),  # where the classifier can predict hair colours
}

# Of the norms: the colour errors are those of `norm_study.reconstruction_errors`.
NORMS: Columns = {
    "error": ("reconstruction", ".4f"),
    "colour": ("whole", ".1f"),
    "background": ("background", ".1f"),
    "KL": ("kl", ".0f"),
    "distance": ("distance", ".2f"),
    "variety": ("variety", ".2f"),
}


def summarise(seeds: Sequence[MeasuresByModel]) -> Numbers:
    """Every measure of every model over these seeds: its value and 95 % interval, six digits."""
    return {
        model: {
            measure: [_rounded(x) for x in interval([models[model][measure] for models in seeds])]
            for measure in seeds[0][model]
        }
        for model in seeds[0]
    }


def values(numbers: Numbers) -> dict[str, dict[str, float | None]]:
    """The same numbers without their intervals."""
    return {
        model: {name: bounds[0] for name, bounds in measures.items()}
        for model, measures in numbers.items()
    }


def frequencies(measures: Mapping[str, RecordedInterval]) -> dict[str, list[float]]:
    """From the measures of one model: the frequency of each attribute, with its bounds."""
    return {
        name.removeprefix(FREQUENCY): [x for x in bounds if x is not None]
        for name, bounds in measures.items()
        if name.startswith(FREQUENCY)
    }


def measure_table(numbers: Numbers, columns: Columns) -> Table:
    """A row for each model, a column for each measure that every model has."""
    shared = {
        heading: (measure, style)
        for heading, (measure, style) in columns.items()
        if all(measure in measures for measures in numbers.values())
    }
    rows = [
        [model, *(_plus_minus(measures[measure], style) for measure, style in shared.values())]
        for model, measures in numbers.items()
    ]
    return ["model", *shared], rows


def group_table(numbers: Numbers) -> Table:
    """How probably each model's faces are deformed within each group, and outside it."""
    some_model = next(iter(numbers.values()))
    groups = [
        measure.removeprefix(OUTSIDE_GROUP)
        for measure in some_model
        if measure.startswith(OUTSIDE_GROUP)
    ]
    rows = [
        [
            f"{group.replace('_', ' ')}, {who}",
            *(_plus_minus(measures[prefix + group], ".3f") for measures in numbers.values()),
        ]
        for group in groups
        for who, prefix in (("within", WITHIN_GROUP), ("others", OUTSIDE_GROUP))
    ]
    return ["group", *numbers], rows


def norm_table(numbers: Numbers, colours: Numbers) -> Table:
    """Errors and colours of reconstructions, and distance and variety of draws, by norm."""
    both = {norm: {**colours[norm], **measures} for norm, measures in numbers.items()}
    header, rows = measure_table(both, NORMS)
    return ["", *header[1:]], rows


def verdict_table(claims: Mapping[str, Mapping[str, Any]]) -> Table:
    """What is claimed, the effect with its interval, the rule, and the verdict."""
    rows = [
        [
            name,
            claim["claim"],
            _from_to([claim["effect"], *claim["interval"]]),
            claim["limit"],
            claim["verdict"].removesuffix(" on this data"),
        ]
        for name, claim in claims.items()
    ]
    return ["", "claim", "effect", "holds if", "verdict"], rows


def kl_weight_table(lams: Sequence[float]) -> Table:
    """The weight of the KL in other programs, on our scale, and ours on the common one."""
    rows = []
    for program in PROGRAMS:
        loss = f"{program.loss}, D = {program.dimensions}" if program.is_mean else program.loss
        our_lambda = lambda_of_beta(program.beta)
        rows.append([program.name, loss, f"{program.beta:.2g}", f"{our_lambda:.2g}"])
    for lam in lams:
        rows.append(["here", f"mean MSE + {lam:g} KL", f"{beta_of_lambda(lam):.2g}", f"{lam:.2g}"])
    return ["program", "loss as written", "beta", "our lambda"], rows


def _rounded(value: float) -> float | None:
    """Six digits; None for what JSON cannot hold."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _plus_minus(interval: RecordedInterval, style: str) -> str:
    """The value with half the width of its interval; the value alone where that has no width."""
    value, low, high = interval
    if value is None:
        return "-"
    if low is None or high is None or low == high:
        return f"{value:{style}}"
    return f"{value:{style}} ± {(high - low) / 2:{style}}"


def _from_to(interval: RecordedInterval) -> str:
    """The value, then its interval in brackets."""
    value, low, high = interval
    if value is None or low is None or high is None:
        return "-"
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
