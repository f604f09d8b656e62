"""Measures of the faces that a model draws, from the prior and from where faces are encoded.

z is drawn in three places from the same noise: from the prior, from the Gaussian fitted to the z of
training faces, and from a mixture of Gaussians fitted to them, see `vaelib.evaluation.prior_gap`.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from vaelib import latent
from vaelib.evaluation import bootstrap, distribution_metrics, image_metrics, prior_gap
from vaelib.evaluation.attributes import AttributeClassifier, Prediction
from vaelib.evaluation.bootstrap import Measures
from vaelib.evaluation.detector import DetectorName
from vaelib.evaluation.held_out import MAX_COMPARED, HeldOutFaces
from vaelib.evaluation.prior_gap import Encoded
from vaelib.model import VAE

MAX_SEARCHED = 1_000  # generated faces in which a face is looked for
SECOND_OPINIONS = 10  # of so many, the slower detector looks at one; it decides nothing alone
ELSEWHERE = 4  # of so many, one is drawn from the mixture, and one is a reconstruction

PREFIXES: dict[DetectorName, str] = {"haar": "", "hog": "hog_"}  # of the names of its measures


def searched(generated: int) -> dict[DetectorName, int]:
    """In how many images each detector looks for a face where so many are generated."""
    haar = min(generated, MAX_SEARCHED)
    return {"haar": haar, "hog": math.ceil(haar / SECOND_OPINIONS)}


def searched_elsewhere(generated: int) -> int:
    """How many draws from the mixture, and how many reconstructions, are looked at."""
    return math.ceil(searched(generated)["haar"] / ELSEWHERE)


def generated_measures(images: Tensor, reference: HeldOutFaces) -> Measures:
    """Measures of faces that a model drew from the prior, (n, 3, 64, 48) in [-1, 1]."""
    prediction = reference.classifier.predict(images)
    real, features = reference.prediction.features, prediction.features[:MAX_COMPARED]
    realism = distribution_metrics.realism(real, prediction.features)
    groups = group_memberships(reference.classifier, prediction)
    frequencies = reference.frequencies(prediction)
    return {
        **_relative_appearance(images, reference),
        "distance": distribution_metrics.kernel_distance(real, features),
        "frechet": bootstrap.constant(distribution_metrics.frechet_distance(real, features)),
        **distribution_metrics.manifold_metrics(real, features),
        "realism": bootstrap.mean(realism),
        **{f"frequency {name}": value for name, value in frequencies.items()},
        **_group_measures(reference, groups, features, realism),
        **shares_found(images, reference, "found", searched(len(images)), groups),
    }


def encoded_measures(
    model: VAE, reference: HeldOutFaces, train: Encoded, held_out: Encoded, noise: Tensor
) -> Measures:
    """How far from the prior faces are encoded, and measures of faces drawn there.

    train, held_out: training faces and held-out ones as the model encodes them; noise: standard
    normal, (n, latent), a face for each row.
    """
    gaussian = prior_gap.fit_gaussian(train.mu, train.logvar)
    images = latent.decode(model, gaussian.draw(noise))
    features = reference.classifier.predict(images).features
    mixture = prior_gap.fit_mixture(train, held_out)
    mixed = latent.decode(model, mixture.draw(noise[: searched_elsewhere(len(noise))]))
    split = prior_gap.split_divergence(train)
    appearance = _relative_appearance(images, reference)
    return {
        **shares_found(images, reference, "found_fitted", searched(len(noise))),
        "found_mixture": bootstrap.mean(reference.detectors["haar"].finds(mixed).double()),
        "distance_fitted": distribution_metrics.kernel_distance(
            reference.prediction.features, features
        ),
        "variety_fitted": appearance["variety"],
        "sharpness_fitted": appearance["sharpness"],
        "components": bootstrap.constant(len(mixture.weights)),
        "information": bootstrap.constant(split.information),
        "marginal": bootstrap.constant(split.marginal),
        "gaussian": bootstrap.constant(split.gaussian),
    }


def shares_found(
    images: Tensor,
    reference: HeldOutFaces,
    name: str,
    searched: Mapping[DetectorName, int],
    groups: dict[str, Tensor] | None = None,
) -> Measures:
    """In which share of images (n, 3, 64, 48) each detector finds a face.

    searched: the number of images, the first ones, that each detector looks at;
    groups: how far each image belongs to a group, (n,) in [0, 1]; the share inside each group and
    outside it is measured as well.
    """
    measures = {}
    for detector, most in searched.items():
        found = reference.detectors[detector].finds(images[:most]).double()
        prefixed = PREFIXES[detector] + name
        measures[prefixed] = bootstrap.mean(found)
        for group, membership in (groups or {}).items():
            member = membership[:most]
            measures[f"{prefixed} {group}"] = bootstrap.mean(found, member)
            measures[f"{prefixed} not {group}"] = bootstrap.mean(found, 1 - member)
    return measures


def _relative_appearance(images: Tensor, reference: HeldOutFaces) -> Measures:
    appearance = image_metrics.appearance(images)
    return {name: value / reference.appearance[name] for name, value in appearance.items()}


def _group_measures(
    reference: HeldOutFaces, groups: dict[str, Tensor], features: Tensor, realism: Tensor
) -> Measures:
    """Realism of generated faces inside and outside each group, and its distance."""
    measures = {}
    real_groups = group_memberships(reference.classifier, reference.prediction)
    for name, member in groups.items():
        measures[f"realism {name}"] = bootstrap.mean(realism, member)
        measures[f"realism not {name}"] = bootstrap.mean(realism, 1 - member)
        distance = distribution_metrics.group_distance(
            reference.prediction.features, real_groups[name], features, member[: len(features)]
        )
        measures[f"distance {name}"] = bootstrap.constant(distance)
    return measures


def group_memberships(classifier: AttributeClassifier, prediction: Prediction) -> dict[str, Tensor]:
    """How far each face belongs to the groups that the original finds hard, each (n,) in [0, 1].

    Only groups whose attributes the classifier can predict.
    """

    def probability(name: str) -> Tensor:
        return prediction.probabilities[:, classifier.index_of(name)]

    groups = {
        name: probability(name)
        for name in ("Eyeglasses", "Wearing_Hat", "Pale_Skin")
        if classifier.can_predict(name)
    }
    if classifier.can_predict("Blond_Hair", "Gray_Hair"):
        groups["Fair_Hair"] = torch.maximum(probability("Blond_Hair"), probability("Gray_Hair"))
    if classifier.can_predict("Male"):
        groups["Female"] = 1 - probability("Male")
    if {"Pale_Skin", "Fair_Hair", "Female"} <= set(groups):
        pale_or_fair = torch.maximum(groups["Pale_Skin"], groups["Fair_Hair"])
        groups["Pale_or_Fair_Female"] = pale_or_fair * groups["Female"]
    return groups
