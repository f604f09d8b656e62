"""What a norm costs: colours of reconstructions, and why batch norm pales when it draws.

In evaluation, batch norm divides by a running average of the variances that training met, all of
them of encoded faces. Draws from the prior may vary less, or more.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaelib import latent
from vaelib.data import to_float
from vaelib.evaluation import bootstrap, image_metrics
from vaelib.model import VAE


class Colours(NamedTuple):
    """How far reconstructions of held-out faces are off, (1 + REPLICATES,)."""

    reconstruction: Tensor  # mean squared error in [0, 4], from the latent means
    whole: Tensor  # distance of mean colours in CIE L*a*b*
    background: Tensor  # the same in the upper corners


def colours(model: VAE, images: Tensor) -> Colours:
    """Errors and colour errors of uint8 images (n, 3, 64, 48), reconstructed from latent means."""
    x, reconstruction = to_float(images), latent.reconstruct(model, images)
    off = image_metrics.colour_errors(x, reconstruction)
    error = image_metrics.squared_error(x, reconstruction)
    return Colours(*(bootstrap.mean(one) for one in (error, off.whole, off.background)))


class Spread(NamedTuple):
    """How strongly a decoder's features vary where batch norm divides by their running variance."""

    encoded: list[float]  # by layer: variance for encoded faces over the running variance
    prior: list[float]  # the same for draws from the prior


def spread(model: VAE, images: Tensor, seed: int = 0) -> Spread:
    """Of a model with batch norm, for uint8 images (n, 3, 64, 48) and as many draws.

    Of either, the first `latent.BATCH` are looked at. Encoded faces are drawn from their
    posteriors, as in training. Medians over channels.
    """
    mu, logvar = latent.posterior(model, images)
    noise = latent.noise(len(mu), model.latent, seed)
    encoded = _variances(model, mu + torch.exp(0.5 * logvar) * noise)
    return Spread(encoded, _variances(model, noise))


@torch.no_grad()
def _variances(model: VAE, z: Tensor) -> list[float]:
    found: list[float] = []

    def look(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        variance = inputs[0].float().var(dim=(0, 2, 3))
        found.append(float((variance / norm.running_var).median()))

    with _watched(model, look):
        latent.decode(model, z[: latent.BATCH])
    return found


@contextmanager
def _watched(model: VAE, look: Callable[[nn.Module, tuple[Tensor]], None]) -> Iterator[None]:
    """Call `look` with each batch norm of the decoder and its input, while the block runs."""
    norms = [layer for layer in model.decoder.modules() if isinstance(layer, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def sample_by_batch(model: VAE, n: int, seed: int = 0) -> Tensor:
    """Faces (n, 3, 64, 48) as `latent.sample` draws them, each batch normalised by itself.

    What the decoder does in training. The model is left as it was.
    """
    z = latent.noise(n, model.latent, seed)
    averages = [buffer.clone() for buffer in model.decoder.buffers()]
    training, device = model.decoder.training, next(model.parameters()).device
    try:
        model.decoder.train()
        parts = [model.decode(part.to(device)).float().cpu() for part in z.split(latent.BATCH)]
    finally:
        model.decoder.train(training)
        for buffer, before in zip(model.decoder.buffers(), averages, strict=True):
            buffer.copy_(before)
    return torch.cat(parts)
