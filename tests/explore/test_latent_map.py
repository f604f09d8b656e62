"""The panel with a map of the latent space."""

import numpy as np
import pytest
import torch

from vaelib import latent
from vaelib.explore.face_widgets import PRIOR_REACH
from vaelib.explore.latent_map import (
    ATTRIBUTE,
    ERROR,
    ROW,
    LatentMap,
    attribute_plane,
    widest_plane,
)
from vaelib.explore.state import FITTED_FACES, ExplorerState


@pytest.fixture
def panel(state: ExplorerState) -> LatentMap:
    return LatentMap(state)


def test_the_plane_is_that_of_the_largest_variance() -> None:
    z = latent.noise(2_000, 5) * torch.tensor([0.1, 3.0, 0.2, 2.0, 0.1]) + 4
    plane = widest_plane(z)
    assert plane.axes.abs()[:, [1, 3]].diagonal().min() > 0.99
    places = plane.project(z)
    torch.testing.assert_close(places.std(dim=0), torch.tensor([3.0, 2.0]), rtol=0.1, atol=0)
    torch.testing.assert_close(plane.project(plane.z(places)), places, rtol=1e-3, atol=1e-3)


def test_points_are_encoded_faces_and_the_whole_prior_is_in_view(
    panel: LatentMap, state: ExplorerState
) -> None:
    mu = state.encoded("lam-1e-5", FITTED_FACES).mu
    points = np.frombuffer(panel.map.points, "<f4").reshape(-1, 2)
    np.testing.assert_allclose(points, panel.plane.project(mu).numpy(), rtol=1e-3, atol=1e-4)
    assert panel.map.reach >= np.abs(points).max()
    assert panel.map.reach >= np.abs(panel.map.centre).max() + PRIOR_REACH


def test_the_face_at_a_place_is_decoded_and_can_be_kept(
    panel: LatentMap, state: ExplorerState
) -> None:
    panel.map.place = [0.5, -0.25]
    z = panel.plane.mean + 0.5 * panel.plane.axes[0] - 0.25 * panel.plane.axes[1]
    expected = latent.decode(state.models.model("lam-1e-5"), z[None])
    torch.testing.assert_close(panel.face.shown, expected, rtol=1e-3, atol=1e-4)
    panel.map._on_message(None, {"keep": True}, [])
    (kept,) = state.kept.values()
    assert kept.z is not None
    torch.testing.assert_close(kept.z, z)


def test_a_line_is_an_interpolation_between_its_ends(panel: LatentMap) -> None:
    panel.map.line = [0.0, 0.0, 1.0, 0.5]
    assert len(panel.line.shown) == ROW
    panel.map.place = [1.0, 0.5]
    torch.testing.assert_close(panel.line.shown[-1:], panel.face.shown, rtol=1e-3, atol=1e-4)
    panel.map.line = []
    assert len(panel.line.shown) == 0


def test_points_are_coloured_by_an_attribute_or_by_error(
    panel: LatentMap, state: ExplorerState
) -> None:
    panel.colour.value = "Male"
    has = state.faces.where("Male")[state.sample(FITTED_FACES)]
    assert np.frombuffer(panel.map.colours, np.uint8).tolist() == has.int().tolist()
    assert panel.map.legend == ["not Male", "Male"]
    panel.colour.value = ERROR
    errors = state.errors("lam-1e-5", state.sample(FITTED_FACES))
    colours = torch.tensor(list(panel.map.colours))
    assert colours[errors.argmin()] == 0
    assert colours[errors.argmax()] == len(panel.map.palette) - 1


@pytest.mark.parametrize("place", [[1.0], [float("nan"), 0.0], []])
def test_a_place_that_is_none_is_ignored(panel: LatentMap, place: list[float]) -> None:
    panel.map.place = place
    assert panel.map.place == [0.0, 0.0]


def test_a_place_beyond_the_map_is_its_edge(panel: LatentMap) -> None:
    panel.map.place = [1e9, 0.0]
    assert panel.map.place == [panel.map.reach, 0.0]


def test_faces_of_an_attribute_lie_to_the_right_of_the_others() -> None:
    has = torch.arange(2_000) % 2 == 0
    z = latent.noise(2_000, 5) * torch.tensor([0.1, 3.0, 0.2, 2.0, 0.1])
    z[has, 4] += 5
    plane = attribute_plane(z, has)
    assert plane.axes[0, 4] > 0.99
    assert plane.axes[1, 1].abs() > 0.99
    torch.testing.assert_close(plane.axes @ plane.axes.T, torch.eye(2), rtol=0, atol=1e-5)


def test_the_plane_is_chosen(panel: LatentMap, state: ExplorerState) -> None:
    panel.colour.value = "Male"
    mu = state.encoded("lam-1e-5", FITTED_FACES).mu
    has = state.faces.where("Male")[state.sample(FITTED_FACES)]
    torch.testing.assert_close(panel.plane.axes, widest_plane(mu).axes)
    panel.axes.value = ATTRIBUTE
    torch.testing.assert_close(panel.plane.axes, attribute_plane(mu, has).axes)
    panel.colour.value = ERROR
    torch.testing.assert_close(panel.plane.axes, widest_plane(mu).axes)
