"""The explorer shows its panels under tabs, or why nothing could be opened."""

from pathlib import Path

import pytest
import torch

from tests.explore.conftest import opened
from vaelib.explore import explorer as explorers
from vaelib.explore.attributes import Attributes
from vaelib.explore.compare import Compare
from vaelib.explore.explorer import PANELS, TARGETS, Explorer
from vaelib.explore.generate import Generate
from vaelib.explore.interpolate import Interpolate
from vaelib.explore.state import ExplorerState


@pytest.fixture
def explorer(state: ExplorerState, monkeypatch: pytest.MonkeyPatch) -> Explorer:
    return opened(state, monkeypatch)


def test_why_nothing_could_be_opened_is_all_that_is_shown(tmp_path: Path) -> None:
    explorer = Explorer(str(tmp_path / "nowhere"))
    assert explorer.view is explorer.status
    assert explorer.status.is_error
    assert "nowhere" in explorer.status.text


def test_a_panel_is_made_when_its_tab_is_first_opened(explorer: Explorer) -> None:
    assert list(explorer.panels) == [Generate]
    explorer.tabs.selected = PANELS.index(Compare)
    explorer.tabs.selected = PANELS.index(Generate)
    explorer.tabs.selected = PANELS.index(Compare)
    assert list(explorer.panels) == [Generate, Compare]
    shown = [framed.layout.display for framed in explorer.panel_holder.children]
    assert shown == ["none", None]


def test_a_kept_face_is_in_the_tray_until_it_is_removed(explorer: Explorer) -> None:
    name = explorer.state.keep(torch.zeros(3, 64, 48), "nowhere")
    assert explorer.tray.names == [name]
    explorer.tray._on_message(None, {"remove": name}, [])
    assert explorer.tray.names == []
    explorer.tray._on_message(None, {"undo": True}, [])
    assert explorer.tray.names == [name]


def test_kept_faces_can_be_saved_once_there_is_one(explorer: Explorer) -> None:
    assert explorer.save_kept.layout.display == "none"
    explorer.state.keep(torch.zeros(3, 64, 48), "nowhere")
    assert explorer.save_kept.layout.display is None


@pytest.mark.parametrize("target", TARGETS)
def test_a_kept_face_is_sent_to_a_panel(explorer: Explorer, target: str) -> None:
    name = explorer.state.keep(torch.zeros(3, 64, 48), "nowhere")
    explorer.tray._on_message(None, {"send": name, "to": target}, [])
    panel, control = TARGETS[target]
    assert PANELS[explorer.tabs.selected] is panel
    assert getattr(explorer.panels[panel], control).value == name


def test_a_message_that_names_nothing_kept_is_ignored(explorer: Explorer) -> None:
    for message in ({"send": "kept 9", "to": "From"}, {"remove": "kept 9"}, {}):
        explorer.tray._on_message(None, message, [])
    assert Interpolate not in explorer.panels
    assert Attributes not in explorer.panels


def test_progress_bars_are_cleared_when_the_explorer_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[bool] = []
    monkeypatch.setattr(explorers, "clear_output", lambda: cleared.append(True))
    Explorer(str(tmp_path / "nowhere"))
    assert cleared == [True]
