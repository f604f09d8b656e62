"""The panel with a slider for each of the directions that a model uses most."""

import torch

from vaelib import latent
from vaelib.explore import encoding, face_widgets, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState
from vaelib.latent import Directions
from vaelib.loss import kl_per_latent

SLIDERS = 8
REACH = 3.0  # standard deviations to either side
CENTRE = "the centre of the prior"
BY_KL = "single latents, by KL"
DIRECTION_KINDS = (BY_KL, "principal directions")
DIRECTION_FACES = 500  # training faces, of the sample: needed when the page opens


class Traverse(Panel):
    """A face that all sliders move together; each slider's ends are drawn beside it."""

    title = "Directions"
    help = (
        "The directions along which a model's faces differ most, in standard deviations σ of the "
        "training faces. The small pictures are the two ends."
    )

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.model = self.model_dropdown()
        self.kind = widgets.dropdown("Directions", DIRECTION_KINDS)
        self.start = self.face_picker("Start from", 0, extra=[CENTRE])
        self.faces = face_widgets.FaceGrid("the face at all sliders", self._keep, width=192)
        self.truth = face_widgets.FaceGrid("the face it starts from", width=96)
        self.sliders = [
            widgets.Slider(min=-REACH, max=REACH, step=0.05, unit="σ") for _ in range(SLIDERS)
        ]
        self.origin, self.steps = torch.zeros(1, 1), torch.zeros(0, 1)
        for control in (self.model, self.kind):  # what a slider stands for changes
            control.observe(lambda _: self._reset(), "value")
        self.on_change(self._draw_all, self.model, self.kind, self.start)
        self.on_change(self._draw_face, *self.sliders)
        face = widgets.column(self.faces, self.truth)
        sliders = widgets.column(*self.sliders)
        face.layout.width, face.layout.flex = "auto", "0 1 200px"
        self.view = widgets.column(
            widgets.row(
                self.model,
                self.kind,
                self.start,
                widgets.button("All sliders to the middle", self._reset),
            ),
            self.status,
            widgets.row(face, widgets.flexible(sliders, 300), align="flex-start"),
        )
        self.status.run(self._draw_all)

    def _draw_all(self) -> None:
        """Draw the sliders' ends and the face: the model, directions or start have changed."""
        name = self.model.value
        model = self.state.models.model(name)
        directions = self._directions(name)
        self.steps = directions.steps
        self.origin = torch.zeros(1, model.latent)
        if self.start.value == CENTRE:
            self.truth.show(torch.zeros(0, 3, 64, 48))
        else:
            self.origin = self.state.latent_of(name, self.start.value)
            self.truth.show(self.state.gallery[self.start.value].image[None], ["as it is"])
        ends = torch.stack([-REACH * self.steps, REACH * self.steps], dim=1)
        faces = latent.decode(model, (self.origin + ends).flatten(0, 1)).unflatten(0, (-1, 2))
        for slider, label, pair in zip(self.sliders, directions.names, faces, strict=False):
            with slider.hold_sync():
                slider.label, slider.ends = label, encoding.side_by_side(pair)
        for index, slider in enumerate(self.sliders):  # a small latent has fewer directions
            slider.layout.display = None if index < len(self.steps) else "none"
        self._draw_face()

    def _directions(self, model: str) -> Directions:
        mu, logvar = self.state.encoded(model, DIRECTION_FACES)
        if self.kind.value == BY_KL:
            nats = kl_per_latent(mu, logvar).mean(dim=0)
            return latent.most_used_latents(mu, nats, SLIDERS)
        return latent.principal_directions(mu, SLIDERS)

    def _draw_face(self) -> None:
        model = self.state.models.model(self.model.value)
        self.faces.show(latent.decode(model, self._z()))

    def _z(self) -> torch.Tensor:
        """z (1, latent) at all sliders."""
        values = torch.tensor([[slider.value for slider in self.sliders[: len(self.steps)]]])
        return self.origin + values @ self.steps

    def _reset(self) -> None:
        for slider in self.sliders:
            slider.value = 0.0

    def _keep(self, index: int) -> None:
        name = self.model.value
        origin = f"{self.state.models.label(name)} traversed"
        self.keep(self.faces.shown[index], origin, name, self._z()[0])
