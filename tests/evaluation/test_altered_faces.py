"""Faces are altered as much as they are meant to be, and the same way every time."""

import pytest
import torch
from torch import Tensor

from vaelib.data import to_float
from vaelib.evaluation import altered_faces
from vaelib.evaluation.altered_faces import deformed, gaussian_blur
from vaelib.faces import render, sampling


@pytest.fixture(scope="module")
def x() -> Tensor:
    """Procedural faces in [-1, 1]."""
    return to_float(render.render(sampling.sample(8, 0)))


def test_a_changed_face_has_the_size_and_the_range_of_a_face(x: Tensor) -> None:
    for images in (deformed(x, 5.0), gaussian_blur(x, 1.5)):
        assert images.shape == x.shape
        assert images.abs().max() <= 1 + 1e-5
        assert not torch.allclose(images, x, atol=0.1)


def test_a_blurred_dot_is_a_gaussian_with_the_same_sum() -> None:
    dot = torch.zeros(1, 3, 64, 48)
    dot[..., 32, 24] = 1.0
    soft = gaussian_blur(dot, 1.5)
    assert soft.sum() == pytest.approx(3.0, rel=1e-5)
    assert soft.max() == pytest.approx(1 / (2 * torch.pi * 1.5**2), rel=0.05)


def test_hardly_blurred_is_as_before(x: Tensor) -> None:
    torch.testing.assert_close(gaussian_blur(x, 1e-3), x)


def test_to_deform_a_face_of_one_colour_changes_nothing() -> None:
    flat = torch.full((4, 3, 64, 48), 0.3)
    torch.testing.assert_close(deformed(flat, 5.0), flat)


def test_a_larger_degree_deforms_in_the_same_direction_but_more(x: Tensor) -> None:
    distances = [(deformed(x, degree) - x).abs().mean() for degree in altered_faces.DEGREES]
    assert distances == sorted(distances)
    torch.testing.assert_close(deformed(x, 0.0), x, rtol=0, atol=1e-4)


def test_there_is_one_image_without_a_face_of_every_kind_for_each_face(x: Tensor) -> None:
    kinds, again = altered_faces.non_faces(x), altered_faces.non_faces(x)
    for kind, images in kinds.items():
        assert images.shape == x.shape
        assert images.abs().max() <= 1
        assert torch.equal(images, again[kind])


def test_quarters_go_to_the_corner_diagonally_across() -> None:
    x = torch.arange(64 * 48).float().view(1, 1, 64, 48).expand(1, 3, 64, 48)
    swapped = altered_faces.swapped_quarters(x)
    assert torch.equal(swapped[:, :, :32, :24], x[:, :, 32:, 24:])
    assert torch.equal(swapped[:, :, 32:, :24], x[:, :, :32, 24:])
