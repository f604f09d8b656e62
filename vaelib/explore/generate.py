"""The panel that draws a grid of faces."""

import random

import torch

from vaelib import latent
from vaelib.explore import encoding, face_widgets, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ENCODED, PRIOR, ExplorerState

COUNT, COLUMNS = 24, 8  # faces
MAX_TEMPERATURE = 2.0  # times the prior's standard deviation


class Generate(Panel):
    """A grid of faces, from the prior or from where faces are encoded; a click keeps one."""

    title = "Generate"
    help = (
        "Each face is drawn from random numbers z. Drawn from the prior, z are standard normal, "
        "as in training theory; drawn from where faces are encoded, they have the mean and "
        "covariance of z of training faces. Temperature stretches them: below 1 faces come closer "
        "to the average one, above it they fall apart. Click a face to keep it."
    )

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.model = self.model_dropdown()
        self.place = self.place_dropdown()
        self.seed, next_seed = widgets.seed_controls("Other faces")
        self.temperature = widgets.Slider(
            label="Temperature", value=1.0, max=MAX_TEMPERATURE, step=0.05
        )
        self.faces = face_widgets.FaceGrid("faces drawn from noise", self._keep)
        self.z = torch.zeros(0, 1)  # of these faces
        self.found, self.count = self.counting(self.faces)
        self.on_change(self._draw, self.model, self.place, self.seed, self.temperature)
        slider = widgets.flexible(self.temperature)
        self.view = widgets.column(
            widgets.row(self.model, self.place, self.seed, next_seed, slider),
            self.status,
            self.faces,
            self.found,
            widgets.row(
                widgets.SaveButton("Save the faces as PNG", "faces.png", self.status, self.png)
            ),
        )
        self.status.run(self._draw)

    def _draw(self) -> None:
        model = self.state.models.model(self.model.value)
        noise = latent.noise(COUNT, model.latent, self.seed.value) * self.temperature.value
        self.z = self.state.latents(self.model.value, noise, self.place.value)
        self.faces.show(latent.decode(model, self.z))
        self.count()

    def surprise(self) -> None:
        """Choose another model, place and seed at random."""
        self.model.value = random.choice(self.state.models.seven)
        self.place.value = random.choice((PRIOR, ENCODED))
        self.seed.value = random.randrange(10_000)

    def _keep(self, index: int) -> None:
        name = self.model.value
        origin = f"{self.state.models.label(name)} seed {self.seed.value} face {index + 1}"
        self.keep(self.faces.shown[index], origin, name, self.z[index])

    def png(self) -> bytes:
        """The faces as a PNG, in rows of eight."""
        return encoding.grid(self.faces.shown, COLUMNS)
