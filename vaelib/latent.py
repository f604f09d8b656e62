"""Working in the latent space: sample, encode, decode, interpolate, and find directions.

Pure functions: a model and tensors in, tensors on the CPU out, in evaluation mode, no gradient.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vaelib.config import LATENTS
from vaelib.data import to_float
from vaelib.loss import kl_per_latent
from vaelib.model import VAE
from vaelib.support.errors import InputError

BATCH = 256
LARGEST_LATENT = LATENTS[-1]

PARALLEL = 1e-3  # a sine below this: two latents too parallel for a great circle through both
FEWEST = 5  # faces with an attribute, and without it, behind a direction
RIDGE = 1e-2  # share of the mean variance; without it, unused latents decide a classifier's normal


def noise(n: int, latent: int, seed: int = 0) -> Tensor:
    """Draws from N(0, I), (n, latent); of one seed, the same for models of every latent size.

    Row i of a smaller latent is the beginning of row i of a larger one, so that figures of models
    of different latent sizes start from the same noise as far as that goes.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, LARGEST_LATENT, generator=generator)[:, :latent]


@torch.no_grad()
def decode(model: VAE, z: Tensor) -> Tensor:
    """Images (n, 3, 64, 48) in [-1, 1] of latents (n, latent)."""
    model.eval()
    device = next(model.parameters()).device
    return torch.cat([model.decode(part.to(device)).float().cpu() for part in z.split(BATCH)])


class Posterior(NamedTuple):
    """The Gaussians that the encoder gives n images."""

    mu: Tensor  # (n, latent)
    logvar: Tensor  # (n, latent)


@torch.no_grad()
def encode(model: VAE, images: Tensor) -> Posterior:
    """The posteriors of uint8 images (n, 3, 64, 48)."""
    model.eval()
    device = next(model.parameters()).device
    mu, logvar = [], []
    for part in images.split(BATCH):
        part_mu, part_logvar = model.encode(to_float(part.to(device)))
        mu.append(part_mu.float().cpu())
        logvar.append(part_logvar.float().cpu())
    return Posterior(torch.cat(mu), torch.cat(logvar))


def latent_means(model: VAE, images: Tensor) -> Tensor:
    """mu (n, latent) of uint8 images (n, 3, 64, 48)."""
    return encode(model, images).mu


def nats_per_latent(model: VAE, images: Tensor) -> Tensor:
    """KL of each latent in nats, (latent,), averaged over uint8 images (n, 3, 64, 48)."""
    mu, logvar = encode(model, images)
    return kl_per_latent(mu, logvar).mean(dim=0)


def reconstruct(model: VAE, images: Tensor) -> Tensor:
    """Images (n, 3, 64, 48) in [-1, 1], decoded from the latent means of uint8 images."""
    return decode(model, latent_means(model, images))


def sample(model: VAE, n: int, seed: int = 0) -> Tensor:
    """n faces (n, 3, 64, 48) in [-1, 1] from the prior; the same noise for every model."""
    return decode(model, noise(n, model.latent, seed))


def interpolate(model: VAE, first: Tensor, last: Tensor, steps: int) -> Tensor:
    """Faces (n, steps, 3, 64, 48) on the straight lines between the latent means of two sets.

    first and last: uint8 images (n, 3, 64, 48). The ends are the model's own reconstructions.
    """
    start, end = latent_means(model, first), latent_means(model, last)
    z = interpolate_latents(start, end, torch.linspace(0, 1, steps))
    images: Tensor = decode(model, z.flatten(0, 1)).unflatten(0, (len(first), steps))
    return images


def interpolate_latents(
    start: Tensor, end: Tensor, fractions: Tensor, spherical: bool = False
) -> Tensor:
    """Latents (n, m, latent) at m fractions of the path from start to end, each (n, latent).

    On the straight line, or, where spherical, on the great circle through both (Shoemake, 1985), so
    that latents of equal length keep that length. Where the two are parallel, or one is 0, there is
    no such circle and the path is straight.
    """
    fraction = fractions.view(1, -1, 1)
    straight = torch.lerp(start[:, None], end[:, None], fraction)
    if not spherical:
        return straight
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=1).clamp(-1, 1)
    angle = cosine.acos().view(-1, 1, 1)
    sine = angle.sin()
    safe_sine = sine.clamp(min=PARALLEL)
    start_weight = ((1 - fraction) * angle).sin() / safe_sine
    end_weight = (fraction * angle).sin() / safe_sine
    circle = start_weight * start[:, None] + end_weight * end[:, None]
    not_zero = (start.norm(dim=1) * end.norm(dim=1)).view(-1, 1, 1) > 0
    return torch.where(not_zero & (sine > PARALLEL), circle, straight)


class Directions(NamedTuple):
    """Directions in the latent space, the most used first."""

    steps: Tensor  # (k, latent): each one standard deviation of the latent means long
    names: tuple[str, ...]  # k names to show


def most_used_latents(mu: Tensor, nats: Tensor, count: int) -> Directions:
    """The single latents with the largest KL; mu (n, latent), nats (latent,)."""
    order = nats.argsort(descending=True)[:count]
    steps = torch.diag(mu.std(dim=0))[order]
    return Directions(steps, tuple(f"latent {i}, {nats[i]:.2f} nats" for i in order.tolist()))


def principal_directions(mu: Tensor, count: int) -> Directions:
    """The principal components of latent means (n, latent), the largest variance first."""
    centred = mu - mu.mean(dim=0)
    _, singular_values, components = torch.linalg.svd(centred, full_matrices=False)
    standard_deviation = singular_values / max(1, len(mu) - 1) ** 0.5
    explained = singular_values.square() / singular_values.square().sum().clamp(min=1e-12)
    count = min(count, len(components))
    names = [f"direction {i + 1}, {float(explained[i]):.0%} of the variance" for i in range(count)]
    return Directions(standard_deviation[:count, None] * components[:count], tuple(names))


def mean_difference(mu: Tensor, has: Tensor) -> Tensor:
    """The step (latent,) from the mean of the faces without an attribute to that of those with it.

    mu: latent means (n, latent); has: bool (n,). Raises InputError where either group has fewer
    than 5 faces.
    """
    count = int(has.sum())
    if min(count, len(has) - count) < FEWEST:
        raise InputError(
            f"{count} of {len(has)} faces have this attribute; a direction needs {FEWEST} with it "
            f"and {FEWEST} without"
        )
    difference: Tensor = mu[has].mean(dim=0) - mu[~has].mean(dim=0)
    return difference


def classifier_normal(mu: Tensor, has: Tensor) -> Tensor:
    """The normal of Fisher's linear classifier of an attribute, (latent,).

    Of such a length that a step of 1 leads as far along the difference of means as
    `mean_difference` itself, however much or little else changes on the way. Arguments and errors
    are the same too.
    """
    difference = mean_difference(mu, has)
    within_groups = torch.cat([mu[group] - mu[group].mean(dim=0) for group in (has, ~has)])
    covariance = within_groups.T @ within_groups / max(1, len(within_groups) - 2)
    ridge = RIDGE * covariance.diagonal().mean().clamp(min=1e-8)
    normal = torch.linalg.solve(covariance + ridge * torch.eye(mu.shape[1]), difference)
    scaled: Tensor = normal * (difference @ difference / (normal @ difference).clamp(min=1e-12))
    return scaled
