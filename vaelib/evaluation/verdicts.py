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
from vaelib.evaluation.bootstrap import Interval, Measures, interval
from vaelib.evaluation.detector import Detectors
from vaelib.evaluation.generated import PREFIXES

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
    if measurable:
        effect = interval([part.effect(models) for models in seeds])
        verdict = verdict_word(part, effect)
    disagree = False
    if measurable and part.finds_faces and detectors["hog"].can_tell:
        second = interval([part.effect(_by_second_detector(models)) for models in seeds])
        disagree = {verdict, verdict_word(part, second)} == {"holds", "fails"}
        verdict = "undecided" if disagree else verdict
    record = {"measure": part.measure, **_in_numbers("effect", "interval", effect)}
    if part.finds_faces:
        record |= _in_numbers("second_effect", "second_interval", second)
        record["detectors_disagree"] = disagree
    return {**record, "limit": part.limit, "verdict": verdict}


def _in_numbers(value_name: str, bounds_name: str, effect: Interval) -> dict[str, Any]:
    value, *bounds = (None if math.isnan(x) else x for x in effect)
    return {value_name: value, bounds_name: bounds}


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


def verdict_word(part: Part, effect: Interval) -> VerdictWord:
    """The verdict on an effect with this interval; undecided also if a bound is nan."""
    lowest = -part.margin if part.two_sided else part.margin
    highest = part.margin if part.two_sided else float("inf")
    if lowest < effect.low and effect.high < highest:
        return "holds"
    if effect.high < lowest or effect.low > highest:
        return "fails"
    return "undecided"
