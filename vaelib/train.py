"""The textbook training loop: one step, and steps until the budget of images is spent.

This is what the notebooks show, and the reference for the engine in `vaelib.training`, which takes
the same steps faster, in other precisions, and with checkpoints.
"""

import torch

from vaelib.config import Experiment, KLReading, Weighting
from vaelib.data import FaceSet, batches, flip, to_float
from vaelib.loss import LossParts, vae_loss
from vaelib.model import VAE, new_model


def train_step(
    model: VAE,
    optimizer: torch.optim.Optimizer,
    x: torch.Tensor,
    noise: torch.Tensor,
    lam: float,
    kl_reading: KLReading = "standard",
    weighting: Weighting = "fixed",
) -> LossParts:
    """Take one optimiser step on a batch, and return the loss in parts as it was before the step.

    x: images (n, 3, 64, 48) in [-1, 1]; noise: (n, latent) from N(0, I); lam, kl_reading and
    weighting as in `vae_loss`.
    """
    reconstruction, mu, logvar = model(x, noise)
    loss = vae_loss(x, reconstruction, mu, logvar, lam, kl_reading, weighting)
    optimizer.zero_grad()
    loss.total.backward()
    optimizer.step()
    return loss


def train(experiment: Experiment, faces: FaceSet, report_every: int = 0) -> VAE:
    """Train the model of an experiment from the start, on the CPU and in float32.

    The batches, the mirrored images and the noise are those of the engine, so that both end in the
    same weights up to rounding. report_every: steps between two printed lines; 0 prints none.
    """
    model = new_model(experiment)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=experiment.learning_rate)
    for step, batch in enumerate(batches(experiment, faces, torch.device("cpu")), start=1):
        x = to_float(flip(batch.images, batch.mirrored))
        loss = train_step(
            model,
            optimizer,
            x,
            batch.noise,
            experiment.lam,
            experiment.kl_reading,
            experiment.weighting,
        )
        if report_every and step % report_every == 0:
            print(
                f"step {step}, epoch {batch.epoch}: loss {loss.total:.4f}"
                f" (reconstruction {loss.reconstruction:.4f}, KL {loss.kl:.1f})"
            )
    return model
