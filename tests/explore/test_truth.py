"""The panel that puts a face beside what every model makes of it."""

import pytest
import torch

from tests.explore.conftest import THEIR_LABELS, THREE_MODELS
from vaelib import latent
from vaelib.data import to_float
from vaelib.explore.state import ExplorerState
from vaelib.explore.truth import Truth


@pytest.fixture
def panel(state: ExplorerState) -> Truth:
    return Truth(state)


def test_every_model_has_its_reconstruction_and_what_it_leaves_out(
    panel: Truth, state: ExplorerState
) -> None:
    image = state.gallery["held-out 1"].image[None]
    assert torch.equal(panel.truth.shown, image)
    drawn, differences = panel.faces.shown, panel.differences.shown
    for name, face, difference in zip(THREE_MODELS, drawn, differences, strict=True):
        torch.testing.assert_close(face, latent.reconstruct(state.models.model(name), image)[0])
        torch.testing.assert_close(2 * difference, to_float(image)[0] - face)


def test_error_and_kl_stand_below_each_reconstruction(panel: Truth, state: ExplorerState) -> None:
    x = to_float(state.gallery["held-out 1"].image[None])
    model = state.models.model(THREE_MODELS[0])
    error = float((latent.decode(model, panel.z[THREE_MODELS[0]]) - x).square().mean())
    assert panel.faces.labels[0].startswith(f"{THEIR_LABELS[0]}: {error:.3f}, ")
    assert panel.faces.labels[0].endswith(" nats")


def test_a_reconstruction_can_be_kept_with_its_z(panel: Truth, state: ExplorerState) -> None:
    panel.faces._on_message(None, {"clicked": 1}, [])
    (kept,) = state.kept.values()
    assert kept.model == THREE_MODELS[1]
    assert kept.z is not None
    assert torch.equal(state.latent_of(kept.model, next(iter(state.kept))), kept.z[None])
