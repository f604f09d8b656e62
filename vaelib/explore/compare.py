"""The panel that decodes one noise vector by every model."""

import torch

from vaelib import latent
from vaelib.explore import widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState


class Compare(Panel):
    """One noise vector through all models of the report; a click keeps a face."""

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.place = self.place_dropdown()
        self.seed, next_seed = widgets.seed_controls("Draw again")
        self.faces = widgets.FaceGrid("one noise through all models", self._keep, width=144)
        self.found, self.count = self.counting(self.faces)
        self.on_change(self._draw, self.place, self.seed)
        controls = widgets.row(self.place, self.seed, next_seed)
        self.view = widgets.column(controls, self.status, self.faces, self.found)
        self.status.run(self._draw)

    def _draw(self) -> None:
        models = self.load_models()
        faces = []
        for name, model in models.items():
            noise = latent.noise(1, model.latent, self.seed.value)
            z = self.state.latents(name, noise, self.place.value)
            faces.append(latent.decode(model, z))
        self.faces.show(torch.cat(faces), list(models))
        self.count()

    def _keep(self, index: int) -> None:
        origin = f"{self.faces.labels[index]} seed {self.seed.value}"
        self.keep(self.faces.shown[index], origin)
