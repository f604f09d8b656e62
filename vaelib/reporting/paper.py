"""Phrases of the report that depend on the faces or on what came out: filled in, not typed."""

from collections.abc import Mapping, Sequence
from datetime import date
from statistics import median_high
from typing import Any

import torch

from vaelib.evaluation.attributes import RELIABLE
from vaelib.evaluation.generated import searched
from vaelib.model import TABLE_2_AS_PRINTED, VAE, Decoder, parameters
from vaelib.reporting.notation import scientific
from vaelib.reporting.results import Origin
from vaelib.sources.annotations import CELEBA_SIZE

Record = Mapping[str, Any]  # a section of numbers.json

KINDS = {
    "celeba": "photographs of CelebA",
    "photos": "photographs",
    "synthetic": "procedural portraits",
}
LIMITS = {
    "celeba": "The models saw a part of CelebA, {train:,} of its {celeba:,} photographs.",
    "photos": "The photographs are not CelebA's, so the claims are tried on other faces than those"
    " that they were made about.",
    "synthetic": "The faces are drawn by a program and vary in far fewer ways than photographs do,"
    " so the claims are tried on other faces than those that they were made about.",
}
BITS = {True: "no weight by a single bit", False: "the weights by rounding alone"}
SAME_BITS = {True: "the same weights to the last bit", False: "weights that differ by rounding"}
SAME = {True: "the same to the last bit", False: "not the same to the last bit"}
FREQUENCIES = {
    True: "[Figure A4](#fig-a4) shows which attributes the draws keep.",
    False: "Which attributes the draws keep cannot be said, as these faces come without any.",
}


def day_in_words(day: str) -> str:
    """A day such as 2026-11-30 as one writes it."""
    parsed = date.fromisoformat(day)  # %-d is not there on every system
    return f"{parsed.day} {parsed:%B %Y}"


def source_of(faces: Record) -> str:
    """Where the faces of a run come from."""
    if faces["kind"] == "celeba":
        return f"photographs of CelebA, {faces['faces']:,} of its {CELEBA_SIZE:,}"
    if faces["kind"] == "photos":
        return "photographs that are not CelebA's"
    return "portraits drawn by a program from known factors, so that no photograph is needed"


def limits_of(faces: Record) -> str:
    """What this set of faces cannot show."""
    return LIMITS[faces["kind"]].format(train=faces["train"], celeba=CELEBA_SIZE)


def sizes_of_models(latents: Sequence[int]) -> str:
    """The number of parameters with each number of latents, as a list in words."""
    sizes = [f"{parameters(VAE(latent)):,}" for latent in latents]
    return f"{', '.join(sizes[:-1])} and {sizes[-1]}"


def size_as_printed() -> str:
    """The height and width of what the decoder draws with the stride that the original prints."""
    with torch.no_grad():
        image = Decoder(4, table=TABLE_2_AS_PRINTED)(torch.zeros(1, 4))
    return f"{image.shape[2]} × {image.shape[3]}"


def detector_settings(detectors: Record, generated: int) -> str:
    """Each detector with its version, settings and threshold, and how much it looks at.

    generated: faces that each model draws to be measured.
    """
    settings = [
        f"*{name}* is {made['description']}, with a threshold of {made['threshold']:.2f}"
        for name, made in detectors.items()
    ]
    looked_at = [f"*{name}* looks at {number:,}" for name, number in searched(generated).items()]
    return (
        f"In the table, {'; '.join(settings)}. Each model draws {generated:,} faces to be"
        f" measured; {' and '.join(looked_at)}."
    )


def what_the_classifier_learnt(classifier: Record) -> str:
    """How many attributes it can predict, or what it learnt where faces have none."""
    if not classifier["attributes"]:
        return "These faces have no attributes; the classifier learnt crops, turns and colours."
    areas = [area for area in classifier["areas"].values() if area is not None]
    good = sum(area >= RELIABLE for area in areas)
    return (
        "An attribute decides nothing where the area under the classifier's ROC curve on held-out"
        f" faces is below {RELIABLE:.2f}, which leaves {good} of {len(classifier['areas'])}"
        " attributes."
    )


def divergence(training: Record) -> str:
    """Which models did not learn at all."""
    if not training["diverged"]:
        return "The loss of each ended below that of its first weights."
    return (
        f"The loss of {', '.join(training['diverged'])} ended above that of the first weights:"
        " training diverged, and what is measured of these models says nothing about the claims."
    )


def between(interval: Sequence[float]) -> str:
    """The bounds of an interval of a small number, as formulas."""
    _, low, high = interval
    return f"${scientific(low)}$ to ${scientific(high)}$"


def norm_sentences(latent_record: Record, images: int) -> str:
    """What the norms cost, and why draws with batch norm come out as they do."""
    spread, batch = latent_record["spread"], latent_record["norms"]["batch norm"]
    encoded, drawn = median_high(spread["encoded"]), median_high(spread["prior"])
    direction = "less" if drawn < encoded else "no less"
    return (
        f"Each of these models saw {images:,} images. In evaluation, batch norm divides by running"
        f" variances that come from encoded faces. The features of encoded faces have"
        f" {encoded:.2f} times that variance (median over the layers of the decoder) and those of"
        f" draws {drawn:.3f} times, so draws vary {direction}: their variety is"
        f" {batch['variety'][0]:.2f} of that of held-out faces, and"
        f" {batch['variety_fitted'][0]:.2f} of it if $z$ is drawn where faces are encoded."
    )


def command(origin: Origin, kind: str) -> str:
    """The command line that makes this report again; kind: of the faces."""
    budget, _, side_budget = origin.budget.partition(";")
    words = ["python -m vaelib report"]
    words += ["--data synthetic"] if kind == "synthetic" else [f"--data PATH --name {origin.data}"]
    words += [f"--preset {origin.preset} --seed {origin.seed}"]
    words += [f"--budget {budget} --side-budget {side_budget}"]
    return " ".join(words)
