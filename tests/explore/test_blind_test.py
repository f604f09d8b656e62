"""The panel that asks its reader which lambda drew what."""

import csv
import io
from pathlib import Path

import pytest
import torch

from vaelib import latent
from vaelib.config import LAMBDA_STUDY
from vaelib.data import FaceSet
from vaelib.evaluation.detector import haar_scores
from vaelib.explore.blind_test import COUNT, OPEN, Answer, BlindTest
from vaelib.explore.run_index import find_runs
from vaelib.explore.state import ExplorerState


@pytest.fixture
def panel(faces: FaceSet, runs: Path) -> BlindTest:
    panel = BlindTest(ExplorerState(faces, find_runs(runs / faces.name, faces.fingerprint)))
    panel.random.seed(1)
    panel.deal()
    return panel


def test_each_row_is_of_another_lambda_and_all_of_the_same_noise(panel: BlindTest) -> None:
    assert sorted(panel.order) == sorted(LAMBDA_STUDY)
    rows = panel.rows.shown.unflatten(0, (len(LAMBDA_STUDY), COUNT))
    assert len({tuple(row.flatten()[:9].tolist()) for row in rows}) == len(LAMBDA_STUDY)
    assert not any(name in str(panel.rows.get_state()) for name in LAMBDA_STUDY)


def test_guesses_are_counted_once(panel: BlindTest) -> None:
    for guess, name in zip(panel.guesses, panel.order, strict=True):
        guess.value = name
    panel.guesses[3].value = OPEN
    panel.reveal()
    panel.reveal()
    assert panel.status.text.endswith("So far 3 of 4 are right.")
    panel.deal()
    assert [guess.value for guess in panel.guesses] == [OPEN] * 4
    panel.reveal()
    assert panel.status.text.endswith("So far 3 of 8 are right.")


def test_an_answer_is_recorded_with_what_the_detector_says(panel: BlindTest) -> None:
    shown, (left, left_seed, *_) = panel.pair.shown, panel.draws
    torch.testing.assert_close(
        shown[:1], latent.sample(panel.state.models.model(left), 1, left_seed)
    )
    panel.pair._on_message(None, {"clicked": 1}, [])
    panel._record("alike")
    (first, second) = panel.answers
    assert (first.answer, second.answer) == ("right", "alike")
    assert [first.left_score, first.right_score] == haar_scores(shown).tolist()
    assert panel.agreement.text.startswith("2 answers.")
    rows = list(csv.DictReader(io.StringIO(panel.csv().decode())))
    assert [row["answer"] for row in rows] == ["right", "alike"]
    assert rows[0]["left_model"] == left


@pytest.mark.parametrize(
    ("scores", "word"), [((3, 1), "left"), ((0, 2), "right"), ((1, 1), "alike")]
)
def test_the_detector_answers_by_its_scores(scores: tuple[float, float], word: str) -> None:
    assert Answer("a", 0, "b", 0, "left", *scores).detector == word


def test_without_all_four_lambdas_it_is_said_what_is_missing(state: ExplorerState) -> None:
    panel = BlindTest(state)
    assert panel.status.text.startswith("For this, λ = 10⁻³, λ = 10⁻⁴, λ = 10⁻⁶ has to be trained")
