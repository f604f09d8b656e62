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
        self.seed, next_seed = widgets.seed_controls("Draw again")
        self.faces = widgets.FaceGrid("one noise through all models", self._keep, width=144)
        self.on_change(self._draw, self.seed)
        self.view = widgets.column(widgets.row(self.seed, next_seed), self.status, self.faces)
        self.status.run(self._draw)

    def _draw(self) -> None:
        models = self.load_models()
        faces = [latent.sample(model, 1, self.seed.value) for model in models.values()]
        self.faces.show(torch.cat(faces), list(models))

    def _keep(self, index: int) -> None:
        origin = f"{self.faces.labels[index]} seed {self.seed.value}"
        self.keep(self.faces.shown[index], origin)
