"""Claims C1 to C11 of the original: a rule for each, written before looking, and its verdict.

A rule turns the measures of the models of one seed into an effect. The effects of all seeds give an
interval, and the interval against the rule's margin gives the verdict.

Two things were changed after looking, both because the classifier did not see what anybody sees, and
neither changes a rule's margin. After procedural faces, before any photo: deformation was to be a
lack of realism; it is what the classifier tells of faces that were deformed on purpose. After photos of
one seed: the classifier took softness for deformation; it now sees all faces equally gaussian_blur.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vaelib.config import BASE
from vaelib.evaluation.attributes import DEFORMED, AttributeClassifier
from vaelib.evaluation.bootstrap import Interval, interval
from vaelib.evaluation.evaluate import Measures

MeasuresByModel = Mapping[str, Measures]  # by the name of the model
VerdictWord = Literal["holds", "fails", "undecided", "not measurable on this data"]

LEAST = 1e-9  # of what is compared: there may be no variety at all, and a distance below 0

L3, L4, L5, L6 = "lam-1e-3", "lam-1e-4", BASE, "lam-1e-6"
SMALL, LARGE, CENTRED = "latent-32", "latent-128", "centred"


@dataclass(frozen=True)
class Rule:
    """What must differ from what, in which direction and by how much."""

    says: str  # the claim, in our words
    effect: Callable[[MeasuresByModel], Tensor]
    measure: str  # what the effect is, in words
    margin: float
    bounded: bool = False  # the effect has to lie within the margin on both sides, not above it
    attributes: tuple[str, ...] = ()  # that the classifier must be able to tell

    @property
    def limit(self) -> str:
        """Where the effect has to lie."""
        return f"within {self.margin:g} of 0" if self.bounded else f"above {self.margin:g}"

    def __str__(self) -> str:
        return f"holds if all of the interval lies {self.limit}, fails if none of it does"


@dataclass(frozen=True)
class Verdict:
    """What the measures say of a claim."""

    effect: Interval
    seeds: int
    verdict: VerdictWord


def decide(
    rule: Rule, seeds: Sequence[MeasuresByModel], classifier: AttributeClassifier
) -> Verdict:
    """The verdict of a rule on the measures of one or several seeds, which are paired."""
    if not classifier.can_predict(*rule.attributes):
        nothing = Interval(float("nan"), float("nan"), float("nan"))
        return Verdict(nothing, len(seeds), "not measurable on this data")
    effect = interval([rule.effect(models) for models in seeds])
    return Verdict(effect, len(seeds), verdict_for(rule, effect))


def verdict_for(rule: Rule, effect: Interval) -> VerdictWord:
    """The verdict on an effect in this interval; undecided also where a bound is no number."""
    lowest = -rule.margin if rule.bounded else rule.margin
    highest = rule.margin if rule.bounded else float("inf")
    if lowest < effect.low and effect.high < highest:
        return "holds"
    if effect.high < lowest or effect.low > highest:
        return "fails"
    return "undecided"


def as_record(rule: Rule, verdict: Verdict) -> dict[str, object]:
    """A verdict as numbers.json keeps it; null for what is no number."""
    value, *bounds = (None if math.isnan(x) else x for x in verdict.effect)
    return {
        "claim": rule.says,
        "measure": rule.measure,
        "effect": value,
        "interval": bounds,
        "seeds": verdict.seeds,
        "verdict": verdict.verdict,
        "rule": str(rule),
        "limit": rule.limit,
    }


def _more(models: MeasuresByModel, measure: str, one: str, other: str) -> Tensor:
    """By what share a measure of one model is above that of the other."""
    first, second = (models[name][measure].clamp_min(LEAST) for name in (one, other))
    return first / second - 1


def _least(*effects: Tensor) -> Tensor:
    """A claim of several parts holds as far as its weakest part does."""
    return torch.stack(effects).min(dim=0).values


def _furthest(*effects: Tensor) -> Tensor:
    """The effect that is furthest from 0, with its sign."""
    stacked = torch.stack(effects)
    return stacked.gather(0, stacked.abs().argmax(dim=0, keepdim=True))[0]


def _rise(models: MeasuresByModel, measure: str, one: str, other: str) -> Tensor:
    """By how much a measure of one model is above that of the other."""
    return models[one][measure] - models[other][measure]


def _pale_gap(models: MeasuresByModel, model: str) -> Tensor:
    """How much more deformed pale or fair-haired women are than all others."""
    group = "Pale_or_Fair_Female"
    return models[model][f"deformed {group}"] - models[model][f"deformed not {group}"]


RULES = {
    "C1": Rule(
        "lambda 1e-3 struggles to lower the loss",
        lambda m: _more(m, "reconstruction", L3, L4),
        "held-out error of 1e-3 over that of 1e-4, less 1",
        margin=0.2,
    ),
    "C2": Rule(
        "at 1e-3 faces are symmetrical and alike, and interpolations hardly change",
        lambda m: _least(
            *(-_more(m, measure, L3, L5) for measure in ("asymmetry", "variety", "travel"))
        ),
        "share by which asymmetry, variety and travel of 1e-3 fall short of 1e-5's; the least",
        margin=0.1,
    ),
    "C3": Rule(
        "1e-4 has more detail than 1e-3; skin tone and head angle change along interpolations",
        lambda m: _least(
            *(_more(m, measure, L4, L3) for measure in ("sharpness", "skin_travel", "pose_travel"))
        ),
        "share by which detail and the changes of skin tone and pose at 1e-4 exceed 1e-3's; the"
        " least",
        margin=0.1,
    ),
    "C4": Rule(
        "1e-5 has more variety than 1e-4, and glasses appear more consistently",
        lambda m: _least(
            _more(m, "variety", L5, L4),
            _more(m, "frequency Eyeglasses", L5, L4),
        ),
        "share by which variety and the frequency of glasses at 1e-5 exceed 1e-4's; the lesser",
        margin=0.05,
        attributes=("Eyeglasses",),
    ),
    "C5": Rule(
        "the loss falls faster with 1e-5 than with a larger lambda",
        lambda m: _least(*(_more(m, "mean_reconstruction", larger, L5) for larger in (L3, L4))),
        "held-out error of 1e-3 and 1e-4, averaged over training, over 1e-5's, less 1; the lesser",
        margin=0.02,
    ),
    "C6": Rule(
        "at 1e-6 faces deform",
        lambda m: _rise(m, "deformed", L6, L5),
        "probability that a face is deformed at 1e-6 less that at 1e-5",
        margin=0.05,
        attributes=(DEFORMED,),
    ),
    "C7": Rule(
        "1e-5 is the best of the four",
        lambda m: _least(*(_more(m, "distance", other, L5) for other in (L3, L4, L6))),
        "kernel distance from held-out faces of the other three over 1e-5's, less 1; the least",
        margin=0.05,
    ),
    "C8": Rule(
        "32 and 128 latents deform faces as too small a lambda does; 128 breaks on glasses",
        lambda m: _least(
            _rise(m, "deformed", SMALL, L5),
            _rise(m, "deformed", LARGE, L5),
            _rise(m, "deformed Eyeglasses", LARGE, L5),
        ),
        "probability that a face is deformed with 32 and 128 latents, and with glasses at 128, less"
        " that with 64; the least",
        margin=0.05,
        attributes=(DEFORMED, "Eyeglasses"),
    ),
    "C9": Rule(
        "interpolation is unharmed by the number of latents, and by lambda once it is small",
        lambda m: _furthest(
            *(_more(m, "evenness", model, L5) for model in (L4, L6, SMALL, LARGE)),
            *(_rise(m, "middle", model, L5) for model in (L4, L6, SMALL, LARGE)),
        ),
        "at 1e-4, 1e-6, 32 and 128 latents against the base model: share by which steps are less"
        " even, and how much more probably the middle is deformed; the furthest from 0",
        margin=0.15,
        bounded=True,
        attributes=(DEFORMED,),
    ),
    "C10": Rule(
        "a pull to the centre keeps interpolation, sharpens important features and deforms others",
        lambda m: _least(
            _more(m, "sharpness", CENTRED, L5),
            _rise(m, "deformed", CENTRED, L5),
            0.2 - _more(m, "evenness", CENTRED, L5),
        ),
        "share by which detail of eyes, nose and mouth exceeds the base model's; how much more"
        " probably faces are deformed; 0.2 less the share that steps are less even; the least",
        margin=0.05,
        attributes=(DEFORMED,),
    ),
    "C11": Rule(
        "with the pull, faces with very white skin and hair, above all female ones, come out badly",
        lambda m: _pale_gap(m, CENTRED) - _pale_gap(m, L5),
        "how much more probably pale or fair-haired women are deformed than others, less the same"
        " of the base model",
        margin=0.05,
        attributes=(DEFORMED, "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male"),
    ),
}
