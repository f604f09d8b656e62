"""Panels of faces drawn from noise: a grid of one model, and one noise through all models."""

import ipywidgets as widgets
import torch

from vaelib import latent
from vaelib.config import BASE, LARGEST_SEED
from vaelib.explore.state import Desk
from vaelib.explore.widgets import (
    Faces,
    Paced,
    Range,
    Words,
    button,
    choice,
    column,
    number,
    row,
    wide,
)
from vaelib.support.errors import InputError

GRID = 24  # faces of Generate
HOTTEST = 2.0  # times the prior's deviation


def model_choice(desk: Desk, everyone: bool = False) -> tuple[tuple[str, str], ...]:
    """The models to choose from, as label and name; everyone: the report's together come first."""
    one_by_one = tuple((desk.models.label(name), name) for name in desk.models.names)
    if everyone and len(desk.models.seven) > 1:
        return ((f"all {len(desk.models.seven)} models of the report", ""), *one_by_one)
    return one_by_one


def one_model(desk: Desk) -> widgets.Dropdown:
    """A list of the models, the base model chosen where it is here."""
    names = desk.models.names
    return choice("Model", model_choice(desk), BASE if BASE in names else names[0])


def usable(desk: Desk, name: str, words: Words) -> list[str]:
    """This model, or, where the name is empty, the report's; those that are lost are told of.

    Raises InputError where none is left.
    """
    wanted = [name] if name else list(desk.models.seven)
    found, lost = [], []
    for one in wanted:
        try:
            desk.models.model(one)
            found.append(one)
        except InputError as error:
            lost.append(str(error))
    if not found:
        raise InputError("; ".join(lost))
    if lost:
        words.say("; ".join(lost), wrong=True)
    return found


def seed_choice(other: str) -> tuple[widgets.BoundedIntText, widgets.Button]:
    """A seed to type, and a button with these words that goes on to the next one."""
    seed = number("Seed", 0, 0, LARGEST_SEED)

    def next_one() -> None:
        seed.value = (seed.value + 1) % LARGEST_SEED

    return seed, button(other, next_one)


class Generate:
    """A grid of faces from the prior; a click keeps one."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.words = Words()
        self.model = one_model(desk)
        self.seed, again = seed_choice("Other faces")
        self.temperature = Range(
            label="Temperature (1 is the prior)", value=1.0, max=HOTTEST, step=0.05
        )
        self.faces = Faces("faces drawn from noise", self.keep)
        self.draw = Paced(self.words, self._draw)
        for control in (self.model, self.seed, self.temperature):
            control.observe(self.draw, "value")
        controls = row(self.model, self.seed, again, wide(self.temperature))
        self.view = column(controls, self.words, self.faces)
        self.words.spoken(self._draw)

    def _draw(self) -> None:
        model = self.desk.models.model(self.model.value)
        z = latent.noise(GRID, model.latent, self.seed.value) * self.temperature.value
        self.faces.show(latent.decode(model, z))

    def keep(self, index: int) -> None:
        """Keep the face of this place in the grid."""
        if self.faces.shown is not None:
            where = f"{self.model.value} seed {self.seed.value} face {index + 1}"
            name = self.desk.keep(self.faces.shown[index], where)
            self.words.say(f"{name}: to be found in the lists of the other panels")


class Compare:
    """One noise vector through all models of the report, drawn again on a click."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.words = Words()
        self.seed, again = seed_choice("Draw again")
        self.faces = Faces("one noise through all models", self.keep, width=144)
        self.draw = Paced(self.words, self._draw)
        self.seed.observe(self.draw, "value")
        self.view = column(row(self.seed, again), self.words, self.faces)
        self.words.spoken(self._draw)

    def _draw(self) -> None:
        names = usable(self.desk, "", self.words)
        models = [self.desk.models.model(name) for name in names]
        noises = [latent.noise(1, model.latent, self.seed.value) for model in models]
        pairs = zip(models, noises, strict=True)
        self.faces.show(torch.cat([latent.decode(model, z) for model, z in pairs]), names)

    def keep(self, index: int) -> None:
        """Keep what the model of this place has drawn."""
        if self.faces.shown is not None:
            where = f"{self.faces.labels[index]} seed {self.seed.value}"
            name = self.desk.keep(self.faces.shown[index], where)
            self.words.say(f"{name}: to be found in the lists of the other panels")
