"""The explorer's state: faces to choose from, what is kept, and how it is opened."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.explore.conftest import THREE_MODELS
from vaelib import data, latent
from vaelib.config import PRESETS
from vaelib.explore import state as states
from vaelib.explore.state import ExplorerState, open_state
from vaelib.sources.annotations import split_by_hash
from vaelib.support import paths
from vaelib.training import shipped


def test_only_the_newest_kept_faces_stay(state: ExplorerState) -> None:
    for _ in range(states.MOST_KEPT + 2):
        state.keep(torch.zeros(3, 64, 48), "nowhere")
    assert len(state.kept) == states.MOST_KEPT
    assert "kept 2, nowhere" not in state.kept


def test_changes_of_the_kept_faces_can_be_taken_back(state: ExplorerState) -> None:
    assert not state.can_undo
    first = state.keep(torch.zeros(3, 64, 48), "first")
    second = state.keep(torch.zeros(3, 64, 48), "second")
    state.remove(first)
    assert list(state.kept) == [second]
    state.undo()
    assert list(state.kept) == [second, first]
    state.undo()
    state.undo()
    assert not state.kept
    assert not state.can_undo


def test_held_out_faces_are_no_training_faces(state: ExplorerState) -> None:
    train = state.faces.images[state.faces.train]
    for face in state.held_out.values():
        assert not (train == face.image).flatten(1).all(dim=1).any()


def test_the_model_that_drew_a_face_uses_its_z_and_others_encode_its_picture(
    state: ExplorerState,
) -> None:
    z = latent.noise(1, 64, 7)
    drawn = latent.decode(state.models.model("lam-1e-5"), z)[0]
    name = state.keep(drawn, "drawn", "lam-1e-5", z[0])
    assert torch.equal(state.latent_of("lam-1e-5", name), z)
    encoded = latent.latent_means(state.models.model("centred"), data.to_uint8(drawn)[None])
    assert torch.equal(state.latent_of("centred", name), encoded)
    assert state.origin_of(name).startswith("λ = 10⁻⁵ drew kept 1 and uses its z")
    assert state.origin_of("held-out 1") == ""


def test_an_error_is_compared_with_those_of_held_out_faces(state: ExplorerState) -> None:
    shares = [state.share_with_less_error("lam-1e-5", error) for error in (0.0, 4.0)]
    assert shares == [0, 1]


def test_what_panels_need_is_computed_beforehand(state: ExplorerState) -> None:
    state.warm_up()
    assert all(state.is_encoded(name, states.FITTED_FACES) for name in THREE_MODELS)
    assert state.is_encoded("lam-1e-5", len(state.train_sample))


def test_what_two_threads_ask_for_is_computed_once(state: ExplorerState) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: state.encoded("centred", 50), range(2))
    assert first is second


@pytest.mark.slow
def test_without_a_run_on_photos_the_smoke_base_model_is_trained_and_the_summary_says_so(
    photo_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "smoke", replace(PRESETS["smoke"], budgets=(64,)))
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    state = open_state(str(photo_folder(64)))
    assert state.models.names == ("lam-1e-5",)
    assert state.summary.startswith("There was no trained model of photos, so λ = 10⁻⁵ was trained")
    assert "make report" in state.summary


def test_without_a_run_on_procedural_faces_the_shipped_models_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    state = open_state("synthetic")
    assert state.models.names == shipped.NAMES
    came = "λ = 10⁻⁴, λ = 10⁻⁵, λ = 10⁻⁶ came with the program"
    assert state.summary.startswith(
        f"3 of the seven models, trained on procedural faces. {came}. To"
    )
    assert len(state.faces.images) == PRESETS["smoke"].synthetic_faces  # drawn in seconds


def test_a_held_out_face_of_few_is_none_that_shipped_models_learnt_from() -> None:
    few, many = (PRESETS[preset].synthetic_faces for preset in ("smoke", "quick"))
    assert few < many
    few_split, many_split = (split_by_hash([str(i) for i in range(n)]) for n in (few, many))
    assert (few_split == many_split[:few]).all()


def test_a_run_of_ones_own_takes_the_place_of_a_shipped_model(
    three_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "RUNS", three_models)
    entries = open_state("synthetic", "smoke").models.entries
    assert {name for name, entry in entries.items() if entry.is_shipped} == {"lam-1e-4", "lam-1e-6"}
    assert entries["lam-1e-5"].folder.is_relative_to(three_models)


def test_the_summary_names_the_missing_models(
    three_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "RUNS", three_models)
    summary = open_state("synthetic", "smoke").summary
    assert summary.startswith("5 of the seven models, trained on procedural faces.")
    assert "To make λ = 10⁻³, 128 latents, run make report" in summary
