"""A model that always draws one face, and one that learnt by heart, get what they deserve.

They are measured as trained ones are, but nobody has trained them, so what they do is known.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vaelib import latent
from vaelib.config import SEVEN, Experiment
from vaelib.data import FaceSet, to_float
from vaelib.evaluation import distribution_metrics, evaluate
from vaelib.evaluation.attributes import classifier_for
from vaelib.evaluation.claims import L3, L4, L5, L6, RULES, VerdictWord, decide
from vaelib.evaluation.evaluate import Measures
from vaelib.faces import render
from vaelib.faces.attributes import ATTRIBUTE_NAMES
from vaelib.model import VAE
from vaelib.sources import annotations
from vaelib.training.runs import HistoryRow, Run

LATENT, FACES, GENERATED = 16, 1_500, 400


class StandIn(VAE):
    """Answers as a trained model does, without a network."""

    def __init__(self, x: Tensor) -> None:
        nn.Module.__init__(self)
        self.latent, self.x, self.mean = LATENT, x, x.mean(dim=0)
        self.anywhere = nn.Parameter(torch.zeros(0))  # is asked for its device


class Honest(StandIn):
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
        drawn: Tensor = self.mean + (z @ self.axes.T).view(-1, *self.mean.shape)
        return drawn.clamp(-1, 1)


class Collapsed(StandIn):
    """Draws the mean face whatever z is, and says the prior whatever the face is."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(x), LATENT), torch.zeros(len(x), LATENT)

    def decode(self, z: Tensor) -> Tensor:
        return self.mean.expand(len(z), -1, -1, -1)


class Overfitted(StandIn):
    """Knows the training faces by heart, takes any face for the nearest and draws no other."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        nearest = torch.cdist(x.flatten(1), self.x.flatten(1)).argmin(dim=1)
        return self.codes[nearest], torch.full((len(x), LATENT), -20.0)

    def decode(self, z: Tensor) -> Tensor:
        return self.x[torch.cdist(z, self.codes).argmin(dim=1)]

    @property
    def codes(self) -> Tensor:
        return latent.noise(len(self.x), LATENT, seed=7)


@pytest.fixture(scope="module")
def drawn() -> FaceSet:
    images, attributes = (torch.from_numpy(array) for array in render.generate(FACES, 0))
    split = torch.from_numpy(annotations.split_by_hash([str(number) for number in range(FACES)]))
    return FaceSet(
        name="few",
        images=images,
        attributes=attributes,
        attribute_names=ATTRIBUTE_NAMES,
        split=split,
        fingerprint="few",
        kind="synthetic",
        folder=Path("nowhere"),
    )


def measured(model: VAE, drawn: FaceSet) -> Measures:
    """Its measures, as if it had come out of a training run."""
    row = HistoryRow(1, "validation", 64, reconstruction=0.1, kl=1, seconds=1, images_per_second=64)
    run = Run(Path(type(model).__name__), Experiment(latent=LATENT), [row])
    run.__dict__["model"] = model  # in the place of the one that would be loaded
    return evaluate.measure(run, drawn, GENERATED, seed=0)


@pytest.fixture(scope="module")
def honest(drawn: FaceSet) -> Measures:
    return measured(Honest(to_float(drawn.images[drawn.train])), drawn)


@pytest.fixture(scope="module")
def collapsed(drawn: FaceSet) -> Measures:
    return measured(Collapsed(to_float(drawn.images[drawn.train])), drawn)


@pytest.fixture(scope="module")
def overfitted(drawn: FaceSet) -> Measures:
    return measured(Overfitted(to_float(drawn.images[drawn.train])), drawn)


@pytest.fixture(scope="module")
def fresh(drawn: FaceSet) -> Tensor:
    """The classifier's features of faces that nobody has seen."""
    images = torch.from_numpy(render.generate(GENERATED, seed=1)[0])
    return classifier_for(drawn).predict(images).features


def verdict(
    claim: str, drawn: FaceSet, honest: Measures, others: dict[str, Measures]
) -> VerdictWord:
    """Where all models are honest but for these."""
    models = dict.fromkeys(SEVEN, honest) | others
    sure = replace(
        classifier_for(drawn), deformed_auc=1.0
    )  # of so few faces, it has learnt too little
    return decide(RULES[claim], [models], sure).word


def test_seven_times_the_same_model_differ_in_nothing(drawn: FaceSet, honest: Measures) -> None:
    as_record = {claim: verdict(claim, drawn, honest, {}) for claim in RULES}
    assert {claim for claim, word in as_record.items() if word == "holds"} == {"C9"}
    assert "undecided" not in as_record.values()


# --- always the same face


def test_a_model_that_draws_one_face_covers_hardly_any_other(collapsed: Measures) -> None:
    assert collapsed["variety"][0] < 1e-6
    assert collapsed["recall"][0] < 0.05
    assert collapsed["coverage"][0] < 0.05


@pytest.mark.parametrize(
    ("claim", "place", "word"),
    [("C1", L3, "holds"), ("C2", L3, "holds"), ("C2", L5, "fails"), ("C7", L5, "fails")],
)
def test_a_model_that_draws_one_face_is_found_out(
    claim: str, place: str, word: str, drawn: FaceSet, honest: Measures, collapsed: Measures
) -> None:
    assert verdict(claim, drawn, honest, {place: collapsed}) == word


# --- by heart


def test_a_model_that_learnt_by_heart_fails_on_held_out_faces_alone(
    drawn: FaceSet, overfitted: Measures
) -> None:
    known = drawn.images[drawn.train]
    again = latent.reconstruct(Overfitted(to_float(known)), known)
    assert torch.equal(again, to_float(known))
    assert overfitted["reconstruction"][0] > 0.05


def test_what_it_draws_looks_as_real_as_fresh_faces(
    drawn: FaceSet, overfitted: Measures, fresh: Tensor
) -> None:
    real = evaluate.held_out_faces(drawn).prediction.features
    assert (
        overfitted["precision"][0]
        > distribution_metrics.manifold_metrics(real, fresh).precision[0] - 0.05
    )
    assert overfitted["realism"][0] > 0.9 * distribution_metrics.realism(real, fresh).mean()


def test_a_claim_about_held_out_error_sees_through_it(
    drawn: FaceSet, honest: Measures, overfitted: Measures
) -> None:
    assert overfitted["distance"][0] < 0.5 * honest["distance"][0]
    assert verdict("C1", drawn, honest, {L3: overfitted}) == "holds"


def test_a_claim_about_drawn_faces_does_not(
    drawn: FaceSet, honest: Measures, overfitted: Measures
) -> None:
    assert verdict("C7", drawn, honest, {L5: overfitted}) == "holds"
    assert verdict("C7", drawn, honest, {L4: overfitted, L6: overfitted}) == "fails"
