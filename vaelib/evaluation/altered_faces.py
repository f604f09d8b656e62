"""Faces altered on purpose: blurred, deformed, or taken apart until there is no face left."""

import torch
import torch.nn.functional as F
from torch import Tensor

DEGREES = (1.0, 2.0, 4.0, 8.0, 16.0)  # of deformation: pixels, see `deformed`


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Images (n, 3, 64, 48) under a Gaussian blur of standard deviation sigma > 0, in pixels."""
    down, across = (_blur_matrix(size, sigma) for size in x.shape[2:])
    return down @ x @ across.T


def _blur_matrix(size: int, sigma: float) -> Tensor:
    """The matrix (size, size) that blurs along one side; pixels at the edge are repeated."""
    offsets = torch.arange(-7, 8)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    sources = (torch.arange(size)[:, None] + offsets).clamp(0, size - 1)
    matrix = torch.zeros(size, size)
    return matrix.scatter_add_(1, sources, (weights / weights.sum()).expand(size, -1))


def deformed(x: Tensor, degree: float) -> Tensor:
    """Images (n, 3, 64, 48), each pulled smoothly out of shape, in another way for each.

    degree: standard deviation of the shift at each knot of a grid of 4 x 3, in pixels. An image is
    deformed in the same directions to every degree.
    """
    n, _, height, width = x.shape
    generator = torch.Generator().manual_seed(0)
    shift = degree * torch.randn(n, 2, 4, 3, generator=generator)
    shift = F.interpolate(shift, (height, width), mode="bicubic", align_corners=True)
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    grid = torch.stack([columns + 2 * shift[:, 0] / width, rows + 2 * shift[:, 1] / height], 3)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)


def non_faces(x: Tensor) -> dict[str, Tensor]:
    """Images without a whole face, by kind: for each face (n, 3, 64, 48) in [-1, 1] one of each.

    The same on every call.
    """
    generator = torch.Generator().manual_seed(0)
    return {
        "upside down": x.flip(2),
        "quarters swapped": swapped_quarters(x),
        "background": background(x),
        "noise": 2 * torch.rand(x.shape, generator=generator) - 1,
    }


def swapped_quarters(x: Tensor) -> Tensor:
    """Images (n, 3, h, w), each quarter in the place of the one diagonally across."""
    return x.roll((x.shape[2] // 2, x.shape[3] // 2), dims=(2, 3))


def background(x: Tensor) -> Tensor:
    """The upper left corner of images (n, 3, h, w), a quarter as high and wide, enlarged."""
    corner = x[:, :, : x.shape[2] // 4, : x.shape[3] // 4]
    return F.interpolate(corner, x.shape[2:], mode="bilinear")
