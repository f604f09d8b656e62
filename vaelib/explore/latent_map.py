"""The panel with a map of the latent space: where faces are encoded, and what is drawn there."""

from typing import NamedTuple

import torch
from torch import Tensor

from vaelib import latent
from vaelib.explore import face_widgets, widgets
from vaelib.explore.panel import Panel
from vaelib.explore.state import FITTED_FACES, ExplorerState

ROW = 9  # faces of a line, both ends among them
MAP_WIDTH = "560px"
WIDEST, ATTRIBUTE = "most variance", "the attribute to the right"  # planes
NOTHING, ERROR = "nothing", "reconstruction error"  # what points are coloured by
FIRST_COLOUR = "Male"  # an attribute that is about as often there as not
# Colour-blind safe: one for all, without and with an attribute, and from small to large errors.
PLAIN, WITHOUT_AND_WITH = ["#0072B2"], ["#0072B2", "#E69F00"]
SCALE = ["#2c1e3d", "#5b2a63", "#8f3b6a", "#bf5563", "#e07f5f", "#f1ae76", "#f8dba8"]


class Plane(NamedTuple):
    """The plane in the latent space that shows most of where faces are encoded."""

    mean: Tensor  # (latent,) over faces
    axes: Tensor  # (2, latent), orthonormal: the first two principal axes

    def project(self, z: Tensor) -> Tensor:
        """Places (n, 2) of latents (n, latent)."""
        return (z - self.mean) @ self.axes.T

    def z(self, places: Tensor) -> Tensor:
        """The latents (n, latent) at places (n, 2) of the plane itself."""
        return self.mean + places @ self.axes


def widest_plane(mu: Tensor) -> Plane:
    """The plane through the mean of latents (n, latent) along their first two principal axes."""
    mean = mu.mean(dim=0)
    _, _, components = torch.linalg.svd(mu - mean, full_matrices=False)
    return Plane(mean, components[:2])


def attribute_plane(mu: Tensor, has: Tensor) -> Plane:
    """The plane whose first axis leads to faces with an attribute, bool (n,), from those without.

    The second is the first principal axis of what the first leaves of latents (n, latent).
    """
    mean = mu.mean(dim=0)
    first = mu[has].mean(dim=0) - mu[~has].mean(dim=0)
    first = first / first.norm()
    rest = (mu - mean) - torch.outer((mu - mean) @ first, first)
    return Plane(mean, torch.stack([first, widest_plane(rest).axes[0]]))


class LatentMap(Panel):
    """Encoded faces as points; the face under the pointer; a line is an interpolation."""

    title = "Map"
    help = (
        "Each point is a training face where the model encodes it, in the plane that shows most of "
        "their variance, or in one with faces of an attribute to the right. The dashed circles are "
        "the prior, one and two standard deviations wide. "
        "Move over the map to see what is drawn there, click to keep it, drag a line to "
        "interpolate along it. With the keyboard: arrow keys, Enter to keep, L at both ends of a "
        "line."
    )

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.model = self.model_dropdown()
        attributes = [(name.replace("_", " "), name) for name in state.faces.attribute_names]
        colours = [(NOTHING, NOTHING), (ERROR, ERROR), *attributes]
        first = FIRST_COLOUR if FIRST_COLOUR in state.faces.attribute_names else NOTHING
        self.colour = widgets.dropdown("Colour by", colours, value=first)
        self.axes = widgets.dropdown("Plane", (WIDEST, ATTRIBUTE))
        self.map = face_widgets.PointMap("encoded faces, and the prior", self._keep_place)
        self.face = face_widgets.FaceGrid("the face at this place", width=192)
        self.line = face_widgets.FaceGrid("the line", self._keep_on_line, width=96)
        self.plane = Plane(torch.zeros(1), torch.zeros(2, 1))
        self.on_change(self._draw, self.model, self.colour, self.axes)
        self.map.observe(widgets.Throttled(self.status, self._draw_place), "place")
        self.map.observe(widgets.Throttled(self.status, self._draw_line), "line")
        self.map.layout.width, self.map.layout.max_width = MAP_WIDTH, "100%"
        beside = widgets.column(self.face)
        beside.layout.width = "200px"
        self.view = widgets.column(
            widgets.row(self.model, self.colour, self.axes),
            self.status,
            widgets.row(self.map, beside, align="flex-start"),
            self.line,
        )
        self.status.run(self._draw)

    def _draw(self) -> None:
        """Draw the map: the model or the colours have changed."""
        name = self.model.value
        mu = self.encoded(name, FITTED_FACES).mu
        self.plane = self._plane(mu)
        index, palette, legend = self._colours(name)
        centre = self.plane.project(torch.zeros(1, mu.shape[1]))[0]
        self.map.show(self.plane.project(mu), index, palette, legend, centre)
        self._draw_place()
        self._draw_line()

    def _plane(self, mu: Tensor) -> Plane:
        """The chosen plane; without an attribute, or with faces all alike in it, the widest."""
        chosen = self.colour.value
        if self.axes.value == ATTRIBUTE and chosen not in (NOTHING, ERROR):
            has = self.state.faces.where(chosen)[self.state.sample(FITTED_FACES)]
            if has.any() and not has.all():
                return attribute_plane(mu, has)
        return widest_plane(mu)

    def _colours(self, model: str) -> tuple[Tensor, list[str], list[str]]:
        """Which colour of a palette each point has, the palette, and a legend."""
        chosen, sample = self.colour.value, self.state.sample(FITTED_FACES)
        if chosen == NOTHING:
            return torch.zeros(len(sample)), PLAIN, ["training faces"]
        if chosen == ERROR:
            with self.working("Measuring how well each face is reconstructed ..."):
                errors = self.state.errors(model, sample)
            rank = errors.argsort().argsort() * len(SCALE) // len(errors)
            low, high = errors.min(), errors.max()
            legend = [f"error {low:.3f}", *[""] * (len(SCALE) - 2), f"error {high:.3f}"]
            return rank, SCALE, legend
        shown = chosen.replace("_", " ")
        has = self.state.faces.where(chosen)[sample]
        return has, WITHOUT_AND_WITH, [f"not {shown}", shown]

    def _draw_place(self) -> None:
        z = self._z_at([self.map.place])
        model = self.state.models.model(self.model.value)
        self.face.show(latent.decode(model, z), [f"length of z: {float(z.norm()):.1f}"])

    def _draw_line(self) -> None:
        if len(self.map.line) != 4:
            self.line.show(torch.zeros(0, 3, 64, 48))
            return
        model = self.state.models.model(self.model.value)
        self.line.show(latent.decode(model, self._z_on_line()))

    def _z_at(self, places: list[list[float]]) -> Tensor:
        return self.plane.z(torch.tensor(places, dtype=torch.float32))

    def _z_on_line(self) -> Tensor:
        """z (ROW, latent) along the line."""
        ends = self._z_at([self.map.line[:2], self.map.line[2:]])
        return latent.interpolate_latents(ends[:1], ends[1:], torch.linspace(0, 1, ROW))[0]

    def _keep_place(self) -> None:
        self._keep(self.face.shown[0], self._z_at([self.map.place])[0])

    def _keep_on_line(self, index: int) -> None:
        self._keep(self.line.shown[index], self._z_on_line()[index])

    def _keep(self, face: Tensor, z: Tensor) -> None:
        name = self.model.value
        self.keep(face, f"{self.state.models.label(name)} on the map", name, z)
