"""A link brings back what was chosen, and a stranger's does no harm."""

import base64
import json
import re
import zlib
from typing import Any

import pytest
import torch

from tests.conftest import refusal
from tests.explore.conftest import opened
from vaelib import latent
from vaelib.explore.explorer import PANELS
from vaelib.explore.generate import Generate
from vaelib.explore.interpolate import Interpolate
from vaelib.explore.link import VERSION, KeptFace, Saved, pack, unpack
from vaelib.explore.state import ENCODED, ExplorerState
from vaelib.explore.traverse import Traverse


def text_of(record: Any) -> str:
    packed = zlib.compress(json.dumps(record).encode())
    return base64.urlsafe_b64encode(packed).decode()


def test_a_link_says_what_was_saved() -> None:
    z = latent.noise(1, 64, 3)[0]
    saved = Saved(
        "Generate", {"Generate": ["lam-1e-5", 4, 0.5]}, [KeptFace("kept 1", "centred", z)]
    )
    found = unpack(pack(saved))
    assert found[:2] == saved[:2]
    assert torch.equal(found.kept[0].z, z)
    assert re.fullmatch(r"[\w-]+", pack(saved), re.ASCII)


WHOLE = {"version": VERSION, "tab": "Generate", "panels": {}, "kept": []}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no link",
        "é",
        pack(Saved("Generate", {}, []))[:-9],
        text_of([]),
        text_of(WHOLE | {"version": 99}),
        text_of(WHOLE | {"panels": 3}),
        text_of(WHOLE | {"kept": [["kept 1", "centred"]]}),
        text_of(WHOLE | {"kept": [["kept 1", "centred", "????"]]}),
        text_of(WHOLE | {"kept": [["kept 1", "centred", base64.b64encode(b"abc").decode()]]}),
        base64.urlsafe_b64encode(zlib.compress(b"[" * 100_000)).decode(),
        base64.urlsafe_b64encode(zlib.compress(b"0" * 50_000_000)).decode(),
    ],
)
def test_what_is_no_link_is_refused_in_one_line(text: str) -> None:
    assert "link" in refusal(lambda: unpack(text))


def test_a_link_brings_everything_back(
    state: ExplorerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(state, monkeypatch)
    generate = first.panels[Generate]
    assert isinstance(generate, Generate)
    generate.seed.value, generate.temperature.value, generate.place.value = 5, 0.6, ENCODED
    generate.faces._on_message(None, {"clicked": 2}, [])
    first.tabs.selected = PANELS.index(Traverse)
    traverse = first.panels[Traverse]
    assert isinstance(traverse, Traverse)
    traverse.model.value, traverse.start.value = "centred", next(iter(state.kept))
    traverse.sliders[2].value = 1.25
    text = pack(first.saved())

    second = opened(ExplorerState(state.faces, state.models), monkeypatch)
    second.restore(text)
    assert second.saved()[:2] == first.saved()[:2]
    assert list(second.panels) == [Generate, Traverse]
    assert second.tabs.selected == PANELS.index(Traverse)
    (name, face), (_, kept) = next(iter(second.state.kept.items())), next(iter(state.kept.items()))
    assert name in state.kept
    assert face.z is not None
    assert kept.z is not None
    assert torch.equal(face.z, kept.z)
    assert second.state.keep(face.image, "next").startswith("kept 2")


def test_what_does_not_fit_here_is_left_as_it_is(
    state: ExplorerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = opened(state, monkeypatch)
    z = torch.zeros(64)
    kept = [KeptFace("kept 1", "lam-9", z), KeptFace("kept 2", "latent-32", z)]
    panels: dict[str, list[Any]] = {
        "Generate": ["lam-9", "nowhere", "x", 1e9],
        "Gone": [1],
        "Interpolate": [7, None],
    }
    explorer.restore(pack(Saved("Gone", panels, kept)))
    generate = explorer.panels[Generate]
    assert isinstance(generate, Generate)
    assert generate.model.value == "lam-1e-5"
    assert generate.temperature.value == generate.temperature.max
    assert not state.kept
    assert Interpolate in explorer.panels


def test_a_surprise_is_another_draw(state: ExplorerState, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = opened(state, monkeypatch)
    before = explorer.saved().panels["Generate"]
    explorer._surprise()
    assert explorer.saved().panels["Generate"] != before
