"""What the columns of tables hold: a measure, how it is written, and which values are better."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

Better = Literal["", "higher", "lower", "near 1"]  # "" where none is better


class Column(NamedTuple):
    """A column of measures."""

    measure: str
    style: str  # how its numbers are formatted
    better: Better = ""


def best(column: Column, values: Sequence[float]) -> float:
    """The value that is better than all others, or as good; of a column where that can be said."""
    if column.better == "near 1":
        return min(values, key=lambda value: abs(value - 1))
    return max(values) if column.better == "higher" else min(values)


Columns = Mapping[str, Column]  # by their headings
ARROWS: Mapping[Better, str] = {"": "", "higher": " ↑", "lower": " ↓", "near 1": " → 1"}

ERRORS: Columns = {
    "error": Column("reconstruction", ".4f", "lower"),
    "PSNR": Column("psnr", ".1f", "higher"),
    "KL": Column("kl", ".0f"),
    "bits": Column("bits_per_dimension", ".3f", "lower"),
}
RECONSTRUCTION: Columns = {**ERRORS, "in use": Column("active_units", ".0f")}
POSTERIOR: Columns = {
    "mean μ²": Column("mean_square_mu", ".2f"),
    "variance": Column("aggregate_variance", ".2f"),
    "kurtosis": Column("aggregate_kurtosis", ".2f"),
}
# Where faces are encoded, and the nats of the KL by what they are spent on.
PRIOR_GAP: Columns = {
    "variance": Column("aggregate_variance", ".1f"),
    "KL": Column("kl", ".0f"),
    "information": Column("information", ".1f"),
    "marginal": Column("marginal", ".0f"),
    "Gaussian": Column("gaussian", ".0f"),
    "components": Column("components", ".0f"),
}
# In which share of images a face is found, by where z comes from.
FOUND: Columns = {
    "prior": Column("found", ".2f", "higher"),
    "fitted": Column("found_fitted", ".2f", "higher"),
    "mixture": Column("found_mixture", ".2f", "higher"),
    "reconstructed": Column("found_reconstructed", ".2f", "higher"),
}
# What a printed page has room for, of PRIOR_GAP and FOUND.
PLACES: Columns = {
    heading: {**PRIOR_GAP, **FOUND}[heading]
    for heading in ("variance", "KL", "Gaussian", "prior", "fitted", "mixture", "reconstructed")
}
FOUND_BY_SECOND: Columns = {
    heading: column._replace(measure=f"hog_{column.measure}")
    for heading, column in FOUND.items()
    if heading != "mixture"
}
# How much of what draws lack is back where faces are encoded.
DRAWN_THERE: Columns = {
    "face": Column("found", ".2f", "higher"),
    "there": Column("found_fitted", ".2f", "higher"),
    "distance": Column("distance", ".2f", "lower"),
    "distance there": Column("distance_fitted", ".2f", "lower"),
    "variety": Column("variety", ".2f", "near 1"),
    "variety there": Column("variety_fitted", ".2f", "near 1"),
    "detail": Column("sharpness", ".2f", "near 1"),
    "detail there": Column("sharpness_fitted", ".2f", "near 1"),
}
GENERATED: Columns = {
    "face found": Column("found", ".2f", "higher"),
    "distance": Column("distance", ".2f", "lower"),
    "realism": Column("realism", ".2f", "higher"),
    "precision": Column("precision", ".2f", "higher"),
    "recall": Column("recall", ".2f", "higher"),
    "coverage": Column("coverage", ".2f", "higher"),
}
APPEARANCE: Columns = {
    "asymmetry": Column("asymmetry", ".2f", "near 1"),
    "variety": Column("variety", ".2f", "near 1"),
    "detail": Column("sharpness", ".3f", "near 1"),
}
# What a printed page has room for, of GENERATED and APPEARANCE.
PRINTED: Columns = {
    heading: {**GENERATED, **APPEARANCE}[heading]
    for heading in ("face found", "distance", "realism", "recall", "variety")
}
INTERPOLATION: Columns = {
    "travel": Column("travel", ".2f"),
    "evenness": Column("evenness", ".2f"),
    "middle": Column("middle", ".2f"),
    "skin": Column("skin_travel", ".1f"),
    "pose": Column("pose_travel", ".3f"),
    "hair": Column("hair_travel", ".2f"),  # where the classifier can predict hair colours
}

# Of the norms: the colour errors are those of `norm_study.reconstruction_errors`.
NORMS: Columns = {
    "error": Column("reconstruction", ".4f", "lower"),
    "colour": Column("whole", ".1f", "lower"),
    "background": Column("background", ".1f", "lower"),
    "KL": Column("kl", ".0f"),
    "distance": Column("distance", ".2f", "lower"),
    "variety": Column("variety", ".2f", "near 1"),
}
