"""A model is measured on held-out faces, once, and its measures agree with what is known of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaelib import latent
from vaelib.config import IMAGE_SHAPE, Experiment
from vaelib.data import FaceSet, to_float
from vaelib.evaluation import evaluate
from vaelib.evaluation.attributes import AttributeClassifier, Prediction
from vaelib.evaluation.bootstrap import REPLICATES
from vaelib.evaluation.classifier_training import ClassifierNetwork
from vaelib.evaluation.evaluate import MEASURES, HeldOutFaces, Measures
from vaelib.model import VAE, new_model
from vaelib.support import paths
from vaelib.training.loop import held_out_loss
from vaelib.training.runs import HistoryRow, Run

LATENT = 4
HELD_OUT = 16
ATTRIBUTES = ("Eyeglasses", "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male")
EXPERIMENT = Experiment(latent=LATENT)


@pytest.fixture
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


@pytest.fixture
def classifier() -> AttributeClassifier:
    """An untrained one that passes for reliable on all but the last attribute."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ClassifierNetwork(len(ATTRIBUTES) + 1).eval().requires_grad_(False)
    return AttributeClassifier(network, "key", ATTRIBUTES, (0.9, 0.9, 0.9, 0.9, 0.7), 0.9, True, ())


@pytest.fixture
def measure(
    faces: FaceSet, classifier: AttributeClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Measures]:
    """Measure a model on these faces with this classifier."""
    monkeypatch.setattr(paths, "RUNS", tmp_path)

    def measure_model(
        model: VAE,
        key: str = "run",
        generated: int = 12,
        classifier: AttributeClassifier = classifier,
    ) -> Measures:
        monkeypatch.setattr(
            evaluate, "held_out_faces", lambda faces: HeldOutFaces(faces, classifier)
        )
        rows = [
            HistoryRow(1, "validation", seen, 0.5, 0.4 - seen / 100, 1.0, 0, 0)
            for seen in (0, 10, 20)
        ]
        run = Run(Path(key), EXPERIMENT, rows)
        run.__dict__["model"] = model
        return evaluate.measure(run, faces, generated, seed=0)

    return measure_model


@pytest.fixture(scope="module")
def model() -> VAE:
    return new_model(EXPERIMENT)


def estimate(measures: Measures, name: str) -> float:
    return float(measures[name][0])


def test_every_measure_is_taken_with_its_replicates(
    measure: Callable[..., Measures], model: VAE
) -> None:
    measures = measure(model)
    assert set(MEASURES) <= set(measures)
    assert {value.shape for value in measures.values()} == {(1 + REPLICATES,)}


def test_a_single_colour_does_not_measure_how_hair_changes(
    measure: Callable[..., Measures], model: VAE, classifier: AttributeClassifier
) -> None:
    only_gray = replace(classifier, auc=(0.9, 0.9, 0.7, 0.9, 0.7))
    assert set(MEASURES) - set(measure(model, classifier=only_gray)) == {"hair_travel"}


def test_only_reliable_attributes_are_counted(measure: Callable[..., Measures], model: VAE) -> None:
    counted = {name for name in measure(model) if name.startswith("frequency ")}
    assert counted == {f"frequency {name}" for name in ATTRIBUTES[:-1]}


def test_groups_need_all_their_attributes(classifier: AttributeClassifier) -> None:
    prediction = classifier.predict(torch.zeros(2, *IMAGE_SHAPE))
    assert set(evaluate.group_memberships(classifier, prediction)) == {
        "Eyeglasses",
        "Pale_Skin",
        "Fair_Hair",
    }
    reliable = replace(classifier, auc=(0.9,) * len(ATTRIBUTES))
    assert set(evaluate.group_memberships(reliable, prediction)) >= {
        "Female",
        "Pale_or_Fair_Female",
    }


def test_error_and_kl_are_about_those_of_the_evaluation(
    measure: Callable[..., Measures], model: VAE, faces: FaceSet
) -> None:
    measures = measure(model)
    expected = held_out_loss(model, faces.images[faces.test], EXPERIMENT)
    assert estimate(measures, "kl") == pytest.approx(expected.kl, rel=1e-5)
    assert estimate(measures, "reconstruction") == pytest.approx(expected.reconstruction, rel=0.02)


def test_the_optimal_lambda_is_that_of_the_error(
    measure: Callable[..., Measures], model: VAE
) -> None:
    measures = measure(model)
    expected = 2 * estimate(measures, "reconstruction") / (3 * 64 * 48)
    assert estimate(measures, "optimal_lam") == pytest.approx(expected)


def test_the_untrained_network_does_not_count_in_the_mean_error_of_training(
    measure: Callable[..., Measures], model: VAE
) -> None:
    assert estimate(measure(model), "mean_reconstruction") == pytest.approx((0.3 + 0.2) / 2)


def test_a_model_that_generates_the_held_out_faces_is_like_them(
    measure: Callable[..., Measures],
    model: VAE,
    faces: FaceSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(latent, "sample", lambda *_: to_float(faces.images[faces.test]))
    measures = measure(model)
    for share in ("asymmetry", "variety", "sharpness", "precision", "recall", "coverage"):
        assert estimate(measures, share) == pytest.approx(1)
    assert estimate(measures, "frechet") == pytest.approx(0, abs=1e-6)


def test_mean_square_mu_is_the_squared_distance_from_the_centre(
    measure: Callable[..., Measures],
) -> None:
    model = new_model(EXPERIMENT)
    torch.nn.init.zeros_(model.encoder.mu.weight)
    for distance in (0.0, -1.0):
        torch.nn.init.constant_(model.encoder.mu.bias, distance)
        assert estimate(measure(model, f"at {distance}"), "mean_square_mu") == distance**2


@pytest.mark.slow
def test_only_held_out_faces_are_measured(
    measure: Callable[..., Measures], model: VAE, faces: FaceSet
) -> None:
    before = measure(model, "before")
    faces.images[faces.train] = 0
    after = measure(model, "after")
    assert all(torch.equal(before[name], after[name]) for name in before)
    faces.images[faces.test[0]] = 0
    assert not torch.equal(before["kl"], measure(model, "changed")["kl"])


def test_measures_are_loaded_where_they_were_taken_before(
    measure: Callable[..., Measures], model: VAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = measure(model)
    monkeypatch.setattr(latent, "decode", None)
    again = measure(model)
    assert before.keys() == again.keys()
    assert all(torch.equal(before[name], again[name]) for name in before)


def test_a_damaged_file_of_measures_is_measured_again(
    measure: Callable[..., Measures],
    model: VAE,
    faces: FaceSet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = measure(model)
    (file,) = (tmp_path / faces.name / "measures").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    again = measure(model)
    assert all(torch.equal(before[name], again[name]) for name in before)
    (line,) = capsys.readouterr().err.splitlines()
    assert str(file) in line
    assert "measured again" in line


@pytest.mark.slow
def test_other_numbers_of_faces_are_measured_anew(
    measure: Callable[..., Measures], model: VAE
) -> None:
    before, after = measure(model, generated=12), measure(model, generated=20)
    assert not torch.equal(before["asymmetry"], after["asymmetry"])


# --- frequencies


def predicted(probabilities: Tensor) -> Prediction:
    return Prediction(torch.zeros(0), probabilities, torch.zeros(0), torch.zeros(0))


def test_frequencies_are_corrected_for_a_classifier_that_predicts_half_of_what_is_true(
    faces: FaceSet, classifier: AttributeClassifier
) -> None:
    reference = HeldOutFaces(faces, classifier)
    true = reference.attributes
    assert true is not None
    reference.prediction = predicted((true / 2).float())
    found = reference.frequencies(predicted(torch.full((50, len(ATTRIBUTES)), 0.2)))
    assert found[0].tolist() == pytest.approx([0.4] * len(ATTRIBUTES))


def test_two_halves_of_the_held_out_faces_are_close(
    faces: FaceSet, classifier: AttributeClassifier
) -> None:
    reference = HeldOutFaces(faces, classifier)
    assert abs(reference.real_distance_floor()) < 0.1 * float(
        reference.prediction.features.square().mean()
    )
