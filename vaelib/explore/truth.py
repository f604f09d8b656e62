"""The panel that puts a face beside what every model makes of it."""

import torch
from torch import Tensor

from vaelib import latent
from vaelib.data import to_float
from vaelib.evaluation.image_metrics import squared_error
from vaelib.explore import face_widgets, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState
from vaelib.loss import kl_per_latent


class Truth(Panel):
    """One face, its reconstruction by all models of the report, and what each leaves out."""

    title = "Truth"
    help = (
        "A face and its reconstruction by every model, with the mean squared error and the KL in "
        "nats: what is lost, and what it costs to describe the rest. In the differences, gray is "
        "right, brighter is where a model draws too dark and darker where it draws too bright."
    )

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.face = self.face_picker("Face", 0)
        self.truth = face_widgets.FaceGrid("the face itself", width=144)
        self.faces = face_widgets.FaceGrid("reconstructions", self._keep, width=104)
        self.differences = face_widgets.FaceGrid("differences", width=104)
        self.z: dict[str, Tensor] = {}  # (1, latent) of each model
        self.on_change(self._draw, self.face)
        self.view = widgets.column(
            widgets.row(self.face, self.truth, align="flex-start"),
            self.status,
            self.faces,
            widgets.paragraph("Differences:"),
            self.differences,
        )
        self.status.run(self._draw)

    def _draw(self) -> None:
        image = self.state.gallery[self.face.value].image[None]
        x = to_float(image)
        self.z, drawn, labels = {}, [], []
        for name, model in self.load_models().items():
            mu, logvar = latent.encode(model, image)
            self.z[name] = mu
            drawn.append(latent.decode(model, mu))
            error = float(squared_error(x, drawn[-1]))
            nats = float(kl_per_latent(mu, logvar).sum())
            labels.append(f"{self.state.models.label(name)}: {error:.3f}, {nats:.0f} nats")
        reconstructed = torch.cat(drawn)
        self.truth.show(image)
        self.faces.show(reconstructed, labels)
        names = [self.state.models.label(name) for name in self.z]
        self.differences.show(((x - reconstructed) / 2).clamp(-1, 1), names)

    def _keep(self, index: int) -> None:
        name = list(self.z)[index]
        origin = f"{self.face.value.split(',')[0]} by {self.state.models.label(name)}"
        self.keep(self.faces.shown[index], origin, name, self.z[name][0])
