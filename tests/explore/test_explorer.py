"""The explorer opens its panels, or shows in each why nothing could be opened."""

from pathlib import Path

import pytest
import torch

from vaelib.explore import explorer as explorers
from vaelib.explore.explorer import PANELS, Explorer
from vaelib.explore.state import ExplorerState
from vaelib.explore.widgets import StatusLine


def test_why_nothing_could_be_opened_is_shown_in_every_panel(tmp_path: Path) -> None:
    explorer = Explorer(str(tmp_path / "nowhere"))
    assert explorer.status.is_error
    assert "nowhere" in explorer.status.text
    assert all(explorer.panel(name) is explorer.status for name in PANELS)


def test_a_misspelt_panel_is_refused_in_one_line(
    state: ExplorerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorers, "open_state", lambda *_: state)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    status = Explorer("synthetic").panel("genrate")
    assert isinstance(status, StatusLine)
    assert status.is_error
    assert status.text.startswith("there is no panel 'genrate'; choose from generate, interpolate")


def test_progress_bars_are_cleared_when_the_explorer_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[bool] = []
    monkeypatch.setattr(explorers, "clear_output", lambda: cleared.append(True))
    Explorer(str(tmp_path / "nowhere"))
    assert cleared == [True]
