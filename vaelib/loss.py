"""The loss in parts: reconstruction + lam * KL, and two readings of "z closer to the centre".

The scale matters more than any other choice here. The reconstruction is *averaged* over pixels,
channels and images, in [-1, 1]; the KL divergence is *summed* over the latents and averaged over
the images. Averaged over latents, a study of the latent size would silently change lam as well.
"""

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from vaelib.config import KLReading, Weighting


class LossParts(NamedTuple):
    """Scalars of one batch. `kl` is always the plain divergence, whatever reading was minimised."""

    total: Tensor  # what is minimised
    reconstruction: Tensor  # mean squared error, in [0, 4]
    kl: Tensor  # nats per image, at least 0


def mean_squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean over images, channels and pixels of the squared difference; images in [-1, 1]."""
    return (x.float() - reconstruction.float()).square().mean()


def kl_per_latent(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence of N(mu, exp(logvar)) from N(0, 1) in nats, one value per image and latent.

    1/2 (mu^2 + sigma^2 - log sigma^2 - 1): Kingma and Welling (2014), appendix B.
    """
    mu, logvar = mu.float(), logvar.float()
    return 0.5 * (mu.square() + logvar.exp() - logvar - 1)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence of the posterior from N(0, I): summed over latents, mean over images; nats."""
    return kl_per_latent(mu, logvar).sum(dim=1).mean()


def vae_loss(
    x: Tensor,
    reconstruction: Tensor,
    mu: Tensor,
    logvar: Tensor,
    lam: float,
    kl_reading: KLReading = "standard",
    weighting: Weighting = "fixed",
) -> LossParts:
    """The negative evidence lower bound up to scale: reconstruction + lam * KL, in float32.

    x and reconstruction: (n, 3, 64, 48) in [-1, 1]; mu and logvar: (n, latent).

    kl_reading: what is minimised in place of the KL divergence:
    - "standard": the divergence itself.
    - "plus_one": the divergence plus 1, as the original words it. A constant has no gradient, so
      training ends in the same weights to the last bit.
    - "centre_pull": the divergence plus 1/2 sum mu^2: the term that pulls the means to the centre
      counts twice.

    weighting: "calibrated" replaces lam by `optimal_lam` of this batch's error. Up to scale, that
    has the gradient of D/2 log MSE + KL, the loss of the sigma-VAE: Rybkin, Daniilidis and Levine
    (2021), equation 9.
    """
    mse = mean_squared_error(x, reconstruction)
    kl = kl_divergence(mu, logvar)
    regulariser = kl
    if kl_reading == "plus_one":
        regulariser = kl + 1
    elif kl_reading == "centre_pull":
        regulariser = kl + 0.5 * mu.float().square().sum(dim=1).mean()
    weight: Tensor | float = lam
    if weighting == "calibrated":
        weight = optimal_lam(mse.detach(), dimensions=x[0].numel())
    return LossParts(mse + weight * regulariser, mse, kl)


Number = TypeVar("Number", float, Tensor)


def optimal_lam(mse: Number, dimensions: int) -> Number:
    """The weight of a calibrated Gaussian decoder: 2 * MSE / dimensions.

    With a decoder of variance s2 the negative log likelihood is SSE / (2 s2), which makes lam
    2 s2 / D on our scale. Calibrated, s2 is the MSE itself. Rybkin, Daniilidis and Levine (2021).
    """
    return 2 * mse / dimensions


def calibrated_bits_per_dimension(mse: float, kl: float, dimensions: int) -> float:
    """Upper bound on the code length of an image, in bits per pixel and channel, on [-1, 1].

    (D/2 log(2 pi e MSE) + KL) / (D log 2): the negative ELBO with the decoder's variance set to
    the MSE. Lower is better; being the code length of a density, it may be negative.
    """
    two_pi_e = torch.tensor(2 * torch.pi * torch.e)
    nats = 0.5 * dimensions * float(torch.log(two_pi_e * mse)) + kl
    return nats / (dimensions * float(torch.log(torch.tensor(2.0))))
