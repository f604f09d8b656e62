"""The classifier's data: training faces changed at random, with their true targets."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaelib.data import FaceSet, to_float
from vaelib.evaluation import classifier_data
from vaelib.evaluation.classifier_data import blend_patches, gaussian_blur, warp
from vaelib.faces import render
from vaelib.faces.attributes import ATTRIBUTE_NAMES

FACES = 60


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    images, attributes = (torch.from_numpy(array) for array in render.generate(FACES, 0))
    split = (torch.arange(FACES) % 3 == 0).to(torch.uint8) * 2
    names = ATTRIBUTE_NAMES
    return FaceSet("few", images, attributes, names, split, "few", "synthetic", Path("nowhere"))


@pytest.fixture(scope="module")
def x(faces: FaceSet) -> Tensor:
    return to_float(faces.images)


# --- single changes


def test_a_changed_face_has_the_size_and_the_range_of_a_face(x: Tensor) -> None:
    changed = {
        "warped": warp(x, generator()),
        "patched": blend_patches(x, x.flip(0), generator()),
        "blurred": gaussian_blur(x),
    }
    for name, images in changed.items():
        assert images.shape == x.shape, name
        assert images.abs().max() <= 1 + 1e-5, name
        assert not torch.allclose(images, x, atol=0.1), name


def test_warping_a_face_of_one_colour_changes_nothing() -> None:
    flat = torch.full((4, 3, 64, 48), 0.3)
    torch.testing.assert_close(warp(flat, generator()), flat)


def test_patches_lie_between_the_two_faces(x: Tensor) -> None:
    other = x.flip(0)
    patched = blend_patches(x, other, generator())
    assert (patched >= torch.minimum(x, other) - 1e-6).all()
    assert (patched <= torch.maximum(x, other) + 1e-6).all()


def test_a_blurred_dot_is_a_gaussian_with_the_same_sum() -> None:
    dot = torch.zeros(1, 3, 64, 48)
    dot[..., 32, 24] = 1.0
    blurred = gaussian_blur(dot)
    assert blurred.sum() == pytest.approx(3.0, rel=1e-5)
    assert blurred.max() == pytest.approx(
        1 / (2 * torch.pi * classifier_data.MIN_BLUR**2), rel=0.05
    )


# --- training batches


def test_training_batches_are_the_training_faces_and_no_others(faces: FaceSet) -> None:
    images = torch.zeros_like(faces.images)
    images[faces.test] = 255
    batches = classifier_data.training_batches(replace(faces, images=images), 200)
    seen = torch.cat([batch.images for batch in batches])
    assert len(seen) == 200
    assert seen.max() < 0


def test_training_faces_are_at_least_as_soft_as_those_that_are_predicted(faces: FaceSet) -> None:
    lines = torch.ones(64, 48)
    lines[::2] = -1  # of one pixel each, so that nothing of them may be left
    images = (127.5 * (lines + 1)).to(torch.uint8).expand_as(faces.images)
    batches = classifier_data.training_batches(replace(faces, images=images), 400)
    intact = torch.cat([batch.images[batch.deformed == 0] for batch in batches])
    assert intact[:, :, 8:-8].abs().max() < 0.02


def test_a_share_of_the_training_faces_is_deformed(faces: FaceSet) -> None:
    batches = classifier_data.training_batches(faces, 2_000)
    deformed = torch.cat([batch.deformed for batch in batches])
    assert deformed.mean() == pytest.approx(classifier_data.DEFORMED_SHARE, abs=0.04)


# --- the held-out set


def test_held_out_targets_are_the_attributes(faces: FaceSet) -> None:
    assert faces.attributes is not None
    targets = classifier_data.held_out_set(faces).targets
    assert torch.equal(targets, faces.attributes[faces.test])


def test_intact_held_out_faces_are_as_they_were(faces: FaceSet, x: Tensor) -> None:
    images, _, deformed = classifier_data.held_out_set(faces)
    assert torch.equal(images[~deformed], x[faces.test][~deformed])
    assert 0 < deformed.sum() < len(deformed)


def test_pretext_targets_say_how_a_face_without_attributes_was_changed(faces: FaceSet) -> None:
    images = torch.full_like(faces.images, 127)
    images[:, :, :8] = 255  # a white upper edge, and a black left one
    images[:, :, 8:, :6] = 0
    held_out = classifier_data.held_out_set(
        replace(faces, images=images, attributes=None, attribute_names=())
    )
    intact = ~held_out.deformed
    red, green, blue = held_out.images[intact].unbind(dim=1)
    left, top, upside_down, warmer = held_out.targets[intact].T
    assert torch.equal((red - blue).mean(dim=(1, 2)) > 0, warmer)
    assert torch.equal(green[:, 32, 0] < -0.9, left)
    assert torch.equal((green[:, [0, -1], 24] > 0.9).any(dim=1), top)
    assert torch.equal(green[:, -1, 24] > 0.9, top & upside_down)
