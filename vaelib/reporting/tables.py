"""Measures and verdicts as tables for readers: a header and rows of text each."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vaelib.config import FACE_BYTES
from vaelib.evaluation.bootstrap import interval
from vaelib.evaluation.claims import MeasuresByModel

Table = tuple[list[str], list[list[str]]]

# By model and measure: the value and the bounds of its interval; None for what is no number.
Numbers = Mapping[str, Mapping[str, Sequence[float | None]]]

NOT = "deformed not "

# Columns: what is measured, by the name that the tables give it, and how a number is written.
ERRORS = {
    "error": ("reconstruction", ".4f"),
    "PSNR": ("psnr", ".1f"),
    "KL": ("kl", ".0f"),
    "bits": ("bits_per_dimension", ".3f"),
    "in use": ("active_units", ".0f"),
}
POSTERIOR = {
    "mean μ²": ("mean_square_mu", ".2f"),
    "variance": ("aggregate_variance", ".2f"),
    "kurtosis": ("aggregate_kurtosis", ".2f"),
}
DRAWN = {
    "distance": ("distance", ".2f"),
    "deformed": ("deformed", ".3f"),
    "realism": ("realism", ".2f"),
    "precision": ("precision", ".2f"),
    "recall": ("recall", ".2f"),
    "coverage": ("coverage", ".2f"),
}
LOOKS = {
    "asymmetry": ("asymmetry", ".2f"),
    "variety": ("variety", ".2f"),
    "detail": ("sharpness", ".3f"),
}
# Of both, what a printed page has room for.
FACES = {
    name: (DRAWN | LOOKS)[name] for name in ("distance", "deformed", "realism", "recall", "variety")
}
PATHS = {
    "travel": ("travel", ".2f"),
    "evenness": ("evenness", ".2f"),
    "middle": ("middle", ".2f"),
    "skin": ("skin_travel", ".1f"),
    "pose": ("pose_travel", ".3f"),
    "hair": ("hair_travel", ".2f"),  # where the classifier can tell its colours
}


def as_numbers(seeds: Sequence[MeasuresByModel]) -> Numbers:
    """Every measure of every model over these seeds, as numbers.json keeps it."""
    return {
        model: {
            measure: [_or_null(x) for x in interval([models[model][measure] for models in seeds])]
            for measure in seeds[0][model]
        }
        for model in seeds[0]
    }


def values(numbers: Numbers) -> dict[str, dict[str, float | None]]:
    """The same without intervals."""
    return {model: {name: of[name][0] for name in of} for model, of in numbers.items()}


def frequencies(of: Mapping[str, Sequence[float | None]]) -> dict[str, list[float]]:
    """From the numbers of one model: the frequency of each attribute, with its bounds."""
    start = "frequency "
    return {
        name[len(start) :]: [x for x in found if x is not None]
        for name, found in of.items()
        if name.startswith(start)
    }


def of_measures(numbers: Numbers, columns: Mapping[str, tuple[str, str]]) -> Table:
    """A row for each model, a column for each measure that all have, with its 95 % interval."""
    shared = {
        name: (measure, style)
        for name, (measure, style) in columns.items()
        if all(measure in of for of in numbers.values())
    }
    rows = [
        [model, *(_about(of[measure], style) for measure, style in shared.values())]
        for model, of in numbers.items()
    ]
    return ["model", *shared], rows


def of_groups(numbers: Numbers) -> Table:
    """How probably each model's faces are deformed within each group, and all others."""
    groups = [name[len(NOT) :] for name in next(iter(numbers.values())) if name.startswith(NOT)]
    rows = [
        [
            f"{name.replace('_', ' ')}, {who}",
            *(_about(of[f"{start}{name}"], ".3f") for of in numbers.values()),
        ]
        for name in groups
        for who, start in (("within", "deformed "), ("others", NOT))
    ]
    return ["group", *numbers], rows


def of_norms(numbers: Numbers, colours: Numbers) -> Table:
    """Errors and colours of reconstructions, and distance of draws, by norm."""
    rows = [
        [
            norm,
            _about(of["reconstruction"], ".4f"),
            _about(colours[norm]["whole"], ".1f"),
            _about(colours[norm]["background"], ".1f"),
            _about(of["kl"], ".0f"),
            _about(of["distance"], ".2f"),
            _about(of["variety"], ".2f"),
        ]
        for norm, of in numbers.items()
    ]
    header = ["", "error", "colour", "background", "KL", "distance", "variety"]
    return header, rows


def of_verdicts(claims: Mapping[str, Mapping[str, Any]]) -> Table:
    """What is claimed, the effect with its interval, the rule, and what follows."""
    rows = [
        [
            name,
            of["claim"],
            _from_to([of["effect"], *of["interval"]]),
            of["limit"],
            of["verdict"].removesuffix(" on this data"),
        ]
        for name, of in claims.items()
    ]
    return ["", "claim", "effect", "holds if", "verdict"], rows


def of_verdicts_on(data: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """What is claimed, and what follows with its effect on each of several sets of faces."""
    first = next(iter(data.values()))
    rows = [
        [
            name,
            first[name]["claim"],
            *(
                f"{of['verdict']}, {_from_to([of['effect'], *of['interval']])}"
                for of in (claims[name] for claims in data.values())
            ),
        ]
        for name in first
    ]
    return ["", "claim", *data], rows


def of_weights(lams: Sequence[float]) -> Table:
    """The weight of the KL in other programs, on our scale, and ours on the common one.

    The common scale is 1/2 |x - x'|^2 + beta KL with pixels in [0, 1], sums over pixels and latents
    and means over images; there beta = 1 is a decoder of variance 1.
    """
    rows = [
        [name, written, _short(beta), _short(8 * beta / FACE_BYTES)]
        for name, written, beta in WEIGHTS
    ]
    rows += [
        ["here", f"mean MSE + {lam:g} KL", _short(lam * FACE_BYTES / 8), _short(lam)]
        for lam in lams
    ]
    return ["program", "loss as written", "beta", "our lambda"], rows


# As written there, and the weight on the common scale; D is the number of values in their images.
WEIGHTS: tuple[tuple[str, str, float], ...] = (
    ("pythae", "SSE/2 + KL", 1.0),
    ("stat453, L17", "SSE + KL", 0.5),
    ("handson-ml3", "mean MSE + KL/784, D = 784", 0.5),
    ("GDL, 2nd edition", "2000 mean MSE + KL, D = 3072", 0.77),
    ("PyTorch-VAE", "mean MSE + 0.00025 KL, D = 12288", 1.54),
    ("disentangling-vae", "255 SSE + KL", 0.002),
)


def _or_null(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _about(found: Sequence[float | None], style: str) -> str:
    """The value with half the width of its interval; the value alone where that has no width."""
    value, low, high = found
    if value is None:
        return "-"
    if low is None or high is None or low == high:
        return f"{value:{style}}"
    return f"{value:{style}} ± {(high - low) / 2:{style}}"


def _from_to(found: Sequence[float | None]) -> str:
    value, low, high = found
    if value is None or low is None or high is None:
        return "-"
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _short(value: float) -> str:
    return f"{value:.2g}"
