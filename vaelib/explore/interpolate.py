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
        self.model = widgets.dropdown("Models", self._options())
        self.path = widgets.dropdown("Path", PATHS)
        self.share = widgets.Slider(label="Position on the path", value=0.5, play=True)
        self.ends = widgets.FaceGrid("ends of the path", width=64)
        self.here = widgets.FaceGrid("faces at this position", self._keep)
        self.rows = widgets.FaceGrid("the whole path", width=64)
        self.latents: dict[str, tuple[Tensor, Tensor]] = {}
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

    def _options(self) -> list[tuple[str, str]]:
        count = len(self.state.models.seven)
        together = [(f"all {count} models of the report", "")] if count > 1 else []
        return together + self.model_options()

    def _draw_all(self) -> None:
        """Draw everything: the faces, models or path have changed."""
        names = (self.first.value, self.last.value)
        self.latents = {}
        for model in self.load_models(self.model.value):
            start, end = (self.state.latent_mean(model, name) for name in names)
            self.latents[model] = (start, end)
        self.ends.show(torch.stack([self.state.gallery[name] for name in names]), names)
        rows = self.along(ROW)
        self.rows.show(torch.cat(list(rows.values())), rows=list(rows))
        self._draw_here()

    def _draw_here(self) -> None:
        """Draw one face of each model: only the position has changed."""
        if not self.latents:
            raise InputError("no model is left to draw this; choose another under Models")
        share = torch.tensor([self.share.value])
        faces = [self._decode(name, share) for name in self.latents]
        self.here.show(torch.cat(faces), list(self.latents))

    def _decode(self, name: str, shares: Tensor) -> Tensor:
        start, end = self.latents[name]
        z = latent.interpolate_latents(start, end, shares, self.path.value)
        return latent.decode(self.state.models.model(name), z.flatten(0, 1))

    def along(self, count: int) -> dict[str, Tensor]:
        """Faces (count, 3, 64, 48) evenly spaced along the path, by model."""
        shares = torch.linspace(0, 1, count)
        return {name: self._decode(name, shares) for name in self.latents}

    def png(self) -> bytes:
        """The rows as a PNG, each with its model's name."""
        return encoding.labelled_rows(self.along(ROW))

    def gif(self) -> bytes:
        """The path as a GIF, the models beside each other."""
        return encoding.gif(list(torch.stack(list(self.along(GIF_FRAMES).values()), dim=1)))

    def _keep(self, index: int) -> None:
        self.keep(self.here.shown[index], f"{self.here.labels[index]} between")
