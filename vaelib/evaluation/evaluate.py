"""All measures of a model: on held-out faces, on faces that it generates, and between faces.

A measure is a tensor (1 + REPLICATES,), see `vaelib.evaluation.bootstrap`. What each one is, with
its range and unit, stands in MEASURES.
"""

import hashlib
import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from vaelib import latent
from vaelib.config import FACE_BYTES
from vaelib.data import FaceSet, evenly_spaced, to_float
from vaelib.evaluation import bootstrap, detector, image_metrics, prior_gap
from vaelib.evaluation.bootstrap import Measures
from vaelib.evaluation.generated import (
    PREFIXES,
    encoded_measures,
    generated_measures,
    searched,
    searched_elsewhere,
    shares_found,
)
from vaelib.evaluation.held_out import HeldOutFaces, held_out_faces
from vaelib.evaluation.prior_gap import Encoded
from vaelib.loss import calibrated_bits_per_dimension, kl_per_latent, optimal_lam
from vaelib.model import VAE
from vaelib.support import checked, files, paths, progress
from vaelib.support.errors import DamagedError
from vaelib.training.runs import Run

# Part of the measures' key, besides the run, the classifier and the generated faces. Raise it, with
# a line on what changed, whenever a measure comes to another value.
RECIPE = 3  # detectors look at fewer images where few are generated; real faces measured too

STEPS = 8  # faces along each interpolation
HAIR_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")

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
    "found": "share of faces drawn from the prior in which the detector finds a face; [0, 1]",
    "found_fitted": "the same of faces drawn from the Gaussian fitted to encoded faces",
    "found_mixture": "the same of faces drawn from a mixture fitted to encoded faces",
    "found_reconstructed": "the same of reconstructions of held-out faces",
    "hog_found": "found, by the second detector, as each of the following",
    "hog_found_fitted": "found_fitted",
    "hog_found_reconstructed": "found_reconstructed",
    "distance_fitted": "distance, of faces drawn from the Gaussian fitted to encoded faces",
    "variety_fitted": "variety of these faces",
    "sharpness_fitted": "sharpness of these faces",
    "components": "of the mixture, by held-out likelihood",
    "information": "nats of the KL that say which training face it is; at most the log of their"
    " number",
    "marginal": "the other nats of the KL: between the codes of all training faces and the prior",
    "gaussian": "nats of these that the mean and the covariance of the codes account for",
    "travel": "difference of an interpolation's ends; [0, 2]",
    "evenness": "its largest step over its mean step; 1 is even",
    "detour": "the sum of its steps over its travel; 1 is straight in pixels",
    "middle": "how much more often a face is found at its ends than in its middle; [-1, 1]",
    "hog_middle": "the same by the second detector",
    "skin_travel": "change of skin tone from end to end; L* in [0, 100]",
    "pose_travel": "change of pose from end to end: yaw on procedural faces, else side lighting",
    "hair_travel": "change of hair colour from end to end, of those that can be predicted; [0, 1]",
}


def measure(run: Run, faces: FaceSet, generated: int, seed: int) -> Measures:
    """All measures of a run, on this many generated faces; loaded if they were taken before.

    They lie in <runs>/<faces.name>/measures; a damaged file is measured again, with a line on
    stderr. Besides MEASURES there are, of each attribute that the classifier can predict,
    "frequency NAME"; and of each group of `generated.group_memberships`, "realism NAME", "found
    NAME" and "hog_found NAME", the same of all other faces as "realism not NAME" and so on, and
    "distance NAME" between the generated and the held-out faces of the group.
    """
    reference = held_out_faces(faces)

    def take() -> Measures:
        return _model_measures(run, faces, reference, generated, seed)

    return _kept(run.key, faces, reference, f"{generated} {seed}", take)


def measure_real(faces: FaceSet, generated: int) -> Measures:
    """The measures of draws, of this many training faces as if a model had drawn them.

    They say how well the best of models could do. Kept as those of a model are.
    """
    reference = held_out_faces(faces)

    def take() -> Measures:
        images = faces.images[evenly_spaced(faces.train, generated)]
        return generated_measures(to_float(images), reference)

    return _kept("real", faces, reference, str(generated), take)


def _kept(
    key: str,
    faces: FaceSet,
    reference: HeldOutFaces,
    settings: str,
    take: Callable[[], Measures],
) -> Measures:
    """Measures from their file, or taken now and written into it."""
    all_settings = f"{reference.classifier.key} {settings} {RECIPE} {detector.RECIPE}"
    digest = hashlib.sha256(all_settings.encode()).hexdigest()[:10]
    file = paths.RUNS / faces.name / "measures" / f"{key}-{digest}.npz"
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    except DamagedError as error:
        print(f"{error}; it is measured again", file=sys.stderr)
    measures = take()
    files.write_arrays(file, {name: value.numpy() for name, value in measures.items()})
    return measures


def _read(file: Path) -> Measures:
    """Measures that were taken before; nan where there was nothing to measure."""
    arrays = checked.read_arrays(file)
    with checked.damage_in(file):
        if not arrays:
            raise ValueError("it has no measures")
        for name, array in arrays.items():
            if array.shape != (1 + bootstrap.REPLICATES,) or array.dtype.kind != "f":
                raise ValueError(f"{name} is {list(array.shape)} {array.dtype}")
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _model_measures(
    run: Run, faces: FaceSet, reference: HeldOutFaces, generated: int, seed: int
) -> Measures:
    errors = [row.reconstruction for row in run.curve("validation") if row.images_seen]
    measures = {"mean_reconstruction": bootstrap.constant(sum(errors) / len(errors))}
    label = f"measuring lambda {run.experiment.lam:g}, {run.experiment.latent} latents"
    with progress.watching(label, 4, "sets of faces") as watch:
        watch(0, "held-out faces")
        held_out = prior_gap.encode(run.model, reference.test_images)
        measures |= _held_out_measures(run.model, reference, held_out, generated)
        watch(1, "generated faces")
        measures |= generated_measures(latent.sample(run.model, generated, seed), reference)
        watch(2, "faces drawn where faces are encoded")
        train = prior_gap.encode(run.model, prior_gap.training_faces(faces))
        noise = latent.noise(searched(generated)["haar"], run.model.latent, seed)
        measures |= encoded_measures(run.model, reference, train, held_out, noise)
        watch(3, "interpolations")
        measures |= _interpolation_measures(run.model, reference, generated)
        watch(4, "")
    return measures


def _held_out_measures(
    model: VAE, reference: HeldOutFaces, encoded: Encoded, generated: int
) -> Measures:
    mu, logvar, z = encoded
    x, reconstruction = to_float(reference.test_images), latent.decode(model, z.float())
    error = bootstrap.mean(image_metrics.squared_error(x, reconstruction))
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
        **shares_found(
            reconstruction[: searched_elsewhere(generated)],
            reference,
            "found_reconstructed",
            searched(generated),
        ),
    }


def _interpolation_measures(model: VAE, reference: HeldOutFaces, generated: int) -> Measures:
    classifier = reference.classifier
    first, last = reference.interpolation_ends.tensor_split(2)
    paths_of_images = latent.interpolate(model, first, last, STEPS)
    images = paths_of_images.flatten(0, 1)
    prediction = classifier.predict(images)
    path_metrics = image_metrics.path_metrics(paths_of_images)
    pose = image_metrics.side_lighting(images)
    if classifier.factors:
        pose = prediction.factors[:, classifier.factors.index("yaw")]
    measures = {
        **{name: bootstrap.mean(value) for name, value in path_metrics.items()},
        **_found_less_in_the_middle(paths_of_images, reference, generated),
        "skin_travel": _change(image_metrics.skin_tone(images)),
        "pose_travel": _change(pose),
    }
    hair = [classifier.index_of(name) for name in HAIR_COLOURS if classifier.can_predict(name)]
    if len(hair) > 1:  # one colour alone does not say what hair changes to
        colours = prediction.probabilities[:, hair].view(-1, STEPS, len(hair))
        change = (colours[:, -1] - colours[:, 0]).abs().sum(dim=1) / 2
        measures["hair_travel"] = bootstrap.mean(change.clamp(max=1))
    return measures


def _found_less_in_the_middle(
    paths_of_images: Tensor, reference: HeldOutFaces, generated: int
) -> Measures:
    """By how much fewer faces are found in the middle of interpolations than at their ends."""
    chosen = [0, STEPS // 2 - 1, STEPS // 2, STEPS - 1]
    measures = {}
    for name, most in searched(generated).items():
        images = paths_of_images[: math.ceil(most / len(chosen)), chosen]
        found = reference.detectors[name].finds(images.flatten(0, 1)).double()
        by_step = found.view(-1, len(chosen))
        lost = by_step[:, [0, 3]].mean(dim=1) - by_step[:, [1, 2]].mean(dim=1)
        measures[PREFIXES[name] + "middle"] = bootstrap.mean(lost)
    return measures


def _change(values: Tensor) -> Tensor:
    """Mean absolute change from end to end of a value along interpolations, (pairs x STEPS,)."""
    steps = values.view(-1, STEPS)
    return bootstrap.mean((steps[:, -1] - steps[:, 0]).abs())
