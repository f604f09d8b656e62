"""The classifier's data: training faces changed at random, with their true targets."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaelib.data import FaceSet, to_float
from vaelib.evaluation import classifier_data
from vaelib.faces import render
from vaelib.faces.attributes import ATTRIBUTE_NAMES

FACES = 60


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    images, attributes = (torch.from_numpy(array) for array in render.generate(FACES, 0))
    split = (torch.arange(FACES) % 3 == 0).to(torch.uint8) * 2
    names = ATTRIBUTE_NAMES
    return FaceSet("few", images, attributes, names, split, "few", "synthetic", Path("nowhere"))


@pytest.fixture(scope="module")
def x(faces: FaceSet) -> Tensor:
    return to_float(faces.images)


# --- training batches


def test_training_batches_are_the_training_faces_and_no_others(faces: FaceSet) -> None:
    images = torch.zeros_like(faces.images)
    images[faces.test] = 255
    batches = classifier_data.training_batches(replace(faces, images=images), 200)
    seen = torch.cat([batch.images for batch in batches])
    assert len(seen) == 200
    assert seen.max() < 0


def test_training_faces_are_soft_to_different_degrees(faces: FaceSet) -> None:
    lines = torch.ones(64, 48)
    lines[::2] = -1  # of one pixel each: the softer, the less is left of them
    images = (127.5 * (lines + 1)).to(torch.uint8).expand_as(faces.images)
    batches = classifier_data.training_batches(replace(faces, images=images), 40 * len(faces.train))
    contrast = torch.stack([batch.images[:, :, 8:-8].std() for batch in batches])
    assert contrast.min() < 0.01
    assert contrast.max() > 0.9


# --- the held-out set


def test_held_out_targets_are_the_attributes(faces: FaceSet) -> None:
    assert faces.attributes is not None
    targets = classifier_data.held_out_set(faces).targets
    assert torch.equal(targets, faces.attributes[faces.test])


def test_held_out_faces_are_as_they_were(faces: FaceSet, x: Tensor) -> None:
    assert torch.equal(classifier_data.held_out_set(faces).images, x[faces.test])


def test_pretext_targets_say_how_a_face_without_attributes_was_changed(faces: FaceSet) -> None:
    images = torch.full_like(faces.images, 127)
    images[:, :, :8] = 255  # a white upper edge, and a black left one
    images[:, :, 8:, :6] = 0
    held_out = classifier_data.held_out_set(
        replace(faces, images=images, attributes=None, attribute_names=())
    )
    red, green, blue = held_out.images.unbind(dim=1)
    left, top, upside_down, warmer = held_out.targets.T
    assert torch.equal((red - blue).mean(dim=(1, 2)) > 0, warmer)
    assert torch.equal(green[:, 32, 0] < -0.9, left)
    assert torch.equal((green[:, [0, -1], 24] > 0.9).any(dim=1), top)
    assert torch.equal(green[:, -1, 24] > 0.9, top & upside_down)
