"""The panel that moves from one face to another, in one model or in all of them."""

import torch
from torch import Tensor

from vaelib import latent
from vaelib.explore import encoding, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState
from vaelib.support.errors import InputError

ROW = 9  # faces from one end to the other, both among them
GIF_FRAMES = 21  # from one end to the other; the GIF also goes back
PATHS = (("straight line", False), ("great circle", True))


class Interpolate(Panel):
    """From one face to another: a slider along the path, and a row of faces for each model."""

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.first, self.last = self.face_dropdown("From", 0), self.face_dropdown("To", 1)
        count = len(state.models.seven)
        together = [(f"all {count} models of the report", "")] if count > 1 else []
        self.model = widgets.dropdown("Models", [*together, *self.model_options()])
        self.path = widgets.dropdown("Path", PATHS)
        self.share = widgets.Slider(label="Position on the path", value=0.5, play=True)
        self.ends = widgets.FaceGrid("ends of the path", width=64)
        self.here = widgets.FaceGrid("faces at this position", self._keep)
        self.rows = widgets.FaceGrid("the whole path", width=64)
        self.latents: dict[str, Tensor] = {}  # (2, latent) of both ends, by model
        self.on_change(self._draw_all, self.first, self.last, self.model, self.path)
        self.on_change(self._draw_here, self.share)
        self.view = widgets.column(
            widgets.row(self.first, self.last, self.model, self.path),
            self.ends,
            self.share,
            self.status,
            self.here,
            self.rows,
            widgets.row(
                widgets.SaveButton(
                    "Save the rows as PNG", "interpolation.png", self.status, self.png
                ),
                widgets.SaveButton(
                    "Save the path as GIF", "interpolation.gif", self.status, self.gif
                ),
            ),
        )
        self.status.run(self._draw_all)

    def _draw_all(self) -> None:
        """Draw everything: the faces, models or path have changed."""
        names = (self.first.value, self.last.value)
        self.latents = {}
        ends = torch.stack([self.state.gallery[name] for name in names])
        for name, model in self.load_models(self.model.value).items():
            self.latents[name] = latent.latent_means(model, ends)
        self.ends.show(ends, names)
        rows = self._decode(torch.linspace(0, 1, ROW))
        self.rows.show(torch.cat(list(rows.values())), rows=list(rows))
        self._draw_here()

    def _draw_here(self) -> None:
        """Draw one face of each model: only the position has changed."""
        if not self.latents:
            raise InputError("no model is left to draw this; choose another under Models")
        faces = self._decode(torch.tensor([self.share.value]))
        self.here.show(torch.cat(list(faces.values())), list(faces))

    def _decode(self, shares: Tensor) -> dict[str, Tensor]:
        """Faces (n, 3, 64, 48) at n shares of the path, by model."""
        faces = {}
        for name, ends in self.latents.items():
            z = latent.interpolate_latents(ends[:1], ends[1:], shares, self.path.value)
            faces[name] = latent.decode(self.state.models.model(name), z[0])
        return faces

    def png(self) -> bytes:
        """The rows as a PNG, each with its model's name."""
        return encoding.labelled_rows(self._decode(torch.linspace(0, 1, ROW)))

    def gif(self) -> bytes:
        """The path as a GIF, the models beside each other."""
        rows = self._decode(torch.linspace(0, 1, GIF_FRAMES))
        return encoding.gif(list(torch.stack(list(rows.values()), dim=1)))

    def _keep(self, index: int) -> None:
        self.keep(self.here.shown[index], f"{self.here.labels[index]} between")
