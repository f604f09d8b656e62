"""How a claim is decided: its parts, the interval of each against its margin, and the verdict.

A part turns the measures of the models of one seed into an effect. The effects of all seeds give an
interval, and the interval against the part's margin gives its verdict. A claim holds where all its
parts hold, and fails where any of them fails.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from vaelib.evaluation.attributes import AttributeClassifier
from vaelib.evaluation.bootstrap import CONFIDENCE, Interval, Measures, interval, p_value
from vaelib.evaluation.detector import Detectors
from vaelib.evaluation.generated import PREFIXES
from vaelib.support.errors import InputError

MeasuresByModel = Mapping[str, Measures]  # by the name of the model
VerdictWord = Literal["holds", "fails", "undecided", "not measurable on this data"]
ClaimGroup = Literal["lambda", "latent", "centred"]  # the notebook that measures a claim's models
Source = Literal["original", "ours"]


@dataclass(frozen=True)
class Part:
    """What must differ from what, in which direction and by how much."""

    measure: str  # the effect in words
    effect: Callable[[MeasuresByModel], Tensor]  # of one seed's models, (1 + REPLICATES,)
    margin: float
    two_sided: bool = False  # the effect has to lie within the margin on both sides, not above it
    attributes: tuple[str, ...] = ()  # that the classifier must be able to predict
    finds_faces: bool = False  # whether the effect is one of shares of faces that are found

    @property
    def limit(self) -> str:
        """Where the effect has to lie."""
        return f"within {self.margin:g} of 0" if self.two_sided else f"above {self.margin:g}"


@dataclass(frozen=True)
class Rule:
    """A claim and the parts that decide it."""

    claim: str  # in our words
    group: ClaimGroup
    parts: tuple[Part, ...]
    source: Source = "original"


def decide(
    rule: Rule,
    seeds: Sequence[MeasuresByModel],
    classifier: AttributeClassifier,
    detectors: Detectors,
) -> dict[str, Any]:
    """The verdict on measures of one or several seeds, as numbers.json keeps it; null for nan."""
    parts = [_decide_part(part, seeds, classifier, detectors) for part in rule.parts]
    return {
        "claim": rule.claim,
        "source": rule.source,
        "seeds": len(seeds),
        "verdict": overall([part["verdict"] for part in parts]),
        "parts": parts,
    }


def overall(words: Sequence[VerdictWord]) -> VerdictWord:
    """The verdict on a claim whose parts have these verdicts."""
    order: tuple[VerdictWord, ...] = ("fails", "not measurable on this data", "undecided")
    for word in order:
        if word in words:
            return word
    return "holds"


def _decide_part(
    part: Part,
    seeds: Sequence[MeasuresByModel],
    classifier: AttributeClassifier,
    detectors: Detectors,
) -> dict[str, Any]:
    """The verdict on one part; undecided where the second detector comes to the opposite."""
    verdict: VerdictWord = "not measurable on this data"
    effect = second = Interval(math.nan, math.nan, math.nan)
    measurable = classifier.can_predict(*part.attributes)
    if part.finds_faces and not detectors["haar"].can_tell:
        measurable = False
    p = math.nan
    if measurable:
        effects = [part.effect(models) for models in seeds]
        effect, p = interval(effects), _p_value(part, effects)
        verdict = verdict_word(part.margin, part.two_sided, effect)
    disagree = False
    if measurable and part.finds_faces and detectors["hog"].can_tell:
        second = interval([part.effect(_by_second_detector(models)) for models in seeds])
        opinion = verdict_word(part.margin, part.two_sided, second)
        disagree = {verdict, opinion} == {"holds", "fails"}
        verdict = "undecided" if disagree else verdict
    record = {"measure": part.measure, **_in_numbers("effect", "interval", effect)}
    record |= {"margin": part.margin, "two_sided": part.two_sided, "p": _number(p)}
    if part.finds_faces:
        record |= _in_numbers("second_effect", "second_interval", second)
        record["detectors_disagree"] = disagree
    return {**record, "limit": part.limit, "verdict": verdict}


def _p_value(part: Part, effects: Sequence[Tensor]) -> float:
    """How often chance takes an effect so far from the margin, or from the nearer of two."""
    if not part.two_sided:
        return p_value(effects, part.margin)
    return max(p_value(effects, part.margin), p_value(effects, -part.margin))


def _in_numbers(value_name: str, bounds_name: str, effect: Interval) -> dict[str, Any]:
    value, *bounds = map(_number, effect)
    return {value_name: value, bounds_name: bounds}


def _number(value: float) -> float | None:
    """None, which JSON can hold, for nan."""
    return None if math.isnan(value) else value


def _by_second_detector(models: MeasuresByModel) -> MeasuresByModel:
    """The same measures, with the shares of faces that the second detector finds."""
    prefix = PREFIXES["hog"]
    return {
        model: measures
        | {
            name.removeprefix(prefix): value
            for name, value in measures.items()
            if name.startswith(prefix)
        }
        for model, measures in models.items()
    }


def verdict_word(margin: float, two_sided: bool, effect: Interval) -> VerdictWord:
    """The verdict on an effect with this interval; undecided also if a bound is nan."""
    lowest = -margin if two_sided else margin
    highest = margin if two_sided else float("inf")
    if lowest < effect.low and effect.high < highest:
        return "holds"
    if effect.high < lowest or effect.low > highest:
        return "fails"
    return "undecided"


# --- records of verdicts, as numbers.json keeps them


def check(claims: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise InputError where a recorded verdict contradicts the numbers beside it."""
    for name, claim in claims.items():
        words = [part["verdict"] for part in claim["parts"]]
        for part in claim["parts"]:
            numbers = [math.nan if x is None else x for x in (part["effect"], *part["interval"])]
            word = verdict_word(part["margin"], part["two_sided"], Interval(*numbers))
            if part["effect"] is None:
                word = "not measurable on this data"
            elif part.get("detectors_disagree"):
                word = "undecided"
            if word != part["verdict"]:
                raise InputError(
                    f"{name} is recorded as {part['verdict']!r} in {part['measure']!r}, but its"
                    f" numbers say {word!r}; run the notebooks again"
                )
        if claim["verdict"] != overall(words):
            raise InputError(
                f"{name} is recorded as {claim['verdict']!r}, but its parts say {overall(words)!r};"
                " run the notebooks again"
            )


def corrected(claims: Mapping[str, Mapping[str, Any]]) -> dict[str, VerdictWord]:
    """The verdicts if all parts of all claims together may err in one report of twenty.

    Holm (1979): the smallest of m p-values has to be below 5% / m, the next one below
    5% / (m - 1), and so on until one is not. A part whose p-value is not is undecided.
    """
    p_values = sorted(p for claim in claims.values() for p in _p_values(claim))
    limit = -1.0  # the largest p-value that still counts
    for place, p in enumerate(p_values):
        if p > (1 - CONFIDENCE) / (len(p_values) - place):
            break
        limit = p
    verdicts = {}
    for name, claim in claims.items():
        words: list[VerdictWord] = []
        for part in claim["parts"]:
            decided = part["verdict"] in ("holds", "fails")
            is_lost = decided and (part["p"] is None or part["p"] > limit)
            words.append("undecided" if is_lost else part["verdict"])
        verdicts[name] = overall(words)
    return verdicts


def _p_values(claim: Mapping[str, Any]) -> list[float]:
    return [part["p"] for part in claim["parts"] if part["p"] is not None]
