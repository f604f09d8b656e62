"""The face detectors find faces, and the fewer, the more these are deformed."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import real
from vaelib.data import FaceSet, load, to_float
from vaelib.evaluation import detector, non_faces
from vaelib.evaluation.detector import LOWEST, Calibration, DetectorName
from vaelib.faces import render, sampling

FACES = 24


def face_set(images: Tensor) -> FaceSet:
    """Faces that are all held out."""
    return FaceSet(
        name="detected",
        images=images,
        attributes=None,
        attribute_names=(),
        split=torch.full((len(images),), 2, dtype=torch.uint8),
        fingerprint="detected",
        kind="photos",
        folder=Path("nowhere"),
    )


@pytest.fixture(scope="module", params=detector.SCORES)
def name(request: pytest.FixtureRequest) -> DetectorName:
    found: DetectorName = request.param
    return found


@pytest.fixture(scope="module")
def drawn() -> Tensor:
    """Procedural faces, uint8."""
    return render.render(sampling.sample(FACES, 0))


@pytest.fixture(scope="module")
def calibration(name: DetectorName, drawn: Tensor) -> Calibration:
    return detector.calibrate(face_set(drawn), name)


def test_faces_score_higher_than_what_has_no_face(name: DetectorName, drawn: Tensor) -> None:
    score = detector.SCORES[name]
    of_faces, of_noise = score(drawn), score(non_faces.all_kinds(to_float(drawn))["noise"])
    assert of_faces.shape == of_noise.shape == (FACES,)
    assert of_faces.dtype == torch.float32
    assert (of_faces > of_noise.max()).float().mean() > 0.9


def test_what_has_no_face_at_all_has_the_lowest_score() -> None:
    grey = torch.zeros(2, 3, 64, 48)
    assert detector.haar_scores(grey).tolist() == [0, 0]
    assert detector.hog_scores(grey).tolist() == [LOWEST, LOWEST]


def test_bytes_and_floats_score_the_same(name: DetectorName, drawn: Tensor) -> None:
    score = detector.SCORES[name]
    assert torch.equal(score(drawn[:5]), score(to_float(drawn[:5])))


def test_a_face_scores_the_same_beside_any_others(name: DetectorName, drawn: Tensor) -> None:
    score = detector.SCORES[name]
    assert torch.equal(score(drawn[:6])[3:], score(drawn[3:6]))


def test_a_calibrated_detector_tells_faces_from_other_images(calibration: Calibration) -> None:
    assert calibration.can_tell
    assert calibration.faces["held out"] > 0.8
    assert max(calibration.others[kind] for kind in ("noise", "background")) < 0.1


def test_the_more_a_face_is_deformed_the_more_rarely_it_is_found(calibration: Calibration) -> None:
    shares = list(calibration.degrees.values())
    assert list(calibration.degrees) == sorted(calibration.degrees)
    assert all(later <= earlier + 0.05 for earlier, later in itertools.pairwise(shares))
    assert shares[0] > 0.85
    assert shares[-1] < 0.35


def test_the_threshold_has_the_largest_gap_with_all_kinds_counted_alike() -> None:
    of_faces = {"held out": torch.tensor([9.0, 8.0, 7.0, 1.0]), "softened": torch.tensor([5.0])}
    of_others = {"noise": torch.zeros(50), "upside down": torch.tensor([6.0, 4.0])}
    # From 5 on: 7/8 of faces and 1/4 of others. From 7 on: 3/8 and none. From 1 on: all and 1/2.
    assert detector.best_threshold(of_faces, of_others) == 5


def test_pictures_without_faces_cannot_be_judged(name: DetectorName) -> None:
    generator = torch.Generator().manual_seed(0)
    clouds = torch.rand(FACES, 3, 4, 3, generator=generator)
    clouds = torch.nn.functional.interpolate(clouds, (64, 48), mode="bicubic").clamp(0, 1)
    assert not detector.calibrate(face_set((255 * clouds).to(torch.uint8)), name).can_tell


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["celeba8k", "openfaces"])
def test_faces_are_found_on_photographs(
    folder: str, name: DetectorName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "MAX_CALIBRATED", 30)
    calibration = detector.calibrate(load(real(folder), "smoke", ""), name)
    assert calibration.can_tell
    assert calibration.faces["held out"] > 0.85


# --- images without a face


def test_there_is_one_image_of_every_kind_for_each_face(drawn: Tensor) -> None:
    x = to_float(drawn[:3])
    kinds = non_faces.all_kinds(x)
    for images in kinds.values():
        assert images.shape == x.shape
        assert images.abs().max() <= 1
    again = non_faces.all_kinds(x)
    assert all(torch.equal(images, again[kind]) for kind, images in kinds.items())


def test_quarters_go_to_the_corner_diagonally_across() -> None:
    x = torch.arange(64 * 48).float().view(1, 1, 64, 48).expand(1, 3, 64, 48)
    swapped = non_faces.swapped_quarters(x)
    assert torch.equal(swapped[:, :, :32, :24], x[:, :, 32:, 24:])
    assert torch.equal(swapped[:, :, 32:, :24], x[:, :, :32, 24:])


def test_a_larger_degree_deforms_in_the_same_direction_but_more(drawn: Tensor) -> None:
    x = to_float(drawn[:8])
    distances = [(non_faces.deformed(x, degree) - x).abs().mean() for degree in non_faces.DEGREES]
    assert distances == sorted(distances)
    torch.testing.assert_close(non_faces.deformed(x, 0.0), x, rtol=0, atol=1e-4)
