"""Questions to the latent space. Pure functions: model and tensors in, tensors out, no gradient."""

from typing import NamedTuple

import torch
from torch import Tensor

from vaelib.config import LATENTS
from vaelib.data import to_float
from vaelib.loss import kl_per_latent
from vaelib.model import VAE

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
