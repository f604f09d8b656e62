"""What every panel of the explorer has; a new panel is a module beside this one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ipywidgets
import torch
from torch import Tensor
from traitlets import TraitError

from vaelib.config import BASE
from vaelib.evaluation.detector import USUAL_THRESHOLD, haar_scores
from vaelib.explore import face_widgets, widgets
from vaelib.explore.state import ENCODED, PRIOR, ExplorerState
from vaelib.latent import Posterior
from vaelib.model import VAE
from vaelib.support.errors import InputError

NO_FACE = torch.full((3, 64, 48), 128, dtype=torch.uint8)  # the picture of a choice without one


def number_found(images: Tensor) -> int:
    """In how many of the images (n, 3, 64, 48), uint8 or in [-1, 1], OpenCV's detector finds one.

    Without a calibration, which takes too long for a page.
    """
    return int((haar_scores(images) >= USUAL_THRESHOLD).sum())


class Panel:
    """Controls and faces in one `view`, which a panel's `__init__` builds, over a shared state."""

    title: str  # on its tab
    help: str  # what it shows, and what to look for
    view: ipywidgets.Widget

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        self.status = widgets.StatusLine()
        self.controls: list[ipywidgets.Widget] = []  # whose values say what is shown

    def on_change(
        self, draw: Callable[[], None], *controls: ipywidgets.Widget
    ) -> widgets.Throttled:
        """Draw whenever one of these controls changes, as often as drawing can keep up."""
        self.controls += controls
        throttled = widgets.Throttled(self.status, draw)
        for control in controls:
            control.observe(throttled, "value")
        return throttled

    def saved(self) -> list[Any]:
        """The values of the controls, from which `restore` shows the same again."""
        return [control.value for control in self.controls]

    def restore(self, values: Sequence[Any]) -> None:
        """Set the controls to values that were saved; what does not fit here stays as it is."""
        for control, value in zip(self.controls, values, strict=False):
            with suppress(TraitError):  # a model that is not here, or no value at all
                control.value = value

    def keep(self, face: Tensor, origin: str, model: str = "", z: Tensor | None = None) -> None:
        """Offer this face (3, 64, 48), uint8 or in [-1, 1], in all panels.

        model, z (latent,): the model that drew it, and from what.
        """
        name = self.state.keep(face, origin, model, z)
        self.status.show(f"Kept as {name}.")

    def place_dropdown(self) -> ipywidgets.Dropdown:
        """A list of the places that z can be drawn from."""
        return widgets.dropdown("Draw from", (PRIOR, ENCODED))

    @contextmanager
    def working(self, words: str) -> Iterator[None]:
        """Say in the status line what takes so long, as long as it does."""
        self.status.show(words)
        try:
            yield
        finally:
            if self.status.text == words:
                self.status.show("")

    def encoded(self, model: str, count: int) -> Posterior:
        """`ExplorerState.encoded`, with a word in the status line where it takes long."""
        if self.state.is_encoded(model, count):
            return self.state.encoded(model, count)
        with self.working(f"Encoding {count:,} faces ..."):
            return self.state.encoded(model, count)

    def counting(self, faces: face_widgets.FaceGrid) -> tuple[widgets.StatusLine, widgets.Settled]:
        """A line that says in how many of these faces a detector finds one, and what renews it."""
        line = widgets.StatusLine()

        def count() -> None:
            found = number_found(faces.shown)
            line.show(f"OpenCV's detector finds a face in {found} of {len(faces.shown)}.")

        return line, widgets.Settled(line, count)

    def load_models(self, name: str = "") -> dict[str, VAE]:
        """The model of this name, or by default all of the report's.

        A model that cannot be loaded is left out and reported in the status line. Raises
        InputError where none is left.
        """
        models, problems = {}, []
        for chosen in [name] if name else self.state.models.seven:
            try:
                models[chosen] = self.state.models.model(chosen)
            except InputError as error:
                problems.append(str(error))
        if not models:
            raise InputError("; ".join(problems))
        if problems:
            self.status.show("; ".join(problems), is_error=True)
        return models

    @property
    def base_model(self) -> str:
        """The name of the base model, or of the first model where it is not here."""
        names = self.state.models.names
        return BASE if BASE in names else names[0]

    def model_dropdown(self) -> ipywidgets.Dropdown:
        """A list of the models; its value is a name."""
        return widgets.dropdown("Model", self.model_options(), value=self.base_model)

    def model_options(self) -> list[tuple[str, str]]:
        """Label and name of each model, with the images that it has seen."""
        options = []
        for name, entry in self.state.models.entries.items():
            words = f"{entry.experiment.budget:,} images seen"
            if entry.is_shipped:
                words += ", shipped with the program"
            options.append((f"{self.state.models.label(name)} ({words})", name))
        return options

    def face_picker(
        self, label: str, index: int, extra: Sequence[str] = ()
    ) -> face_widgets.FacePicker:
        """The gallery's faces to choose from, which follows what is kept.

        index: of the face that is chosen at first; extra: choices without a picture before all
        faces.
        """
        picker = face_widgets.FacePicker(label=label)

        def update() -> None:
            faces = {name: face.image for name, face in self.state.gallery.items()}
            picker.offer(dict.fromkeys(extra, NO_FACE) | faces)

        update()
        picker.value = picker.names[index]
        self.state.kept_listeners.append(update)
        return picker
