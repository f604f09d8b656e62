"""What the classifier learns from: training faces changed at random, each with what is true of it.

Mirrored, gaussian_blur, and some of them deformed, so that it learns what a face must not look like
without ever seeing a model's.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelib.data import FaceSet, evenly_spaced, flip, to_float
from vaelib.faces import render as procedural

BATCH = 128
SOFT, SOFTEST = 1.5, 2.5  # pixels: what is drawn shall be judged, not how sharply
MOST_HELD_OUT = 4_000  # faces of the held_out_set
QUESTIONS = ("cropped to the left", "cropped to the top", "upside down", "warmer")
DEFORMED_SHARE = 1 / 3  # of the training_batches
PULL = 5.0  # pixels, deviation of the pull at each knot of a grid of 4 x 3

# Of procedural faces: pose, skin and hair; by how much the mirror image's is multiplied.
FACTORS = {"yaw": -1.0, "skin_tone": 1.0, "melanin": 1.0}


def training_batches(
    faces: FaceSet, budget: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Batches of images in [-1, 1], mirrored, deformed and gaussian_blur at random; with what is true.

    Answers, whether deformed, and factors.
    """
    generator = torch.Generator().manual_seed(0)
    train, factors = faces.train, _factors(faces)
    signs = torch.tensor(list(FACTORS.values()))
    while budget > 0:
        order = train[torch.randperm(len(train), generator=generator)]
        for chosen in order[:budget].split(BATCH):
            mirrored = torch.rand(len(chosen), generator=generator) < 0.5
            images = flip(faces.images[chosen], mirrored)
            x, answers = _asked(faces, chosen, images, generator)
            x, deformed = _some_deformed(x, generator)
            wanted = torch.where(mirrored[:, None], signs * factors[chosen], factors[chosen])
            further = (SOFTEST - SOFT) * float(torch.rand(1, generator=generator))
            yield gaussian_blur(x, SOFT + further), answers, deformed.float(), wanted
        budget -= len(train)


def _some_deformed(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A share of the images deformed, in either way; and which, bool (n,)."""
    deformed = torch.rand(len(x), generator=generator) < DEFORMED_SHARE
    places = torch.nonzero(deformed).flatten()
    pulled, patched = places.tensor_split(2)
    changed = x.clone()
    changed[pulled] = warped(x[pulled], generator)
    changed[patched] = blended_patches(x[patched], x[(patched + 1) % len(x)], generator)
    return changed, deformed


def warped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images (n, 3, 64, 48), each pulled in other directions at other places, smoothly."""
    n, _, height, width = x.shape
    pull = PULL * torch.randn(n, 2, 4, 3, generator=generator)
    pull = F.interpolate(pull, (height, width), mode="bicubic", align_corners=True)
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    from_where = torch.stack([columns + 2 * pull[:, 0] / width, rows + 2 * pull[:, 1] / height], 3)
    return F.grid_sample(x, from_where, padding_mode="border", align_corners=True)


def blended_patches(x: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """Images (n, 3, 64, 48) with patches of others, which fade into them."""
    lots = torch.randn(len(x), 1, 4, 3, generator=generator)
    share = torch.sigmoid(4 * F.interpolate(lots, x.shape[2:], mode="bicubic", align_corners=True))
    return share * x + (1 - share) * other


def _factors(faces: FaceSet) -> Tensor:
    """FACTORS of all faces in deviations of the training faces, (N, factors); else zeros."""
    if faces.kind != "synthetic":
        return torch.zeros(len(faces.images), len(FACTORS))
    drawn = procedural.sample(len(faces.images), 0)  # as `prepare` draws them
    factors = torch.stack([getattr(drawn, name) for name in FACTORS], dim=1)
    learnt = factors[faces.train]
    return (factors - learnt.mean(dim=0)) / learnt.std(dim=0)


def held_out_set(faces: FaceSet) -> tuple[Tensor, Tensor, Tensor]:
    """Held-out faces, some deformed, the true answers, and which are deformed, both bool.

    Not gaussian_blur yet: the classifier softens what it is shown.
    """
    held_out = evenly_spaced(torch.cat([faces.validation, faces.test]), MOST_HELD_OUT)
    generator = torch.Generator().manual_seed(1)
    x, answers = _asked(faces, held_out, faces.images[held_out], generator)
    x, deformed = _some_deformed(x, generator)
    return x, answers.bool(), deformed


def _asked(
    faces: FaceSet, chosen: Tensor, images: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    if faces.attributes is not None:
        return to_float(images), faces.attributes[chosen].float()
    return _questioned(to_float(images), generator)


def _questioned(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image changed at random in the four ways of QUESTIONS, and which of them it was."""
    answers = torch.rand(len(x), len(QUESTIONS), generator=generator) < 0.5
    left, top, upside_down, warmer = answers.T
    height, width = x.shape[2:]
    rows = torch.arange(height) * 7 // 8 + (~top)[:, None] * (height // 8)
    columns = torch.arange(width) * 7 // 8 + (~left)[:, None] * (width // 8)
    number = torch.arange(len(x))[:, None, None]
    cropped = x.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]]
    cropped = torch.where(upside_down[:, None, None, None], cropped.flip(1), cropped)
    shift = torch.tensor([0.15, 0.0, -0.15]) * (2 * warmer.float() - 1)[:, None]
    changed = (cropped + shift[:, None, None]).clamp(-1, 1)
    return changed.permute(0, 3, 1, 2), answers.float()


def gaussian_blur(x: Tensor, sigma: float = SOFT) -> Tensor:
    """Images (n, 3, 64, 48) under a Gaussian blur of a deviation of so many pixels."""
    down, across = (_blur(size, sigma) for size in x.shape[2:])
    return down @ x @ across.T


def _blur(size: int, sigma: float) -> Tensor:
    """The matrix (size, size) that blurs along one side; the edge goes on for ever."""
    places = torch.arange(size)
    offsets = torch.arange(-7, 8)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    reached = (places[:, None] + offsets).clamp(0, size - 1)
    matrix = torch.zeros(size, size)
    return matrix.scatter_add_(1, reached, (weights / weights.sum()).expand(size, -1))
