"""The panel that moves a face along an attribute."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from vaelib import latent
from vaelib.data import FaceSet, to_uint8
from vaelib.evaluation import attributes as classifiers
from vaelib.explore.attributes import METHODS, Attributes
from vaelib.explore.state import ExplorerState
from vaelib.support import paths


@pytest.mark.parametrize("method", METHODS)
def test_strength_moves_the_face_along_the_direction(state: ExplorerState, method: str) -> None:
    panel = Attributes(state)
    panel.method.value, panel.attribute.value, panel.strength.value = method, "Male", 2.0
    mu = state.encoded("lam-1e-5", len(state.train_sample)).mu
    direction = METHODS[method](mu, state.faces.where("Male")[state.train_sample])
    z = state.latent_of("lam-1e-5", "held-out 1") + 2 * direction
    expected = latent.decode(state.models.model("lam-1e-5"), z)[0]
    torch.testing.assert_close(panel.faces.shown[2], to_uint8(expected), rtol=0, atol=1)
    assert torch.equal(panel.faces.shown[0], state.gallery["held-out 1"].image)


def test_an_attribute_that_too_few_faces_have_is_reported(
    state: ExplorerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = torch.zeros(len(state.faces.images), dtype=torch.bool)
    monkeypatch.setattr(FaceSet, "where", lambda *_: nobody)
    panel = Attributes(state)
    panel.strength.value = 1.0
    assert panel.status.is_error
    assert "have this attribute" in panel.status.text


def test_attributes_have_the_names_of_the_data(state: ExplorerState) -> None:
    names = {name for _, name in Attributes(state).attribute.options}
    assert names <= set(state.faces.attribute_names)
    assert {"Smiling", "Eyeglasses", "Male", "Black_Hair"} <= names


def test_without_attributes_the_panel_says_so(flat_faces: FaceSet, state: ExplorerState) -> None:
    panel = Attributes(ExplorerState(flat_faces, state.models))
    assert panel.status.text == "The faces of flat carry none of these attributes."


def test_an_untrained_classifier_is_not_asked(
    state: ExplorerState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    assert not classifiers.is_trained(state.faces)
    assert Attributes(state).faces.labels == ["as it is", "before", "after"]


@pytest.fixture
def state_with_classifier(
    state: ExplorerState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ExplorerState]:
    """A state whose classifier has learnt from next to nothing."""
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    monkeypatch.setattr(classifiers, "MAX_IMAGES", 128)
    classifiers.classifier_for.cache_clear()
    classifiers.classifier_for(state.faces)
    yield state
    classifiers.classifier_for.cache_clear()


@pytest.mark.slow
def test_the_classifiers_probability_stands_by_each_face(
    state_with_classifier: ExplorerState,
) -> None:
    panel = Attributes(state_with_classifier)
    attribute, labels = panel.attribute.value.replace("_", " "), panel.faces.labels
    assert [label.split(":")[0] for label in labels] == ["as it is", "before", "after"]
    assert all(attribute in label and label.endswith("%") for label in labels)


@pytest.mark.slow
def test_attributes_that_the_classifier_tells_best_come_first(
    state_with_classifier: ExplorerState,
) -> None:
    panel = Attributes(state_with_classifier)
    areas = [panel._area(name) for _, name in panel.attribute.options]
    assert areas == sorted(areas, reverse=True)
    assert panel.attribute.value == panel.attribute.options[0][1]
