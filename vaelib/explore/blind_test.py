"""The panel that asks its reader which lambda drew what, and which of two draws is more a face."""

import csv
import io
import random
from typing import NamedTuple

import torch
from torch import Tensor

from vaelib import latent
from vaelib.config import LAMBDA_STUDY, LARGEST_SEED
from vaelib.evaluation.detector import haar_scores
from vaelib.explore import face_widgets, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState
from vaelib.support import paths

LETTERS = "ABCD"
COUNT = 8  # faces of each lambda
OPEN = "?"  # not guessed yet


class Answer(NamedTuple):
    """Which of two draws was taken for more of a face, and what the detector says of both."""

    left_model: str
    left_seed: int
    right_model: str
    right_seed: int
    answer: str  # left, right or alike
    left_score: float
    right_score: float

    @property
    def detector(self) -> str:
        """What the detector would have answered."""
        if self.left_score == self.right_score:
            return "alike"
        return "left" if self.left_score > self.right_score else "right"


class BlindTest(Panel):
    """Two games: four grids to be told apart by their lambda, and pairs of draws."""

    title = "Blind test"
    help = (
        "Four rows of faces from the same random numbers, with λ = 10⁻³, 10⁻⁴, 10⁻⁵ and 10⁻⁶ in an "
        "order that you do not know: which is which? Below, two draws: click the one that is more "
        "a face. Your answers can be saved, and compared with the detector's."
    )

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        missing = [
            state.models.label(name) for name in LAMBDA_STUDY if name not in state.models.names
        ]
        if missing:
            self.status.show(
                f"For this, {', '.join(missing)} has to be trained: run {paths.report_command()}."
            )
            self.view = widgets.column(self.status)
            return
        self.random = random.Random()
        self.order: list[str] = []  # the models of the rows
        self.rows = face_widgets.FaceGrid("four rows of unknown lambda", width=96)
        options = [(OPEN, OPEN), *((state.models.label(name), name) for name in LAMBDA_STUDY)]
        self.guesses = [widgets.dropdown(letter, options) for letter in LETTERS]
        self.games, self.right = 0, 0  # rows that were revealed, and those guessed
        self.answers: list[Answer] = []
        self.draws: tuple[str, int, str, int] = ("", 0, "", 0)
        self.pair = face_widgets.FaceGrid("which is more a face", self._answer, "choose", width=144)
        self.agreement = widgets.StatusLine()
        self.view = widgets.column(
            self.status,
            self.rows,
            widgets.row(
                *self.guesses,
                widgets.button("Reveal", self.reveal),
                widgets.button("Other faces", self.deal),
            ),
            self.pair,
            self.agreement,
            widgets.row(
                widgets.button("They are alike", lambda: self._record("alike")),
                widgets.SaveButton("Save my answers", "answers.csv", self.status, self.csv),
            ),
        )
        self.status.run(self.deal)
        self.status.run(self._draw_pair)

    def deal(self) -> None:
        """Other faces, in another order."""
        self.order = self.random.sample(LAMBDA_STUDY, len(LAMBDA_STUDY))
        seed = self.random.randint(0, LARGEST_SEED)
        for guess in self.guesses:
            guess.value = OPEN
        faces = torch.cat([self._draws(name, COUNT, seed) for name in self.order])
        self.rows.show(faces, rows=list(LETTERS))
        self.status.show("")

    def reveal(self) -> None:
        """Say which row is which, and count what was guessed."""
        if not self.status.text:  # else it was revealed before
            self.games += len(self.order)
            guessed = [guess.value for guess in self.guesses]
            self.right += sum(a == b for a, b in zip(guessed, self.order, strict=True))
        truth = [
            f"{letter} is {self.state.models.label(name)}"
            for letter, name in zip(LETTERS, self.order, strict=True)
        ]
        self.status.show(f"{', '.join(truth)}. So far {self.right} of {self.games} are right.")

    def _draws(self, name: str, count: int, seed: int) -> Tensor:
        """Faces (count, 3, 64, 48) that a model draws from the prior."""
        return latent.sample(self.state.models.model(name), count, seed)

    def _draw_pair(self) -> None:
        """Show two draws, of two lambdas."""
        left, right = self.random.sample(LAMBDA_STUDY, 2)
        seeds = [self.random.randint(0, LARGEST_SEED) for _ in range(2)]
        self.draws = (left, seeds[0], right, seeds[1])
        draws = [
            self._draws(name, 1, seed) for name, seed in zip((left, right), seeds, strict=True)
        ]
        self.pair.show(torch.cat(draws), ["left", "right"])

    def _answer(self, index: int) -> None:
        self._record(("left", "right")[index])

    def _record(self, answer: str) -> None:
        left_score, right_score = haar_scores(self.pair.shown).tolist()
        self.answers.append(Answer(*self.draws, answer, left_score, right_score))
        decided = [each for each in self.answers if "alike" not in (each.answer, each.detector)]
        agreed = sum(each.answer == each.detector for each in decided)
        words = f"{len(self.answers)} answers."
        if decided:
            words += f" Where both decide, the detector agrees in {agreed} of {len(decided)}."
        self.agreement.show(words)
        self.status.run(self._draw_pair)

    def csv(self) -> bytes:
        """The answers so far, a line each."""
        lines = io.StringIO()
        writer = csv.writer(lines)
        writer.writerow([*Answer._fields, "detector"])
        writer.writerows([*each, each.detector] for each in self.answers)
        return lines.getvalue().encode()
