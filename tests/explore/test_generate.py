"""The panel of faces drawn from the prior."""

import torch

from vaelib import latent
from vaelib.data import to_uint8
from vaelib.explore.generate import COUNT, Generate
from vaelib.explore.state import ExplorerState


def test_faces_are_those_of_the_seed_and_temperature(state: ExplorerState) -> None:
    panel = Generate(state)
    panel.seed.value, panel.temperature.value = 4, 0.5
    model = state.models.model("lam-1e-5")
    expected = latent.decode(model, latent.noise(COUNT, model.latent, 4) * 0.5)
    torch.testing.assert_close(panel.faces.shown, expected)


def test_a_click_keeps_the_face_that_was_clicked(state: ExplorerState) -> None:
    panel = Generate(state)
    panel.faces._on_message(None, {"clicked": 7}, [])
    (kept,) = state.kept.values()
    assert torch.equal(kept, to_uint8(panel.faces.shown[7]))


def test_a_click_on_no_face_keeps_nothing(state: ExplorerState) -> None:
    panel = Generate(state)
    for index in (-1, COUNT, "2", None):
        panel.faces._on_message(None, {"clicked": index}, [])
    assert not state.kept
