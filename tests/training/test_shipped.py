"""The trained models that come with the program are those that its own command makes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import refusal
from vaelib.config import ALL_EXPERIMENTS, PRESETS, at_preset
from vaelib.data import FaceSet, evenly_spaced, load
from vaelib.faces.render import render
from vaelib.faces.sampling import sample
from vaelib.latent import decode, noise
from vaelib.sources.annotations import VALIDATION, split_by_hash
from vaelib.support import paths
from vaelib.training import runs, shipped
from vaelib.training.loop import CURVE_FACES, held_out_loss
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import Run

FACES = PRESETS["quick"].synthetic_faces  # of which the shipped models have seen the training part


@pytest.fixture(scope="module")
def models() -> dict[str, Run]:
    """What is shipped, by the name of the experiment."""
    found = [runs.load(marker.parent) for marker in shipped.FOLDER.glob(f"*/{runs.FINISHED}")]
    by_lambda = {run.experiment.lam: run for run in found}
    return {name: by_lambda[ALL_EXPERIMENTS[name].lam] for name in shipped.NAMES}


@pytest.fixture(scope="module")
def validation_faces() -> torch.Tensor:
    """The faces that the history of a run is about, without the others."""
    split = torch.from_numpy(split_by_hash([str(number) for number in range(FACES)]))
    positions = torch.nonzero(split == VALIDATION).flatten()
    return render(sample(FACES, seed=0)[evenly_spaced(positions, CURVE_FACES)])


@pytest.mark.parametrize("name", shipped.NAMES)
def test_a_shipped_model_is_an_experiment_of_the_report(models: dict[str, Run], name: str) -> None:
    run = models[name]
    experiment = at_preset(
        ALL_EXPERIMENTS[name], "quick", run.experiment.seed, run.experiment.precision
    )
    assert run.experiment == replace(experiment, budget=run.experiment.budget)
    environment = json.loads((run.folder / runs.ENVIRONMENT).read_text("utf-8"))
    assert run.key == run.experiment.key(environment["fingerprint"], runs.RECIPE)


@pytest.mark.parametrize("name", shipped.NAMES)
def test_a_shipped_model_is_as_good_as_when_its_training_ended(
    models: dict[str, Run], validation_faces: torch.Tensor, name: str
) -> None:
    run = models[name]
    loss = held_out_loss(run.model, validation_faces, run.experiment)
    end = run.curve("validation")[-1]
    assert loss.reconstruction == pytest.approx(end.reconstruction, rel=0.002)
    assert loss.kl == pytest.approx(end.kl, rel=0.002)


def test_the_card_has_the_losses_of_every_model(models: dict[str, Run]) -> None:
    card = (shipped.FOLDER / shipped.CARD).read_text("utf-8")
    for run in models.values():
        end = run.curve("validation")[-1]
        assert f"{end.reconstruction:.4f} | {end.kl:.1f} | `{run.key}`" in card


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, FaceSet]:
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    faces = load("synthetic", "smoke")
    experiment = at_preset(ALL_EXPERIMENTS["lam-1e-5"], "smoke", 0, "float32")
    return train_or_load(replace(experiment, budget=64), faces, "base"), faces


def test_shipping_halves_the_file_and_changes_no_grey_level_by_more_than_one(
    trained: tuple[Run, FaceSet], tmp_path: Path
) -> None:
    run, faces = trained
    shipped.ship([run], faces, tmp_path / "shipped")
    copy = runs.load(tmp_path / "shipped" / run.key)
    assert copy.experiment == run.experiment
    assert copy.history == run.history
    sizes = [(each.folder / runs.MODEL).stat().st_size for each in (copy, run)]
    assert sizes[0] < 0.51 * sizes[1]
    z = noise(8, run.model.latent)
    difference = decode(copy.model, z) - decode(run.model, z)
    assert difference.abs().max() < 1 / 127.5


def test_models_of_photographs_are_not_shipped(
    trained: tuple[Run, FaceSet], tmp_path: Path
) -> None:
    run, faces = trained
    photographs = replace(faces, kind="photos", name="family")
    message = refusal(lambda: shipped.ship([run], photographs, tmp_path / "shipped"))
    assert "the models of family have seen photographs" in message
    assert not (tmp_path / "shipped").exists()
