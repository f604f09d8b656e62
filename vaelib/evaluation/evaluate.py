"""What each model does, in measures: on held-out faces, on faces it draws, and between faces.

A measure is a tensor (1 + REPLICATES,), see `vaelib.evaluation.image_metrics`; what each is, its range and unit
stand at MEASURES.
"""

import functools
import hashlib

import torch
from torch import Tensor

from vaelib import latent
from vaelib.config import FACE_BYTES
from vaelib.data import FaceSet, evenly_spaced, to_float
from vaelib.evaluation import bootstrap, distribution_metrics, image_metrics
from vaelib.evaluation.attributes import AttributeClassifier, Prediction, classifier_for
from vaelib.loss import calibrated_bits_per_dimension, kl_per_latent, optimal_lam
from vaelib.model import VAE
from vaelib.support import files, paths
from vaelib.training.runs import Run

# What measures are named by besides the run, the classifier and the draws. Raise it, with a line on
# what changed, whenever a measure comes to another value.
RECIPE = 1  # the first that is numbered

DIMENSIONS = FACE_BYTES  # numbers in an image
MOST_FACES = 500  # held-out faces behind errors
COMPARED = 1_000  # held-out and generated faces behind distances and variety
PAIRS, STEPS = 64, 8  # interpolations, and faces along each
HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")

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
    "pose_travel": "change of pose from end to end: yaw on procedural faces, else side light",
    "hair_travel": "change of hair colour from end to end, of those that can be told; [0, 1]",
}


class HeldOutFaces:
    """Held-out faces, and what the classifier says of them; the same for every model."""

    def __init__(self, faces: FaceSet, classifier: AttributeClassifier) -> None:
        self.classifier = classifier
        self.test = faces.images[evenly_spaced(faces.test, MOST_FACES)]
        self.ends = faces.images[evenly_spaced(faces.test, 2 * min(PAIRS, len(faces.test) // 2))]
        everyone = torch.cat([faces.validation, faces.test])
        chosen = evenly_spaced(everyone, COMPARED)
        self.x = to_float(faces.images[chosen])
        self.told = classifier.predict(self.x)
        self.own = _looks(self.x, self.x)
        self.truth = None if faces.attributes is None else faces.attributes[chosen].double()

    def frequencies(self, told: Prediction) -> Tensor:
        """How many of these faces have each attribute, (1 + REPLICATES, questions).

        The mean of the classifier's probabilities, corrected by the ratio of the truth to the classifier's
        mean on held-out faces. Raises TypeError where faces have no attributes.
        """
        if self.truth is None:
            raise TypeError("these faces carry no attributes")
        rows = bootstrap.draws(len(self.x))
        correction = (rows @ self.truth) / (rows @ self.told.probabilities.double())
        drawn = bootstrap.draws(len(told.probabilities)) @ told.probabilities.double()
        return (drawn * correction).clamp(0, 1)

    def floor(self) -> float:
        """The kernel distance between two halves of the held-out faces, were they as many."""
        one, other = self.told.features[::2], self.told.features[1::2]
        return float(distribution_metrics.kernel_distance(one, other)[0])


@functools.lru_cache(maxsize=1)
def held_out(faces: FaceSet) -> HeldOutFaces:
    """The held-out faces with this data's classifier, who is trained on the first call."""
    return HeldOutFaces(faces, classifier_for(faces))


def measure(run: Run, faces: FaceSet, generated: int, seed: int) -> Measures:
    """All measures of a run, on this many generated faces; loaded where they were taken before.

    They lie in <runs>/<faces.name>/measures. Besides MEASURES: "frequency NAME" of each attribute
    that the classifier can tell; of each of `groups`, "realism NAME" and "deformed NAME", the same of
    all others as "realism not NAME" and "deformed not NAME", and "distance NAME" between the
    group's generated and held-out faces.
    """
    reference = held_out(faces)
    told = f"{reference.classifier.key} {generated} {seed} {RECIPE}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:10]
    file = paths.RUNS / faces.name / "measures" / f"{run.key}-{digest}.npz"
    if not file.exists():
        taken = {
            **_of_history(run),
            **_of_held_out(run.model, reference),
            **_of_generated(run.model, reference, generated, seed),
            **_of_interpolations(run.model, reference),
        }
        files.write_arrays(file, {name: value.numpy() for name, value in taken.items()})
    return {name: torch.from_numpy(array) for name, array in files.read_arrays(file).items()}


def _of_history(run: Run) -> Measures:
    errors = [row.reconstruction for row in run.curve("validation") if row.images_seen]
    return {"mean_reconstruction": bootstrap.known(sum(errors) / len(errors))}


@torch.no_grad()
def _of_held_out(model: VAE, reference: HeldOutFaces) -> Measures:
    x = to_float(reference.test)
    mu, logvar = latent.posterior(model, reference.test)
    noise = latent.noise(len(mu), model.latent)
    z = mu + torch.exp(0.5 * logvar) * noise
    error = bootstrap.mean(image_metrics.squared_error(x, latent.decode(model, z)))
    kl = bootstrap.mean(kl_per_latent(mu, logvar).sum(dim=1))
    pairs = zip(error.tolist(), kl.tolist(), strict=True)
    bits = [calibrated_bits_per_dimension(mse, nats, DIMENSIONS) for mse, nats in pairs]
    return {
        "reconstruction": error,
        "psnr": image_metrics.psnr(error),
        "kl": kl,
        "bits_per_dimension": torch.tensor(bits, dtype=torch.float64),
        "optimal_lam": optimal_lam(error, DIMENSIONS),
        "active_units": image_metrics.active_units(mu),
        "mean_square_mu": image_metrics.mean_square(mu),
        "aggregate_variance": image_metrics.aggregate_variance(mu, logvar),
        "aggregate_kurtosis": image_metrics.aggregate_kurtosis(z),
    }


def _of_generated(model: VAE, reference: HeldOutFaces, count: int, seed: int) -> Measures:
    images = latent.sample(model, count, seed)
    told, some = reference.classifier.predict(images), images[:COMPARED]
    real, features = reference.told.features, told.features[:COMPARED]
    realism = distribution_metrics.realism(real, told.features)
    taken = {
        **{name: found / reference.own[name] for name, found in _looks(images, some).items()},
        "distance": distribution_metrics.kernel_distance(real, features),
        "frechet": bootstrap.known(distribution_metrics.frechet_distance(real, features)),
        **distribution_metrics.support(real, features)._asdict(),
        "realism": bootstrap.mean(realism),
        "deformed": bootstrap.mean(told.deformed),
    }
    if reference.truth is not None:
        frequencies = reference.frequencies(told)
        for name in reference.classifier.reliable:
            taken[f"frequency {name}"] = frequencies[:, reference.classifier.index_of(name)]
    members = groups(reference.classifier, reference.told)
    for name, member in groups(reference.classifier, told).items():
        for what, value in (("realism", realism), ("deformed", told.deformed)):
            taken[f"{what} {name}"] = bootstrap.mean(value, member)
            taken[f"{what} not {name}"] = bootstrap.mean(value, 1 - member)
        within = distribution_metrics.group_distance(
            real, members[name], features, member[:COMPARED]
        )
        taken[f"distance {name}"] = bootstrap.known(within)
    return taken


def _looks(images: Tensor, some: Tensor) -> Measures:
    """Of all images; variety of some alone, because it costs much."""
    return {
        "asymmetry": bootstrap.mean(image_metrics.asymmetry(images)),
        "variety": image_metrics.variety(some),
        "sharpness": bootstrap.mean(image_metrics.sharpness(images)),
    }


def groups(classifier: AttributeClassifier, told: Prediction) -> dict[str, Tensor]:
    """How far each face belongs to the groups that the original finds hard, each (n,) in [0, 1].

    Only those whose attributes the classifier can tell.
    """

    def chance(name: str) -> Tensor:
        return told.probabilities[:, classifier.index_of(name)]

    found = {
        name: chance(name)
        for name in ("Eyeglasses", "Wearing_Hat", "Pale_Skin")
        if classifier.can_predict(name)
    }
    if classifier.can_predict("Blond_Hair", "Gray_Hair"):
        found["Fair_Hair"] = torch.maximum(chance("Blond_Hair"), chance("Gray_Hair"))
    if classifier.can_predict("Male"):
        found["Female"] = 1 - chance("Male")
    if {"Pale_Skin", "Fair_Hair", "Female"} <= set(found):
        pale_or_fair = torch.maximum(found["Pale_Skin"], found["Fair_Hair"])
        found["Pale_or_Fair_Female"] = pale_or_fair * found["Female"]
    return found


def _of_interpolations(model: VAE, reference: HeldOutFaces) -> Measures:
    first, last = reference.ends.tensor_split(2)
    images = latent.interpolate(model, first, last, STEPS)
    told = reference.classifier.predict(images.flatten(0, 1))
    deformed = told.deformed.view(-1, STEPS)
    ends, middle = deformed[:, [0, -1]], deformed[:, STEPS // 2 - 1 : STEPS // 2 + 1]
    path = image_metrics.path_metrics(images)
    pose = image_metrics.side_lighting(images.flatten(0, 1))
    if reference.classifier.factors:
        pose = told.factors[:, reference.classifier.factors.index("yaw")]
    taken = {
        **{name: bootstrap.mean(value) for name, value in path._asdict().items()},
        "middle": bootstrap.mean(middle.mean(dim=1) - ends.mean(dim=1)),
        "skin_travel": _change(image_metrics.skin_tone(images.flatten(0, 1))),
        "pose_travel": _change(pose),
    }
    places = [
        reference.classifier.index_of(name)
        for name in HAIR
        if reference.classifier.can_predict(name)
    ]
    if len(places) > 1:
        colours = told.probabilities[:, places].view(-1, STEPS, len(places))
        change = (colours[:, -1] - colours[:, 0]).abs().sum(dim=1) / 2
        taken["hair_travel"] = bootstrap.mean(change.clamp(max=1))
    return taken


def _change(values: Tensor) -> Tensor:
    """Mean absolute change from end to end of a value along interpolations, (pairs x STEPS,)."""
    ends = values.view(-1, STEPS)
    return bootstrap.mean((ends[:, -1] - ends[:, 0]).abs())
