"""What all panels share: keeping faces, lists that grow, and models that cannot be loaded."""

import shutil
from pathlib import Path

import pytest
import torch

from vaelib.data import FaceSet
from vaelib.explore.attributes import Attributes
from vaelib.explore.compare import Compare
from vaelib.explore.generate import Generate
from vaelib.explore.interpolate import Interpolate
from vaelib.explore.run_index import find_runs
from vaelib.explore.state import ExplorerState
from vaelib.explore.traverse import Traverse


def test_a_kept_face_can_be_chosen_in_every_panel(state: ExplorerState) -> None:
    interpolate, traverse, attributes = Interpolate(state), Traverse(state), Attributes(state)
    name = state.keep(torch.zeros(3, 64, 48), "nowhere")
    lists = [interpolate.first, interpolate.last, traverse.start, attributes.face]
    assert all(name in faces.names for faces in lists)


def test_keeping_a_face_changes_no_choice(state: ExplorerState) -> None:
    panel = Interpolate(state)
    panel.first.value = "held-out 5"
    state.keep(torch.zeros(3, 64, 48), "nowhere")
    assert (panel.first.value, panel.last.value) == ("held-out 5", "held-out 2")


@pytest.fixture
def state_with_a_lost_model(faces: FaceSet, three_models: Path, tmp_path: Path) -> ExplorerState:
    """Three models, of which centred is deleted after the state was opened."""
    shutil.copytree(three_models / faces.name, tmp_path / "runs")
    models = find_runs(tmp_path / "runs", faces.fingerprint)
    shutil.rmtree(tmp_path / "runs" / "centred")
    return ExplorerState(faces, models)


def test_a_lost_model_is_reported_and_the_others_are_drawn(
    state_with_a_lost_model: ExplorerState,
) -> None:
    panel = Compare(state_with_a_lost_model)
    assert panel.faces.labels == ["λ = 10⁻⁵", "32 latents"]
    assert panel.status.is_error
    assert panel.status.text.startswith("the run centred was deleted")


def test_the_report_of_a_lost_model_goes_with_another_choice(
    state_with_a_lost_model: ExplorerState,
) -> None:
    panel = Generate(state_with_a_lost_model)
    panel.model.value = "centred"
    assert panel.status.is_error
    panel.model.value = "latent-32"
    assert not panel.status.text


def test_models_are_listed_with_the_images_that_they_have_seen(state: ExplorerState) -> None:
    assert ("centre pull (40,000 images seen)", "centred") in Generate(state).model.options


def test_the_base_model_is_chosen_at_first(state: ExplorerState) -> None:
    assert Generate(state).model.value == "lam-1e-5"


def test_of_a_face_that_is_removed_another_is_chosen(state: ExplorerState) -> None:
    panel = Interpolate(state)
    name = state.keep(torch.zeros(3, 64, 48), "nowhere")
    panel.first.value = name
    state.remove(name)
    assert panel.first.value == "held-out 1"


def test_a_face_that_is_not_offered_cannot_be_chosen(state: ExplorerState) -> None:
    panel = Interpolate(state)
    panel.first.value = "held-out 99"
    assert panel.first.value == "held-out 1"
