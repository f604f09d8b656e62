"""The classifier's training_batches: faces changed as said, and what is true of each."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaelib.data import FaceSet, to_float
from vaelib.evaluation import classifier_data
from vaelib.faces import render
from vaelib.faces.attributes import ATTRIBUTE_NAMES

FACES = 60


def some(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    images, attributes = (torch.from_numpy(array) for array in render.generate(FACES, 0))
    split = (torch.arange(FACES) % 3 == 0).to(torch.uint8) * 2
    names = ATTRIBUTE_NAMES
    return FaceSet("few", images, attributes, names, split, "few", "synthetic", Path("nowhere"))


@pytest.fixture(scope="module")
def x(faces: FaceSet) -> Tensor:
    return to_float(faces.images)


@pytest.mark.parametrize("change", ["pulled", "patched", "gaussian_blur"])
def test_a_changed_face_has_the_size_and_the_range_of_a_face(change: str, x: Tensor) -> None:
    changed = {
        "pulled": lambda: classifier_data.warp(x, some()),
        "patched": lambda: classifier_data.blend_patches(x, x.flip(0), some()),
        "gaussian_blur": lambda: classifier_data.gaussian_blur(x),
    }[change]()
    assert changed.shape == x.shape
    assert changed.abs().max() <= 1 + 1e-5
    assert not torch.allclose(changed, x, atol=0.1)


def test_a_face_of_one_colour_has_no_shape_to_be_pulled_out_of() -> None:
    flat = torch.full((4, 3, 64, 48), 0.3)
    torch.testing.assert_close(classifier_data.warp(flat, some()), flat)


def test_patches_lie_between_the_two_faces(x: Tensor) -> None:
    other = x.flip(0)
    patched = classifier_data.blend_patches(x, other, some())
    assert (patched >= torch.minimum(x, other) - 1e-6).all()
    assert (patched <= torch.maximum(x, other) + 1e-6).all()


def test_a_blur_keeps_the_mean_of_the_middle_and_takes_detail() -> None:
    dot = torch.zeros(1, 3, 64, 48)
    dot[..., 32, 24] = 1.0
    blurred = classifier_data.gaussian_blur(dot)
    assert blurred.sum() == pytest.approx(3.0, rel=1e-5)
    assert blurred.max() == pytest.approx(
        1 / (2 * torch.pi * classifier_data.MIN_BLUR**2), rel=0.05
    )


def test_lessons_are_the_training_faces_and_no_others(faces: FaceSet) -> None:
    shown = FaceSet(**{**vars(faces), "images": torch.zeros_like(faces.images)})
    shown.images[faces.test] = 255
    seen = torch.cat([x for x, *_ in classifier_data.training_batches(shown, 200)])
    assert len(seen) == 200
    assert seen.max() < 0


def test_every_lesson_is_at_least_as_soft_as_what_the_judge_is_shown(faces: FaceSet) -> None:
    fine = torch.ones(64, 48)
    fine[::2] = -1  # lines of one pixel, of which nothing may be left
    drawn = (127.5 * (fine + 1)).to(torch.uint8).expand_as(faces.images)
    lined = FaceSet(**{**vars(faces), "images": drawn})
    seen = torch.cat(
        [x[told == 0] for x, _, told, _ in classifier_data.training_batches(lined, 400)]
    )
    assert seen[:, :, 8:-8].abs().max() < 0.02


def test_a_share_of_the_lessons_is_deformed(faces: FaceSet) -> None:
    deformed = torch.cat([told for _, _, told, _ in classifier_data.training_batches(faces, 2_000)])
    assert deformed.mean() == pytest.approx(classifier_data.DEFORMED_SHARE, abs=0.04)


def test_answers_of_an_intact_face_are_its_attributes(faces: FaceSet) -> None:
    assert faces.attributes is not None
    _, answers, _ = classifier_data.held_out_set(faces)
    assert torch.equal(answers, faces.attributes[faces.test])


def test_faces_that_are_not_deformed_are_examined_as_they_are(faces: FaceSet, x: Tensor) -> None:
    examined, _, deformed = classifier_data.held_out_set(faces)
    assert torch.equal(examined[~deformed], x[faces.test][~deformed])
    assert 0 < deformed.sum() < len(deformed)
