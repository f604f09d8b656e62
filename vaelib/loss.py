"""The loss in parts: reconstruction + lam x KL, and two readings of "z closer to the centre".

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
    """The negative evidence lower bound up to scale: reconstruction + lam x KL, in float32.

    x and reconstruction: (n, 3, 64, 48) in [-1, 1]; mu and logvar: (n, latent).

    kl_reading, what stands in the place of KL:
    - "standard": the divergence itself.
    - "plus_one": the divergence plus 1, as the original words it. A constant has no gradient, so
      the weights end up the same to the last bit.
    - "centre_pull": the divergence plus 1/2 sum mu^2, one more helping of the term that draws the
      means to the centre.

    weighting: "calibrated" puts `optimal_lam` of the error of this batch in the place of lam. That
    has, up to scale, the gradient of D/2 log MSE + KL, the sigma-VAE's loss: Rybkin, Daniilidis
    and Levine (2021), equation 9.
    """
    mse = mean_squared_error(x, reconstruction)
    kl = kl_divergence(mu, logvar)
    minimised = kl
    if kl_reading == "plus_one":
        minimised = kl + 1
    elif kl_reading == "centre_pull":
        minimised = kl + 0.5 * mu.float().square().sum(dim=1).mean()
    if weighting == "calibrated":
        weight: Tensor | float = optimal_lam(mse.detach(), x[0].numel())
    else:
        weight = lam
    return LossParts(mse + weight * minimised, mse, kl)


Number = TypeVar("Number", float, Tensor)


def optimal_lam(mse: Number, dimensions: int) -> Number:
    """The weight that a calibrated Gaussian decoder asks for: 2 x MSE / dimensions.

    A decoder of variance s2 makes the negative log likelihood SSE / (2 s2), so that lam = 2 s2 / D
    on our scale; the calibrated s2 is the MSE itself. Rybkin, Daniilidis and Levine (2021).
    """
    return 2 * mse / dimensions


def calibrated_bits_per_dimension(mse: float, kl: float, dimensions: int) -> float:
    """Upper bound on the code length of an image, in bits per pixel and channel, on [-1, 1].

    (D/2 log(2 pi e MSE) + KL) / (D log 2): the negative ELBO with the decoder's variance set to
    the MSE. It is a density's, so it may be negative; lower is better.
    """
    two_pi_e = torch.tensor(2 * torch.pi * torch.e)
    nats = 0.5 * dimensions * float(torch.log(two_pi_e * mse)) + kl
    return nats / (dimensions * float(torch.log(torch.tensor(2.0))))
