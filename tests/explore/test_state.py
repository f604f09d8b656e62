"""The explorer's state: faces to choose from, what is kept, and how it is opened."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vaelib.config import PRESETS
from vaelib.explore import state as states
from vaelib.explore.state import ExplorerState, open_state
from vaelib.support import paths


def test_only_the_newest_kept_faces_stay(state: ExplorerState) -> None:
    for _ in range(states.MOST_KEPT + 2):
        state.keep(torch.zeros(3, 64, 48), "nowhere")
    assert len(state.kept) == states.MOST_KEPT
    assert "kept 2, nowhere" not in state.kept


def test_held_out_faces_are_no_training_faces(state: ExplorerState) -> None:
    train = state.faces.images[state.faces.train]
    for face in state.held_out.values():
        assert not (train == face).flatten(1).all(dim=1).any()


@pytest.mark.slow
def test_without_a_run_the_smoke_base_model_is_trained_and_the_summary_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "smoke", replace(PRESETS["smoke"], budgets=(64,)))
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    state = open_state("synthetic")
    assert state.models.names == ("lam-1e-5",)
    assert state.summary.startswith(
        "There was no trained model of synthetic, so lam-1e-5 was trained"
    )
    assert "make report" in state.summary


def test_the_summary_names_the_missing_models(
    three_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "RUNS", three_models)
    summary = open_state("synthetic", "smoke").summary
    assert summary.startswith("3 of the seven models and 0 others")
    assert "To make lam-1e-3, lam-1e-4, lam-1e-6, latent-128, run make report" in summary
