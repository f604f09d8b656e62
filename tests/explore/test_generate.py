"""The panel of faces drawn from the prior."""

import io

import torch
from PIL import Image

from vaelib import latent
from vaelib.data import to_uint8
from vaelib.evaluation.detector import USUAL_THRESHOLD, haar_scores
from vaelib.evaluation.prior_gap import fit_gaussian
from vaelib.explore.generate import COUNT, Generate
from vaelib.explore.state import ENCODED, FITTED_FACES, PRIOR, ExplorerState


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
    assert torch.equal(kept.image, to_uint8(panel.faces.shown[7]))
    model = state.models.model(kept.model)
    assert kept.z is not None
    torch.testing.assert_close(latent.decode(model, kept.z[None])[0], panel.faces.shown[7])


def test_the_grid_can_be_saved(state: ExplorerState) -> None:
    assert Image.open(io.BytesIO(Generate(state).png())).width > 8 * 48


def test_a_click_on_no_face_keeps_nothing(state: ExplorerState) -> None:
    panel = Generate(state)
    for index in (-1, COUNT, "2", None):
        panel.faces._on_message(None, {"clicked": index}, [])
    assert not state.kept


def test_faces_come_from_where_faces_are_encoded_if_that_is_chosen(state: ExplorerState) -> None:
    panel = Generate(state)
    from_prior = panel.faces.shown
    panel.place.value = ENCODED
    model = state.models.model("lam-1e-5")
    there = fit_gaussian(*state.encoded("lam-1e-5", FITTED_FACES))
    expected = latent.decode(model, there.draw(latent.noise(COUNT, model.latent, 0)))
    torch.testing.assert_close(panel.faces.shown, expected)
    assert not torch.equal(panel.faces.shown, from_prior)
    panel.place.value = PRIOR
    assert torch.equal(panel.faces.shown, from_prior)


def test_a_line_says_in_how_many_of_the_faces_one_is_found(state: ExplorerState) -> None:
    panel = Generate(state)
    panel.faces.show(torch.cat([state.faces.images[:20], torch.zeros(4, 3, 64, 48).byte()]))
    panel.count.now()
    count = int((haar_scores(state.faces.images[:20]) >= USUAL_THRESHOLD).sum())
    assert count >= 15
    assert panel.found.text == f"OpenCV's detector finds a face in {count} of 24."
