"""A model is measured on held-out faces, once, and its measures agree with what is known of it."""

import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.training.damage import damaged
from vaelib import latent
from vaelib.config import IMAGE_SHAPE, Experiment
from vaelib.data import FaceSet, evenly_spaced, to_float
from vaelib.evaluation import bootstrap, evaluate, generated, image_metrics, prior_gap
from vaelib.evaluation.attributes import AttributeClassifier, Prediction
from vaelib.evaluation.bootstrap import REPLICATES, Measures
from vaelib.evaluation.classifier_training import ClassifierNetwork
from vaelib.evaluation.detector import Calibration, DetectorName, Detectors
from vaelib.evaluation.evaluate import MEASURES
from vaelib.evaluation.held_out import HeldOutFaces
from vaelib.faces import render, sampling
from vaelib.model import VAE, new_model
from vaelib.support import files, paths, progress
from vaelib.support.errors import DamagedError
from vaelib.support.progress_bars import Message, Progress
from vaelib.training.loop import held_out_loss
from vaelib.training.runs import HistoryRow, Run

LATENT = 4
HELD_OUT = 16
ATTRIBUTES = ("Eyeglasses", "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male")
EXPERIMENT = Experiment(latent=LATENT)
DETECTORS: Detectors = {
    "haar": Calibration("haar", 3, {}, {}, {}),
    "hog": Calibration("hog", -0.9, {}, {}, {}),
}


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    """36 faces of which every other one up to the thirty-second is held out."""
    generator = torch.Generator().manual_seed(0)
    count = 2 * HELD_OUT + 4
    split = torch.zeros(count, dtype=torch.uint8)
    split[0 : 2 * HELD_OUT : 2] = 2
    return FaceSet(
        name="noise",
        images=torch.randint(0, 256, (count, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator),
        attributes=torch.rand(count, len(ATTRIBUTES), generator=generator) < 0.5,
        attribute_names=ATTRIBUTES,
        split=split,
        fingerprint="noise",
        kind="photos",
        folder=Path("nowhere"),
    )


@pytest.fixture(scope="module")
def classifier() -> AttributeClassifier:
    """An untrained one that passes for reliable on all but the last attribute."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ClassifierNetwork(len(ATTRIBUTES)).eval().requires_grad_(False)
    return AttributeClassifier(network, "key", ATTRIBUTES, (0.9, 0.9, 0.9, 0.9, 0.7), True, ())


class Measure(Protocol):
    """Measures a model as if it came out of a training run."""

    def __call__(
        self,
        model: VAE,
        key: str = "run",
        generated: int = 12,
        classifier: AttributeClassifier | None = None,
        faces: FaceSet | None = None,
    ) -> Measures: ...


def measure_into(folder: Path, own_faces: FaceSet, own_classifier: AttributeClassifier) -> Measure:
    """Measure on these faces with this classifier unless others are given."""

    def measure(
        model: VAE,
        key: str = "run",
        generated: int = 12,
        classifier: AttributeClassifier | None = None,
        faces: FaceSet | None = None,
    ) -> Measures:
        reference = HeldOutFaces(faces or own_faces, classifier or own_classifier, DETECTORS)
        rows = [
            HistoryRow(1, "validation", seen, 0.5, 0.4 - seen / 100, 1.0, 0, 0)
            for seen in (0, 10, 20)
        ]
        run = Run(Path(key), EXPERIMENT, rows)
        run.__dict__["model"] = model  # in place of the one that would be loaded
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(paths, "RUNS", folder)
            patch.setattr(evaluate, "held_out_faces", lambda _: reference)
            return evaluate.measure(run, faces or own_faces, generated, seed=0)

    return measure


@pytest.fixture
def measure(faces: FaceSet, classifier: AttributeClassifier, tmp_path: Path) -> Measure:
    return measure_into(tmp_path, faces, classifier)


@pytest.fixture(scope="module")
def measures(
    faces: FaceSet,
    classifier: AttributeClassifier,
    model: VAE,
    tmp_path_factory: pytest.TempPathFactory,
) -> Measures:
    """Of the untrained model; taken once for all tests that only read them."""
    return measure_into(tmp_path_factory.mktemp("runs"), faces, classifier)(model)


@pytest.fixture(scope="module")
def model() -> VAE:
    return new_model(EXPERIMENT)


# What depends on training faces too.
WHERE_FACES_ARE_ENCODED = {
    *(name for name in MEASURES if name.endswith(("_fitted", "_mixture"))),
    *("components", "information", "marginal", "gaussian"),
}


def estimate(measures: Measures, name: str) -> float:
    return float(measures[name][0])


def test_every_measure_is_taken_with_its_replicates(measures: Measures) -> None:
    assert set(MEASURES) <= set(measures)
    assert {value.shape for value in measures.values()} == {(1 + REPLICATES,)}


@pytest.mark.slow
def test_a_single_colour_does_not_measure_how_hair_changes(
    measure: Measure, model: VAE, classifier: AttributeClassifier
) -> None:
    only_gray = replace(classifier, auc=(0.9, 0.9, 0.7, 0.9, 0.7))
    assert set(MEASURES) - set(measure(model, classifier=only_gray)) == {"hair_travel"}


def test_only_reliable_attributes_are_counted(measures: Measures) -> None:
    counted = {name for name in measures if name.startswith("frequency ")}
    assert counted == {f"frequency {name}" for name in ATTRIBUTES[:-1]}


def test_groups_need_all_their_attributes(classifier: AttributeClassifier) -> None:
    prediction = classifier.predict(torch.zeros(2, *IMAGE_SHAPE))
    assert set(generated.group_memberships(classifier, prediction)) == {
        "Eyeglasses",
        "Pale_Skin",
        "Fair_Hair",
    }
    reliable = replace(classifier, auc=(0.9,) * len(ATTRIBUTES))
    assert set(generated.group_memberships(reliable, prediction)) >= {
        "Female",
        "Pale_or_Fair_Female",
    }


def test_error_and_kl_are_about_those_of_the_evaluation(
    measure: Measure, model: VAE, faces: FaceSet
) -> None:
    measures = measure(model)
    expected = held_out_loss(model, faces.images[faces.test], EXPERIMENT)
    assert estimate(measures, "kl") == pytest.approx(expected.kl, rel=1e-5)
    assert estimate(measures, "reconstruction") == pytest.approx(expected.reconstruction, rel=0.02)


def test_the_optimal_lambda_is_that_of_the_error(measures: Measures) -> None:
    expected = 2 * estimate(measures, "reconstruction") / (3 * 64 * 48)
    assert estimate(measures, "optimal_lam") == pytest.approx(expected)


def test_the_untrained_network_does_not_count_in_the_mean_error_of_training(
    measures: Measures,
) -> None:
    assert estimate(measures, "mean_reconstruction") == pytest.approx((0.3 + 0.2) / 2)


def test_a_model_that_generates_the_held_out_faces_is_like_them(
    measure: Measure,
    model: VAE,
    faces: FaceSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(latent, "sample", lambda *_: to_float(faces.images[faces.test]))
    measures = measure(model)
    for share in ("asymmetry", "variety", "sharpness", "precision", "recall", "coverage"):
        assert estimate(measures, share) == pytest.approx(1)
    assert estimate(measures, "frechet") == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_mean_square_mu_is_the_squared_distance_from_the_centre(
    measure: Measure,
) -> None:
    model = new_model(EXPERIMENT)
    torch.nn.init.zeros_(model.encoder.mu.weight)
    for distance in (0.0, -1.0):
        torch.nn.init.constant_(model.encoder.mu.bias, distance)
        assert estimate(measure(model, f"at {distance}"), "mean_square_mu") == distance**2


@pytest.mark.slow
def test_only_held_out_faces_are_measured(
    measure: Measure, measures: Measures, model: VAE, faces: FaceSet
) -> None:
    images = faces.images.clone()
    images[faces.train] = 0
    after = measure(model, "after", faces=replace(faces, images=images))
    changed = {name for name in measures if not torch.equal(measures[name], after[name])}
    assert changed <= WHERE_FACES_ARE_ENCODED
    images[faces.test[0]] = 0
    other = measure(model, "changed", faces=replace(faces, images=images))
    assert not torch.equal(measures["kl"], other["kl"])


def test_measuring_reports_what_it_is_at_and_nothing_where_it_is_done_before(
    measure: Measure, model: VAE
) -> None:
    messages: list[Message] = []
    with progress.reporting_to(messages.append):
        measure(model)
        taken = [*messages]
        measure(model)
    reports = [message for message in taken if isinstance(message, Progress)]
    assert reports[0].label == f"measuring lambda 1e-05, {model.latent} latents"
    assert reports[0].detail == "held-out faces"
    assert reports[-1].is_finished
    assert messages == taken


def test_measures_are_loaded_where_they_were_taken_and_taken_again_where_damaged(
    measure: Measure,
    model: VAE,
    faces: FaceSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = measure(model)
    with monkeypatch.context() as patch:
        patch.setattr(latent, "decode", None)
        loaded = measure(model)
    (file,) = (tmp_path / faces.name / "measures").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    again = measure(model)
    assert first.keys() == loaded.keys() == again.keys()
    assert all(torch.equal(first[name], loaded[name]) for name in first)
    assert all(torch.equal(first[name], again[name]) for name in first)
    lines = capsys.readouterr().err.splitlines()
    (line,) = (line for line in lines if not line.startswith("   measuring lambda"))
    assert str(file) in line
    assert "measured again" in line


@pytest.mark.slow
def test_other_numbers_of_faces_are_measured_anew(
    measure: Measure, measures: Measures, model: VAE
) -> None:
    after = measure(model, generated=20)
    assert not torch.equal(measures["asymmetry"], after["asymmetry"])


def test_whatever_lies_in_their_file_is_measures_or_is_refused(tmp_path: Path) -> None:
    file, draw = tmp_path / "measures.npz", random.Random(0)
    files.write_arrays(file, {"found": bootstrap.constant(0.5).numpy()})
    content = file.read_bytes()
    for _ in range(300):
        file.write_bytes(damaged(content, draw))
        with suppress(DamagedError):
            assert estimate(evaluate._read(file), "found") == 0.5


@pytest.mark.parametrize(
    "array",
    [np.full(401, "x"), np.zeros(400), np.zeros(401, int), np.zeros(())],
)
def test_arrays_that_are_no_measures_are_refused(tmp_path: Path, array: NDArray[Any]) -> None:
    files.write_arrays(tmp_path / "measures.npz", {"found": array})
    with pytest.raises(DamagedError):
        evaluate._read(tmp_path / "measures.npz")


# --- real faces


def test_real_faces_are_measured_as_draws_are_and_only_once(
    faces: FaceSet,
    classifier: AttributeClassifier,
    measures: Measures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = HeldOutFaces(faces, classifier, DETECTORS)
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    monkeypatch.setattr(evaluate, "held_out_faces", lambda _: reference)
    real = evaluate.measure_real(faces, 12)
    training_faces = to_float(faces.images[evenly_spaced(faces.train, 12)])
    expected = image_metrics.appearance(training_faces)["variety"] / reference.appearance["variety"]
    assert real.keys() < measures.keys()
    assert torch.equal(real["variety"], expected)
    monkeypatch.setattr(evaluate, "generated_measures", None)
    assert torch.equal(evaluate.measure_real(faces, 12)["variety"], real["variety"])


# --- faces that are found, and where z is drawn


@pytest.fixture(scope="module")
def drawn() -> Tensor:
    """Procedural faces in [-1, 1]."""
    return to_float(render.render(sampling.sample(40, 0)))


def found_among(
    images: Tensor, faces: FaceSet, classifier: AttributeClassifier, second: int = 0
) -> Measures:
    reference = HeldOutFaces(faces, classifier, DETECTORS)
    half = (torch.arange(len(images)) < len(images) // 2).float()
    searched: dict[DetectorName, int] = {"haar": len(images), "hog": second or len(images)}
    return generated.shares_found(images, reference, "found", searched, {"Half": half})


def test_faces_are_found_and_noise_is_not(
    drawn: Tensor, faces: FaceSet, classifier: AttributeClassifier
) -> None:
    half_noise = torch.cat([drawn[:20], to_float(faces.images[:20])])
    found = found_among(half_noise, faces, classifier)
    for prefix in ("", "hog_"):
        assert estimate(found, f"{prefix}found") == pytest.approx(0.5, abs=0.05)
        assert estimate(found, f"{prefix}found Half") > 0.9
        assert estimate(found, f"{prefix}found not Half") == 0


def test_the_second_detector_looks_at_the_first_images_only(
    drawn: Tensor, faces: FaceSet, classifier: AttributeClassifier
) -> None:
    black_first = torch.cat([torch.zeros(20, 3, 64, 48), drawn[:20]])
    found = found_among(black_first, faces, classifier, second=20)
    assert estimate(found, "found") > 0.4
    assert estimate(found, "hog_found") == 0


def test_a_face_that_is_lost_halfway_counts_as_lost_in_the_middle(
    measure: Measure, model: VAE, drawn: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interpolate(_: VAE, first: Tensor, *__: object) -> Tensor:
        paths_of_images = drawn[: len(first), None].repeat(1, 8, 1, 1, 1)
        paths_of_images[:, 2:6] = 0
        return paths_of_images

    monkeypatch.setattr(latent, "interpolate", interpolate)
    measures = measure(model)
    assert estimate(measures, "middle") > 0.9
    assert estimate(measures, "hog_middle") > 0.9


def test_z_is_drawn_from_the_gaussian_of_the_training_faces_with_the_noise_of_the_prior(
    measure: Measure, model: VAE, faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Tensor] = []
    decode = latent.decode

    def noted(model: VAE, z: Tensor) -> Tensor:
        decoded.append(z)
        return decode(model, z)

    monkeypatch.setattr(latent, "decode", noted)
    measure(model, generated=12)
    train = prior_gap.encode(model, faces.images[faces.train])
    expected = prior_gap.fit_gaussian(train.mu, train.logvar).draw(latent.noise(12, LATENT, 0))
    assert any(z.shape == expected.shape and torch.allclose(z, expected) for z in decoded)


# --- frequencies


def predicted(probabilities: Tensor) -> Prediction:
    return Prediction(torch.zeros(0), probabilities, torch.zeros(0))


def test_frequencies_are_corrected_for_a_classifier_that_predicts_half_of_what_is_true(
    faces: FaceSet, classifier: AttributeClassifier
) -> None:
    reference = HeldOutFaces(faces, classifier, DETECTORS)
    true = reference.attributes
    assert true is not None
    reference.prediction = predicted((true / 2).float())
    found = reference.frequencies(predicted(torch.full((50, len(ATTRIBUTES)), 0.2)))
    means = {name: float(frequency[0]) for name, frequency in found.items()}
    assert means == pytest.approx(dict.fromkeys(ATTRIBUTES[:-1], 0.4))


def test_true_frequencies_are_those_of_the_attributes_that_can_be_predicted(
    faces: FaceSet, classifier: AttributeClassifier
) -> None:
    found = HeldOutFaces(faces, classifier, DETECTORS).true_frequencies()
    assert found == {
        name: float(faces.where(name)[faces.test].double().mean()) for name in ATTRIBUTES[:-1]
    }


def test_faces_without_attributes_have_no_frequencies(
    faces: FaceSet, classifier: AttributeClassifier
) -> None:
    reference = HeldOutFaces(replace(faces, attributes=None), classifier, DETECTORS)
    assert reference.true_frequencies() == reference.frequencies(reference.prediction) == {}


def test_two_halves_of_the_held_out_faces_are_close(
    faces: FaceSet, classifier: AttributeClassifier
) -> None:
    reference = HeldOutFaces(faces, classifier, DETECTORS)
    assert abs(reference.real_distance_floor()) < 0.1 * float(
        reference.prediction.features.square().mean()
    )
