"""The panel that moves from one face to another."""

import io

import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.explore.conftest import THEIR_LABELS, THREE_MODELS
from vaelib import latent
from vaelib.explore.interpolate import ROW, Interpolate
from vaelib.explore.state import ExplorerState


@pytest.fixture
def panel(state: ExplorerState) -> Interpolate:
    return Interpolate(state)


def rows(panel: Interpolate) -> Tensor:
    """The faces (3, 9, 3, 64, 48) of the whole path."""
    faces: Tensor = panel.rows.shown.unflatten(0, (len(THREE_MODELS), ROW))
    return faces


def test_each_models_row_begins_and_ends_with_reconstructions(
    panel: Interpolate, state: ExplorerState
) -> None:
    assert panel.rows.rows == list(THEIR_LABELS)
    ends = torch.stack([state.gallery[name].image for name in ("held-out 1", "held-out 2")])
    for name, row in zip(THREE_MODELS, rows(panel), strict=True):
        expected = latent.reconstruct(state.models.model(name), ends)
        torch.testing.assert_close(row[[0, -1]], expected, rtol=1e-3, atol=1e-4)


def test_the_slider_shows_a_face_of_the_row(panel: Interpolate) -> None:
    panel.share.value = 0.25
    torch.testing.assert_close(panel.here.shown, rows(panel)[:, 2], rtol=1e-3, atol=1e-4)


def test_the_slider_draws_one_face_of_each_model_and_no_row(panel: Interpolate) -> None:
    before = panel.rows.png
    panel.share.value = 0.75
    assert panel.rows.png is before
    assert len(panel.here.shown) == len(THREE_MODELS)


def test_a_great_circle_is_another_path(panel: Interpolate) -> None:
    straight = rows(panel)
    panel.path.value = True
    assert not torch.equal(rows(panel)[:, 1:-1], straight[:, 1:-1])


def test_one_model_can_be_chosen_alone(panel: Interpolate) -> None:
    panel.model.value = "centred"
    assert panel.here.labels == ["centre pull"]


def test_a_kept_face_stands_at_its_end_as_it_was_drawn(state: ExplorerState) -> None:
    z = 2 * latent.noise(1, 64, 3)
    drawn = latent.decode(state.models.model("lam-1e-5"), z)
    name = state.keep(drawn[0], "drawn", "lam-1e-5", z[0])
    panel = Interpolate(state)
    panel.first.value, panel.share.value = name, 0.0
    torch.testing.assert_close(panel.here.shown[:1], drawn)
    assert panel.origins.text.startswith("λ = 10⁻⁵ drew kept 1")
    panel.first.value = "held-out 1"
    assert not panel.origins.text


def test_the_ends_can_be_swapped(panel: Interpolate) -> None:
    before = rows(panel)
    panel._swap()
    torch.testing.assert_close(rows(panel), before.flip(1), rtol=1e-3, atol=1e-4)


def test_the_path_is_saved_as_png_and_gif(panel: Interpolate) -> None:
    formats = [Image.open(io.BytesIO(content)).format for content in (panel.png(), panel.gif())]
    assert formats == ["PNG", "GIF"]
