"""Measures of images, of latents and of interpolations. Pure functions.

Images are (n, 3, 64, 48) in [-1, 1] throughout. Some functions return one value per image, (n,),
whose mean `bootstrap.mean` takes. The others return a measure with its bootstrap replicates,
(1 + REPLICATES,), as described in `vaelib.evaluation.bootstrap`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelib.evaluation import bootstrap
from vaelib.evaluation.bootstrap import Measures, bootstrap_weights

# Where eyes, nose and mouth are in an aligned face of 64 x 48: rows and columns.
CORE = (slice(24, 52), slice(12, 36))

MAX_VARIED = 1_000  # images behind variety, which is slow

# sRGB to CIE XYZ, and the white D65: IEC 61966-2-1.
TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
WHITE = (0.95047, 1.0, 1.08883)


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean squared error of each image, (n,), in [0, 4]."""
    return (x - reconstruction).square().mean(dim=(1, 2, 3))


def psnr(mse: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB; the peak is the range of pixels, 2."""
    return 10 * torch.log10(4 / mse)


def active_units(means: Tensor) -> Tensor:
    """The number of latents that vary with the face: variance of mu (n, latent) above 0.01.

    (1 + REPLICATES,). Burda, Grosse and Salakhutdinov (2016), section 5.2.
    """
    return (_variances(means) > 0.01).double().sum(dim=1)


def mean_square(means: Tensor) -> Tensor:
    """Mean of mu^2 over faces and latents, mu (n, latent): 0 at the centre; (1 + REPLICATES,)."""
    return bootstrap.mean(means.square().mean(dim=1))


def aggregate_variance(means: Tensor, logvar: Tensor) -> Tensor:
    """Variance of z over all faces, averaged over latents: 1 in a standard normal distribution.

    (1 + REPLICATES,). The variance of the means plus the mean variance of the posteriors; both
    arguments are (n, latent).
    """
    return _variances(means).mean(dim=1) + bootstrap.mean(logvar.exp().mean(dim=1))


def aggregate_kurtosis(z: Tensor) -> Tensor:
    """Fourth standardised moment of z (n, latent), averaged over latents: 3 where it is normal.

    (1 + REPLICATES,).
    """
    weights, centred = bootstrap_weights(len(z)), z.double() - z.double().mean(dim=0)
    first, second, third, fourth = (weights @ centred**power for power in (1, 2, 3, 4))
    variance = second - first**2
    fourth = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    return (fourth / variance**2).mean(dim=1)


def asymmetry(images: Tensor) -> Tensor:
    """Root mean squared difference of each image from its mirror image, (n,), in [0, 2]."""
    return (images - images.flip(-1)).square().mean(dim=(1, 2, 3)).sqrt()


def variety(images: Tensor) -> Tensor:
    """Half the mean squared difference of two different images, per pixel and channel.

    This equals the unbiased variance of the pixels over images; (1 + REPLICATES,), in [0, 2].
    """
    return _variances(images.flatten(1)).mean(dim=1)


def _variances(values: Tensor) -> Tensor:
    """Unbiased variance of each column of (n, columns) in each replicate."""
    weights, n = bootstrap_weights(len(values)), len(values)
    centred = values.double() - values.double().mean(dim=0)
    return (weights @ centred.square() - (weights @ centred).square()) * (n / max(n - 1, 1))


def rgb_to_lab(images: Tensor) -> Tensor:
    """CIE L*a*b* (D65), (n, 3, 64, 48): L* in [0, 100], a* and b* about [-100, 100]. CIE 15."""
    rgb = (images.double() + 1) / 2
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(TO_XYZ, dtype=torch.float64)
    white = torch.tensor(WHITE, dtype=torch.float64)
    xyz = torch.einsum("ij,njhw->nihw", matrix, linear) / white[:, None, None]
    root = xyz.clamp_min(1e-12) ** (1 / 3)
    x, y, z = torch.where(xyz > (6 / 29) ** 3, root, xyz * 841 / 108 + 4 / 29).unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def colour_errors(x: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
    """Distances in CIE L*a*b* (CIE76) between mean colours of images and reconstructions, (n,).

    "whole": of the whole image; "background": of the upper corners, where there is no skin and
    mostly no hair. About 2.3 is just noticeable.
    """
    difference = rgb_to_lab(x) - rgb_to_lab(reconstruction)
    corners = torch.cat([difference[:, :, :16, :8], difference[:, :, :16, -8:]], dim=3)
    return {
        "whole": difference.mean(dim=(2, 3)).norm(dim=1),
        "background": corners.mean(dim=(2, 3)).norm(dim=1),
    }


def sharpness(images: Tensor) -> Tensor:
    """Energy of fine detail in the core of each image (eyes, nose and mouth), (n,).

    Mean square of a discrete Laplacian of its grey values, in [0, 64].
    """
    grey = images.mean(dim=1, keepdim=True)
    laplacian = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    detail = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), laplacian[None, None])
    return detail[:, 0, CORE[0], CORE[1]].square().mean(dim=(1, 2))


def appearance(images: Tensor) -> Measures:
    """Mean asymmetry and sharpness of images; variety of the first MAX_VARIED."""
    return {
        "asymmetry": bootstrap.mean(asymmetry(images)),
        "variety": variety(images[:MAX_VARIED]),
        "sharpness": bootstrap.mean(sharpness(images)),
    }


def skin_tone(images: Tensor) -> Tensor:
    """Mean L* of the core of each image, (n,), in [0, 100]: darker or lighter skin."""
    return rgb_to_lab(images[:, :, CORE[0], CORE[1]])[:, 0].mean(dim=(1, 2))


def side_lighting(images: Tensor) -> Tensor:
    """How much brighter the right half of each image's core is than the left, (n,), in [-1, 1].

    On procedural faces it follows the direction of the light, and the turn of the head less.
    """
    grey = images[:, :, CORE[0], CORE[1]].mean(dim=1)
    left, right = grey.tensor_split(2, dim=2)
    return (right.mean(dim=(1, 2)) - left.mean(dim=(1, 2))) / 2


def path_metrics(images: Tensor) -> dict[str, Tensor]:
    """How far and how evenly interpolations (n, steps, 3, 64, 48) go, each (n,).

    "travel": root mean squared difference between the two ends, in [0, 2]; "evenness": largest step
    over mean step, 1 where all are equal; "detour": sum of steps over travel, 1 if straight in
    pixels.
    """
    steps = (images[:, 1:] - images[:, :-1]).square().mean(dim=(2, 3, 4)).sqrt()
    ends = (images[:, -1] - images[:, 0]).square().mean(dim=(1, 2, 3)).sqrt()
    tiny = torch.finfo(torch.float32).tiny  # a path that never moves counts as even and straight
    return {
        "travel": ends,
        "evenness": (steps.max(dim=1).values + tiny) / (steps.mean(dim=1) + tiny),
        "detour": (steps.sum(dim=1) + tiny) / (ends + tiny),
    }
