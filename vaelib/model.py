"""The network of Tables 1 and 2: a convolutional encoder and its mirror image.

Each row of a table is (channels in, channels out, kernel, stride); the padding is 1 everywhere.
Shapes are computed from the rows, never typed, so height and width need not be equal.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaelib.config import IMAGE_SHAPE


class Row(NamedTuple):
    """One convolution of a table."""

    channels_in: int
    channels_out: int
    kernel: int
    stride: int


PADDING = 1

TABLE_1 = (
    Row(3, 32, 4, 2),
    Row(32, 32, 3, 1),
    Row(32, 64, 4, 2),
    Row(64, 64, 3, 1),
    Row(64, 128, 4, 2),
    Row(128, 128, 3, 1),
    Row(128, 256, 4, 2),
    Row(256, 256, 3, 1),
)

TABLE_2 = (
    Row(256, 256, 3, 1),
    Row(256, 128, 4, 2),
    Row(128, 128, 3, 1),
    Row(128, 64, 4, 2),
    Row(64, 64, 3, 1),
    Row(64, 32, 4, 2),
    Row(32, 32, 3, 1),
    Row(32, 3, 4, 2),
)

# The original prints stride 1 in the second row; built so, it draws 40 x 32 instead of 64 x 48.
TABLE_2_AS_PRINTED = (TABLE_2[0], TABLE_2[1]._replace(stride=1), *TABLE_2[2:])

# Beyond these, exp(logvar) says nothing that float32 could use.
LOGVAR_RANGE = (-30.0, 20.0)


def encoded_shape(image_shape: tuple[int, int, int] = IMAGE_SHAPE) -> tuple[int, int, int]:
    """Channels, height and width after all rows of Table 1: 256 x 4 x 3 for 64 x 48 images."""
    _, height, width = image_shape
    for row in TABLE_1:
        height = (height + 2 * PADDING - row.kernel) // row.stride + 1
        width = (width + 2 * PADDING - row.kernel) // row.stride + 1
    return TABLE_1[-1].channels_out, height, width


class Encoder(nn.Module):
    """Table 1: images (n, 3, 64, 48) in [-1, 1] to mu and logvar, each (n, latent)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for row in TABLE_1:
            layers += [
                nn.Conv2d(*row, PADDING),
                nn.InstanceNorm2d(row.channels_out),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers)
        channels, height, width = encoded_shape()
        self.mu = nn.Linear(channels * height * width, latent)
        self.logvar = nn.Linear(channels * height * width, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.convolutions(x).flatten(1)
        return self.mu(features), self.logvar(features).clamp(*LOGVAR_RANGE)


class Decoder(nn.Module):
    """Table 2: z (n, latent) to images (n, 3, 64, 48) in [-1, 1]."""

    def __init__(self, latent: int, table: tuple[Row, ...] = TABLE_2) -> None:
        super().__init__()
        self.shape = encoded_shape()
        channels, height, width = self.shape
        self.linear = nn.Linear(latent, channels * height * width)
        layers: list[nn.Module] = []
        for row in table:
            layers.append(nn.ConvTranspose2d(*row, PADDING))
            if row is not table[-1]:
                layers += [nn.InstanceNorm2d(row.channels_out), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.convolutions(self.linear(z).unflatten(1, self.shape))
        return images


class VAE(nn.Module):
    """Encoder and decoder with a diagonal Gaussian between them: Kingma and Welling (2014)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = Encoder(latent)
        self.decoder = Decoder(latent)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, 3, 64, 48) in [-1, 1] to the posterior's mu and logvar, each (n, latent)."""
        mu, logvar = self.encoder(x)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Latents (n, latent) to images (n, 3, 64, 48) in [-1, 1]."""
        images: Tensor = self.decoder(z)
        return images

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction, mu, logvar; z = mu + sigma x noise with noise (n, latent) ~ N(0, I)."""
        mu, logvar = self.encode(x)
        z = mu.float() + torch.exp(0.5 * logvar.float()) * noise
        return self.decode(z), mu, logvar


def parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
