"""The panel of one noise through all models."""

import torch

from tests.explore.conftest import THREE_MODELS
from vaelib import latent
from vaelib.explore.compare import Compare
from vaelib.explore.state import ExplorerState


def test_every_model_decodes_the_same_noise(state: ExplorerState) -> None:
    panel = Compare(state)
    panel.seed.value = 3
    assert panel.faces.labels == list(THREE_MODELS)
    for name, face in zip(THREE_MODELS, panel.faces.shown, strict=True):
        expected = latent.sample(state.models.model(name), 1, 3)[0]
        torch.testing.assert_close(face, expected)
