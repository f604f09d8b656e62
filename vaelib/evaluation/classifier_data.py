"""The attribute classifier's data: training faces, changed at random, with their true targets.

Images are mirrored and blurred, and some are deformed. From the deformed ones the classifier learns
what a face must not look like, without ever seeing a model's samples.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelib.data import FaceSet, evenly_spaced, flip, to_float
from vaelib.faces import sampling

BATCH_SIZE = 128
MAX_HELD_OUT = 4_000  # faces of the held-out set
MIN_BLUR, MAX_BLUR = 1.5, 2.5  # standard deviation in pixels: sharpness shall decide nothing
DEFORMED_SHARE = 1 / 3  # of the training batches
WARP = 5.0  # pixels, standard deviation of the shift at each knot of a grid of 4 x 3

# Self-supervised tasks, learnt where the faces have no attributes.
PRETEXT_TASKS = ("cropped to the left", "cropped to the top", "upside down", "warmer")

# Factors of procedural faces (pose, skin, hair), each with its factor of change in a mirror image.
FACTORS = {"yaw": -1.0, "skin_tone": 1.0, "melanin": 1.0}


class TrainingBatch(NamedTuple):
    """n changed faces and what is true of them, all float32."""

    images: Tensor  # (n, 3, 64, 48) in [-1, 1], blurred
    targets: Tensor  # (n, targets): 1 where the attribute or pretext task applies, else 0
    deformed: Tensor  # (n,): 1 or 0
    factors: Tensor  # (n, factors), in standard deviations of the training faces; else zeros


class HeldOutSet(NamedTuple):
    """n held-out faces, some of them deformed, not blurred, and what is true of them."""

    images: Tensor  # (n, 3, 64, 48) in [-1, 1]
    targets: Tensor  # bool (n, targets)
    deformed: Tensor  # bool (n,)


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
            x, deformed = _deform_some(x, generator)
            true_factors = torch.where(
                mirrored[:, None], mirror_signs * factors[chosen], factors[chosen]
            )
            share = float(torch.rand(1, generator=generator))
            x = gaussian_blur(x, MIN_BLUR + (MAX_BLUR - MIN_BLUR) * share)
            yield TrainingBatch(x, targets, deformed.float(), true_factors)
        budget -= len(train)


def held_out_set(faces: FaceSet) -> HeldOutSet:
    """Validation and test faces; the same on every call. The classifier blurs them itself."""
    chosen = evenly_spaced(torch.cat([faces.validation, faces.test]), MAX_HELD_OUT)
    generator = torch.Generator().manual_seed(1)
    x, targets = _with_targets(faces, chosen, faces.images[chosen], generator)
    x, deformed = _deform_some(x, generator)
    return HeldOutSet(x, targets.bool(), deformed)


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


def _deform_some(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images of which a random share is warped or patched, half each; and which, bool (n,)."""
    deformed = torch.rand(len(x), generator=generator) < DEFORMED_SHARE
    to_warp, to_patch = torch.nonzero(deformed).flatten().tensor_split(2)
    changed = x.clone()
    changed[to_warp] = warp(x[to_warp], generator)
    changed[to_patch] = blend_patches(x[to_patch], x[(to_patch + 1) % len(x)], generator)
    return changed, deformed


def warp(x: Tensor, generator: torch.Generator, degree: float = WARP) -> Tensor:
    """Images (n, 3, 64, 48) under a smooth random displacement field.

    degree: standard deviation of the shift at each knot of a grid of 4 x 3, in pixels.
    """
    n, _, height, width = x.shape
    shift = degree * torch.randn(n, 2, 4, 3, generator=generator)
    shift = F.interpolate(shift, (height, width), mode="bicubic", align_corners=True)
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    grid = torch.stack([columns + 2 * shift[:, 0] / width, rows + 2 * shift[:, 1] / height], 3)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)


def blend_patches(x: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """Images (n, 3, 64, 48) with smoothly blended patches of other images."""
    knots = torch.randn(len(x), 1, 4, 3, generator=generator)
    share = torch.sigmoid(4 * F.interpolate(knots, x.shape[2:], mode="bicubic", align_corners=True))
    return share * x + (1 - share) * other


def gaussian_blur(x: Tensor, sigma: float = MIN_BLUR) -> Tensor:
    """Images (n, 3, 64, 48) under a Gaussian blur of standard deviation sigma, in pixels."""
    down, across = (_blur_matrix(size, sigma) for size in x.shape[2:])
    return down @ x @ across.T


def _blur_matrix(size: int, sigma: float) -> Tensor:
    """The matrix (size, size) that blurs along one side; pixels at the edge are repeated."""
    offsets = torch.arange(-7, 8)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    sources = (torch.arange(size)[:, None] + offsets).clamp(0, size - 1)
    matrix = torch.zeros(size, size)
    return matrix.scatter_add_(1, sources, (weights / weights.sum()).expand(size, -1))
