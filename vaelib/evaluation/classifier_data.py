"""The attribute classifier's data: training faces, changed at random, with their true targets.

Images are mirrored, and blurred by a random amount: models draw softer faces than photos, and
softness shall pass neither for an attribute nor for the lack of one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vaelib.data import FaceSet, evenly_spaced, flip, to_float
from vaelib.evaluation import altered_faces
from vaelib.faces import sampling

BATCH_SIZE = 128
MAX_HELD_OUT = 4_000  # faces of the held-out set
MAX_BLUR = 2.0  # pixels, standard deviation of the blur; less for most batches

# Self-supervised tasks, learnt where the faces have no attributes.
PRETEXT_TASKS = ("cropped to the left", "cropped to the top", "upside down", "warmer")

# Factors of procedural faces (pose, skin, hair), each with its factor of change in a mirror image.
FACTORS = {"yaw": -1.0, "skin_tone": 1.0, "melanin": 1.0}


class TrainingBatch(NamedTuple):
    """n changed faces and what is true of them, all float32."""

    images: Tensor  # (n, 3, 64, 48) in [-1, 1], blurred
    targets: Tensor  # (n, targets): 1 where the attribute or pretext task applies, else 0
    factors: Tensor  # (n, factors), in standard deviations of the training faces; else zeros


class HeldOutSet(NamedTuple):
    """n held-out faces, not blurred, and what is true of them."""

    images: Tensor  # (n, 3, 64, 48) in [-1, 1]
    targets: Tensor  # bool (n, targets)


def training_batches(faces: FaceSet, budget: int) -> Iterator[TrainingBatch]:
    """Training faces in random order, `budget` images in all; the same on every call."""
    generator = torch.Generator().manual_seed(0)
    train, factors = faces.train, _standardised_factors(faces)
    mirror_signs = torch.tensor(list(FACTORS.values()))
    while budget > 0:
        order = train[torch.randperm(len(train), generator=generator)]
        for chosen in order[:budget].split(BATCH_SIZE):
            mirrored = torch.rand(len(chosen), generator=generator) < 0.5
            images = flip(faces.images[chosen], mirrored)
            x, targets = _with_targets(faces, chosen, images, generator)
            true_factors = torch.where(
                mirrored[:, None], mirror_signs * factors[chosen], factors[chosen]
            )
            share = 1 - float(torch.rand(1, generator=generator))  # above 0
            x = altered_faces.gaussian_blur(x, share * MAX_BLUR)
            yield TrainingBatch(x, targets, true_factors)
        budget -= len(train)


def held_out_set(faces: FaceSet) -> HeldOutSet:
    """Validation and test faces; the same on every call."""
    chosen = evenly_spaced(torch.cat([faces.validation, faces.test]), MAX_HELD_OUT)
    generator = torch.Generator().manual_seed(1)
    x, targets = _with_targets(faces, chosen, faces.images[chosen], generator)
    return HeldOutSet(x, targets.bool())


def _standardised_factors(faces: FaceSet) -> Tensor:
    """FACTORS of all faces, (N, factors), standardised over training faces; else zeros."""
    if faces.kind != "synthetic":
        return torch.zeros(len(faces.images), len(FACTORS))
    drawn = sampling.sample(len(faces.images), 0)  # as `prepare` draws them
    factors = torch.stack([getattr(drawn, name) for name in FACTORS], dim=1)
    train_factors = factors[faces.train]
    return (factors - train_factors.mean(dim=0)) / train_factors.std(dim=0)


def _with_targets(
    faces: FaceSet, chosen: Tensor, images: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images in [-1, 1] and their targets: attributes, else pretext tasks, which change them."""
    if faces.attributes is not None:
        return to_float(images), faces.attributes[chosen].float()
    return _apply_pretext_tasks(to_float(images), generator)


def _apply_pretext_tasks(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image changed at random by each of PRETEXT_TASKS or not, and by which of them, (n, 4).

    Every image is cropped to 7/8 of its size: left or right, top or bottom.
    """
    targets = torch.rand(len(x), len(PRETEXT_TASKS), generator=generator) < 0.5
    left, top, upside_down, warmer = targets.T
    height, width = x.shape[2:]
    rows = torch.arange(height) * 7 // 8 + (~top)[:, None] * (height // 8)
    columns = torch.arange(width) * 7 // 8 + (~left)[:, None] * (width // 8)
    index = torch.arange(len(x))[:, None, None]
    cropped = x.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    cropped = torch.where(upside_down[:, None, None, None], cropped.flip(1), cropped)
    shift = torch.tensor([0.15, 0.0, -0.15]) * (2 * warmer.float() - 1)[:, None]
    changed = (cropped + shift[:, None, None]).clamp(-1, 1)
    return changed.permute(0, 3, 1, 2), targets.float()
