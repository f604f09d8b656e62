"""The latent space by hand: panels for a notebook, or for a page of their own (`make app`).

The panels share a desk: a face that is kept in one can be chosen in the others.
"""

import ipywidgets as widgets
import torch

from vaelib.explore.attributes import Attributes
from vaelib.explore.draw import Compare, Generate
from vaelib.explore.own_photo import OwnPhoto
from vaelib.explore.state import Desk, open_desk
from vaelib.explore.ways import Interpolate, Traverse
from vaelib.explore.widgets import Words


class Explorer:
    """The panels over the faces and models that are at hand; what is wrong is said in each."""

    def __init__(self, data: str = "auto", preset: str = "auto", name: str = "") -> None:
        """data, preset, name: as `vaelib.data.load` takes them."""
        self.words = Words()
        self.desk: Desk | None = None
        self.words.spoken(lambda: self._open(data, preset, name))

    def _open(self, data: str, preset: str, name: str) -> None:
        self.desk = open_desk(data, preset, name)
        # A face is too little work to share: on a machine whose cores are busy, threads that wait
        # for each other take a hundred times as long as one alone.
        torch.set_num_threads(1)
        self.words.say(self.desk.note)

    def models(self) -> widgets.Widget:
        """Which models are here, and how to make what is not."""
        return self.words

    def generate(self) -> widgets.Widget:
        """A grid of faces from noise."""
        return Generate(self.desk).view if self.desk else self.words

    def interpolate(self) -> widgets.Widget:
        """Two faces and what lies between them."""
        return Interpolate(self.desk).view if self.desk else self.words

    def traverse(self) -> widgets.Widget:
        """The directions that a model uses most, a slider each."""
        return Traverse(self.desk).view if self.desk else self.words

    def attributes(self) -> widgets.Widget:
        """A face before and after a step towards an attribute."""
        return Attributes(self.desk).view if self.desk else self.words

    def own_photo(self) -> widgets.Widget:
        """A photo of one's own, framed and reconstructed."""
        return OwnPhoto(self.desk).view if self.desk else self.words

    def compare(self) -> widgets.Widget:
        """One noise through all models."""
        return Compare(self.desk).view if self.desk else self.words
