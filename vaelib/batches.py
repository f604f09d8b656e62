"""What a run sees, and when: everything follows from its seed and from how far it has come.

Nothing has to be remembered to go on in the middle of an epoch.
"""

import functools
import hashlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vaelib.config import Experiment
from vaelib.data import FaceSet

# Of the memory that is free on a GPU, the share that the faces may take; networks need the rest.
GPU_SHARE = 0.5


class Batch(NamedTuple):
    """One step's worth, on the device."""

    epoch: int  # from 1
    images: Tensor  # uint8 (n, 3, 64, 48)
    mirrored: Tensor  # bool (n,): which of them are to be mirrored
    noise: Tensor  # float32 (n, latent), standard normal
    ends_epoch: bool


def batches(
    experiment: Experiment, faces: FaceSet, device: torch.device, seen: int = 0
) -> Iterator[Batch]:
    """The batches of a run that has seen so many images already, until its budget is spent.

    Exactly `experiment.images` images in all. `seen` must be where a batch ends.
    """
    images = on_device(faces, device)
    train = faces.train.to(images.device)
    while seen < experiment.images:
        epoch, start = seen // len(train) + 1, seen % len(train)
        drawn = _generator(experiment.seed, device, epoch)
        order = torch.randperm(len(train), generator=drawn, device=device)
        mirrored = torch.rand(len(train), generator=drawn, device=device) < 0.5
        order = train[order.to(train.device)]
        end = min(len(train), start + experiment.images - seen)
        for first in range(start, end, experiment.batch_size):
            chosen = slice(first, min(first + experiment.batch_size, end))
            n = chosen.stop - first
            last = chosen.stop == len(train)
            drawn = _generator(experiment.seed, device, epoch, first)
            noise = torch.randn(n, experiment.latent, generator=drawn, device=device)
            taken = _take(images, order[chosen], device)
            yield Batch(epoch, taken, mirrored[chosen], noise, last)
            seen += n


def _generator(seed: int, device: torch.device, *place: int) -> torch.Generator:
    """A generator for this place of a run: what it draws depends on nothing drawn before."""
    told = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(told[:4]))


@functools.lru_cache(maxsize=1)
def on_device(faces: FaceSet, device: torch.device) -> Tensor:
    """All the images, uint8: in the GPU's memory where they fit, else memory-mapped as they are."""
    if device.type != "cuda":
        return faces.images
    free, _ = torch.cuda.mem_get_info(device)
    fits = math.prod(faces.images.shape) < GPU_SHARE * free
    return faces.images.to(device) if fits else faces.images


def _take(images: Tensor, chosen: Tensor, device: torch.device) -> Tensor:
    taken = images[chosen]
    if taken.device == device:
        return taken
    return taken.pin_memory().to(device, non_blocking=True)
