"""The panel with a slider for each direction."""

import io

import numpy as np
import torch
from PIL import Image

from vaelib import latent
from vaelib.data import to_uint8
from vaelib.explore.state import ExplorerState
from vaelib.explore.traverse import CENTRE, DIRECTION_KINDS, Traverse


def test_sliders_in_the_middle_show_the_starting_face(state: ExplorerState) -> None:
    panel = Traverse(state)
    panel.start.value = "held-out 3"
    face = state.gallery["held-out 3"].image[None]
    assert torch.equal(panel.truth.shown, face)
    expected = latent.reconstruct(state.models.model("lam-1e-5"), face)
    for kind in DIRECTION_KINDS:
        panel.kind.value = kind
        torch.testing.assert_close(panel.faces.shown, expected, rtol=1e-3, atol=1e-4)


def test_a_slider_at_its_end_shows_the_face_that_is_drawn_there(state: ExplorerState) -> None:
    panel = Traverse(state)
    panel.sliders[1].value = panel.sliders[1].max
    ends = np.asarray(Image.open(io.BytesIO(panel.sliders[1].ends)))
    drawn = to_uint8(panel.faces.shown)[0].permute(1, 2, 0).numpy()
    assert np.abs(drawn.astype(int) - ends[:, 48:].astype(int)).max() <= 1


def test_all_sliders_go_back_to_the_middle(state: ExplorerState) -> None:
    panel = Traverse(state)
    before = panel.faces.shown
    for slider in panel.sliders:
        slider.value = 1.5
    panel._reset()
    assert torch.equal(panel.faces.shown, before)
    assert panel.start.value == CENTRE


def test_what_sliders_stand_for_changes_with_the_model_so_they_go_to_the_middle(
    state: ExplorerState,
) -> None:
    panel = Traverse(state)
    panel.sliders[0].value = 2.0
    panel.model.value = "centred"
    assert panel.sliders[0].value == 0


def test_a_face_that_is_kept_comes_back_as_it_was(state: ExplorerState) -> None:
    panel = Traverse(state)
    panel.sliders[0].value = 2.5
    drawn = panel.faces.shown
    panel.faces._on_message(None, {"clicked": 0}, [])
    panel._reset()
    panel.start.value = next(iter(state.kept))
    torch.testing.assert_close(panel.faces.shown, drawn)


def test_sliders_are_in_the_order_of_their_latents_kl(state: ExplorerState) -> None:
    nats = [float(s.label.split(", ")[1].split()[0]) for s in Traverse(state).sliders]
    assert nats == sorted(nats, reverse=True)
