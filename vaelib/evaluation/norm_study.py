"""What a norm costs: colour errors of reconstructions, and why batch norm's samples are pale.

In evaluation, batch norm divides by a running average of the variances met in training, all of
encoded faces. Samples from the prior may vary less, or more.
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


class ReconstructionErrors(NamedTuple):
    """Mean errors of reconstructed held-out faces, (1 + REPLICATES,)."""

    reconstruction: Tensor  # mean squared error in [0, 4], from the latent means
    whole: Tensor  # distance of mean colours in CIE L*a*b*
    background: Tensor  # the same in the upper corners


def reconstruction_errors(model: VAE, images: Tensor) -> ReconstructionErrors:
    """Errors and colour errors of uint8 images (n, 3, 64, 48), reconstructed from latent means."""
    x, reconstruction = to_float(images), latent.reconstruct(model, images)
    colours = image_metrics.colour_errors(x, reconstruction)
    return ReconstructionErrors(
        reconstruction=bootstrap.mean(image_metrics.squared_error(x, reconstruction)),
        whole=bootstrap.mean(colours.whole),
        background=bootstrap.mean(colours.background),
    )


class VarianceRatios(NamedTuple):
    """By layer of the decoder: variance of its features over batch norm's running variance."""

    encoded: list[float]  # for encoded faces
    prior: list[float]  # for samples from the prior


def variance_ratios(model: VAE, images: Tensor, seed: int = 0) -> VarianceRatios:
    """Ratios of a model with batch norm, for uint8 images (n, 3, 64, 48) and as many samples.

    Only the first `latent.BATCH` of either are used. z of encoded faces is drawn from their
    posteriors, as in training. Medians over channels; empty for a model without batch norm.
    """
    mu, logvar = latent.encode(model, images)
    noise = latent.noise(len(mu), model.latent, seed)
    encoded = _decoder_ratios(model, mu + torch.exp(0.5 * logvar) * noise)
    return VarianceRatios(encoded, _decoder_ratios(model, noise))


@torch.no_grad()
def _decoder_ratios(model: VAE, z: Tensor) -> list[float]:
    ratios: list[float] = []

    def record_ratio(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        variance = inputs[0].float().var(dim=(0, 2, 3))
        ratios.append(float((variance / norm.running_var).median()))

    with _batch_norm_hooks(model, record_ratio):
        latent.decode(model, z[: latent.BATCH])
    return ratios


@contextmanager
def _batch_norm_hooks(
    model: VAE, hook: Callable[[nn.Module, tuple[Tensor]], None]
) -> Iterator[None]:
    """Call `hook` with each batch norm of the decoder and its input, while the block runs."""
    norms = [layer for layer in model.decoder.modules() if isinstance(layer, nn.BatchNorm2d)]
    handles = [norm.register_forward_pre_hook(hook) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def sample_with_batch_statistics(model: VAE, n: int, seed: int = 0) -> Tensor:
    """Faces (n, 3, 64, 48) as `latent.sample` draws them, each batch normalised by itself.

    This is what the decoder does in training. The model is left as it was.
    """
    z = latent.noise(n, model.latent, seed)
    buffers_before = [buffer.clone() for buffer in model.decoder.buffers()]
    training, device = model.decoder.training, next(model.parameters()).device
    try:
        model.decoder.train()
        parts = [model.decode(part.to(device)).float().cpu() for part in z.split(latent.BATCH)]
    finally:
        model.decoder.train(training)
        for buffer, before in zip(model.decoder.buffers(), buffers_before, strict=True):
            buffer.copy_(before)
    return torch.cat(parts)
