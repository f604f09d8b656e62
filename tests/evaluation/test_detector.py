"""The face detectors find faces, and the fewer, the more these are deformed."""

import itertools
import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import real
from tests.training.damage import damaged, forgeries
from vaelib.data import FaceSet, load, to_float
from vaelib.evaluation import altered_faces, detector
from vaelib.evaluation.detector import LOWEST, Calibration, DetectorName, Detectors
from vaelib.faces import render, sampling
from vaelib.support import paths
from vaelib.support.errors import DamagedError

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
    of_faces, of_noise = score(drawn), score(altered_faces.non_faces(to_float(drawn))["noise"])
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


def test_few_images_or_none_are_scored_too(name: DetectorName, drawn: Tensor) -> None:
    score = detector.SCORES[name]
    assert score(drawn[:0]).shape == (0,)
    assert torch.equal(score(drawn[:1]), score(drawn)[:1])


def test_a_face_is_found_from_the_threshold_on(drawn: Tensor) -> None:
    scores = detector.haar_scores(drawn)
    threshold = float(scores.median())
    found = Calibration("haar", threshold, {}, {}, {}).finds(drawn)
    assert torch.equal(found, scores >= threshold)


def test_a_face_scores_the_same_beside_any_others(name: DetectorName, drawn: Tensor) -> None:
    score = detector.SCORES[name]
    assert torch.equal(score(drawn[:6])[3:], score(drawn[3:6]))


def test_a_calibrated_detector_tells_faces_from_other_images(calibration: Calibration) -> None:
    assert calibration.can_tell
    assert calibration.faces["held out"] > 0.8
    assert max(calibration.others[kind] for kind in ("noise", "background")) < 0.1


def test_the_more_a_face_is_deformed_the_more_rarely_it_is_found(calibration: Calibration) -> None:
    shares = list(calibration.degrees.values())
    assert [float(degree) for degree in calibration.degrees] == sorted(altered_faces.DEGREES)
    assert all(later <= earlier + 0.05 for earlier, later in itertools.pairwise(shares))
    assert shares[0] > 0.85
    assert shares[-1] < 0.35


def test_the_threshold_has_the_largest_gap_with_all_kinds_counted_alike() -> None:
    of_faces = {"held out": torch.tensor([9.0, 8.0, 7.0, 1.0]), "blurred": torch.tensor([5.0])}
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


# --- kept and loaded


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the detectors lie once they are calibrated."""
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    detector.detectors_for.cache_clear()
    return tmp_path / "detected"


def as_in_another_process(faces: FaceSet) -> Detectors:
    detector.detectors_for.cache_clear()
    return detector.detectors_for(faces)


def test_detectors_are_calibrated_once_and_then_loaded(
    kept: Path, drawn: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = face_set(drawn[:6])
    first = detector.detectors_for(faces)
    assert list(first) == ["haar", "hog"]
    assert len(list(kept.iterdir())) == 1
    monkeypatch.setattr(detector, "calibrate", None)
    assert as_in_another_process(faces) == first


def test_other_faces_are_calibrated_anew(kept: Path, drawn: Tensor) -> None:
    for fingerprint in ("some faces", "others"):
        as_in_another_process(replace(face_set(drawn[:6]), fingerprint=fingerprint))
    assert len(list(kept.iterdir())) == 2


def test_a_damaged_calibration_is_made_again(
    kept: Path, drawn: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = face_set(drawn[:6])
    first = detector.detectors_for(faces)
    (file,) = kept.iterdir()
    for content in (file.read_text()[:40], "{}", '{"haar": {"threshold": 3}}'):
        file.write_text(content)
        assert as_in_another_process(faces) == first
        assert "it is made again" in capsys.readouterr().err


def test_whatever_lies_in_their_file_is_detectors_or_is_refused(kept: Path, drawn: Tensor) -> None:
    detector.detectors_for(face_set(drawn[:6]))
    (file,) = kept.iterdir()
    content, draw = file.read_bytes(), random.Random(0)
    for forged in [*forgeries(content, draw), *(damaged(content, draw) for _ in range(100))]:
        file.write_bytes(forged)
        with suppress(DamagedError):
            assert all(isinstance(made.gap, float) for made in detector._read(file).values())
