"""The panel that moves from one face to another, in one model or in all of them."""

import torch
from torch import Tensor

from vaelib import latent
from vaelib.explore import encoding, face_widgets, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import ExplorerState
from vaelib.support.errors import InputError

ROW = 9  # faces from one end to the other, both among them
GIF_FRAMES = 21  # from one end to the other; the GIF also goes back
PATHS = (("straight line", False), ("great circle", True))


class Interpolate(Panel):
    """From one face to another: a slider along the path, and a row of faces for each model."""

    title = "Interpolate"
    help = (
        "Two faces, and the straight line between their z. Move the slider, or click a strip, and "
        "look for the place where the face is least like one."
    )

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.first, self.last = self.face_picker("From", 0), self.face_picker("To", 1)
        count = len(state.models.seven)
        together = [(f"all {count} models of the report", "")] if count > 1 else []
        self.model = widgets.dropdown("Models", [*together, *self.model_options()])
        self.path = widgets.dropdown("Path", PATHS)
        self.share = widgets.Slider(label="Position on the path", value=0.5, play=True)
        self.origins = widgets.StatusLine()  # how models come by the z of kept faces
        self.here = face_widgets.FaceGrid("faces at this position", self._keep)
        self.share.add_class("vae-along")  # as wide as the strips below it
        self.rows = face_widgets.FaceGrid("the whole path", self._go_to, "show", width=64)
        self.latents: dict[str, Tensor] = {}  # (2, latent) of both ends, by model
        self.on_change(self._draw_all, self.first, self.last, self.model, self.path)
        self.on_change(self._draw_here, self.share)
        self.view = widgets.column(
            widgets.row(
                self.first,
                self.last,
                widgets.button("Swap", self._swap),
                self.model,
                self.path,
            ),
            self.origins,
            self.status,
            self.here,
            self.share,
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
        for model in self.load_models(self.model.value):
            ends = [self.state.latent_of(model, name) for name in names]
            self.latents[model] = torch.cat(ends)
        origins = [self.state.origin_of(name) for name in dict.fromkeys(names)]
        self.origins.show(" ".join(origin for origin in origins if origin))
        rows = self._decode(torch.linspace(0, 1, ROW))
        self.rows.show(torch.cat(list(rows.values())), rows=self._labels())
        self._draw_here()

    def _end_images(self) -> Tensor:
        """Both ends, uint8 (2, 3, 64, 48)."""
        return torch.stack(
            [self.state.gallery[each.value].image for each in (self.first, self.last)]
        )

    def _labels(self) -> list[str]:
        """The models that are drawn, as they are shown."""
        return [self.state.models.label(model) for model in self.latents]

    def _swap(self) -> None:
        self.first.value, self.last.value = self.last.value, self.first.value

    def _draw_here(self) -> None:
        """Draw one face of each model: only the position has changed."""
        if not self.latents:
            raise InputError("no model is left to draw this; choose another under Models")
        faces = self._decode(torch.tensor([self.share.value]))
        self.here.show(torch.cat(list(faces.values())), self._labels())

    def _decode(self, shares: Tensor) -> dict[str, Tensor]:
        """Faces (n, 3, 64, 48) at n shares of the path, by model."""
        return {
            model: latent.decode(self.state.models.model(model), self._z(model, shares))
            for model in self.latents
        }

    def _z(self, model: str, shares: Tensor) -> Tensor:
        """z (n, latent) of a model at n shares of the path."""
        first, last = self.latents[model].split(1)
        return latent.interpolate_latents(first, last, shares, self.path.value)[0]

    def png(self) -> bytes:
        """The rows as a PNG, each with its model's name, and first the faces at both ends."""
        rows = {"from, to": self._end_images(), **self._decode(torch.linspace(0, 1, ROW))}
        return encoding.labelled_rows({self.state.models.label(row): rows[row] for row in rows})

    def gif(self) -> bytes:
        """The path as a GIF, the models beside each other."""
        with self.working(f"Drawing {GIF_FRAMES} frames ..."):
            rows = self._decode(torch.linspace(0, 1, GIF_FRAMES))
            return encoding.gif(list(torch.stack(list(rows.values()), dim=1)))

    def _go_to(self, index: int) -> None:
        """Move the slider to a face of a strip."""
        self.share.value = (index % ROW) / (ROW - 1)

    def _keep(self, index: int) -> None:
        model = list(self.latents)[index]
        origin = f"{self.state.models.label(model)} at {self.share.value:.2f} of a path"
        z = self._z(model, torch.tensor([self.share.value]))[0]
        self.keep(self.here.shown[index], origin, model, z)
