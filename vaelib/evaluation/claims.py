"""Claims C1 to C11 of the original and one of our own, with the rule that decides each.

A rule was written before the runs that it judges were looked at. To add a claim, add a Rule to
RULES; a measure that it needs and that is not there yet goes into `vaelib.evaluation.evaluate`.

What the rules said before, and why they were changed: draws were judged by a classifier that was
trained here on faces deformed here, and it did not see what anybody sees. They are judged by face
detectors now, so C6, C8, C9, C10 and C11 compare shares of faces. C7 asked for the kernel distance
alone. A claim of several parts was decided by its weakest; each now has its own verdict.
"""

import torch
from torch import Tensor

from vaelib.config import BASE
from vaelib.evaluation.verdicts import MeasuresByModel, Part, Rule

EPSILON = 1e-9  # the least that is compared: variety may be 0, and a distance below 0

# Names of the models: of lambda 1e-3 to 1e-6, with 32 and 128 latents, and with the centre pull.
L3, L4, L5, L6 = "lam-1e-3", "lam-1e-4", BASE, "lam-1e-6"
SMALL, LARGE, CENTRED = "latent-32", "latent-128", "centred"

OTHERS = (L4, L6, SMALL, LARGE)  # that C9 compares with the base model

FEWER = 0.05  # of all draws: so many more without a face count as deformed
PALE_OR_FAIR = "Pale_or_Fair_Female"


def relative_increase(models: MeasuresByModel, measure: str, model: str, reference: str) -> Tensor:
    """By what share a measure of a model is above that of a reference model."""
    value = models[model][measure].clamp_min(EPSILON)
    return value / models[reference][measure].clamp_min(EPSILON) - 1


def difference(models: MeasuresByModel, measure: str, model: str, reference: str) -> Tensor:
    """By how much a measure of a model is above that of a reference model."""
    return models[model][measure] - models[reference][measure]


def minimum(*effects: Tensor) -> Tensor:
    """The smallest effect: to be ahead of several models is to be ahead of the nearest."""
    return torch.stack(effects).min(dim=0).values


def largest_deviation(*effects: Tensor) -> Tensor:
    """The effect that is furthest from 0, with its sign."""
    stacked = torch.stack(effects)
    return stacked.gather(0, stacked.abs().argmax(dim=0, keepdim=True))[0]


def pale_gap(models: MeasuresByModel, model: str) -> Tensor:
    """How much more rarely a face is found among pale or fair-haired women than among others."""
    return models[model][f"found not {PALE_OR_FAIR}"] - models[model][f"found {PALE_OR_FAIR}"]


RULES = {
    "C1": Rule(
        "lambda 1e-3 struggles to lower the loss",
        "lambda",
        (
            Part(
                "held-out error of 1e-3 over that of 1e-4, less 1",
                lambda m: relative_increase(m, "reconstruction", L3, L4),
                margin=0.2,
            ),
        ),
    ),
    "C2": Rule(
        "at 1e-3 faces are symmetrical and alike, and interpolations hardly change",
        "lambda",
        (
            Part(
                "share by which faces at 1e-3 are less asymmetrical than at 1e-5",
                lambda m: -relative_increase(m, "asymmetry", L3, L5),
                margin=0.1,
            ),
            Part(
                "share by which they vary less",
                lambda m: -relative_increase(m, "variety", L3, L5),
                margin=0.1,
            ),
            Part(
                "share by which the ends of interpolations differ less",
                lambda m: -relative_increase(m, "travel", L3, L5),
                margin=0.1,
            ),
        ),
    ),
    "C3": Rule(
        "1e-4 has more detail than 1e-3; skin tone and head angle change along interpolations",
        "lambda",
        (
            Part(
                "share by which 1e-4 has more detail than 1e-3",
                lambda m: relative_increase(m, "sharpness", L4, L3),
                margin=0.1,
            ),
            Part(
                "share by which skin tone changes more",
                lambda m: relative_increase(m, "skin_travel", L4, L3),
                margin=0.1,
            ),
            Part(
                "share by which pose changes more",
                lambda m: relative_increase(m, "pose_travel", L4, L3),
                margin=0.1,
            ),
        ),
    ),
    "C4": Rule(
        "1e-5 has more variety than 1e-4, and glasses appear more consistently",
        "lambda",
        (
            Part(
                "share by which faces at 1e-5 vary more than at 1e-4",
                lambda m: relative_increase(m, "variety", L5, L4),
                margin=0.05,
            ),
            Part(
                "share by which glasses are more frequent",
                lambda m: relative_increase(m, "frequency Eyeglasses", L5, L4),
                margin=0.05,
                attributes=("Eyeglasses",),
            ),
        ),
    ),
    "C5": Rule(
        "the loss falls faster with 1e-5 than with a larger lambda",
        "lambda",
        (
            Part(
                "held-out error of 1e-3, averaged over training, over 1e-5's, less 1",
                lambda m: relative_increase(m, "mean_reconstruction", L3, L5),
                margin=0.02,
            ),
            Part(
                "the same of 1e-4",
                lambda m: relative_increase(m, "mean_reconstruction", L4, L5),
                margin=0.02,
            ),
        ),
    ),
    "C6": Rule(
        "at 1e-6 faces deform",
        "lambda",
        (
            Part(
                "share of draws with a face at 1e-5, less that at 1e-6",
                lambda m: difference(m, "found", L5, L6),
                margin=FEWER,
                finds_faces=True,
            ),
        ),
    ),
    "C7": Rule(
        "1e-5 is the best of the four",
        "lambda",
        (
            Part(
                "share of draws with a face at 1e-5, less the best of the other three",
                lambda m: minimum(*(difference(m, "found", L5, other) for other in (L3, L4, L6))),
                margin=0.02,
                finds_faces=True,
            ),
            Part(
                "least kernel distance of the other three over 1e-5's, less 1",
                lambda m: minimum(
                    *(relative_increase(m, "distance", other, L5) for other in (L3, L4, L6))
                ),
                margin=0.05,
            ),
            Part(
                "recall at 1e-5, less the best of the other three",
                lambda m: minimum(*(difference(m, "recall", L5, other) for other in (L3, L4, L6))),
                margin=0.02,
            ),
            Part(
                "shortest code of the other three, less 1e-5's; bits per value",
                lambda m: minimum(
                    *(difference(m, "bits_per_dimension", other, L5) for other in (L3, L4, L6))
                ),
                margin=0.005,
            ),
        ),
    ),
    "C8": Rule(
        "32 and 128 latents deform faces as too small a lambda does; 128 breaks on glasses",
        "latent",
        (
            Part(
                "share of draws with a face with 64 latents, less that with 32",
                lambda m: difference(m, "found", L5, SMALL),
                margin=FEWER,
                finds_faces=True,
            ),
            Part(
                "share with 64 latents, less that with 128",
                lambda m: difference(m, "found", L5, LARGE),
                margin=FEWER,
                finds_faces=True,
            ),
            Part(
                "the same of draws with glasses",
                lambda m: difference(m, "found Eyeglasses", L5, LARGE),
                margin=FEWER,
                attributes=("Eyeglasses",),
                finds_faces=True,
            ),
        ),
    ),
    "C9": Rule(
        "interpolation is unharmed by the number of latents, and by lambda once it is small",
        "latent",
        (
            Part(
                "share by which steps at 1e-4, 1e-6, 32 and 128 latents are less even than the base"
                " model's; the furthest from 0",
                lambda m: largest_deviation(
                    *(relative_increase(m, "evenness", other, L5) for other in OTHERS)
                ),
                margin=0.15,
                two_sided=True,
            ),
            Part(
                "share of faces lost in the middle of interpolations, less the base model's; the"
                " furthest from 0",
                lambda m: largest_deviation(
                    *(difference(m, "middle", other, L5) for other in OTHERS)
                ),
                margin=0.15,
                two_sided=True,
                finds_faces=True,
            ),
        ),
    ),
    "C10": Rule(
        "a pull to the centre keeps interpolation, sharpens important features and deforms others",
        "centred",
        (
            Part(
                "share by which steps are more even than the base model's; below 0: less",
                lambda m: -relative_increase(m, "evenness", CENTRED, L5),
                margin=-0.15,
            ),
            Part(
                "share by which eyes, nose and mouth have more detail",
                lambda m: relative_increase(m, "sharpness", CENTRED, L5),
                margin=0.05,
            ),
            Part(
                "the base model's share of draws with a face, less that with the pull",
                lambda m: difference(m, "found", L5, CENTRED),
                margin=FEWER,
                finds_faces=True,
            ),
        ),
    ),
    "C11": Rule(
        "with the pull, faces with very white skin and hair, above all female ones, come out badly",
        "centred",
        (
            Part(
                "how much more rarely a face is found in draws of pale or fair-haired women than in"
                " others, less the same of the base model",
                lambda m: pale_gap(m, CENTRED) - pale_gap(m, L5),
                margin=FEWER,
                attributes=("Pale_Skin", "Blond_Hair", "Gray_Hair", "Male"),
                finds_faces=True,
            ),
        ),
    ),
    "C12": Rule(
        "at small lambda it is the place of the draws that deforms faces, not the decoder",
        "lambda",
        (
            Part(
                "at 1e-6, share of draws with a face from where faces are encoded, less that from"
                " the prior",
                lambda m: m[L6]["found_fitted"] - m[L6]["found"],
                margin=FEWER,
                finds_faces=True,
            ),
            Part(
                "share of draws from there at 1e-6, less the same at 1e-5",
                lambda m: difference(m, "found_fitted", L6, L5),
                margin=-FEWER,
                finds_faces=True,
            ),
            Part(
                "share of draws from there at 1e-6, less that of reconstructions",
                lambda m: m[L6]["found_fitted"] - m[L6]["found_reconstructed"],
                margin=-2 * FEWER,
                finds_faces=True,
            ),
        ),
        source="ours",
    ),
}
