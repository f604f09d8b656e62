"""The classifier learns what can be told of a face, knows how well, and agrees with what drew the face.

Procedural faces know their factors, which the classifier never sees of held-out ones.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaelib.data import FaceSet, to_float
from vaelib.evaluation import attributes as judges
from vaelib.evaluation import bootstrap, classifier_data, image_metrics
from vaelib.evaluation.attributes import (
    AttributeClassifier,
    ClassifierNetwork,
    Prediction,
    classifier_for,
    roc_auc,
)
from vaelib.evaluation.evaluate import HeldOutFaces
from vaelib.faces import render, sampling
from vaelib.faces.attributes import ATTRIBUTE_NAMES, attributes_of
from vaelib.faces.factors import Factors, example_face, traverse
from vaelib.sources import annotations
from vaelib.support import paths

FACES, PHOTOS, FRESH = 4_000, 1_000, 1_000

nan = float("nan")


def face_set(images: Tensor, attributes: Tensor | None) -> FaceSet:
    """Faces split as prepared ones are; without attributes they pass for photos."""
    return FaceSet(
        name="judged",
        images=images,
        attributes=attributes,
        attribute_names=() if attributes is None else ATTRIBUTE_NAMES,
        split=torch.from_numpy(annotations.split_by_hash([str(n) for n in range(len(images))])),
        fingerprint=f"{len(images)} faces",
        kind="photos" if attributes is None else "synthetic",
        folder=Path("nowhere"),
    )


@pytest.fixture(scope="module")
def factors() -> Factors:
    return sampling.sample(FACES, 0)


@pytest.fixture(scope="module")
def faces(factors: Factors) -> FaceSet:
    return face_set(render.render(factors), attributes_of(factors))


@pytest.fixture(scope="module")
def classifier(faces: FaceSet) -> AttributeClassifier:
    return classifier_for(faces)


@pytest.fixture(scope="module")
def held_out(faces: FaceSet) -> Tensor:
    """Positions of the faces that the classifier did not learn from."""
    return torch.cat([faces.validation, faces.test])


@pytest.fixture(scope="module")
def told(classifier: AttributeClassifier, faces: FaceSet, held_out: Tensor) -> Prediction:
    return classifier.predict(faces.images[held_out])


def naive_area(scores: Tensor, truth: Tensor) -> float:
    """How many pairs of one that has it and one that has it not are in order; a tie is half."""
    difference = scores[truth][:, None] - scores[~truth][None]
    return float(((difference > 0).double() + (difference == 0).double() / 2).mean())


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.double(), other.double()]))[0, 1])


# --- area under the curve


@pytest.mark.parametrize("values", [2, 5, 1_000_000])
def test_the_area_is_the_share_of_pairs_in_order(values: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(values, (200,), generator=generator).float()
    truth = torch.rand(200, generator=generator) < 0.3
    assert roc_auc(scores, truth) == pytest.approx(naive_area(scores, truth))


@pytest.mark.parametrize("all_have_it", [True, False])
def test_there_is_no_area_where_all_are_alike(all_have_it: bool) -> None:
    found = roc_auc(torch.arange(5.0), torch.full((5,), all_have_it))
    assert found != found


# --- what it can tell


@pytest.mark.parametrize(
    ("attribute", "area"), [("Eyeglasses", 0.8), ("Wearing_Hat", 0.95), ("Male", 0.9)]
)
def test_the_judge_tells_attributes_of_held_out_faces(
    attribute: str,
    area: float,
    classifier: AttributeClassifier,
    told: Prediction,
    faces: FaceSet,
    held_out: Tensor,
) -> None:
    scores = told.probabilities[:, classifier.index_of(attribute)]
    assert naive_area(scores, faces.where(attribute)[held_out]) > area


def test_an_area_is_that_of_the_intact_faces_of_the_examination(
    classifier: AttributeClassifier, faces: FaceSet
) -> None:
    x, truth, deformed = classifier_data.held_out_set(faces)
    place = classifier.index_of("Male")
    scores = classifier.predict(x).probabilities[~deformed, place]
    assert classifier.auc[place] == pytest.approx(naive_area(scores, truth[~deformed, place]))


@pytest.mark.parametrize("deform", ["pulled", "patched"])
def test_a_deformed_face_is_told_from_the_face_it_was(
    deform: str, classifier: AttributeClassifier, told: Prediction, faces: FaceSet, held_out: Tensor
) -> None:
    x, generator = to_float(faces.images[held_out]), torch.Generator().manual_seed(5)
    if deform == "pulled":
        changed = classifier_data.warp(x, generator)
    else:
        changed = classifier_data.blend_patches(x, x.roll(1, dims=0), generator)
    assert (classifier.predict(changed).deformed > told.deformed).float().mean() > 0.8


def test_a_face_that_was_not_deformed_is_believed(
    told: Prediction, classifier: AttributeClassifier
) -> None:
    assert told.deformed.mean() < 0.2
    assert classifier.deformed_auc > 0.85


@pytest.mark.parametrize("factor", classifier_data.FACTORS)
def test_the_judge_tells_factors_of_held_out_faces(
    factor: str,
    classifier: AttributeClassifier,
    told: Prediction,
    factors: Factors,
    held_out: Tensor,
) -> None:
    found = told.factors[:, classifier.factors.index(factor)]
    assert correlation(found, getattr(factors, factor)[held_out]) > 0.8


@pytest.mark.parametrize(("factor", "sign"), classifier_data.FACTORS.items())
def test_a_mirror_turns_the_pose_and_nothing_else(
    factor: str,
    sign: float,
    classifier: AttributeClassifier,
    told: Prediction,
    faces: FaceSet,
    held_out: Tensor,
) -> None:
    place = classifier.factors.index(factor)
    mirrored = classifier.predict(faces.images[held_out].flip(-1)).factors[:, place]
    assert sign * correlation(mirrored, told.factors[:, place]) > 0.9


def test_a_blurred_face_is_told_almost_as_well_as_a_sharp_one(
    classifier: AttributeClassifier, told: Prediction, faces: FaceSet, held_out: Tensor
) -> None:
    place, truth = classifier.index_of("Male"), faces.where("Male")[held_out]
    blurred = gaussian_blur(to_float(faces.images[held_out]))
    area = naive_area(classifier.predict(blurred).probabilities[:, place], truth)
    assert area > naive_area(told.probabilities[:, place], truth) - 0.03


def test_softness_is_not_taken_for_deformation(
    classifier: AttributeClassifier, told: Prediction, faces: FaceSet, held_out: Tensor
) -> None:
    soft = classifier.predict(gaussian_blur(to_float(faces.images[held_out])))
    assert soft.deformed.mean() == pytest.approx(float(told.deformed.mean()), abs=0.05)


def test_a_deformed_face_is_told_from_the_face_it_was_however_soft(
    classifier: AttributeClassifier, faces: FaceSet, held_out: Tensor
) -> None:
    x = to_float(faces.images[held_out])
    changed = gaussian_blur(classifier_data.warp(x, torch.Generator().manual_seed(5)))
    assert (
        classifier.predict(changed).deformed > classifier.predict(x).deformed
    ).float().mean() > 0.8


def gaussian_blur(x: Tensor) -> Tensor:
    """Of a deviation of one pixel, by binomial weights; the edges wrap around."""
    for dim in (2, 3):
        for _ in range(2):
            before, after = (x.roll(by, dims=dim) for by in (1, -1))
            x = (before + 2 * x + after) / 4
    return x


def test_bytes_and_numbers_are_told_alike(
    classifier: AttributeClassifier, told: Prediction, faces: FaceSet
) -> None:
    few = faces.images[:8]
    torch.testing.assert_close(classifier.predict(few), classifier.predict(to_float(few)))


def test_frequencies_of_fresh_faces_are_recovered(
    classifier: AttributeClassifier, faces: FaceSet
) -> None:
    fresh = sampling.sample(FRESH, seed=1)
    truth = attributes_of(fresh).double().mean(dim=0)
    found = HeldOutFaces(faces, classifier).frequencies(
        classifier.predict(render.render(fresh))
    )
    right = []
    for name in classifier.reliable:
        within = bootstrap.interval([found[:, classifier.index_of(name)]])
        right.append(within.low <= truth[ATTRIBUTE_NAMES.index(name)] <= within.high)
    assert sum(right) / len(right) >= 0.8


# --- kept and loaded


def test_a_second_call_loads_what_the_first_one_trained(
    classifier: AttributeClassifier,
    faces: FaceSet,
    told: Prediction,
    held_out: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judges, "_train_into", None)
    classifier_for.cache_clear()
    again = classifier_for(faces)
    assert (again.key, again.auc, again.reliable) == (
        classifier.key,
        classifier.auc,
        classifier.reliable,
    )
    assert torch.equal(again.predict(faces.images[held_out]).factors, told.factors)


def test_the_same_faces_make_the_same_judge(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = classifier_for(flat_faces)
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    classifier_for.cache_clear()
    again = classifier_for(flat_faces)
    assert again.key == first.key
    torch.testing.assert_close(
        again.network.last.weight, first.network.last.weight, rtol=0, atol=1e-2
    )


def test_a_judge_is_known_to_be_trained_only_once_it_is(
    classifier: AttributeClassifier, faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judges.is_trained(faces)
    assert not judges.is_trained(replace(faces, fingerprint="of other faces"))
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    assert not judges.is_trained(faces)


def test_other_faces_get_another_judge(flat_faces: FaceSet) -> None:
    other = replace(flat_faces, fingerprint="of other faces")
    assert classifier_for(other).key != classifier_for(flat_faces).key


# --- how far it is trusted

NAMES, AREAS = ("Smiling", "Male", "Wearing_Hat", "Bald"), (0.79, 0.80, 0.99, nan)
MADE_UP = AttributeClassifier(
    ClassifierNetwork(4), "", NAMES, AREAS, 0.8, predicts_attributes=True, factors=()
)


def test_attributes_that_it_tells_badly_are_left_out() -> None:
    assert MADE_UP.reliable == ("Male", "Wearing_Hat")


@pytest.mark.parametrize("name", ["Wearing_Hat", "wearing hat", "WEARING-HAT", "wearinghat"])
def test_attributes_are_found_however_they_are_spelt(name: str) -> None:
    assert MADE_UP.index_of(name) == 2
    assert MADE_UP.can_predict(name, "male")


@pytest.mark.parametrize("name", ["Smiling", "Bald", "Eyeglasses"])
def test_what_it_tells_badly_or_not_at_all_decides_nothing(name: str) -> None:
    assert not MADE_UP.can_predict("Male", name)


def test_an_unknown_attribute_has_no_place() -> None:
    with pytest.raises(ValueError, match="eyeglasses"):
        MADE_UP.index_of("Eyeglasses")


# --- faces without attributes


@pytest.fixture(scope="module")
def of_photos(faces: FaceSet) -> AttributeClassifier:
    return classifier_for(face_set(faces.images[:PHOTOS], None))


def test_of_faces_without_attributes_it_learns_what_any_picture_tells(
    of_photos: AttributeClassifier,
) -> None:
    assert (of_photos.targets, of_photos.factors) == (classifier_data.PRETEXT_TASKS, ())
    assert sum(area > 0.9 for area in of_photos.auc) >= 3


def test_such_a_judge_tells_no_attributes(of_photos: AttributeClassifier) -> None:
    assert of_photos.reliable == ()
    assert not of_photos.can_predict("Eyeglasses")
    assert not of_photos.can_predict("upside down")


# --- measures of drawn faces


def traversal(name: str, **held: float) -> Tensor:
    """Faces that differ in one factor alone, from one end of its range to the other."""
    strip = traverse(example_face(name), name, steps=9)
    fixed = {other: torch.full((9,), value) for other, value in held.items()}
    return to_float(render.render(replace(strip, **fixed)))


def test_a_head_is_the_less_symmetrical_the_further_it_is_turned() -> None:
    images = traversal("yaw", light_azimuth=0.0, parting=0.0, back_slope=0.0)
    found = image_metrics.asymmetry(images)
    to_the_left, to_the_right = found[:5].flip(0), found[4:]
    assert (to_the_left.diff() > 0).all()
    assert (to_the_right.diff() > 0).all()


def test_a_face_leans_to_where_the_light_comes_from() -> None:
    images = traversal("light_azimuth")
    assert (image_metrics.side_lighting(images).diff() > 0).all()


def test_skin_gets_darker_with_its_tone() -> None:
    images = traversal("skin_tone")
    assert (image_metrics.skin_tone(images).diff() < 0).all()
