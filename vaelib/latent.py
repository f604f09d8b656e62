"""Questions to the latent space. Pure functions: model and tensors in, tensors out, no gradient."""

from typing import NamedTuple

import torch
from torch import Tensor

from vaelib.config import LATENTS
from vaelib.data import to_float
from vaelib.loss import kl_per_latent
from vaelib.model import VAE
from vaelib.support.errors import InputError

BATCH = 256
WIDEST_NOISE = LATENTS[-1]


def noise(n: int, latent: int, seed: int = 0) -> Tensor:
    """Draws from N(0, I), (n, latent): for one seed, models of every latent size share their start.

    Row i of a smaller latent is the beginning of row i of a larger one, so that figures of models
    with different latent sizes are drawn from the same noise as far as that goes.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, WIDEST_NOISE, generator=generator)[:, :latent]


@torch.no_grad()
def decode(model: VAE, z: Tensor) -> Tensor:
    """Images (n, 3, 64, 48) in [-1, 1], on the CPU, of latents (n, latent); in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    return torch.cat([model.decode(part.to(device)).float().cpu() for part in z.split(BATCH)])


class Posterior(NamedTuple):
    """What the encoder says of n images, on the CPU: a Gaussian for each."""

    mu: Tensor  # (n, latent)
    logvar: Tensor  # (n, latent)


@torch.no_grad()
def posterior(model: VAE, images: Tensor) -> Posterior:
    """The posteriors of uint8 images (n, 3, 64, 48), in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    parts = [model.encode(to_float(part.to(device))) for part in images.split(BATCH)]
    mu, logvar = (torch.cat(halves).float().cpu() for halves in zip(*parts, strict=True))
    return Posterior(mu, logvar)


def latent_means(model: VAE, images: Tensor) -> Tensor:
    """mu (n, latent), on the CPU, of uint8 images (n, 3, 64, 48), in evaluation mode."""
    return posterior(model, images).mu


def nats_per_latent(model: VAE, images: Tensor) -> Tensor:
    """KL of each latent in nats, (latent,), averaged over uint8 images (n, 3, 64, 48)."""
    return kl_per_latent(*posterior(model, images)).mean(dim=0)


def reconstruct(model: VAE, images: Tensor) -> Tensor:
    """Images (n, 3, 64, 48) in [-1, 1], drawn from the latent means of uint8 images."""
    return decode(model, latent_means(model, images))


def sample(model: VAE, n: int, seed: int = 0) -> Tensor:
    """n faces (n, 3, 64, 48) in [-1, 1] from the prior, the same noise for every model."""
    return decode(model, noise(n, model.latent, seed))


def interpolate(model: VAE, first: Tensor, last: Tensor, steps: int) -> Tensor:
    """Faces (n, steps, 3, 64, 48) on the straight lines between the latent means of two sets.

    first and last: uint8 images (n, 3, 64, 48). The ends are the models' own reconstructions.
    """
    start, end = latent_means(model, first), latent_means(model, last)
    share = torch.linspace(0, 1, steps).view(1, steps, 1)
    z = torch.lerp(start[:, None], end[:, None], share)
    images: Tensor = decode(model, z.flatten(0, 1)).unflatten(0, (len(first), steps))
    return images


PARALLEL = 1e-3  # below this sine of their angle, two latents have no great circle of their own
FEWEST = 5  # faces with an attribute, and without, that a direction is learnt from
RIDGE = 1e-2  # of the mean variance, or unused latents would decide a classifier's normal


class Directions(NamedTuple):
    """Directions in the order of their use."""

    steps: Tensor  # (k, latent): each as long as one deviation of the latent means along it
    names: tuple[str, ...]  # k of them, for people


def between(start: Tensor, end: Tensor, shares: Tensor, spherical: bool = False) -> Tensor:
    """Latents (n, m, latent) at m shares of the way from start to end, each (n, latent).

    On a straight line, or, where spherical, on the great circle through both (Shoemake, 1985), so
    that latents of equal length keep that length. Parallel ones, and 0, go straight there too.
    """
    share = shares.view(1, -1, 1)
    straight = torch.lerp(start[:, None], end[:, None], share)
    if not spherical:
        return straight
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=1).clamp(-1, 1)
    angle = cosine.acos().view(-1, 1, 1)
    sine = angle.sin()
    safe = sine.clamp(min=PARALLEL)
    first, last = ((1 - share) * angle).sin() / safe, (share * angle).sin() / safe
    circle = first * start[:, None] + last * end[:, None]
    there = (start.norm(dim=1) * end.norm(dim=1)).view(-1, 1, 1) > 0
    return torch.where(there & (sine > PARALLEL), circle, straight)


def most_used_latents(mu: Tensor, nats: Tensor, count: int) -> Directions:
    """The single latents that take most KL: mu (n, latent), nats (latent,)."""
    order = nats.argsort(descending=True)[:count]
    steps = torch.diag(mu.std(dim=0))[order]
    return Directions(steps, tuple(f"latent {i}, {nats[i]:.2f} nats" for i in order.tolist()))


def principal(mu: Tensor, count: int) -> Directions:
    """The principal directions of latent means (n, latent), most variance first."""
    centred = mu - mu.mean(dim=0)
    _, spread, ways = torch.linalg.svd(centred, full_matrices=False)
    deviation = spread / max(1, len(mu) - 1) ** 0.5
    share = spread.square() / spread.square().sum().clamp(min=1e-12)
    kept = min(count, len(ways))
    names = tuple(f"direction {i + 1}, {float(share[i]):.0%} of the variance" for i in range(kept))
    return Directions(deviation[:kept, None] * ways[:kept], names)


def mean_difference(mu: Tensor, has: Tensor) -> Tensor:
    """From the mean of the faces without an attribute to that of those with it, (latent,).

    mu (n, latent); has: bool (n,). Raises InputError where either are fewer than 5.
    """
    yes = int(has.sum())
    if min(yes, len(has) - yes) < FEWEST:
        raise InputError(
            f"{yes} of {len(has)} faces have this attribute; a direction needs {FEWEST} with it "
            f"and {FEWEST} without"
        )
    difference: Tensor = mu[has].mean(dim=0) - mu[~has].mean(dim=0)
    return difference


def classifier_normal(mu: Tensor, has: Tensor) -> Tensor:
    """The normal of Fisher's linear classifier of an attribute, (latent,).

    As long as the difference of means, so that a step of 1 is as far for both; it shares the
    arguments and errors of `mean_difference`.
    """
    difference = mean_difference(mu, has)
    yes, no = mu[has], mu[~has]
    within = torch.cat([yes - yes.mean(dim=0), no - no.mean(dim=0)])
    covariance = within.T @ within / max(1, len(within) - 2)
    ridge = RIDGE * covariance.diagonal().mean().clamp(min=1e-8)
    normal = torch.linalg.solve(covariance + ridge * torch.eye(mu.shape[1]), difference)
    scaled: Tensor = normal * (difference.norm() / normal.norm().clamp(min=1e-12))
    return scaled
