"""A run of the notebooks binds faces, budgets and seeds together, and asks for its models."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from vaelib.config import ALL_EXPERIMENTS, BASE, PRESETS, SEVEN, Experiment, KLReading
from vaelib.data import FaceSet
from vaelib.reporting.results import Origin, Results
from vaelib.study import EARLY_SHARES, SHORT_RUN_BUDGET, Study, open_study
from vaelib.support.errors import InputError
from vaelib.training import launch as training
from vaelib.training.step import Execution


def a_study(
    out: Path, held_out: int = 12, seed: int = 3, images: tuple[int, ...] = (2_000,)
) -> Study:
    """A smoke study of flat faces; the brightness of a face is its position."""
    pixels = torch.arange(40, dtype=torch.uint8).view(40, 1, 1, 1).expand(40, 3, 64, 48).clone()
    split = torch.zeros(40, dtype=torch.uint8)
    split[40 - held_out :] = 2
    faces = FaceSet("flat", pixels, None, (), split, "f" * 64, "photos", Path("nowhere"))
    results = Results(out, Origin("flat", "f" * 64, "smoke", seed, "2000;320"))
    return Study(faces, "smoke", seed, images, 320, results)


def test_every_model_gets_the_budget_and_the_seed_of_the_study(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    for name, wanted in SEVEN.items():
        experiment = study.experiment(name)
        assert (experiment.lam, experiment.latent) == (wanted.lam, wanted.latent)
        assert experiment.kl_reading == wanted.kl_reading
        assert experiment.budget == 2_000
        assert experiment.seed == 3


def test_interpolations_run_between_different_held_out_faces(tmp_path: Path) -> None:
    first, last = a_study(tmp_path).interpolation_ends()
    assert first[:, 0, 0, 0].tolist() == [28, 30, 31, 33]
    assert last[:, 0, 0, 0].tolist() == [34, 36, 37, 39]


def test_with_few_held_out_faces_there_are_fewer_interpolations(tmp_path: Path) -> None:
    first, last = a_study(tmp_path, held_out=5).interpolation_ends()
    assert len(first) == len(last) == 2


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Experiment]]:
    """What is to be trained, instead of training it."""
    calls: list[dict[str, Experiment]] = []

    def note(experiments: dict[str, Experiment], faces: FaceSet, **_: object) -> dict[str, str]:
        calls.append(experiments)
        return dict.fromkeys(experiments, "run")

    monkeypatch.setattr(training, "run", note)
    return calls


def test_models_come_in_the_order_they_are_asked_for(
    tmp_path: Path, asked: list[dict[str, Experiment]]
) -> None:
    a_study(tmp_path).runs(("latent-128", "lam-1e-3"))
    assert list(asked[0]) == ["latent-128", "lam-1e-3"]
    assert [experiment.latent for experiment in asked[0].values()] == [128, 64]


def test_a_proof_is_short_and_differs_in_the_reading_alone(
    tmp_path: Path, asked: list[dict[str, Experiment]]
) -> None:
    study = a_study(tmp_path)
    study.short_run("standard")
    study.short_run("plus_one")
    plain, literal = asked[0]["short standard"], asked[1]["short plus_one"]
    assert plain.budget == SHORT_RUN_BUDGET
    assert literal.kl_reading == "plus_one"
    assert {**vars(plain), "kl_reading": ""} == {**vars(literal), "kl_reading": ""}


def together(calls: list[dict[str, Experiment]]) -> dict[str, Experiment]:
    every = {label: one for some in calls for label, one in some.items()}
    calls.clear()
    return every


def test_all_at_once_is_all_that_is_asked_for_one_by_one(
    tmp_path: Path, asked: list[dict[str, Experiment]]
) -> None:
    study = a_study(tmp_path)
    study.train_all()
    every = together(asked)
    study.runs(SEVEN)
    for reading in get_args(KLReading):
        study.short_run(reading)
    study.repeated_run()
    for share in EARLY_SHARES:
        study.early_run(share)
    study.norm_runs()
    study.calibrated_runs()
    study.seed_runs()
    assert every == {label: one for label, one in together(asked).items() if label in every}
    assert every["lam-1e-5 first 1/16"].budget == PRESETS["smoke"].budgets[0] // 16
    assert every["short standard repeated"] == every["short standard"]


def test_nothing_is_asked_for_that_was_not_trained_at_once(
    tmp_path: Path, asked: list[dict[str, Experiment]]
) -> None:
    study = a_study(tmp_path, images=(2_000, 1_000))
    study.train_all()
    every = set(together(asked).values())
    for repeat in range(2):
        study.runs(SEVEN, repeat)
    study.runs(study.lambda_models)
    study.norm_runs()
    study.calibrated_runs()
    study.seed_runs()
    assert set(together(asked).values()) <= every


def test_further_seeds_follow_the_first_with_budgets_of_their_own(tmp_path: Path) -> None:
    study = a_study(tmp_path, images=(2_000, 1_000, 500))
    told = [(one.seed, one.budget) for one in (study.experiment(BASE, i) for i in range(3))]
    assert told == [(3, 2_000), (4, 1_000), (5, 500)]
    assert study.seed_note() == "Over 3 seeds, 3 to 5."


def test_one_seed_is_called_indicative(tmp_path: Path) -> None:
    assert a_study(tmp_path).seed_note() == "One seed: indicative only."


def test_side_questions_differ_from_the_base_model_in_one_thing(tmp_path: Path) -> None:
    every = a_study(tmp_path).all_experiments()
    base = every["instance norm"]
    assert base.budget == 320
    differ = {
        label: {name for name, value in vars(base).items() if vars(one)[name] != value}
        for label, one in every.items()
        if one.budget == 320
    }
    assert differ == {
        "instance norm": set(),
        "seed 3": set(),
        "batch norm": {"norm"},
        "group norm": {"norm"},
        "calibrated": {"weighting"},
        "seed 4": {"seed"},
        "pulled": {"kl_reading"},
    }


def test_half_decades_are_drawn_in_the_full_preset_alone(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    assert len(study.lambda_models) == 4
    lams = [ALL_EXPERIMENTS[name].lam for name in replace(study, preset="full").lambda_models]
    steps = [larger / smaller for larger, smaller in pairwise(lams)]
    assert steps == pytest.approx([10**0.5] * 6, rel=1e-3)


def test_only_proofs_ask_for_the_same_bits_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Execution | None] = {}

    def note(
        experiments: dict[str, Experiment],
        faces: FaceSet,
        execution: Execution | None = None,
        **_: object,
    ) -> dict[str, str]:
        asked.update(dict.fromkeys(experiments, execution))
        return dict.fromkeys(experiments, "run")

    monkeypatch.setattr(training, "run", note)
    a_study(tmp_path).train_all()
    exact = {label for label, execution in asked.items() if execution and execution.deterministic}
    assert exact == {f"short {reading}" for reading in get_args(KLReading)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "fast"}, "preset 'fast' is unknown"),
        ({"preset": "smoke", "seed": -1}, "seed is -1"),
        ({"preset": "smoke", "data": "no/such/folder"}, "no/such/folder"),
        ({"preset": "smoke", "budget": "many"}, "budget is 'many'; give a number for each seed"),
        ({"preset": "smoke", "budget": "100,0"}, "budget is 0"),
        ({"preset": "smoke", "side_budget": -5}, "budget is -5"),
    ],
)
def test_what_cannot_be_opened_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_study(**arguments)


def test_a_study_of_procedural_faces_opens_by_itself(tmp_path: Path) -> None:
    study = open_study("synthetic", "smoke", name="drawn", out=str(tmp_path))
    assert len(study.faces.images) == PRESETS["smoke"].synthetic_faces
    assert study.results.folder == tmp_path / "figures" / "drawn"
    assert study.results.origin.fingerprint == study.faces.fingerprint


def test_budgets_are_part_of_where_figures_come_from(tmp_path: Path) -> None:
    study = open_study("synthetic", "smoke", out=str(tmp_path), budget="900,300", side_budget=50)
    assert study.budgets == (900, 300)
    assert study.results.origin.budget == "900,300;50"
