"""The panel of attributes: a face before and after a step towards one, with the classifier's word."""

import torch

from vaelib import latent
from vaelib.evaluation.attributes import is_trained
from vaelib.explore.draw import one_model
from vaelib.explore.state import METHODS, Desk
from vaelib.explore.widgets import (
    Faces,
    Paced,
    Range,
    Words,
    button,
    choice,
    column,
    end_choice,
    row,
)

STRONGEST = 3.0  # times as far as the means with and without the attribute are apart


class Attributes:
    """A direction learnt from the latent means of training faces, and a slider along it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.words = Words()
        if not desk.attributes:
            self.words.say(f"The faces of {desk.faces.name} carry none of these attributes.")
            self.view = column(self.words)
            return
        self.model = one_model(desk)
        self.face = end_choice("Face", desk, 0)
        options = [(name.replace("_", " "), name) for name in desk.attributes]
        self.attribute = choice("Attribute", options)
        self.method = choice("Direction", METHODS)
        self.strength = Range(
            label="Strength (1: as far as both means are apart)",
            min=-STRONGEST,
            max=STRONGEST,
            step=0.05,
        )
        self.faces = Faces("before and after", self.keep, width=144)
        self.ask = button("Ask the classifier (learns for a minute, once)", self._ask)
        self.draw = Paced(self.words, self._draw)
        for control in (self.model, self.face, self.attribute, self.method, self.strength):
            control.observe(self.draw, "value")
        controls = row(self.model, self.face, self.attribute, self.method)
        self.view = column(controls, self.strength, row(self.ask), self.words, self.faces)
        if is_trained(desk.faces):
            self._ask()
        self.words.spoken(self._draw)

    def _draw(self) -> None:
        name = self.model.value
        start = self.desk.encoded(name, self.face.value)
        z = start.repeat(2, 1)
        if self.strength.value:  # at 0 no direction is needed, and learning one takes seconds
            way = self.desk.towards(name, self.attribute.value, self.method.value)
            z[1] += self.strength.value * way
        images = latent.decode(self.desk.models.model(name), z)
        labels = [
            f"{when}{said}"
            for when, said in zip(("before", "after"), self._said(images), strict=True)
        ]
        self.faces.show(images, labels)

    def _said(self, images: torch.Tensor) -> list[str]:
        """What the classifier says of each face, or nothing as long as it is not asked."""
        if self.desk.classifier is None:
            return [""] * len(images)
        classifier, attribute = self.desk.classifier, self.attribute.value
        chances = classifier.predict(images).probabilities[:, classifier.index_of(attribute)]
        doubt = "" if classifier.can_predict(attribute) else ", though it tells this badly"
        shown = attribute.replace("_", " ")
        return [f": {shown} {chance:.0%} says the classifier{doubt}" for chance in chances.tolist()]

    def _ask(self) -> None:
        self.desk.load_classifier()
        self.ask.layout.display = "none"
        self.words.spoken(self._draw)

    def keep(self, index: int) -> None:
        """Keep the face before or after."""
        if self.faces.shown is not None:
            where = f"{self.attribute.value} {self.strength.value:+.2f}"
            self.words.say(f"{self.desk.keep(self.faces.shown[index], where)}: kept as an end")
