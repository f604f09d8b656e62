"""The panel that decodes one noise vector by every model."""

import torch

from vaelib import latent
from vaelib.explore import face_widgets, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState


class Compare(Panel):
    """One noise vector through all models of the report; a click keeps a face."""

    title = "Compare"
    help = (
        "The same random numbers in all seven models. Models with the same number of latents read "
        "the same z, and yet draw other faces."
    )

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.place = self.place_dropdown()
        self.seed, next_seed = widgets.seed_controls("Draw again")
        self.faces = face_widgets.FaceGrid("one noise through all models", self._keep, width=144)
        self.z: dict[str, torch.Tensor] = {}  # (1, latent) of each model
        self.found, self.count = self.counting(self.faces)
        self.on_change(self._draw, self.place, self.seed)
        controls = widgets.row(self.place, self.seed, next_seed)
        self.view = widgets.column(controls, self.status, self.faces, self.found)
        self.status.run(self._draw)

    def _draw(self) -> None:
        models = self.load_models()
        self.z = {}
        for name, model in models.items():
            noise = latent.noise(1, model.latent, self.seed.value)
            self.z[name] = self.state.latents(name, noise, self.place.value)
        faces = [latent.decode(models[name], z) for name, z in self.z.items()]
        self.faces.show(torch.cat(faces), [self.state.models.label(name) for name in models])
        self.count()

    def _keep(self, index: int) -> None:
        name = list(self.z)[index]
        origin = f"{self.state.models.label(name)} seed {self.seed.value}"
        self.keep(self.faces.shown[index], origin, name, self.z[name][0])
