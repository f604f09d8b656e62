"""How far from the prior faces are encoded, and what a model draws where they are.

In training, the decoder sees z of faces: together, over all faces, the aggregate posterior. New
faces are decoded from draws of the prior. Where the two differ, z lies in a place where
the decoder has never seen a face. Three questions about that:

- How much of the KL says which face it is, and how much only moves all codes away from the prior?
  `split_divergence`, after Hoffman and Johnson (2016).
- In which directions does the aggregate posterior reach beyond the prior? `spectrum`.
- What is drawn from where faces are encoded? `fit_gaussian` and `fit_mixture` of their z, as Ghosh
  et al. (2020) draw from autoencoders.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelib import latent
from vaelib.data import FaceSet, evenly_spaced
from vaelib.loss import kl_per_latent
from vaelib.model import VAE, reparametrise

MAX_ENCODED = 1_000  # training faces that say where faces are encoded
COMPONENTS = (1, 2, 4, 8)  # of a mixture; the number is chosen by held-out likelihood
SMALLEST_VARIANCE = 1e-4  # added to the variances of a mixture's components
CHUNK = 256  # latents compared with all posteriors at once


def training_faces(faces: FaceSet) -> Tensor:
    """The training faces that say where faces are encoded, uint8 (n, 3, 64, 48); n up to 1,000."""
    return faces.images[evenly_spaced(faces.train, MAX_ENCODED)]


class Encoded(NamedTuple):
    """The posteriors of n faces and a draw from each, float64 (n, latent)."""

    mu: Tensor
    logvar: Tensor
    z: Tensor


def encode(model: VAE, images: Tensor, seed: int = 0) -> Encoded:
    """Posteriors of uint8 images (n, 3, 64, 48), and z drawn from them as in training."""
    mu, logvar = latent.encode(model, images)
    z = reparametrise(mu, logvar, latent.noise(len(mu), model.latent, seed))
    return Encoded(mu.double(), logvar.double(), z.double())


# --- the split of the divergence


class DivergenceSplit(NamedTuple):
    """Where the nats of the KL go: kl = information + marginal. All are means over the faces."""

    kl: float  # KL(q(z | x) || prior), what training pays for
    information: float  # between z and the face, among these faces; at most log n
    marginal: float  # KL(q(z) || prior) of all codes together
    gaussian: float  # the part of it that a Gaussian of their mean and covariance has already


def split_divergence(encoded: Encoded) -> DivergenceSplit:
    """Split the KL of n faces as Hoffman and Johnson (2016) do.

    With q(z) the mean of the n posteriors, KL(q(z | x) || p) = I(z; x) + KL(q(z) || p). Both are
    estimated from a draw for each face. Where codes are so narrow that each z gives its face away,
    the information is log n, however many nats are spent. `gaussian` does not depend on n: for a
    Gaussian prior, KL(q || p) = KL(N || p) + KL(q || N), with N of the same mean and covariance.
    """
    mu, logvar, z = encoded
    n, size = mu.shape
    log_q = torch.cat([_log_mixture(part, mu, logvar) for part in z.split(CHUNK)]).mean()
    log_own = _log_normal(z, mu, logvar).mean()
    kl = float(kl_per_latent(mu, logvar).sum(dim=1).mean())
    information = min(max(float(log_own - log_q), 0.0), math.log(n))
    gaussian = fit_gaussian(mu, logvar)
    trace = float(gaussian.covariance.trace() + gaussian.mean.square().sum())
    log_determinant = float(torch.linalg.slogdet(gaussian.covariance).logabsdet)
    return DivergenceSplit(
        kl=kl,
        information=information,
        marginal=kl - information,
        gaussian=(trace - size - log_determinant) / 2,
    )


def _log_normal(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Log density of z under diagonal Gaussians, summed over latents, in nats."""
    squares = (z - mu).square() / logvar.exp()
    return -0.5 * (squares + logvar + math.log(2 * math.pi)).sum(dim=-1)


def _log_mixture(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Log density of z (m, latent) under the mean of n posteriors, (m,)."""
    precision = (-logvar).exp()
    # (z - mu)^2 / variance, multiplied out, so that no (m, n, latent) is needed.
    squares = (
        z.square() @ precision.T - 2 * z @ (mu * precision).T + (mu.square() * precision).sum(1)
    )
    constants = logvar.sum(dim=1) + mu.shape[1] * math.log(2 * math.pi)
    return torch.logsumexp(-0.5 * (squares + constants), dim=1) - math.log(len(mu))


# --- the aggregate posterior, and draws from it


class Gaussian(NamedTuple):
    """A normal distribution in the latent space, float64."""

    mean: Tensor  # (latent,)
    covariance: Tensor  # (latent, latent)

    def draw(self, noise: Tensor) -> Tensor:
        """Draws (n, latent) from standard normal noise (n, latent).

        Of all linear maps to this distribution, the one that moves the noise least: the symmetric
        root of the covariance.
        """
        return (self.mean + noise.double() @ _root(self.covariance)).float()


class Mixture(NamedTuple):
    """A mixture of normal distributions in the latent space, float64."""

    weights: Tensor  # (components,)
    means: Tensor  # (components, latent)
    covariances: Tensor  # (components, latent, latent)

    def draw(self, noise: Tensor, seed: int = 0) -> Tensor:
        """Draws (n, latent) from standard normal noise; the seed decides on their components."""
        generator = torch.Generator().manual_seed(seed)
        components = torch.multinomial(self.weights, len(noise), True, generator=generator)
        z = torch.empty_like(noise)
        for k in components.unique().tolist():
            chosen = components == k
            z[chosen] = Gaussian(self.means[k], self.covariances[k]).draw(noise[chosen])
        return z


def fit_gaussian(mu: Tensor, logvar: Tensor) -> Gaussian:
    """The mean and covariance of z over n > 1 faces: of the means, plus the mean variance."""
    mu, variances = mu.double(), logvar.double().exp().mean(dim=0)
    return Gaussian(mu.mean(dim=0), torch.cov(mu.T).view(2 * mu.shape[1:]) + torch.diag(variances))


def fit_mixture(train: Encoded, held_out: Encoded) -> Mixture:
    """A mixture of Gaussians fitted to z of training faces.

    Of COMPONENTS, the number under which z of held-out faces is most likely.
    """
    from sklearn.mixture import GaussianMixture  # only here: it takes a second to import

    fitted = [
        GaussianMixture(number, reg_covar=SMALLEST_VARIANCE, random_state=0).fit(train.z.numpy())
        for number in COMPONENTS
        if number <= len(train.z)
    ]
    best = max(fitted, key=lambda mixture: float(mixture.score(held_out.z.numpy())))
    parts = (best.weights_, best.means_, best.covariances_)
    return Mixture(*(torch.from_numpy(np.asarray(part)) for part in parts))


def spectrum(encoded: Encoded) -> Tensor:
    """Variances of z over all faces along its principal axes, (latent,), falling.

    In the prior, all are 1.
    """
    variances: Tensor = torch.linalg.eigvalsh(fit_gaussian(encoded.mu, encoded.logvar).covariance)
    return variances.flip(0)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a covariance."""
    variances, axes = torch.linalg.eigh(covariance)
    root: Tensor = axes @ torch.diag(variances.clamp_min(0).sqrt()) @ axes.T
    return root
