"""Claims C1 to C11 of the original: a rule for each, written before looking, and its verdict.

A rule turns the measures of the models of one seed into an effect. The effects of all seeds give an
interval, and the interval against the rule's margin gives the verdict. To add a claim, add a Rule
to RULES; a measure that it needs and that is not there yet goes into `vaelib.evaluation.evaluate`.

Two things were changed after looking, both because the classifier missed what anybody sees; neither
changes a rule's margin. After procedural faces, before any photo: deformation was to be a lack of
realism; it is now the classifier's probability that a face was deformed on purpose. After photos of
one seed: the classifier took softness for deformation; it now blurs all faces by the same amount.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vaelib.config import BASE
from vaelib.evaluation.attributes import DEFORMED, AttributeClassifier
from vaelib.evaluation.bootstrap import Interval, interval
from vaelib.evaluation.evaluate import Measures

MeasuresByModel = Mapping[str, Measures]  # by the name of the model
VerdictWord = Literal["holds", "fails", "undecided", "not measurable on this data"]
ClaimGroup = Literal["lambda", "latent", "centred"]  # the notebook that measures a claim's models

EPSILON = 1e-9  # the least that is compared: variety may be 0, and a distance below 0

# Names of the models: of lambda 1e-3 to 1e-6, with 32 and 128 latents, and with the centre pull.
L3, L4, L5, L6 = "lam-1e-3", "lam-1e-4", BASE, "lam-1e-6"
SMALL, LARGE, CENTRED = "latent-32", "latent-128", "centred"


@dataclass(frozen=True)
class Rule:
    """What must differ from what, in which direction and by how much."""

    claim: str  # in our words
    group: ClaimGroup
    effect: Callable[[MeasuresByModel], Tensor]  # of one seed's models, (1 + REPLICATES,)
    measure: str  # the effect in words
    margin: float
    two_sided: bool = False  # the effect has to lie within the margin on both sides, not above it
    attributes: tuple[str, ...] = ()  # that the classifier must be able to predict

    @property
    def limit(self) -> str:
        """Where the effect has to lie."""
        return f"within {self.margin:g} of 0" if self.two_sided else f"above {self.margin:g}"


def decide(
    rule: Rule, seeds: Sequence[MeasuresByModel], classifier: AttributeClassifier
) -> dict[str, Any]:
    """The verdict on measures of one or several seeds, as numbers.json keeps it; null for nan."""
    verdict: VerdictWord = "not measurable on this data"
    effect = Interval(math.nan, math.nan, math.nan)
    if classifier.can_predict(*rule.attributes):
        effect = interval([rule.effect(models) for models in seeds])
        verdict = verdict_word(rule, effect)
    value, *bounds = (None if math.isnan(x) else x for x in effect)
    return {
        "claim": rule.claim,
        "measure": rule.measure,
        "effect": value,
        "interval": bounds,
        "seeds": len(seeds),
        "verdict": verdict,
        "rule": f"holds if all of the interval lies {rule.limit}, fails if none of it does",
        "limit": rule.limit,
    }


def verdict_word(rule: Rule, effect: Interval) -> VerdictWord:
    """The verdict on an effect with this interval; undecided also if a bound is nan."""
    lowest = -rule.margin if rule.two_sided else rule.margin
    highest = rule.margin if rule.two_sided else float("inf")
    if lowest < effect.low and effect.high < highest:
        return "holds"
    if effect.high < lowest or effect.low > highest:
        return "fails"
    return "undecided"


def relative_increase(models: MeasuresByModel, measure: str, model: str, reference: str) -> Tensor:
    """By what share a measure of a model is above that of a reference model."""
    value = models[model][measure].clamp_min(EPSILON)
    return value / models[reference][measure].clamp_min(EPSILON) - 1


def difference(models: MeasuresByModel, measure: str, model: str, reference: str) -> Tensor:
    """By how much a measure of a model is above that of a reference model."""
    return models[model][measure] - models[reference][measure]


def minimum(*effects: Tensor) -> Tensor:
    """The smallest effect: a claim of several parts holds as far as its weakest part does."""
    return torch.stack(effects).min(dim=0).values


def largest_deviation(*effects: Tensor) -> Tensor:
    """The effect that is furthest from 0, with its sign."""
    stacked = torch.stack(effects)
    return stacked.gather(0, stacked.abs().argmax(dim=0, keepdim=True))[0]


def pale_gap(models: MeasuresByModel, model: str) -> Tensor:
    """How much more deformed pale or fair-haired women are than all others."""
    group = "Pale_or_Fair_Female"
    return models[model][f"deformed {group}"] - models[model][f"deformed not {group}"]


RULES = {
    "C1": Rule(
        "lambda 1e-3 struggles to lower the loss",
        "lambda",
        lambda m: relative_increase(m, "reconstruction", L3, L4),
        "held-out error of 1e-3 over that of 1e-4, less 1",
        margin=0.2,
    ),
    "C2": Rule(
        "at 1e-3 faces are symmetrical and alike, and interpolations hardly change",
        "lambda",
        lambda m: minimum(
            -relative_increase(m, "asymmetry", L3, L5),
            -relative_increase(m, "variety", L3, L5),
            -relative_increase(m, "travel", L3, L5),
        ),
        "share by which asymmetry, variety and travel of 1e-3 fall short of 1e-5's; the least",
        margin=0.1,
    ),
    "C3": Rule(
        "1e-4 has more detail than 1e-3; skin tone and head angle change along interpolations",
        "lambda",
        lambda m: minimum(
            relative_increase(m, "sharpness", L4, L3),
            relative_increase(m, "skin_travel", L4, L3),
            relative_increase(m, "pose_travel", L4, L3),
        ),
        "share by which detail and the changes of skin tone and pose at 1e-4 exceed 1e-3's; the"
        " least",
        margin=0.1,
    ),
    "C4": Rule(
        "1e-5 has more variety than 1e-4, and glasses appear more consistently",
        "lambda",
        lambda m: minimum(
            relative_increase(m, "variety", L5, L4),
            relative_increase(m, "frequency Eyeglasses", L5, L4),
        ),
        "share by which variety and the frequency of glasses at 1e-5 exceed 1e-4's; the lesser",
        margin=0.05,
        attributes=("Eyeglasses",),
    ),
    "C5": Rule(
        "the loss falls faster with 1e-5 than with a larger lambda",
        "lambda",
        lambda m: minimum(
            relative_increase(m, "mean_reconstruction", L3, L5),
            relative_increase(m, "mean_reconstruction", L4, L5),
        ),
        "held-out error of 1e-3 and 1e-4, averaged over training, over 1e-5's, less 1; the lesser",
        margin=0.02,
    ),
    "C6": Rule(
        "at 1e-6 faces deform",
        "lambda",
        lambda m: difference(m, "deformed", L6, L5),
        "probability that a face is deformed at 1e-6 less that at 1e-5",
        margin=0.05,
        attributes=(DEFORMED,),
    ),
    "C7": Rule(
        "1e-5 is the best of the four",
        "lambda",
        lambda m: minimum(
            relative_increase(m, "distance", L3, L5),
            relative_increase(m, "distance", L4, L5),
            relative_increase(m, "distance", L6, L5),
        ),
        "kernel distance from held-out faces of the other three over 1e-5's, less 1; the least",
        margin=0.05,
    ),
    "C8": Rule(
        "32 and 128 latents deform faces as too small a lambda does; 128 breaks on glasses",
        "latent",
        lambda m: minimum(
            difference(m, "deformed", SMALL, L5),
            difference(m, "deformed", LARGE, L5),
            difference(m, "deformed Eyeglasses", LARGE, L5),
        ),
        "probability that a face is deformed with 32 and 128 latents, and with glasses at 128, less"
        " that with 64; the least",
        margin=0.05,
        attributes=(DEFORMED, "Eyeglasses"),
    ),
    "C9": Rule(
        "interpolation is unharmed by the number of latents, and by lambda once it is small",
        "latent",
        lambda m: largest_deviation(
            *(relative_increase(m, "evenness", model, L5) for model in (L4, L6, SMALL, LARGE)),
            *(difference(m, "middle", model, L5) for model in (L4, L6, SMALL, LARGE)),
        ),
        "at 1e-4, 1e-6, 32 and 128 latents against the base model: share by which steps are less"
        " even, and how much more probably the middle is deformed; the furthest from 0",
        margin=0.15,
        two_sided=True,
        attributes=(DEFORMED,),
    ),
    "C10": Rule(
        "a pull to the centre keeps interpolation, sharpens important features and deforms others",
        "centred",
        lambda m: minimum(
            relative_increase(m, "sharpness", CENTRED, L5),
            difference(m, "deformed", CENTRED, L5),
            0.2 - relative_increase(m, "evenness", CENTRED, L5),
        ),
        "share by which detail of eyes, nose and mouth exceeds the base model's; how much more"
        " probably faces are deformed; 0.2 less the share that steps are less even; the least",
        margin=0.05,
        attributes=(DEFORMED,),
    ),
    "C11": Rule(
        "with the pull, faces with very white skin and hair, above all female ones, come out badly",
        "centred",
        lambda m: pale_gap(m, CENTRED) - pale_gap(m, L5),
        "how much more probably pale or fair-haired women are deformed than others, less the same"
        " of the base model",
        margin=0.05,
        attributes=(DEFORMED, "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male"),
    ),
}
