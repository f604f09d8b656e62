"""Panels of ways through the latent space: between two faces, and along single directions."""

import torch
from torch import Tensor

from vaelib import latent
from vaelib.explore import encoding
from vaelib.explore.draw import model_choice, one_model, usable
from vaelib.explore.state import WAYS, Desk
from vaelib.explore.widgets import (
    Faces,
    Paced,
    Range,
    Save,
    Words,
    button,
    choice,
    column,
    end_choice,
    row,
)
from vaelib.support.errors import InputError

STRIP = 9  # faces of a way, its ends among them
FRAMES = 21  # of a GIF, there and not yet back
SLIDERS = 8
REACH = 3.0  # deviations to either side
START = "the centre of the prior"


class Interpolate:
    """From one face to another, in one model or in all of them, one under another."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.words = Words()
        self.first, self.last = end_choice("From", desk, 0), end_choice("To", desk, 1)
        self.model = choice("MeasuresByModel", model_choice(desk, everyone=True))
        self.way = choice("Way", (("straight line", False), ("great circle", True)))
        self.share = Range(label="Place on the way", value=0.5, play=True)
        self.ends = Faces("ends of the way", width=64)
        self.here = Faces("faces at this place of the way", self.keep)
        self.strip = Faces("the whole way", width=64)
        self.latents: dict[str, tuple[Tensor, Tensor]] = {}
        self.move = Paced(self.words, self._move)
        self.change = Paced(self.words, self._change)
        for control in (self.first, self.last, self.model, self.way):
            control.observe(self.change, "value")
        self.share.observe(self.move, "value")
        self.view = column(
            row(self.first, self.last, self.model, self.way),
            self.ends,
            self.share,
            self.words,
            self.here,
            self.strip,
            row(
                Save(
                    "Save the labelled_rows as PNG", "interpolation.png", self.words, self.picture
                ),
                Save("Save the way as GIF", "interpolation.gif", self.words, self.film),
            ),
        )
        self.words.spoken(self._change)

    def _change(self) -> None:
        """Other ends, models or ways: all is drawn."""
        some = (self.first.value, self.last.value)
        self.latents = {}
        for name in usable(self.desk, self.model.value, self.words):
            start, end = (self.desk.encoded(name, face) for face in some)
            self.latents[name] = (start, end)
        self.ends.show(torch.stack([self.desk.ends[face] for face in some]), some)
        way = self.along(STRIP)
        self.strip.show(torch.cat(list(way.values())), rows=list(way))
        self._move()

    def _move(self) -> None:
        """Another place on the way: one face of each model is drawn."""
        if not self.latents:
            raise InputError("no model is left to draw this; choose another under MeasuresByModel")
        share = torch.tensor([self.share.value])
        faces = [self._decoded(name, share) for name in self.latents]
        self.here.show(torch.cat(faces), list(self.latents))

    def _decoded(self, name: str, shares: Tensor) -> Tensor:
        start, end = self.latents[name]
        z = latent.between(start, end, shares, self.way.value)
        return latent.decode(self.desk.models.model(name), z.flatten(0, 1))

    def along(self, count: int) -> dict[str, Tensor]:
        """Faces (count, 3, 64, 48) evenly_spaced along the way, by model."""
        shares = torch.linspace(0, 1, count)
        return {name: self._decoded(name, shares) for name in self.latents}

    def keep(self, index: int) -> None:
        """Keep the face that the model of this place has drawn."""
        if self.here.shown is not None:
            where = f"{self.here.labels[index]} between"
            self.words.say(f"{self.desk.keep(self.here.shown[index], where)}: kept as an end")

    def picture(self) -> bytes:
        """The labelled_rows as a PNG, a row for each model with its name."""
        from vaelib.reporting import figures  # only here: it takes half a second to load

        return encoding.png(figures.labelled_rows(self.along(STRIP)))

    def film(self) -> bytes:
        """The way as a GIF, the models beside each other."""
        return encoding.gif(list(torch.stack(list(self.along(FRAMES).values()), dim=1)))


class Traverse:
    """A slider for each of the directions that a model uses most, its ends drawn beside it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.words = Words()
        self.model = one_model(desk)
        self.kind = choice("Directions", WAYS)
        self.start = end_choice("Start from", desk, 0, first=START)
        self.faces = Faces("the face at all sliders", self.keep, width=192)
        self.sliders = [
            Range(min=-REACH, max=REACH, step=0.05, label=f"direction {i + 1}")
            for i in range(SLIDERS)
        ]
        self.origin, self.steps = torch.zeros(1, 1), torch.zeros(0, 1)
        self.move, self.change = Paced(self.words, self._move), Paced(self.words, self._change)
        for control in (self.model, self.kind, self.start):
            control.observe(self.change, "value")
        for slider in self.sliders:
            slider.observe(self.move, "value")
        back = button("All sliders to the middle", self._back)
        self.view = column(
            row(self.model, self.kind, self.start, back),
            self.words,
            row(column(self.faces), column(*self.sliders)),
        )
        face, sliders = self.view.children[2].children
        face.layout.width, face.layout.flex = "auto", "0 1 200px"
        sliders.layout.width, sliders.layout.flex = "auto", "1 1 300px"
        self.view.children[2].layout.align_items = "flex-start"
        self.words.spoken(self._change)

    def _change(self) -> None:
        name = self.model.value
        model = self.desk.models.model(name)
        ways = self.desk.ways(name, self.kind.value, SLIDERS)
        self.steps = ways.steps
        self.origin = torch.zeros(1, model.latent)
        if self.start.value != START:
            self.origin = self.desk.encoded(name, self.start.value)
        ends = torch.stack([-REACH * self.steps, REACH * self.steps], dim=1)
        drawn = latent.decode(model, (self.origin + ends).flatten(0, 1)).unflatten(0, (-1, 2))
        for slider, said, pair in zip(self.sliders, ways.names, drawn, strict=False):
            with slider.hold_sync():
                slider.label, slider.ends = said, encoding.sheet(pair)
        for slider in self.sliders[len(ways.names) :]:  # of a latent smaller than SLIDERS
            slider.layout.display = "none"
        for slider in self.sliders[: len(ways.names)]:
            slider.layout.display = None
        self._move()

    def _move(self) -> None:
        model = self.desk.models.model(self.model.value)
        places = torch.tensor([[slider.value for slider in self.sliders[: len(self.steps)]]])
        self.faces.show(latent.decode(model, self.origin + places @ self.steps))

    def _back(self) -> None:
        for slider in self.sliders:
            slider.value = 0.0

    def keep(self, index: int) -> None:
        """Keep the face at all sliders."""
        if self.faces.shown is not None:
            name = self.desk.keep(self.faces.shown[index], f"{self.model.value} traversed")
            self.words.say(f"{name}: kept as an end of an interpolation")
