"""The network of Tables 1 and 2: a convolutional encoder and its mirror image.

Each row of a table is (channels in, channels out, kernel, stride); the padding is 1 everywhere.
Shapes are computed from the rows, never typed, so height and width need not be equal.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelib.config import IMAGE_SHAPE, Experiment, Norm
from vaelib.training.fast_layers import PADDING, Convolution, TransposedConvolution


class LayerSpec(NamedTuple):
    """One convolution of a table."""

    channels_in: int
    channels_out: int
    kernel: int
    stride: int


TABLE_1 = (
    LayerSpec(3, 32, 4, 2),
    LayerSpec(32, 32, 3, 1),
    LayerSpec(32, 64, 4, 2),
    LayerSpec(64, 64, 3, 1),
    LayerSpec(64, 128, 4, 2),
    LayerSpec(128, 128, 3, 1),
    LayerSpec(128, 256, 4, 2),
    LayerSpec(256, 256, 3, 1),
)

TABLE_2 = (
    LayerSpec(256, 256, 3, 1),
    LayerSpec(256, 128, 4, 2),
    LayerSpec(128, 128, 3, 1),
    LayerSpec(128, 64, 4, 2),
    LayerSpec(64, 64, 3, 1),
    LayerSpec(64, 32, 4, 2),
    LayerSpec(32, 32, 3, 1),
    LayerSpec(32, 3, 4, 2),
)

# The original prints stride 1 in the second row; built so, it draws 40 x 32 instead of 64 x 48.
TABLE_2_AS_PRINTED = (TABLE_2[0], TABLE_2[1]._replace(stride=1), *TABLE_2[2:])

EPSILON = 1e-5  # torch's own in every norm
GROUPS = 8  # of channels, in a group norm
FEW_PIXELS = 12  # 4 x 3; up to here a layer norm takes longer than its formula

# Beyond these, exp(logvar) says nothing that float32 could use.
LOGVAR_RANGE = (-30.0, 20.0)


def encoded_shape(image_shape: tuple[int, int, int] = IMAGE_SHAPE) -> tuple[int, int, int]:
    """Channels, height and width after all rows of Table 1: 256 x 4 x 3 for 64 x 48 images."""
    _, height, width = image_shape
    for row in TABLE_1:
        height = (height + 2 * PADDING - row.kernel) // row.stride + 1
        width = (width + 2 * PADDING - row.kernel) // row.stride + 1
    return TABLE_1[-1].channels_out, height, width


class InstanceNormReLU(nn.Module):
    """Each channel of each image to mean 0 and variance 1, then what is negative to 0.

    Ulyanov, Vedaldi and Lempitsky (2016), without learnt scale and shift. The same function as
    nn.InstanceNorm2d followed by nn.ReLU, in less time: a layer norm over the pixels where these
    are many, else written out.
    """

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2)
        # Autocast would have it in float32; its sums are, whatever the precision of the features.
        with torch.autocast(x.device.type, enabled=False):
            if pixels.shape[2] <= FEW_PIXELS:
                centred = pixels.float() - pixels.float().mean(dim=2, keepdim=True)
                scale = torch.rsqrt(centred.square().mean(dim=2, keepdim=True) + EPSILON)
                normal = (centred * scale).to(x.dtype)
            else:
                normal = F.layer_norm(pixels, pixels.shape[2:], eps=EPSILON)
        # In place before it is a view: in place on a view, its gradient would be copied.
        return F.relu(normal, inplace=True).view_as(x)


def normalised(row: LayerSpec, norm: Norm, transposed: bool = False) -> list[nn.Module]:
    """A convolution of a table, the norm after it, without learnt scale and shift, and a ReLU.

    - "instance": the pixels of each channel of each image are normalised by themselves.
    - "batch": those of each channel, of all images of a batch; in evaluation by the mean and
      variance that training has met, as a running average. Ioffe and Szegedy (2015).
    - "group": those of each eighth of the channels of each image. Wu and He (2018).
    """
    if norm == "group":  # unlike the others, it leaves the bias an effect
        plain = nn.ConvTranspose2d if transposed else nn.Conv2d
        return [
            plain(*row, PADDING),
            nn.GroupNorm(GROUPS, row.channels_out, affine=False),
            nn.ReLU(),
        ]
    convolution = (TransposedConvolution if transposed else Convolution)(*row, PADDING)
    if norm == "batch":
        return [convolution, nn.BatchNorm2d(row.channels_out, affine=False), nn.ReLU()]
    return [convolution, InstanceNormReLU()]


class Encoder(nn.Module):
    """Table 1: images (n, 3, 64, 48) in [-1, 1] to mu and logvar, each (n, latent)."""

    def __init__(self, latent: int, norm: Norm = "instance") -> None:
        super().__init__()
        layers = [layer for row in TABLE_1 for layer in normalised(row, norm)]
        self.convolutions = nn.Sequential(*layers)
        channels, height, width = encoded_shape()
        self.mu = nn.Linear(channels * height * width, latent)
        self.logvar = nn.Linear(channels * height * width, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.convolutions(x).flatten(1)
        return self.mu(features), self.logvar(features).clamp(*LOGVAR_RANGE)


class Decoder(nn.Module):
    """Table 2: z (n, latent) to images (n, 3, 64, 48) in [-1, 1]."""

    def __init__(
        self, latent: int, norm: Norm = "instance", table: tuple[LayerSpec, ...] = TABLE_2
    ) -> None:
        super().__init__()
        self.shape = encoded_shape()
        channels, height, width = self.shape
        self.linear = nn.Linear(latent, channels * height * width)
        layers = [layer for row in table[:-1] for layer in normalised(row, norm, transposed=True)]
        layers += [nn.ConvTranspose2d(*table[-1], PADDING), nn.Tanh()]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.convolutions(self.linear(z).unflatten(1, self.shape))
        return images


class VAE(nn.Module):
    """Encoder and decoder with a diagonal Gaussian between them: Kingma and Welling (2014)."""

    def __init__(self, latent: int, norm: Norm = "instance") -> None:
        super().__init__()
        self.latent = latent
        self.encoder = Encoder(latent, norm)
        self.decoder = Decoder(latent, norm)

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


def new_model(experiment: Experiment) -> VAE:
    """The untrained network with the initial weights of the experiment's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return VAE(experiment.latent, experiment.norm)


def parameters(module: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
