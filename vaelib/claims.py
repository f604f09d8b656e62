"""Measures behind the original's claims: what it judged by eye, in numbers."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from vaelib import latent
from vaelib.config import IMAGE_SHAPE
from vaelib.data import FaceSet, evenly, to_float
from vaelib.fit import evaluate
from vaelib.loss import calibrated_bits_per_dimension, kl_per_latent, optimal_lam
from vaelib.model import VAE

DIMENSIONS = IMAGE_SHAPE[0] * IMAGE_SHAPE[1] * IMAGE_SHAPE[2]
MOST_FACES = 500  # held-out and generated faces behind every measure
ACTIVE_VARIANCE = 0.01  # Burda, Grosse and Salakhutdinov (2016), section 5.2


class Measures(NamedTuple):
    """One model in numbers, on held-out faces and on faces it generates."""

    reconstruction: float  # held-out mean squared error in [0, 4]
    kl: float  # held-out, nats
    bits_per_dimension: float  # code length at the calibrated variance, lower is better
    optimal_lam: float  # the lam that this error asks for
    active_units: int  # latents that carry something
    mean_square_mu: float  # of the latent means, 0 at the centre
    asymmetry: float  # of generated faces, relative to held-out ones
    variety: float  # of generated faces, relative to held-out ones


def measure(model: VAE, faces: FaceSet, seed: int = 0) -> Measures:
    """All measures of a model, on at most MOST_FACES held-out faces and as many generated."""
    held_out = faces.images[evenly(faces.test, MOST_FACES)]
    reconstruction, kl = evaluate(model, held_out)
    means = latent.latent_means(model, held_out)
    generated = latent.sample(model, MOST_FACES, seed)
    real = to_float(held_out)
    return Measures(
        reconstruction=reconstruction,
        kl=kl,
        bits_per_dimension=calibrated_bits_per_dimension(reconstruction, kl, DIMENSIONS),
        optimal_lam=optimal_lam(reconstruction, DIMENSIONS),
        active_units=active_units(means),
        mean_square_mu=float(means.square().mean()),
        asymmetry=asymmetry(generated) / asymmetry(real),
        variety=variety(generated) / variety(real),
    )


def asymmetry(images: Tensor) -> float:
    """Root mean squared difference between faces and their mirror images; images in [-1, 1].

    0 for perfectly symmetrical faces, at most 2.
    """
    return float((images - images.flip(-1)).square().mean().sqrt())


def variety(images: Tensor) -> float:
    """Standard deviation over faces, per pixel and channel, as root mean square; in [0, 1].

    sqrt(2) times it is the root mean squared difference of two faces drawn with replacement.
    """
    return float(images.var(dim=0, correction=0).mean().sqrt())


def active_units(means: Tensor) -> int:
    """How many latents vary with the face: variance of mu above 0.01; means (n, latent).

    Burda, Grosse and Salakhutdinov (2016), section 5.2.
    """
    return int((means.var(dim=0) > ACTIVE_VARIANCE).sum())


@torch.no_grad()
def nats_per_latent(model: VAE, faces: FaceSet) -> Tensor:
    """KL of each latent in nats, (latent,), averaged over at most MOST_FACES held-out faces."""
    device = next(model.parameters()).device
    model.eval()
    parts = [
        kl_per_latent(*model.encode(to_float(part.to(device)))).cpu()
        for part in faces.images[evenly(faces.test, MOST_FACES)].split(latent.BATCH)
    ]
    return torch.cat(parts).mean(dim=0)


class Path(NamedTuple):
    """What happens along interpolations, averaged over them."""

    travel: float  # root mean squared difference between the two ends
    evenness: float  # largest step over mean step: 1 is perfectly even
    detour: float  # sum of steps over travel: 1 is straight in pixels


def interpolation_path(images: Tensor) -> Path:
    """How far and how evenly interpolations (rows, steps, 3, 64, 48) in [-1, 1] go."""
    steps = (images[:, 1:] - images[:, :-1]).square().mean(dim=(2, 3, 4)).sqrt()
    ends = (images[:, -1] - images[:, 0]).square().mean(dim=(1, 2, 3)).sqrt()
    still = torch.finfo(torch.float32).tiny  # a path that never moves counts as even and straight
    evenness = (steps.max(dim=1).values + still) / (steps.mean(dim=1) + still)
    detour = (steps.sum(dim=1) + still) / (ends + still)
    return Path(
        travel=float(ends.mean()), evenness=float(evenness.mean()), detour=float(detour.mean())
    )


def table(numbers: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of several models' numbers (Measures and Path together), for readers."""
    columns = {
        "error": ("reconstruction", ".4f"),
        "KL": ("kl", ".0f"),
        "bits": ("bits_per_dimension", ".3f"),
        "in use": ("active_units", "d"),
        "mean μ²": ("mean_square_mu", ".2f"),
        "asymmetry": ("asymmetry", ".2f"),
        "variety": ("variety", ".2f"),
        "travel": ("travel", ".2f"),
        "evenness": ("evenness", ".2f"),
    }
    rows = [
        [model, *(format(of[name], style) for name, style in columns.values())]
        for model, of in numbers.items()
    ]
    return ["model", *columns], rows
