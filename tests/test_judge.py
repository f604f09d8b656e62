"""The judge learns what can be told of a face, knows how well, and agrees with what drew the face.

Procedural faces know their factors, which the judge never sees of held-out ones.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaelib import faces as procedural
from vaelib import judge as judges
from vaelib import lessons, lists, measures, paths
from vaelib.claims import HeldOut
from vaelib.data import FaceSet, to_float
from vaelib.faces import Factors
from vaelib.judge import Eye, Judge, Told, area_under_curve, judge_of

FACES, PHOTOS, FRESH = 4_000, 1_000, 1_000

nan = float("nan")


def face_set(images: Tensor, attributes: Tensor | None) -> FaceSet:
    """Faces split as prepared ones are; without attributes they pass for photos."""
    return FaceSet(
        name="judged",
        images=images,
        attributes=attributes,
        attribute_names=() if attributes is None else procedural.ATTRIBUTES,
        split=torch.from_numpy(lists.split_by_hash([str(n) for n in range(len(images))])),
        fingerprint=f"{len(images)} faces",
        kind="photos" if attributes is None else "synthetic",
        folder=Path("nowhere"),
    )


@pytest.fixture(scope="module")
def factors() -> Factors:
    return procedural.sample(FACES, 0)


@pytest.fixture(scope="module")
def faces(factors: Factors) -> FaceSet:
    return face_set(procedural.render(factors), procedural.attributes(factors))


@pytest.fixture(scope="module")
def judge(faces: FaceSet) -> Judge:
    return judge_of(faces)


@pytest.fixture(scope="module")
def held_out(faces: FaceSet) -> Tensor:
    """Positions of the faces that the judge did not learn from."""
    return torch.cat([faces.validation, faces.test])


@pytest.fixture(scope="module")
def told(judge: Judge, faces: FaceSet, held_out: Tensor) -> Told:
    return judge.tell(faces.images[held_out])


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
    assert area_under_curve(scores, truth) == pytest.approx(naive_area(scores, truth))


@pytest.mark.parametrize("all_have_it", [True, False])
def test_there_is_no_area_where_all_are_alike(all_have_it: bool) -> None:
    found = area_under_curve(torch.arange(5.0), torch.full((5,), all_have_it))
    assert found != found


# --- what it can tell


@pytest.mark.parametrize(
    ("attribute", "area"), [("Eyeglasses", 0.8), ("Wearing_Hat", 0.95), ("Male", 0.9)]
)
def test_the_judge_tells_attributes_of_held_out_faces(
    attribute: str, area: float, judge: Judge, told: Told, faces: FaceSet, held_out: Tensor
) -> None:
    scores = told.probabilities[:, judge.place(attribute)]
    assert naive_area(scores, faces.where(attribute)[held_out]) > area


def test_an_area_is_that_of_the_intact_faces_of_the_examination(
    judge: Judge, faces: FaceSet
) -> None:
    x, truth, deformed = lessons.examination(faces)
    place = judge.place("Male")
    scores = judge.tell(x).probabilities[~deformed, place]
    assert judge.areas[place] == pytest.approx(naive_area(scores, truth[~deformed, place]))


@pytest.mark.parametrize("deform", ["pulled", "patched"])
def test_a_deformed_face_is_told_from_the_face_it_was(
    deform: str, judge: Judge, told: Told, faces: FaceSet, held_out: Tensor
) -> None:
    x, generator = to_float(faces.images[held_out]), torch.Generator().manual_seed(5)
    if deform == "pulled":
        changed = lessons.pulled_out_of_shape(x, generator)
    else:
        changed = lessons.patched_together(x, x.roll(1, dims=0), generator)
    assert (judge.tell(changed).deformed > told.deformed).float().mean() > 0.8


def test_a_face_that_was_not_deformed_is_believed(told: Told, judge: Judge) -> None:
    assert told.deformed.mean() < 0.2
    assert judge.deformed_area > 0.85


@pytest.mark.parametrize("factor", lessons.FACTORS)
def test_the_judge_tells_factors_of_held_out_faces(
    factor: str, judge: Judge, told: Told, factors: Factors, held_out: Tensor
) -> None:
    found = told.factors[:, judge.factors.index(factor)]
    assert correlation(found, getattr(factors, factor)[held_out]) > 0.8


@pytest.mark.parametrize(("factor", "sign"), lessons.FACTORS.items())
def test_a_mirror_turns_the_pose_and_nothing_else(
    factor: str, sign: float, judge: Judge, told: Told, faces: FaceSet, held_out: Tensor
) -> None:
    place = judge.factors.index(factor)
    mirrored = judge.tell(faces.images[held_out].flip(-1)).factors[:, place]
    assert sign * correlation(mirrored, told.factors[:, place]) > 0.9


def test_a_blurred_face_is_told_almost_as_well_as_a_sharp_one(
    judge: Judge, told: Told, faces: FaceSet, held_out: Tensor
) -> None:
    place, truth = judge.place("Male"), faces.where("Male")[held_out]
    blurred = gaussian_blur(to_float(faces.images[held_out]))
    area = naive_area(judge.tell(blurred).probabilities[:, place], truth)
    assert area > naive_area(told.probabilities[:, place], truth) - 0.03


def test_softness_is_not_taken_for_deformation(
    judge: Judge, told: Told, faces: FaceSet, held_out: Tensor
) -> None:
    soft = judge.tell(gaussian_blur(to_float(faces.images[held_out])))
    assert soft.deformed.mean() == pytest.approx(float(told.deformed.mean()), abs=0.05)


def test_a_deformed_face_is_told_from_the_face_it_was_however_soft(
    judge: Judge, faces: FaceSet, held_out: Tensor
) -> None:
    x = to_float(faces.images[held_out])
    changed = gaussian_blur(lessons.pulled_out_of_shape(x, torch.Generator().manual_seed(5)))
    assert (judge.tell(changed).deformed > judge.tell(x).deformed).float().mean() > 0.8


def gaussian_blur(x: Tensor) -> Tensor:
    """Of a deviation of one pixel, by binomial weights; the edges wrap around."""
    for dim in (2, 3):
        for _ in range(2):
            before, after = (x.roll(by, dims=dim) for by in (1, -1))
            x = (before + 2 * x + after) / 4
    return x


def test_bytes_and_numbers_are_told_alike(judge: Judge, told: Told, faces: FaceSet) -> None:
    few = faces.images[:8]
    torch.testing.assert_close(judge.tell(few), judge.tell(to_float(few)))


def test_frequencies_of_fresh_faces_are_recovered(judge: Judge, faces: FaceSet) -> None:
    fresh = procedural.sample(FRESH, seed=1)
    truth = procedural.attributes(fresh).double().mean(dim=0)
    found = HeldOut(faces, judge).frequencies(judge.tell(procedural.render(fresh)))
    right = []
    for name in judge.reliable:
        within = measures.interval([found[:, judge.place(name)]])
        right.append(within.low <= truth[procedural.ATTRIBUTES.index(name)] <= within.high)
    assert sum(right) / len(right) >= 0.8


# --- kept and loaded


def test_a_second_call_loads_what_the_first_one_trained(
    judge: Judge, faces: FaceSet, told: Told, held_out: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges, "_train_into", None)
    judge_of.cache_clear()
    again = judge_of(faces)
    assert (again.key, again.areas, again.reliable) == (judge.key, judge.areas, judge.reliable)
    assert torch.equal(again.tell(faces.images[held_out]).factors, told.factors)


def test_the_same_faces_make_the_same_judge(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = judge_of(flat_faces)
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    judge_of.cache_clear()
    again = judge_of(flat_faces)
    assert again.key == first.key
    torch.testing.assert_close(again.eye.last.weight, first.eye.last.weight, rtol=0, atol=1e-2)


def test_a_judge_is_known_to_be_trained_only_once_it_is(
    judge: Judge, faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judges.is_trained(faces)
    assert not judges.is_trained(replace(faces, fingerprint="of other faces"))
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    assert not judges.is_trained(faces)


def test_other_faces_get_another_judge(flat_faces: FaceSet) -> None:
    other = replace(flat_faces, fingerprint="of other faces")
    assert judge_of(other).key != judge_of(flat_faces).key


# --- how far it is trusted

NAMES, AREAS = ("Smiling", "Male", "Wearing_Hat", "Bald"), (0.79, 0.80, 0.99, nan)
MADE_UP = Judge(Eye(4), "", NAMES, AREAS, 0.8, attributes=True, factors=())


def test_attributes_that_it_tells_badly_are_left_out() -> None:
    assert MADE_UP.reliable == ("Male", "Wearing_Hat")


@pytest.mark.parametrize("name", ["Wearing_Hat", "wearing hat", "WEARING-HAT", "wearinghat"])
def test_attributes_are_found_however_they_are_spelt(name: str) -> None:
    assert MADE_UP.place(name) == 2
    assert MADE_UP.can_tell(name, "male")


@pytest.mark.parametrize("name", ["Smiling", "Bald", "Eyeglasses"])
def test_what_it_tells_badly_or_not_at_all_decides_nothing(name: str) -> None:
    assert not MADE_UP.can_tell("Male", name)


def test_an_unknown_attribute_has_no_place() -> None:
    with pytest.raises(ValueError, match="eyeglasses"):
        MADE_UP.place("Eyeglasses")


# --- faces without attributes


@pytest.fixture(scope="module")
def of_photos(faces: FaceSet) -> Judge:
    return judge_of(face_set(faces.images[:PHOTOS], None))


def test_of_faces_without_attributes_it_learns_what_any_picture_tells(of_photos: Judge) -> None:
    assert (of_photos.questions, of_photos.factors) == (lessons.QUESTIONS, ())
    assert sum(area > 0.9 for area in of_photos.areas) >= 3


def test_such_a_judge_tells_no_attributes(of_photos: Judge) -> None:
    assert of_photos.reliable == ()
    assert not of_photos.can_tell("Eyeglasses")
    assert not of_photos.can_tell("upside down")


# --- measures of drawn faces


def traversal(name: str, **held: float) -> Tensor:
    """Faces that differ in one factor alone, from one end of its range to the other."""
    strip = procedural.traverse(procedural.showing(name), name, steps=9)
    fixed = {other: torch.full((9,), value) for other, value in held.items()}
    return to_float(procedural.render(replace(strip, **fixed)))


def test_a_head_is_the_less_symmetrical_the_further_it_is_turned() -> None:
    images = traversal("yaw", light_azimuth=0.0, parting=0.0, back_slope=0.0)
    found = measures.asymmetry(images)
    to_the_left, to_the_right = found[:5].flip(0), found[4:]
    assert (to_the_left.diff() > 0).all()
    assert (to_the_right.diff() > 0).all()


def test_a_face_leans_to_where_the_light_comes_from() -> None:
    images = traversal("light_azimuth")
    assert (measures.leaning(images).diff() > 0).all()


def test_skin_gets_darker_with_its_tone() -> None:
    images = traversal("skin_tone")
    assert (measures.skin_tone(images).diff() < 0).all()
