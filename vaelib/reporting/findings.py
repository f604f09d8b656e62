"""What was found on each claim, in sentences that follow from the recorded numbers.

Nothing here says how a run came out: the verdict, the numbers and the words for their direction are
taken from the records of `vaelib.evaluation.verdicts`, so that the sentences are true of any faces.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vaelib.evaluation.verdicts import VerdictWord

Record = Mapping[str, Any]  # of a claim, as numbers.json keeps it

# A clause for each part of a claim. In braces stand the unit of the effect and the words for an
# effect above 0 and below it; a unit of "%" is a share, "points" is a difference of shares.
CLAUSES: dict[str, tuple[str, ...]] = {
    "C1": ("the held-out error at $10^{-3}$ is {% higher|lower} than at $10^{-4}$",),
    "C2": (
        "faces drawn at $10^{-3}$ are {% less|more} asymmetrical than at $10^{-5}$",
        "they vary {% less|more}",
        "the ends of their interpolations differ {% less|more}",
    ),
    "C3": (
        "eyes, nose and mouth have {% more|less} detail at $10^{-4}$ than at $10^{-3}$",
        "along interpolations skin tone changes {% more|less}",
        "pose changes {% more|less}",
    ),
    "C4": (
        "faces drawn at $10^{-5}$ vary {% more|less} than at $10^{-4}$",
        "glasses are {% more|less} frequent",
    ),
    "C5": (
        "averaged over training, the held-out error at $10^{-3}$ is {% higher|lower} than at"
        " $10^{-5}$",
        "that at $10^{-4}$ is {% higher|lower}",
    ),
    "C6": (
        "the share of draws with a face is {points lower|higher} at $10^{-6}$ than at $10^{-5}$",
    ),
    "C7": (
        "at $10^{-5}$ the share of draws with a face is {points above|below} the best of the other"
        " three",
        "the least kernel distance of the others is {% above|below} its own",
        "its recall is {points above|below} the best of theirs",
        "its code is {bits shorter|longer} per value than the shortest of theirs",
    ),
    "C8": (
        "the share of draws with a face is {points lower|higher} with 32 latents than with 64",
        "with 128 latents it is {points lower|higher}",
        "among draws with glasses, it is {points lower|higher} with 128",
    ),
    "C9": (
        "of the other models that it compares, the one whose interpolations differ most from the"
        " base model's has steps that are {% less|more} even",
        "the one that differs most in how often a face is lost midway loses it"
        " {points more|less} often",
    ),
    "C10": (
        "with the pull, the steps of interpolations are {% more|less} even",
        "eyes, nose and mouth have {% more|less} detail",
        "the share of draws with a face is {points lower|higher}",
    ),
    "C11": (
        "with the pull, the shortfall of faces among pale or fair-haired women is"
        " {points larger|smaller}",
    ),
    "C12": (
        "at $10^{-6}$ the share of draws with a face is {points higher|lower} where faces are"
        " encoded than in the prior",
        "it is {points higher|lower} there than at $10^{-5}$",
        "it is {points higher|lower} there than among reconstructions",
    ),
}

WHY: dict[VerdictWord, str] = {
    "holds": "Draws deform at small $\\lambda$ because of where they are drawn, not because of the"
    " decoder",
    "fails": "It is not the place of the draws that deforms faces at small $\\lambda$",
    "undecided": "Whether it is the place of the draws that deforms faces stays open",
}

ADVICE: dict[VerdictWord, str] = {
    "holds": "Better faces can thus be had from a model that is trained already: fit a Gaussian to"
    " the codes of training faces, and draw from that instead of the prior",
    "fails": "To draw from where faces are encoded is no remedy for these models",
    "undecided": "Whether it helps to draw from where faces are encoded needs larger samples",
    "not measurable on this data": "Whether it helps to draw from where faces are encoded has to"
    " be tried on faces that detectors can find",
}

EFFECT = re.compile(r"\{(%|points|bits) (.+?)\|(.+?)\}")
UNITS = {"%": (100, ".0f"), "points": (100, ".0f"), "bits": (1, ".3f")}  # a factor, and a style

VERDICTS: dict[VerdictWord, str] = {
    "holds": "holds",
    "fails": "fails",
    "undecided": "is undecided",
    "not measurable on this data": "cannot be measured on these faces",
}


def sentence(name: str, record: Record) -> str:
    """The verdict on a claim and the effects that it rests on, as Markdown."""
    verdict = f"**{name}** {VERDICTS[record['verdict']]}"
    clauses = [
        _clause(words, part)
        for words, part in zip(CLAUSES[name], record["parts"], strict=True)
        if part["effect"] is not None
    ]
    if not clauses:
        return f"{verdict}."
    if any(part.get("detectors_disagree") for part in record["parts"]):
        clauses.append("there the two detectors disagree")
    return f"{verdict}: {_listed(clauses, '; ')}."


def why_draws_deform(record: Record, measures: Mapping[str, float | None]) -> str:
    """What claim C12, on the place of the draws, comes to at $10^{-6}$, in one sentence.

    measures: of the model with lambda 1e-6, without intervals.
    """
    if record["verdict"] == "not measurable on this data":
        return "Whether draws deform because of where they are drawn cannot be measured here."
    return (
        f"{WHY[record['verdict']]}: at $10^{{-6}}$ a face is found in {measures['found']:.2f} of"
        f" the draws from the prior, in {measures['found_fitted']:.2f} of those from where faces"
        f" are encoded, and in {measures['found_reconstructed']:.2f} of reconstructions."
    )


def advice(record: Record) -> str:
    """What a reader can make of claim C12, on the place of the draws, in one sentence."""
    return f"{ADVICE[record['verdict']]}."


def counted(verdicts: Sequence[VerdictWord]) -> str:
    """How many verdicts there are of each kind, such as "4 hold, 3 fail and 4 are undecided"."""
    counts = Counter(verdicts)
    kinds: dict[VerdictWord, tuple[str, str]] = {
        "holds": ("holds", "hold"),
        "fails": ("fails", "fail"),
        "undecided": ("is undecided", "are undecided"),
        "not measurable on this data": ("cannot be measured", "cannot be measured"),
    }
    words = [
        f"{counts[kind]} {one if counts[kind] == 1 else many}"
        for kind, (one, many) in kinds.items()
        if counts[kind]
    ]
    return _listed(words, ", ")


def changed(before: Mapping[str, VerdictWord], after: Mapping[str, VerdictWord]) -> str:
    """Which verdicts differ, for prose: "none of the verdicts", or "the verdicts on C4 and C6"."""
    names = [name for name, verdict in before.items() if after[name] != verdict]
    if not names:
        return "none of the verdicts"
    verdicts = "the verdict on" if len(names) == 1 else "the verdicts on"
    return f"{verdicts} {_listed(names, ', ')}"


def _clause(words: str, part: Record) -> str:
    """The clause with the effect in place of what stands in braces, and its interval at the end."""
    found = EFFECT.search(words)
    assert found is not None, words
    unit, above, below = found.groups()
    scale, style = UNITS[unit]
    effect, bounds = part["effect"] * scale, [x * scale for x in part["interval"] if x is not None]
    direction = above
    if effect < 0:
        effect, direction, bounds = -effect, below, [-x for x in reversed(bounds)]
    interval = ""
    if len(bounds) == 2:
        low, high = (f"{x:z{style}}" for x in bounds)
        interval = f" ({low} to {high})"
    gap = "" if unit == "%" else " "
    effect_in_words = f"{effect:{style}}{gap}{unit} {direction}"
    return words[: found.start()] + effect_in_words + words[found.end() :] + interval


def _listed(words: Sequence[str], separator: str) -> str:
    """The words as a list, with "and" before the last."""
    if len(words) < 3:
        return (", and " if separator == "; " else " and ").join(words)
    last_separator = "; and " if separator == "; " else " and "
    return separator.join(words[:-1]) + last_separator + words[-1]
