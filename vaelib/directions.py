"""Ways through the latent space: between faces, along what is used most, towards an attribute.

Pure functions of latents, (n, latent); none of them knows a model.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vaelib.errors import InputError

PARALLEL = 1e-3  # below this sine of their angle, two latents have no great circle of their own
FEWEST = 5  # faces with an attribute, and without, that a direction is learnt from
RIDGE = 1e-2  # of the mean variance, or unused latents would decide a classifier's normal


class Ways(NamedTuple):
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


def by_use(mu: Tensor, nats: Tensor, count: int) -> Ways:
    """The single latents that take most KL: mu (n, latent), nats (latent,)."""
    order = nats.argsort(descending=True)[:count]
    steps = torch.diag(mu.std(dim=0))[order]
    return Ways(steps, tuple(f"latent {i}, {nats[i]:.2f} nats" for i in order.tolist()))


def principal(mu: Tensor, count: int) -> Ways:
    """The principal directions of latent means (n, latent), most variance first."""
    centred = mu - mu.mean(dim=0)
    _, spread, ways = torch.linalg.svd(centred, full_matrices=False)
    deviation = spread / max(1, len(mu) - 1) ** 0.5
    share = spread.square() / spread.square().sum().clamp(min=1e-12)
    kept = min(count, len(ways))
    names = tuple(f"direction {i + 1}, {float(share[i]):.0%} of the variance" for i in range(kept))
    return Ways(deviation[:kept, None] * ways[:kept], names)


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
