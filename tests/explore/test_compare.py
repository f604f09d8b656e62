"""The panel of one noise through all models."""

import torch

from tests.explore.conftest import THEIR_LABELS, THREE_MODELS
from vaelib import latent
from vaelib.explore.compare import Compare
from vaelib.explore.state import ENCODED, ExplorerState


def test_every_model_decodes_the_same_noise(state: ExplorerState) -> None:
    panel = Compare(state)
    panel.seed.value = 3
    assert panel.faces.labels == list(THEIR_LABELS)
    for name, face in zip(THREE_MODELS, panel.faces.shown, strict=True):
        expected = latent.sample(state.models.model(name), 1, 3)[0]
        torch.testing.assert_close(face, expected)


def test_each_model_draws_a_face_from_where_it_encodes_faces(state: ExplorerState) -> None:
    panel = Compare(state)
    panel.place.value = ENCODED
    for name, face in zip(THREE_MODELS, panel.faces.shown, strict=True):
        model = state.models.model(name)
        z = state.latents(name, latent.noise(1, model.latent, 0), ENCODED)
        torch.testing.assert_close(face, latent.decode(model, z)[0])
    panel.count.now()
    assert panel.found.text.endswith(f"of {len(THREE_MODELS)}.")
