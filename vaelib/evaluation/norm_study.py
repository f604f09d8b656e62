"""What a norm costs: colour errors of reconstructions, and why batch norm's samples are pale.

In evaluation, batch norm divides by a running average of the variances met in training, all of
encoded faces. Samples from the prior may vary less, or more.
"""

import copy
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from vaelib import latent
from vaelib.data import to_float
from vaelib.evaluation import bootstrap, image_metrics, prior_gap
from vaelib.evaluation.bootstrap import Measures
from vaelib.model import VAE


def reconstruction_errors(model: VAE, images: Tensor) -> Measures:
    """Mean errors of uint8 images (n, 3, 64, 48), reconstructed from their latent means.

    "reconstruction": mean squared error, in [0, 4]; "whole": distance of mean colours in CIE
    L*a*b*; "background": the same in the upper corners. Each (1 + REPLICATES,).
    """
    x, reconstruction = to_float(images), latent.reconstruct(model, images)
    errors = {
        "reconstruction": image_metrics.squared_error(x, reconstruction),
        **image_metrics.colour_errors(x, reconstruction),
    }
    return {name: bootstrap.mean(values) for name, values in errors.items()}


def variance_ratios(model: VAE, images: Tensor, seed: int = 0) -> dict[str, list[float]]:
    """Variance of features over batch norm's running variance, layer by layer of the decoder.

    "encoded": for uint8 images (n, 3, 64, 48), whose z is drawn from their posteriors as in
    training; "prior": for as many samples. Only the first `latent.BATCH` of either are used.
    Medians over channels; empty for a model without batch norm.
    """
    encoded = prior_gap.encode(model, images, seed).z.float()
    noise = latent.noise(len(encoded), model.latent, seed)
    return {"encoded": _decoder_ratios(model, encoded), "prior": _decoder_ratios(model, noise)}


@torch.no_grad()
def _decoder_ratios(model: VAE, z: Tensor) -> list[float]:
    ratios: list[float] = []

    def record_ratio(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        variance = inputs[0].float().var(dim=(0, 2, 3))
        ratios.append(float((variance / norm.running_var).median()))

    with ExitStack() as hooks:
        for layer in model.decoder.modules():
            if isinstance(layer, nn.BatchNorm2d):
                hooks.enter_context(layer.register_forward_pre_hook(record_ratio))
        latent.decode(model, z[: latent.BATCH])
    return ratios


@torch.no_grad()
def sample_with_batch_statistics(model: VAE, n: int, seed: int = 0) -> Tensor:
    """Faces (n, 3, 64, 48) as `latent.sample` draws them, each batch normalised by itself.

    This is what the decoder does in training. The model stays as it is.
    """
    z = latent.noise(n, model.latent, seed)
    training = copy.deepcopy(model).train()  # a copy, because its running averages change
    device = next(training.parameters()).device
    parts = [training.decode(part.to(device)).float().cpu() for part in z.split(latent.BATCH)]
    return torch.cat(parts)
