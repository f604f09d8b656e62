"""All measures of a model: on held-out faces, on faces that it generates, and between faces.

A measure is a tensor (1 + REPLICATES,), see `vaelib.evaluation.bootstrap`. What each one is, with
its range and unit, stands in MEASURES.
"""

import functools
import hashlib
import sys

import torch
from torch import Tensor

from vaelib import latent
from vaelib.config import FACE_BYTES
from vaelib.data import FaceSet, evenly_spaced, to_float
from vaelib.evaluation import bootstrap, distribution_metrics, image_metrics
from vaelib.evaluation.attributes import AttributeClassifier, Prediction, classifier_for
from vaelib.loss import calibrated_bits_per_dimension, kl_per_latent, optimal_lam
from vaelib.model import VAE, reparametrise
from vaelib.support import files, paths, progress
from vaelib.training.runs import Run

# Part of the measures' key, besides the run, the classifier and the generated faces. Raise it, with
# a line on what changed, whenever a measure comes to another value.
RECIPE = 1  # the first that is numbered

MAX_FACES = 500  # held-out faces behind errors
MAX_COMPARED = 1_000  # held-out and generated faces behind distances and variety
MAX_PAIRS, STEPS = 64, 8  # interpolations, and faces along each
HAIR_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")

Measures = dict[str, Tensor]  # by name of the measure

MEASURES = {
    "reconstruction": "mean squared error on held-out faces, z drawn as in training; [0, 4]",
    "mean_reconstruction": "the same, averaged over all points of the training curve but the first",
    "psnr": "peak signal to noise ratio of held-out faces; dB",
    "kl": "KL divergence on held-out faces; nats",
    "bits_per_dimension": "length of their code per value at the calibrated variance; bits",
    "optimal_lam": "the lambda that this error asks for",
    "active_units": "latents whose mean varies by more than 0.01 (Burda et al., 2016)",
    "mean_square_mu": "mean squared latent mean; 0 at the centre",
    "aggregate_variance": "variance of z over all faces; 1 in the prior",
    "aggregate_kurtosis": "kurtosis of z over all faces; 3 in the prior",
    "asymmetry": "of generated faces, as a share of held-out ones' own",
    "variety": "of generated faces, as a share of held-out ones' own",
    "sharpness": "fine detail of eyes, nose and mouth, as a share of held-out ones' own",
    "distance": "kernel distance of generated from held-out faces (Binkowski et al., 2018)",
    "frechet": "Frechet distance of generated from held-out faces (Heusel et al., 2017)",
    "precision": "share of generated faces within held-out ones' neighbourhoods; [0, 1]",
    "recall": "share of held-out faces within generated ones' neighbourhoods; [0, 1]",
    "density": "held-out neighbourhoods that a generated face is in, by their mean number; >= 0",
    "coverage": "share of held-out neighbourhoods with a generated face; [0, 1]",
    "realism": "depth of generated faces within held-out ones; 1 at the edge",
    "deformed": "how probably generated faces were deformed, by the classifier; [0, 1]",
    "travel": "difference of an interpolation's ends; [0, 2]",
    "evenness": "its largest step over its mean step; 1 is even",
    "detour": "the sum of its steps over its travel; 1 is straight in pixels",
    "middle": "how much more probably its middle was deformed than its ends; [-1, 1]",
    "skin_travel": "change of skin tone from end to end; L* in [0, 100]",
    "pose_travel": "change of pose from end to end: yaw on procedural faces, else side lighting",
    "hair_travel": "change of hair colour from end to end, of those that can be predicted; [0, 1]",
}


class HeldOutFaces:
    """The held-out faces that every model is compared with, and the classifier's predictions."""

    def __init__(self, faces: FaceSet, classifier: AttributeClassifier) -> None:
        self.classifier = classifier
        pairs = min(MAX_PAIRS, len(faces.test) // 2)
        self.test_images = faces.images[evenly_spaced(faces.test, MAX_FACES)]
        self.interpolation_ends = faces.images[evenly_spaced(faces.test, 2 * pairs)]
        compared = evenly_spaced(torch.cat([faces.validation, faces.test]), MAX_COMPARED)
        images = to_float(faces.images[compared])
        self.prediction = classifier.predict(images)
        self.appearance = _appearance(images)
        self.attributes = None if faces.attributes is None else faces.attributes[compared].double()

    def true_frequencies(self) -> dict[str, float]:
        """Frequency of each attribute that the classifier can predict; none without attributes."""
        if self.attributes is None:
            return {}
        means = self.attributes.mean(dim=0)
        return {
            name: float(means[self.classifier.index_of(name)]) for name in self.classifier.reliable
        }

    def frequencies(self, prediction: Prediction) -> Measures:
        """The same of the faces that were predicted, (1 + REPLICATES,) each.

        The mean of the predicted probabilities, corrected by the ratio of the true frequency to the
        mean prediction on held-out faces.
        """
        if self.attributes is None:
            return {}
        weights = bootstrap.bootstrap_weights(len(self.attributes))
        predicted = self.prediction.probabilities.double()
        correction = (weights @ self.attributes) / (weights @ predicted)
        probabilities = prediction.probabilities.double()
        means = bootstrap.bootstrap_weights(len(probabilities)) @ probabilities
        frequencies = (means * correction).clamp(0, 1)
        return {
            name: frequencies[:, self.classifier.index_of(name)]
            for name in self.classifier.reliable
        }

    def real_distance_floor(self) -> float:
        """The kernel distance between two halves of the held-out faces."""
        features = self.prediction.features
        return float(distribution_metrics.kernel_distance(features[::2], features[1::2])[0])


@functools.lru_cache(maxsize=1)
def held_out_faces(faces: FaceSet) -> HeldOutFaces:
    """The held-out faces with this data's classifier, which is trained on the first call."""
    return HeldOutFaces(faces, classifier_for(faces))


def measure(run: Run, faces: FaceSet, generated: int, seed: int) -> Measures:
    """All measures of a run, on this many generated faces; loaded if they were taken before.

    They lie in <runs>/<faces.name>/measures; a damaged file is measured again, with a line on
    stderr. Besides MEASURES there are, of each attribute that the classifier can predict,
    "frequency NAME"; and of each group of `group_memberships`, "realism NAME" and "deformed NAME",
    the same of all other faces as "realism not NAME" and "deformed not NAME", and "distance NAME"
    between the generated and the held-out faces of the group.
    """
    reference = held_out_faces(faces)
    settings = f"{reference.classifier.key} {generated} {seed} {RECIPE}"
    digest = hashlib.sha256(settings.encode()).hexdigest()[:10]
    file = paths.RUNS / faces.name / "measures" / f"{run.key}-{digest}.npz"
    try:
        return {name: torch.from_numpy(array) for name, array in files.read_arrays(file).items()}
    except FileNotFoundError:
        pass
    except ValueError as error:
        print(f"{error}; it is measured again", file=sys.stderr)
    errors = [row.reconstruction for row in run.curve("validation") if row.images_seen]
    measures = {"mean_reconstruction": bootstrap.constant(sum(errors) / len(errors))}
    label = f"measuring lambda {run.experiment.lam:g}, {run.experiment.latent} latents"
    with progress.watching(label, 3, "sets of faces") as watch:
        watch(0, "held-out faces")
        measures |= _held_out_measures(run.model, reference)
        watch(1, "generated faces")
        measures |= _generated_measures(run.model, reference, generated, seed)
        watch(2, "interpolations")
        measures |= _interpolation_measures(run.model, reference)
        watch(3, "")
    files.write_arrays(file, {name: value.numpy() for name, value in measures.items()})
    return measures


@torch.no_grad()
def _held_out_measures(model: VAE, reference: HeldOutFaces) -> Measures:
    x = to_float(reference.test_images)
    mu, logvar = latent.encode(model, reference.test_images)
    z = reparametrise(mu, logvar, latent.noise(len(mu), model.latent))
    error = bootstrap.mean(image_metrics.squared_error(x, latent.decode(model, z)))
    kl = bootstrap.mean(kl_per_latent(mu, logvar).sum(dim=1))
    bits = [
        calibrated_bits_per_dimension(mse, nats, FACE_BYTES)
        for mse, nats in zip(error.tolist(), kl.tolist(), strict=True)
    ]
    return {
        "reconstruction": error,
        "psnr": image_metrics.psnr(error),
        "kl": kl,
        "bits_per_dimension": torch.tensor(bits, dtype=torch.float64),
        "optimal_lam": optimal_lam(error, FACE_BYTES),
        "active_units": image_metrics.active_units(mu),
        "mean_square_mu": image_metrics.mean_square(mu),
        "aggregate_variance": image_metrics.aggregate_variance(mu, logvar),
        "aggregate_kurtosis": image_metrics.aggregate_kurtosis(z),
    }


def _generated_measures(model: VAE, reference: HeldOutFaces, generated: int, seed: int) -> Measures:
    images = latent.sample(model, generated, seed)
    prediction = reference.classifier.predict(images)
    real, features = reference.prediction.features, prediction.features[:MAX_COMPARED]
    realism = distribution_metrics.realism(real, prediction.features)
    appearance = _appearance(images)
    frequencies = reference.frequencies(prediction)
    return {
        **{name: value / reference.appearance[name] for name, value in appearance.items()},
        "distance": distribution_metrics.kernel_distance(real, features),
        "frechet": bootstrap.constant(distribution_metrics.frechet_distance(real, features)),
        **distribution_metrics.manifold_metrics(real, features),
        "realism": bootstrap.mean(realism),
        "deformed": bootstrap.mean(prediction.deformed),
        **{f"frequency {name}": value for name, value in frequencies.items()},
        **_group_measures(reference, prediction, realism),
    }


def _appearance(images: Tensor) -> Measures:
    """Asymmetry and sharpness of all images; variety of fewer, because it is slow."""
    return {
        "asymmetry": bootstrap.mean(image_metrics.asymmetry(images)),
        "variety": image_metrics.variety(images[:MAX_COMPARED]),
        "sharpness": bootstrap.mean(image_metrics.sharpness(images)),
    }


def _group_measures(reference: HeldOutFaces, prediction: Prediction, realism: Tensor) -> Measures:
    """Measures of generated faces by group: inside it, outside it, and its distance."""
    measures = {}
    real, features = reference.prediction.features, prediction.features[:MAX_COMPARED]
    real_groups = group_memberships(reference.classifier, reference.prediction)
    for name, member in group_memberships(reference.classifier, prediction).items():
        for measure_name, values in (("realism", realism), ("deformed", prediction.deformed)):
            measures[f"{measure_name} {name}"] = bootstrap.mean(values, member)
            measures[f"{measure_name} not {name}"] = bootstrap.mean(values, 1 - member)
        distance = distribution_metrics.group_distance(
            real, real_groups[name], features, member[:MAX_COMPARED]
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


def _interpolation_measures(model: VAE, reference: HeldOutFaces) -> Measures:
    classifier = reference.classifier
    first, last = reference.interpolation_ends.tensor_split(2)
    paths_of_images = latent.interpolate(model, first, last, STEPS)
    images = paths_of_images.flatten(0, 1)
    prediction = classifier.predict(images)
    deformed = prediction.deformed.view(-1, STEPS)
    ends, middle = deformed[:, [0, -1]], deformed[:, STEPS // 2 - 1 : STEPS // 2 + 1]
    path_metrics = image_metrics.path_metrics(paths_of_images)
    pose = image_metrics.side_lighting(images)
    if classifier.factors:
        pose = prediction.factors[:, classifier.factors.index("yaw")]
    measures = {
        **{name: bootstrap.mean(value) for name, value in path_metrics.items()},
        "middle": bootstrap.mean(middle.mean(dim=1) - ends.mean(dim=1)),
        "skin_travel": _change(image_metrics.skin_tone(images)),
        "pose_travel": _change(pose),
    }
    hair = [classifier.index_of(name) for name in HAIR_COLOURS if classifier.can_predict(name)]
    if len(hair) > 1:  # one colour alone does not say what hair changes to
        colours = prediction.probabilities[:, hair].view(-1, STEPS, len(hair))
        change = (colours[:, -1] - colours[:, 0]).abs().sum(dim=1) / 2
        measures["hair_travel"] = bootstrap.mean(change.clamp(max=1))
    return measures


def _change(values: Tensor) -> Tensor:
    """Mean absolute change from end to end of a value along interpolations, (pairs x STEPS,)."""
    steps = values.view(-1, STEPS)
    return bootstrap.mean((steps[:, -1] - steps[:, 0]).abs())
