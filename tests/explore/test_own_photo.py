"""The panel of the user's own photo."""

import re
from typing import Any

import pytest
import torch

from tests.explore.conftest import THEIR_LABELS
from vaelib import latent
from vaelib.data import to_uint8
from vaelib.explore import photo
from vaelib.explore.own_photo import OwnPhoto
from vaelib.explore.state import ExplorerState


@pytest.fixture
def panel(state: ExplorerState, monkeypatch: pytest.MonkeyPatch) -> OwnPhoto:
    monkeypatch.setattr(photo, "MAX_CANDIDATES", 10)
    return OwnPhoto(state)


def test_a_photo_is_shown_with_the_reconstructions_of_all_models(
    panel: OwnPhoto, state: ExplorerState, portrait: bytes
) -> None:
    panel.open(portrait)
    names = [label.split(":")[0] for label in panel.faces.labels]
    assert names == ["your photo, framed", *THEIR_LABELS]
    assert all(re.search("farther off than .* held-out face", x) for x in panel.faces.labels[1:])
    framed = panel.faces.shown[:1]
    assert framed.dtype == torch.uint8
    expected = latent.reconstruct(state.models.model("centred"), framed)
    assert torch.equal(panel.faces.shown[-1:], to_uint8(expected))


def test_a_framed_photo_can_be_kept(panel: OwnPhoto, state: ExplorerState, portrait: bytes) -> None:
    panel.open(portrait)
    panel.keep_framed()
    assert torch.equal(state.gallery["kept 1, your photo"].image, panel.faces.shown[0])


def test_it_is_said_what_the_models_know_and_where_no_face_is_found(
    panel: OwnPhoto, portrait: bytes
) -> None:
    panel.open(portrait)
    panel.judge.now()
    assert panel.known.text.startswith("These models learnt from procedural portraits")
    panel.zoom.value = photo.MAX_ZOOM
    panel.judge.now()
    assert panel.known.text.startswith("OpenCV's detector finds no face in this frame.")


def test_a_file_that_is_no_photo_is_refused_and_the_last_photo_stays(
    panel: OwnPhoto, portrait: bytes
) -> None:
    panel.drop._on_message(None, {"piece": 0, "pieces": 1}, [memoryview(portrait)])
    before = panel.photo
    assert before is not None
    panel.drop._on_message(None, {"piece": 0, "pieces": 1}, [memoryview(b"no photo")])
    assert panel.status.is_error
    assert panel.photo is before


def test_no_photo_is_written_anywhere(
    panel: OwnPhoto, portrait: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[object] = []
    real_open = open

    def watched_open(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if set(mode) & set("wax+"):
            written.append(file)
        return real_open(file, mode, *arguments, **options)

    monkeypatch.setattr("builtins.open", watched_open)
    monkeypatch.setattr("io.open", watched_open)
    panel.open(portrait)
    panel.png()
    assert written == []
