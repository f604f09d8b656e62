"""A study binds faces, budgets and seeds together, and trains each model that notebooks use."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, get_args

import pytest
import torch

from tests.conftest import refusal
from vaelib import study as studies
from vaelib.config import ALL_EXPERIMENTS, BASE, PRESETS, SEVEN, Experiment
from vaelib.data import FaceSet
from vaelib.evaluation.claims import RULES
from vaelib.evaluation.verdicts import ClaimGroup
from vaelib.reporting.results import Origin, Results
from vaelib.study import SideStudy, Study, open_study, results_root
from vaelib.support import paths
from vaelib.training import launch
from vaelib.training.step import Execution


def make_study(out: Path, held_out: int = 12, budgets: tuple[int, ...] = (2_000,)) -> Study:
    """A smoke study from seed 3 on flat faces; the brightness of a face is its position."""
    pixels = torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1).expand(40, 3, 64, 48).clone()
    split = torch.zeros(40, dtype=torch.uint8)
    split[40 - held_out :] = 2
    faces = FaceSet("flat", pixels, None, (), split, "f" * 64, "photos", Path("nowhere"))
    results = Results(out, Origin("flat", "f" * 64, "smoke", 3, "2000;320"))
    return Study(faces, "smoke", 3, budgets, 320, results)


def test_every_model_gets_the_budget_and_the_seed_of_the_study(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    for name, expected in SEVEN.items():
        experiment = study.experiment(name)
        assert (experiment.lam, experiment.latent) == (expected.lam, expected.latent)
        assert experiment.kl_reading == expected.kl_reading
        assert experiment.budget == 2_000
        assert experiment.seed == 3


def test_interpolations_run_between_different_held_out_faces(tmp_path: Path) -> None:
    first, last = make_study(tmp_path).interpolation_ends()
    assert first[:, 0, 0, 0].tolist() == [28, 30, 31, 33]
    assert last[:, 0, 0, 0].tolist() == [34, 36, 37, 39]


def test_with_few_held_out_faces_there_are_fewer_interpolations(tmp_path: Path) -> None:
    first, last = make_study(tmp_path, held_out=5).interpolation_ends()
    assert len(first) == len(last) == 2


class Launched(NamedTuple):
    """What was to be trained, instead of training it."""

    experiments: dict[str, Experiment]
    execution: Execution | None


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Launched]:
    calls: list[Launched] = []

    def run(
        experiments: dict[str, Experiment],
        faces: FaceSet,
        execution: Execution | None = None,
        **_: object,
    ) -> dict[str, str]:
        calls.append(Launched(experiments, execution))
        return dict.fromkeys(experiments, "run")

    monkeypatch.setattr(launch, "run", run)
    return calls


def collect(calls: list[Launched]) -> dict[str, Experiment]:
    """All that was launched so far, by label; then forget it."""
    experiments = {
        label: experiment for call in calls for label, experiment in call.experiments.items()
    }
    calls.clear()
    return experiments


# --- which models are trained


def test_models_come_in_the_order_of_their_names(tmp_path: Path, launched: list[Launched]) -> None:
    make_study(tmp_path).runs(("latent-128", "lam-1e-3"))
    experiments = launched[0].experiments
    assert [experiment.latent for experiment in experiments.values()] == [128, 64]
    assert list(experiments) == ["latent-128", "lam-1e-3"]


def test_a_side_run_is_the_base_model_with_these_changes_alone(
    tmp_path: Path, launched: list[Launched]
) -> None:
    study = make_study(tmp_path)
    study.side_run(latent=2, norm="batch")
    study.side_run()
    changed, base = (call.experiments for call in launched)
    assert list(changed) == ["latent 2, norm batch"]
    assert base == {BASE: replace(study.experiment(BASE), budget=320)}
    assert changed["latent 2, norm batch"] == replace(base[BASE], latent=2, norm="batch")


def test_training_all_at_once_is_training_what_notebooks_use_one_by_one(
    tmp_path: Path, launched: list[Launched]
) -> None:
    study = make_study(tmp_path)
    study.train_all()
    at_once = collect(launched)
    study.runs(SEVEN)
    for side_study in get_args(SideStudy):
        study.side_runs(side_study)
    one_by_one = collect(launched)
    assert at_once == {label: one_by_one[label] for label in at_once}
    assert set(one_by_one.values()) <= set(at_once.values())
    assert at_once["lam-1e-5 first 1/16"].budget == PRESETS["smoke"].budgets[0] // 16


def test_models_of_further_seeds_are_trained_at_once_as_well(
    tmp_path: Path, launched: list[Launched]
) -> None:
    study = make_study(tmp_path, budgets=(2_000, 1_000))
    study.train_all()
    at_once = set(collect(launched).values())
    for repeat in range(2):
        study.runs(SEVEN, repeat)
    study.runs(study.lambda_models)
    study.side_runs("seeds")
    assert set(collect(launched).values()) <= at_once


def test_further_seeds_follow_the_first_with_budgets_of_their_own(tmp_path: Path) -> None:
    study = make_study(tmp_path, budgets=(2_000, 1_000, 500))
    experiments = [study.experiment(BASE, repeat) for repeat in range(3)]
    found = [(experiment.seed, experiment.budget) for experiment in experiments]
    assert found == [(3, 2_000), (4, 1_000), (5, 500)]
    assert study.seed_note() == "Each model was trained from 3 seeds, 3 to 5."


def test_one_seed_is_called_indicative(tmp_path: Path) -> None:
    assert make_study(tmp_path).seed_note() == (
        "Each model was trained from one seed, 3, so verdicts are only indicative."
    )


def test_side_studies_differ_from_the_base_model_in_one_thing(tmp_path: Path) -> None:
    experiments = make_study(tmp_path).all_experiments()
    base = vars(experiments["lambda 1e-05"])
    assert base["budget"] == 320
    changed = {
        label: {name for name, value in base.items() if vars(experiment)[name] != value}
        for label, experiment in experiments.items()
        if experiment.budget == 320
    }
    assert changed == {
        "lambda 1e-05": set(),
        "batch norm": {"norm"},
        "group norm": {"norm"},
        "lambda 1": {"lam"},
        "calibrated": {"weighting"},
        "seed 4": {"seed"},
        "pulled": {"kl_reading"},
    }


def test_half_decades_are_drawn_in_the_full_preset_alone(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    assert len(study.lambda_models) == 4
    lams = [ALL_EXPERIMENTS[name].lam for name in replace(study, preset="full").lambda_models]
    steps = [larger / smaller for larger, smaller in pairwise(lams)]
    assert steps == pytest.approx([10**0.5] * 6, rel=1e-3)


# --- verdicts


def test_each_claim_belongs_to_one_of_the_three_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "decide", lambda *_: {"verdict": "holds"})
    no_instruments = SimpleNamespace(classifier=None, detectors=None)
    monkeypatch.setattr(studies, "held_out_faces", lambda _: no_instruments)
    study = make_study(tmp_path)
    verdicts = [study.verdicts(group, []) for group in get_args(ClaimGroup)]
    names = [name for of_group in verdicts for name in of_group]
    assert sorted(names) == sorted(RULES)
    assert {of["verdict"] for of_group in verdicts for of in of_group.values()} == {"holds"}


# --- opening one


def test_results_of_the_smoke_preset_do_not_take_the_place_of_figures() -> None:
    assert results_root("", "quick") == results_root("", "full") == paths.ROOT
    assert results_root("", "smoke") == paths.ROOT / "build" / "smoke"
    assert results_root("here", "smoke") == Path("here")


def test_what_cannot_be_opened_is_refused() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"preset": "fast"}, "preset 'fast' is unknown"),
        ({"preset": "smoke", "seed": -1}, "seed is -1"),
        ({"preset": "smoke", "data": "no/such/folder"}, "no/such/folder"),
        ({"preset": "smoke", "budget": "many"}, "budget is 'many'; give a number for each seed"),
        ({"preset": "smoke", "budget": "100,0"}, "budget is 0"),
        ({"preset": "smoke", "side_budget": -5}, "budget is -5"),
        ({"preset": "smoke", "side_budget": 0.5}, "side_budget is 0.5; it must be a whole number"),
        ({"preset": "smoke", "seed": "one"}, "seed is 'one'; it must be a whole number"),
        ({"preset": "smoke", "name": ["a"]}, "name is \"['a']\"; use letters"),
    ]
    messages = [refusal(partial(open_study, **arguments)) for arguments, _ in cases]
    for message, (_, words) in zip(messages, cases, strict=True):
        assert words in message


@pytest.mark.slow
def test_a_study_of_procedural_faces_opens_by_itself(tmp_path: Path) -> None:
    study = open_study(
        "synthetic", "smoke", "drawn", out=str(tmp_path), budget="900,300", side_budget=50
    )
    assert len(study.faces.images) == PRESETS["smoke"].synthetic_faces
    assert study.results.folder == tmp_path / "figures" / "drawn"
    assert study.results.origin.fingerprint == study.faces.fingerprint
    assert study.budgets == (900, 300)
    assert study.results.origin.budget == "900,300;50"


# --- names of data sets


@pytest.fixture
def two_folders(photo_folder: Callable[..., Path]) -> tuple[str, str]:
    """Two folders of the same name with other photos in them."""
    first = photo_folder(64, "a/archive", size=(24, 29))
    second = photo_folder(65, "b/archive", size=(24, 29))
    return str(first), str(second)


def test_results_of_other_photos_of_that_name_are_kept(
    two_folders: tuple[str, str], tmp_path: Path
) -> None:
    first, second = two_folders
    open_mine = partial(open_study, preset="smoke", name="mine", out=str(tmp_path / "out"))
    study = open_mine(first)
    study.results.record("data", {"images": 64})
    assert "give these another --name" in refusal(lambda: open_mine(second))
    assert study.results.numbers("data") == {"images": 64}
    assert open_mine(second, name="others").faces.name == "others"
    assert open_mine(first).faces.fingerprint == study.faces.fingerprint


def test_after_photos_were_added_results_are_made_again_once_the_old_are_moved(
    photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = photo_folder(64, "mine", size=(24, 29))
    open_mine = partial(open_study, str(folder), "smoke", out=str(tmp_path / "out"))
    results = open_mine().results
    results.record("data", {"images": 64})
    (folder / "more.jpg").write_bytes((folder / "000001.jpg").read_bytes())
    assert "if photos were added or changed, move that folder away" in refusal(open_mine)
    results.folder.rename(tmp_path / "earlier")
    assert len(open_mine().faces.images) == 65


def test_photos_do_not_take_the_name_of_procedural_faces(
    photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = str(photo_folder(64, "synthetic", size=(24, 29)))
    message = refusal(lambda: open_study(folder, "smoke", out=str(tmp_path / "out")))
    assert message == (
        "'synthetic' is the name of procedural faces; give these photos another --name"
    )


def test_another_preset_draws_other_procedural_faces_under_their_name(tmp_path: Path) -> None:
    open_theirs = partial(open_study, "synthetic", out=str(tmp_path))
    results = open_theirs("smoke").results
    earlier = Results(tmp_path, replace(results.origin, fingerprint="0" * 64, preset="quick"))
    earlier.record("data", {"images": 20_000})
    assert open_theirs("smoke").faces.name == "synthetic"


@pytest.mark.slow
def test_numbers_are_taken_as_strings_and_the_other_way_round(tmp_path: Path) -> None:
    as_papermill_reads_them: dict[str, Any] = {"name": 2024, "budget": 900, "seed": "1"}
    study = open_study("synthetic", "smoke", out=str(tmp_path), **as_papermill_reads_them)
    assert (study.faces.name, study.budgets, study.seed) == ("2024", (900,), 1)
    assert study.results.origin.budget == "900;320"
