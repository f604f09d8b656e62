"""A collapsed model, one that memorised its faces and an untrained one get their verdicts.

They are measured as trained models are, but none was trained, so what they do is known.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.evaluation.conftest import Trained
from vaelib import latent
from vaelib.config import SEVEN, Experiment
from vaelib.data import FaceSet, to_float
from vaelib.evaluation import distribution_metrics, evaluate
from vaelib.evaluation.bootstrap import Measures
from vaelib.evaluation.claims import L3, L4, L5, L6, RULES, SMALL
from vaelib.evaluation.detector import DetectorName, calibrate
from vaelib.evaluation.held_out import HeldOutFaces
from vaelib.evaluation.verdicts import VerdictWord, decide
from vaelib.faces import render
from vaelib.model import VAE, new_model
from vaelib.training.runs import HistoryRow, Run

pytestmark = pytest.mark.slow  # all of them use a classifier that is trained on procedural faces

LATENT, GENERATED = 16, 400


class StandIn(VAE):
    """Used as a trained model is, but has no network."""

    def __init__(self, x: Tensor) -> None:
        nn.Module.__init__(self)
        self.latent, self.x, self.mean = LATENT, x, x.mean(dim=0)
        self.empty = nn.Parameter(torch.zeros(0))  # whose device is that of the model


class Linear(StandIn):
    """The principal components of the training faces, where z has variance 1."""

    def __init__(self, x: Tensor) -> None:
        super().__init__(x)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            _, lengths, directions = torch.pca_lowrank(x.flatten(1), LATENT, niter=4)
        self.axes = directions * lengths / len(x) ** 0.5

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu = (x - self.mean).flatten(1) @ self.axes / self.axes.square().sum(dim=0)
        return mu, torch.full_like(mu, -4)

    def decode(self, z: Tensor) -> Tensor:
        images: Tensor = self.mean + (z @ self.axes.T).view(-1, *self.mean.shape)
        return images.clamp(-1, 1)


class Collapsed(StandIn):
    """Decodes the mean face from any z, and encodes any face as the prior."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(x), LATENT), torch.zeros(len(x), LATENT)

    def decode(self, z: Tensor) -> Tensor:
        return self.mean.expand(len(z), -1, -1, -1)


class Overfitted(StandIn):
    """Memorised the training faces: encodes any face as the nearest, and decodes no other."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        nearest = torch.cdist(x.flatten(1), self.x.flatten(1)).argmin(dim=1)
        return self.codes[nearest], torch.full((len(x), LATENT), -20.0)

    def decode(self, z: Tensor) -> Tensor:
        return self.x[torch.cdist(z, self.codes).argmin(dim=1)]

    @property
    def codes(self) -> Tensor:
        return latent.noise(len(self.x), LATENT, seed=7)


class Untrained(StandIn):
    """The network as it is before the first step."""

    def __init__(self, x: Tensor) -> None:
        super().__init__(x)
        self.network = new_model(Experiment(latent=LATENT))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.network.decode(z)


@pytest.fixture(scope="module")
def faces(small: Trained) -> FaceSet:
    return small.faces


@pytest.fixture(scope="module")
def reference(small: Trained) -> HeldOutFaces:
    names: tuple[DetectorName, ...] = ("haar", "hog")
    detectors = {name: calibrate(small.faces, name) for name in names}
    return HeldOutFaces(small.faces, small.classifier, detectors)


@pytest.fixture(scope="module")
def measured(
    small: Trained, reference: HeldOutFaces, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[type[StandIn]], Measures]:
    """Measures of a stand-in as if it had come out of a training run; taken once for all tests."""

    def measure(kind: type[StandIn]) -> Measures:
        row = HistoryRow(1, "validation", 64, 0.1, 0.1, kl=1, seconds=1, images_per_second=64)
        run = Run(Path(kind.__name__), Experiment(latent=LATENT), [row])
        run.__dict__["model"] = kind(to_float(small.faces.images[small.faces.train]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluate, "held_out_faces", lambda _: reference)
            return evaluate.measure(run, small.faces, GENERATED, seed=0)

    return measure


@pytest.fixture(scope="module")
def linear(measured: Callable[[type[StandIn]], Measures]) -> Measures:
    return measured(Linear)


@pytest.fixture(scope="module")
def collapsed(measured: Callable[[type[StandIn]], Measures]) -> Measures:
    return measured(Collapsed)


@pytest.fixture(scope="module")
def overfitted(measured: Callable[[type[StandIn]], Measures]) -> Measures:
    return measured(Overfitted)


@pytest.fixture(scope="module")
def untrained(measured: Callable[..., Measures]) -> Measures:
    return measured(Untrained)


@pytest.fixture(scope="module")
def record(linear: Measures, reference: HeldOutFaces) -> Callable[..., dict[str, Any]]:
    """What is decided of a claim where all models are linear but for those given."""

    def decision(claim: str, others: dict[str, Measures]) -> dict[str, Any]:
        models = dict.fromkeys(SEVEN, linear) | others
        return decide(RULES[claim], [models], reference.classifier, reference.detectors)

    return decision


@pytest.fixture(scope="module")
def parts(record: Callable[..., dict[str, Any]]) -> Callable[..., list[VerdictWord]]:
    """The verdicts on the parts of it."""
    return lambda claim, others: [part["verdict"] for part in record(claim, others)["parts"]]


@pytest.fixture(scope="module")
def decided(record: Callable[..., dict[str, Any]]) -> Callable[..., VerdictWord]:
    """The verdict on all of it."""
    return lambda claim, others: record(claim, others)["verdict"]


def test_seven_times_the_same_model_differ_in_nothing(decided: Callable[..., VerdictWord]) -> None:
    verdicts = {claim: decided(claim, {}) for claim in RULES}
    assert {claim for claim, word in verdicts.items() if word == "holds"} == {"C9"}
    assert "undecided" not in verdicts.values()


# --- always the same face


def test_a_model_that_generates_one_face_covers_hardly_any_other(collapsed: Measures) -> None:
    assert collapsed["variety"][0] < 1e-6
    assert collapsed["recall"][0] < 0.05
    assert collapsed["coverage"][0] < 0.05


def test_a_model_that_generates_one_face_is_recognised(
    decided: Callable[..., VerdictWord], collapsed: Measures
) -> None:
    expected = {("C1", L3): "holds", ("C2", L3): "holds", ("C2", L5): "fails", ("C7", L5): "fails"}
    assert {case: decided(case[0], {case[1]: collapsed}) for case in expected} == expected


# --- memorised faces


def test_a_model_that_memorised_fails_on_held_out_faces_alone(
    faces: FaceSet, overfitted: Measures
) -> None:
    learnt = faces.images[faces.train]
    reconstructed = latent.reconstruct(Overfitted(to_float(learnt)), learnt)
    assert torch.equal(reconstructed, to_float(learnt))
    assert overfitted["reconstruction"][0] > 0.05


def test_what_it_generates_is_as_realistic_as_fresh_faces(
    small: Trained, reference: HeldOutFaces, overfitted: Measures
) -> None:
    fresh = torch.from_numpy(render.generate(GENERATED, seed=1)[0])
    features, real = small.classifier.predict(fresh).features, reference.prediction.features
    precision = distribution_metrics.manifold_metrics(real, features)["precision"][0]
    assert overfitted["precision"][0] > precision - 0.05
    realism = distribution_metrics.realism(real, features).mean()
    assert overfitted["realism"][0] > 0.9 * realism


def test_a_claim_about_held_out_error_notices_memorised_faces(
    decided: Callable[..., VerdictWord], linear: Measures, overfitted: Measures
) -> None:
    assert overfitted["distance"][0] < 0.5 * linear["distance"][0]
    assert decided("C1", {L3: overfitted}) == "holds"


def test_a_claim_about_generated_faces_does_not(
    parts: Callable[..., list[VerdictWord]], overfitted: Measures
) -> None:
    distance, recall = 1, 2  # parts of C7
    words = parts("C7", {L5: overfitted})
    assert words[distance] == words[recall] == "holds"
    assert parts("C7", {L4: overfitted, L6: overfitted})[distance] == "fails"


# --- faces that are found


def test_in_what_no_training_has_shaped_no_face_is_found(untrained: Measures) -> None:
    for name in ("found", "found_fitted", "found_mixture", "found_reconstructed", "hog_found"):
        assert untrained[name][0] < 0.05


def test_one_and_the_same_face_is_always_found_which_is_why_it_takes_other_measures_too(
    parts: Callable[..., list[VerdictWord]], collapsed: Measures
) -> None:
    assert [float(collapsed[name][0]) for name in ("found", "found_fitted")] == pytest.approx(
        [1, 1]
    )
    assert parts("C7", {L5: collapsed}) == ["fails"] * 4


def test_faces_deform_where_draws_are_no_faces(
    decided: Callable[..., VerdictWord],
    parts: Callable[..., list[VerdictWord]],
    untrained: Measures,
    collapsed: Measures,
) -> None:
    assert decided("C6", {L6: untrained}) == "holds"
    assert decided("C6", {L6: collapsed}) == "fails"
    assert parts("C8", {SMALL: untrained})[:2] == ["holds", "fails"]


def test_a_decoder_that_draws_no_face_anywhere_is_not_excused_by_the_place_of_its_draws(
    parts: Callable[..., list[VerdictWord]], untrained: Measures
) -> None:
    assert parts("C12", {L6: untrained})[:2] == ["fails", "fails"]


def test_what_a_collapsed_encoder_says_is_nothing_and_lies_on_the_prior(
    collapsed: Measures, overfitted: Measures
) -> None:
    assert collapsed["information"][0] == collapsed["marginal"][0] == 0
    assert overfitted["information"][0] > 6  # nearly the logarithm of the number of faces
    assert overfitted["gaussian"][0] < 0.01 * overfitted["marginal"][0]
