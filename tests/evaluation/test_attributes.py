"""The classifier learns attributes and factors, and knows how reliable it is.

Procedural faces have known factors, which the classifier never sees of held-out faces. What takes
long training to be good is checked on a small classifier with generous limits, and on a large one,
in `make check-long`, with strict ones.
"""

import json
import random
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.evaluation import conftest
from tests.evaluation.conftest import Trained, face_set
from tests.training.damage import damaged, forgeries
from vaelib.data import FaceSet, to_float
from vaelib.evaluation import attributes, bootstrap, classifier_data, image_metrics
from vaelib.evaluation.attributes import (
    AttributeClassifier,
    classifier_for,
    roc_auc,
)
from vaelib.evaluation.classifier_training import ClassifierNetwork
from vaelib.evaluation.held_out import HeldOutFaces
from vaelib.faces import render, sampling
from vaelib.faces.attributes import ATTRIBUTE_NAMES, attributes_of
from vaelib.faces.factors import example_face, traverse
from vaelib.support import files, paths, progress
from vaelib.support.errors import DamagedError
from vaelib.support.progress_bars import Message, Progress

nan = float("nan")


def naive_auc(scores: Tensor, truth: Tensor) -> float:
    """The share of pairs of a positive and a negative that are in order; a tie counts half."""
    difference = scores[truth][:, None] - scores[~truth][None]
    return float(((difference > 0).double() + (difference == 0).double() / 2).mean())


def correlation(x: Tensor, y: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1])


# --- area under the ROC curve


def test_the_auc_is_the_share_of_pairs_in_order() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(200, generator=generator) < 0.3
    for values in (2, 5, 1_000_000):  # with many ties, and with hardly any
        scores = torch.randint(values, (200,), generator=generator).float()
        assert roc_auc(scores, truth) == pytest.approx(naive_auc(scores, truth))


def test_there_is_no_auc_where_all_are_alike() -> None:
    for truth in (True, False):
        auc = roc_auc(torch.arange(5.0), torch.full((5,), truth))
        assert auc != auc


# --- what it predicts of held-out faces


class Limits(NamedTuple):
    """What a classifier of a certain size must reach."""

    auc: dict[str, float]  # of attributes
    correlation: float  # of factors
    recovered: float  # share of attributes whose frequency is within the interval


SMALL = Limits({"Wearing_Hat": 0.7, "Male": 0.65}, 0.75, 0.6)
LARGE = Limits({"Eyeglasses": 0.8, "Wearing_Hat": 0.95, "Male": 0.9}, 0.8, 0.8)


@pytest.fixture(
    params=[
        pytest.param("small", marks=pytest.mark.slow),
        pytest.param("large", marks=pytest.mark.long),
    ]
)
def trained(request: pytest.FixtureRequest) -> Trained:
    found: Trained = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def limits(trained: Trained) -> Limits:
    return LARGE if len(trained.faces.images) == conftest.LARGE else SMALL


def test_attributes_are_recognised(trained: Trained, limits: Limits) -> None:
    found = {
        name: naive_auc(
            trained.prediction.probabilities[:, trained.classifier.index_of(name)],
            trained.faces.where(name)[trained.held_out],
        )
        for name in limits.auc
    }
    assert {name for name, auc in found.items() if auc <= limits.auc[name]} == set()


def test_the_recorded_auc_is_that_of_the_held_out_faces(trained: Trained) -> None:
    index = trained.classifier.index_of("Male")
    held_out = classifier_data.held_out_set(trained.faces)
    scores = trained.classifier.predict(held_out.images).probabilities[:, index]
    expected = naive_auc(scores, held_out.targets[:, index])
    assert trained.classifier.auc[index] == pytest.approx(expected)


def test_factors_are_recognised_and_a_mirror_turns_the_pose_alone(
    trained: Trained, limits: Limits
) -> None:
    mirrored = trained.classifier.predict(trained.faces.images[trained.held_out].flip(-1)).factors
    assert trained.classifier.factors == tuple(classifier_data.FACTORS)
    for index, (name, sign) in enumerate(classifier_data.FACTORS.items()):
        found = trained.prediction.factors[:, index]
        true = getattr(trained.factors, name)[trained.held_out]
        assert correlation(found, true) > limits.correlation, name
        assert sign * correlation(mirrored[:, index], found) > 0.9, name


def soft(x: Tensor) -> Tensor:
    """Under a binomial blur of one pixel's standard deviation; the edges wrap around."""
    for dim in (2, 3):
        for _ in range(2):
            x = (x.roll(1, dims=dim) + 2 * x + x.roll(-1, dims=dim)) / 4
    return x


def test_a_blurred_face_is_predicted_almost_as_a_sharp_one(trained: Trained) -> None:
    blurred = trained.classifier.predict(soft(to_float(trained.faces.images[trained.held_out])))
    index = trained.classifier.index_of("Male")
    truth = trained.faces.where("Male")[trained.held_out]
    auc, sharp_auc = (
        naive_auc(prediction.probabilities[:, index], truth)
        for prediction in (blurred, trained.prediction)
    )
    assert auc > sharp_auc - 0.03


def test_frequencies_of_fresh_faces_are_recovered(trained: Trained, limits: Limits) -> None:
    fresh = sampling.sample(1_000, seed=1)
    truth = attributes_of(fresh).double().mean(dim=0)
    prediction = trained.classifier.predict(render.render(fresh))
    found = HeldOutFaces(trained.faces, trained.classifier, {}).frequencies(prediction)
    within = []
    for name in trained.classifier.reliable:
        interval = bootstrap.interval([found[name]])
        within.append(interval.low <= truth[ATTRIBUTE_NAMES.index(name)] <= interval.high)
    assert sum(within) / len(within) >= limits.recovered


@pytest.mark.parametrize(
    ("count", "auc", "tasks"),
    [
        pytest.param(300, 0.85, 2, marks=pytest.mark.slow),
        pytest.param(1_000, 0.9, 3, marks=pytest.mark.long),
    ],
)
def test_without_attributes_it_learns_self_supervised_tasks(
    count: int, auc: float, tasks: int
) -> None:
    images = render.render(sampling.sample(count, 0))
    classifier = classifier_for(face_set(images, None))
    assert (classifier.targets, classifier.factors) == (classifier_data.PRETEXT_TASKS, ())
    assert sum(value > auc for value in classifier.auc) >= tasks
    assert classifier.reliable == ()  # none of them is an attribute
    assert not classifier.can_predict("Eyeglasses")
    assert not classifier.can_predict("upside down")


# --- kept and loaded


@pytest.fixture
def folder(flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the classifier of the flat faces lies, once it is trained, on next to nothing."""
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    monkeypatch.setattr(attributes, "MAX_IMAGES", 64)
    classifier_for.cache_clear()
    return tmp_path / flat_faces.name


def as_in_another_process(faces: FaceSet) -> AttributeClassifier:
    classifier_for.cache_clear()
    return classifier_for(faces)


def same_weights(one: AttributeClassifier, other: AttributeClassifier) -> bool:
    first, second = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first | second)


def test_a_classifier_is_trained_once_and_then_loaded(
    flat_faces: FaceSet, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not attributes.is_trained(flat_faces)
    reports: list[Message] = []
    with progress.reporting_to(reports.append):
        first = classifier_for(flat_faces)
    assert {message.label for message in reports if isinstance(message, Progress)} == {
        "attribute classifier"
    }
    assert attributes.is_trained(flat_faces)
    monkeypatch.setattr(attributes, "_train", None)
    again = as_in_another_process(flat_faces)
    assert same_weights(first, again)
    assert replace(again, network=first.network, auc=()) == replace(first, auc=())
    assert again.auc == pytest.approx(first.auc, nan_ok=True)
    names = {file.name for file in (folder / f"classifier-{first.key}").iterdir()}
    assert names == {"classifier.safetensors", "classifier.json"}


def test_the_same_faces_make_the_same_classifier(flat_faces: FaceSet, folder: Path) -> None:
    first = classifier_for(flat_faces)
    shutil.rmtree(folder)
    again = as_in_another_process(flat_faces)
    assert again.key == first.key
    torch.testing.assert_close(again.network.last.weight, first.network.last.weight)


def test_other_faces_or_another_recipe_make_another_classifier(
    flat_faces: FaceSet, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = classifier_for(flat_faces).key
    others = replace(flat_faces, fingerprint="of other faces")
    assert not attributes.is_trained(others)
    assert as_in_another_process(others).key != key
    monkeypatch.setattr(attributes, "RECIPE", attributes.RECIPE + 1)
    assert not attributes.is_trained(flat_faces)


@pytest.mark.parametrize("damage", ["cut short", "a bit altered", "no weights", "no record"])
def test_a_damaged_classifier_is_trained_again(
    damage: str, flat_faces: FaceSet, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = classifier_for(flat_faces)
    kept = folder / f"classifier-{before.key}"
    file = kept / ("classifier.json" if damage == "no record" else "classifier.safetensors")
    content = bytearray(file.read_bytes())
    if damage == "cut short":
        file.write_bytes(content[:-100])
    elif damage == "a bit altered":
        content[-100] ^= 1
        file.write_bytes(content)
    elif damage == "no weights":
        file.unlink()
    else:
        file.write_text("{}")
    torch.testing.assert_close(
        as_in_another_process(flat_faces).network.state_dict(), before.network.state_dict()
    )
    lines = capsys.readouterr().err.splitlines()
    (line,) = (line for line in lines if not line.startswith("   attribute classifier"))
    assert str(kept) in line
    assert "trained again" in line


def test_whatever_lies_in_its_folder_is_a_classifier_or_is_refused(
    flat_faces: FaceSet, folder: Path
) -> None:
    kept, draw = folder / f"classifier-{classifier_for(flat_faces).key}", random.Random(0)
    for name in (attributes.WEIGHTS, attributes.RECORD):
        content = (kept / name).read_bytes()
        contents = [damaged(content, draw) for _ in range(10)]
        if name == attributes.RECORD:
            contents += forgeries(content, draw)
        for forged in contents:
            (kept / name).write_bytes(forged)
            with suppress(DamagedError):
                assert attributes._load(flat_faces).auc
        (kept / name).write_bytes(content)


def test_weights_that_are_not_finite_are_no_classifier(flat_faces: FaceSet, folder: Path) -> None:
    kept = folder / f"classifier-{classifier_for(flat_faces).key}"
    weights = load_file(kept / attributes.WEIGHTS)
    weights["last.bias"][0] = nan
    save_file(weights, kept / attributes.WEIGHTS)
    record = json.loads((kept / attributes.RECORD).read_text())
    record["sha256"] = files.checksum(kept / attributes.WEIGHTS)
    files.write_json(kept / attributes.RECORD, record)
    with pytest.raises(DamagedError, match=r"last\.bias has values that are not finite"):
        attributes._load(flat_faces)


def test_bytes_and_numbers_are_predicted_alike(flat_faces: FaceSet, folder: Path) -> None:
    classifier, images = classifier_for(flat_faces), flat_faces.images[:8]
    torch.testing.assert_close(classifier.predict(images), classifier.predict(to_float(images)))


# --- how reliable it is

MADE_UP = AttributeClassifier(
    ClassifierNetwork(4),
    key="",
    targets=("Smiling", "Male", "Wearing_Hat", "Bald"),
    auc=(0.79, 0.80, 0.99, nan),
    predicts_attributes=True,
    factors=(),
)


def test_badly_predicted_attributes_are_not_reliable() -> None:
    assert MADE_UP.reliable == ("Male", "Wearing_Hat")
    unreliable = ("Smiling", "Bald", "Eyeglasses")
    assert not [name for name in unreliable if MADE_UP.can_predict("Male", name)]


def test_attributes_are_found_in_any_spelling() -> None:
    spellings = ("Wearing_Hat", "wearing hat", "WEARING-HAT", "wearinghat")
    assert {MADE_UP.index_of(name) for name in spellings} == {2}
    assert MADE_UP.can_predict(*spellings, "male")


def test_an_unknown_attribute_has_no_position() -> None:
    with pytest.raises(ValueError, match="eyeglasses"):
        MADE_UP.index_of("Eyeglasses")


# --- measures of procedural faces that differ in one factor


def traversal(name: str, **constant: float) -> Tensor:
    """Nine faces from one end of a factor's range to the other."""
    faces = traverse(example_face(name), name, steps=9)
    fixed = {other: torch.full((9,), value) for other, value in constant.items()}
    return to_float(render.render(replace(faces, **fixed)))


def test_a_head_is_less_symmetrical_the_further_it_is_turned() -> None:
    images = traversal("yaw", light_azimuth=0.0, parting=0.0, back_slope=0.0)
    found = image_metrics.asymmetry(images)
    to_the_left, to_the_right = found[:5].flip(0), found[4:]
    assert (to_the_left.diff() > 0).all()
    assert (to_the_right.diff() > 0).all()


def test_side_lighting_follows_the_direction_of_the_light() -> None:
    assert (image_metrics.side_lighting(traversal("light_azimuth")).diff() > 0).all()


def test_skin_gets_darker_with_its_tone() -> None:
    assert (image_metrics.skin_tone(traversal("skin_tone")).diff() < 0).all()
