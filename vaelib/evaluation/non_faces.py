"""Images without a whole face, made of faces: what a face detector must not take for one."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelib.evaluation.classifier_data import warp

DEGREES = (1.0, 2.0, 4.0, 8.0, 16.0)  # of deformation: pixels, see `deformed`


def all_kinds(x: Tensor) -> dict[str, Tensor]:
    """For each image (n, 3, 64, 48) in [-1, 1] one of every kind, the same on every call."""
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


def deformed(x: Tensor, degree: float) -> Tensor:
    """Images (n, 3, 64, 48), each pulled smoothly out of shape, in another way for each.

    degree: standard deviation of the shift at each knot of a grid of 4 x 3, in pixels. An image is
    deformed in the same directions to every degree.
    """
    return warp(x, torch.Generator().manual_seed(0), degree)
