"""A model that always generates one face, and one that memorised its faces, get their verdicts.

They are measured as trained models are, but none was trained, so what they do is known.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.evaluation.conftest import Trained
from vaelib import latent
from vaelib.config import SEVEN, Experiment
from vaelib.data import FaceSet, to_float
from vaelib.evaluation import distribution_metrics, evaluate
from vaelib.evaluation.claims import L3, L4, L5, L6, RULES, VerdictWord, decide
from vaelib.evaluation.evaluate import HeldOutFaces, Measures
from vaelib.faces import render
from vaelib.model import VAE
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


@pytest.fixture(scope="module")
def faces(small: Trained) -> FaceSet:
    return small.faces


@pytest.fixture(scope="module")
def reference(small: Trained) -> HeldOutFaces:
    return HeldOutFaces(small.faces, small.classifier)


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
def decided(small: Trained, linear: Measures) -> Callable[..., VerdictWord]:
    """The verdict on a claim where all models are linear but for those given."""
    # Of so few faces the classifier has not learnt enough to predict deformed ones reliably.
    classifier = replace(small.classifier, deformed_auc=1.0)

    def verdict(claim: str, others: dict[str, Measures]) -> VerdictWord:
        models = dict.fromkeys(SEVEN, linear) | others
        word: VerdictWord = decide(RULES[claim], [models], classifier)["verdict"]
        return word

    return verdict


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
    decided: Callable[..., VerdictWord], overfitted: Measures
) -> None:
    assert decided("C7", {L5: overfitted}) == "holds"
    assert decided("C7", {L4: overfitted, L6: overfitted}) == "fails"
