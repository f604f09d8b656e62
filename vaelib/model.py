"""The network of Tables 1 and 2: a convolutional encoder, a latent Gaussian, and a decoder.

Each row of a table is one convolution; the padding is 1 everywhere. Shapes are computed from the
rows, never typed, so height and width need not be equal.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaelib.config import IMAGE_SHAPE, Experiment, Norm

PADDING = 1
GROUPS = 8  # of channels, in a group norm

# Beyond these, exp(logvar) is no useful number in float32.
LOGVAR_RANGE = (-30.0, 20.0)


class LayerSpec(NamedTuple):
    """One row of a table: a convolution, or a transposed one in the decoder."""

    channels_in: int
    channels_out: int
    kernel: int
    stride: int


TABLE_1 = (
    LayerSpec(3, 32, 4, 2),  # 64 x 48 => 32 x 24
    LayerSpec(32, 32, 3, 1),
    LayerSpec(32, 64, 4, 2),  # => 16 x 12
    LayerSpec(64, 64, 3, 1),
    LayerSpec(64, 128, 4, 2),  # => 8 x 6
    LayerSpec(128, 128, 3, 1),
    LayerSpec(128, 256, 4, 2),  # => 4 x 3
    LayerSpec(256, 256, 3, 1),
)

TABLE_2 = (
    LayerSpec(256, 256, 3, 1),
    LayerSpec(256, 128, 4, 2),  # 4 x 3 => 8 x 6
    LayerSpec(128, 128, 3, 1),
    LayerSpec(128, 64, 4, 2),  # => 16 x 12
    LayerSpec(64, 64, 3, 1),
    LayerSpec(64, 32, 4, 2),  # => 32 x 24
    LayerSpec(32, 32, 3, 1),
    LayerSpec(32, 3, 4, 2),  # => 64 x 48
)

# The original prints stride 1 in the second row, which decodes to 40 x 32 instead of 64 x 48.
TABLE_2_AS_PRINTED = (TABLE_2[0], TABLE_2[1]._replace(stride=1), *TABLE_2[2:])


def encoded_shape(image_shape: tuple[int, int, int] = IMAGE_SHAPE) -> tuple[int, int, int]:
    """Channels, height and width after all rows of Table 1: 256 x 4 x 3 for 64 x 48 images."""
    _, height, width = image_shape
    for row in TABLE_1:
        height = (height + 2 * PADDING - row.kernel) // row.stride + 1
        width = (width + 2 * PADDING - row.kernel) // row.stride + 1
    return TABLE_1[-1].channels_out, height, width


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """The norm after a convolution, without learnt scale and shift.

    - "instance": normalises each channel of each image over its pixels. Ulyanov et al. (2016).
    - "batch": each channel over the pixels of all images of a batch; in evaluation with the running
      averages of mean and variance from training. Ioffe and Szegedy (2015).
    - "group": each eighth of the channels of each image. Wu and He (2018).
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels, affine=False)
    if norm == "group":
        return nn.GroupNorm(GROUPS, channels, affine=False)
    return nn.InstanceNorm2d(channels)


class Encoder(nn.Module):
    """Table 1: images (n, 3, 64, 48) in [-1, 1] to mu and logvar, each (n, latent)."""

    def __init__(self, latent: int, norm: Norm = "instance") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for row in TABLE_1:
            layers.append(nn.Conv2d(*row, padding=PADDING))
            layers.append(norm_layer(norm, row.channels_out))
            layers.append(nn.ReLU())
        self.convolutions = nn.Sequential(*layers)
        channels, height, width = encoded_shape()
        self.mu = nn.Linear(channels * height * width, latent)
        self.logvar = nn.Linear(channels * height * width, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.convolutions(x).flatten(1)  # (n, 3072)
        return self.mu(features), self.logvar(features).clamp(*LOGVAR_RANGE)


class Decoder(nn.Module):
    """Table 2: z (n, latent) to images (n, 3, 64, 48) in [-1, 1]."""

    def __init__(
        self, latent: int, norm: Norm = "instance", table: tuple[LayerSpec, ...] = TABLE_2
    ) -> None:
        super().__init__()
        channels, height, width = self.shape = encoded_shape()
        self.linear = nn.Linear(latent, channels * height * width)
        layers: list[nn.Module] = []
        for row in table[:-1]:
            layers.append(nn.ConvTranspose2d(*row, padding=PADDING))
            layers.append(norm_layer(norm, row.channels_out))
            layers.append(nn.ReLU())
        layers.append(nn.ConvTranspose2d(*table[-1], padding=PADDING))
        layers.append(nn.Tanh())
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        features = self.linear(z).unflatten(1, self.shape)  # (n, 256, 4, 3)
        images: Tensor = self.convolutions(features)
        return images


def reparametrise(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z = mu + sigma * noise, in float32; all (n, latent), noise drawn from N(0, I).

    The noise is drawn outside the network, so that z is a differentiable function of mu and logvar
    and gradients reach the encoder: Kingma and Welling (2014), section 2.4.
    """
    return mu.float() + torch.exp(0.5 * logvar.float()) * noise


class VAE(nn.Module):
    """Encoder and decoder with a diagonal Gaussian between them: Kingma and Welling (2014)."""

    def __init__(self, latent: int, norm: Norm = "instance") -> None:
        super().__init__()
        self.latent = latent
        self.encoder = Encoder(latent, norm)
        self.decoder = Decoder(latent, norm)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and logvar of the posterior, each (n, latent), of images (n, 3, 64, 48) in [-1, 1]."""
        mu, logvar = self.encoder(x)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, 3, 64, 48) in [-1, 1] of latents (n, latent)."""
        images: Tensor = self.decoder(z)
        return images

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction, mu and logvar of images x, with noise (n, latent) from N(0, I)."""
        mu, logvar = self.encode(x)
        z = reparametrise(mu, logvar, noise)
        return self.decode(z), mu, logvar


def new_model(experiment: Experiment) -> VAE:
    """The untrained network of an experiment, its initial weights drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return VAE(experiment.latent, experiment.norm)


def parameters(module: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
