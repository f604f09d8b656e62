"""An experiment is within its ranges, and its key tells it from every other."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from tests.conftest import refusal
from vaelib.config import (
    BASE,
    CENTRED_STUDY,
    LAMBDA_STUDY,
    LATENT_STUDY,
    PRESETS,
    SEVEN,
    Experiment,
    at_preset,
)

OTHER_VALUES: dict[str, Any] = {
    "lam": 1e-4,
    "latent": 32,
    "kl_reading": "plus_one",
    "weighting": "calibrated",
    "norm": "batch",
    "budget": 2_000,
    "batch_size": 32,
    "learning_rate": 1e-4,
    "seed": 1,
    "precision": "bfloat16",
}

# --- what is trained


def test_the_seven_experiments_are_those_of_the_report() -> None:
    assert {name: (e.lam, e.latent, e.kl_reading) for name, e in SEVEN.items()} == {
        "lam-1e-3": (1e-3, 64, "standard"),
        "lam-1e-4": (1e-4, 64, "standard"),
        "lam-1e-5": (1e-5, 64, "standard"),
        "lam-1e-6": (1e-6, 64, "standard"),
        "latent-32": (1e-5, 32, "standard"),
        "latent-128": (1e-5, 128, "standard"),
        "centred": (1e-5, 64, "centre_pull"),
    }


def test_the_seven_are_trained_with_the_reports_learning_rate() -> None:
    assert {experiment.learning_rate for experiment in SEVEN.values()} == {1e-3}


def test_the_seven_differ_in_nothing_but_lam_latent_and_reading() -> None:
    base = SEVEN[BASE]
    alike = {
        replace(e, lam=base.lam, latent=base.latent, kl_reading=base.kl_reading)
        for e in SEVEN.values()
    }
    assert alike == {base}


@pytest.mark.parametrize("study", [LAMBDA_STUDY, LATENT_STUDY, CENTRED_STUDY])
def test_a_study_names_only_known_models_and_the_base_among_them(study: tuple[str, ...]) -> None:
    assert BASE in study
    assert set(study) <= set(SEVEN)


def test_every_model_belongs_to_a_study() -> None:
    assert {*LAMBDA_STUDY, *LATENT_STUDY, *CENTRED_STUDY} == set(SEVEN)


@pytest.mark.parametrize(
    ("study", "varied"),
    [(LAMBDA_STUDY, "lam"), (LATENT_STUDY, "latent"), (CENTRED_STUDY, "kl_reading")],
)
def test_a_study_varies_one_thing_and_no_value_of_it_twice(
    study: tuple[str, ...], varied: str
) -> None:
    models = [asdict(SEVEN[name]) for name in study]
    assert len({model[varied] for model in models}) == len(study)
    assert all({**model, varied: None} == {**models[0], varied: None} for model in models)


@pytest.mark.parametrize(
    ("preset", "images"), [("smoke", 2_000), ("quick", 40_000), ("full", 3_000_000)]
)
def test_a_preset_spends_its_budget_on_every_model(preset: str, images: int) -> None:
    for experiment in SEVEN.values():
        assert at_preset(experiment, preset, seed=0, precision="float32").budget == images


def test_there_are_three_presets() -> None:
    assert set(PRESETS) == {"smoke", "quick", "full"}


def test_a_preset_leaves_the_model_and_its_loss_alone() -> None:
    experiment = Experiment(lam=1e-3, latent=32, kl_reading="centre_pull", learning_rate=1e-4)
    changed = at_preset(experiment, "full", seed=3, precision="bfloat16")
    kept = replace(
        changed,
        budget=experiment.budget,
        batch_size=experiment.batch_size,
        seed=experiment.seed,
        precision=experiment.precision,
    )
    assert kept == experiment
    assert (changed.seed, changed.precision) == (3, "bfloat16")


# --- ranges


OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("lam", -1e-9),
    ("lam", 1.01),
    ("lam", float("nan")),
    ("lam", float("inf")),
    ("latent", 0),
    ("latent", -64),
    ("latent", 1025),
    ("kl_reading", "plus-one"),
    ("budget", 0),
    ("budget", -1),
    ("batch_size", 0),
    ("learning_rate", 0.0),
    ("learning_rate", -1e-3),
    ("learning_rate", float("nan")),
    ("learning_rate", float("inf")),
    ("seed", -1),
    ("precision", "float16"),
]
ENDS_OF_RANGES: list[tuple[str, Any]] = [
    ("lam", 0.0),
    ("lam", 1.0),
    ("latent", 1),
    ("latent", 1024),
    ("budget", 1),
    ("seed", 0),
]


def test_a_value_out_of_range_is_refused_by_name() -> None:
    for name, value in OUT_OF_RANGE:
        wrong: dict[str, Any] = {name: value}
        message = refusal(lambda wrong=wrong: Experiment(**wrong))  # type: ignore[misc]
        assert f"{name} is {value!r}" in message
        assert "must" in message


def test_the_ends_of_a_range_are_within_it() -> None:
    for name, value in ENDS_OF_RANGES:
        right: dict[str, Any] = {name: value}
        assert asdict(Experiment(**right))[name] == value


@pytest.mark.parametrize("name", ["kl_reading", "precision"])
def test_an_unknown_choice_is_refused_with_the_known_ones(name: str) -> None:
    wrong: dict[str, Any] = {name: "other"}
    known = {
        "kl_reading": "standard, plus_one, centre_pull",
        "precision": "float32, bfloat16",
    }
    assert known[name] in refusal(lambda: Experiment(**wrong))


# --- the key


def test_the_key_differs_when_a_field_does() -> None:
    assert {field.name for field in fields(Experiment)} == set(OTHER_VALUES)
    for name, value in OTHER_VALUES.items():
        other: dict[str, Any] = {name: value}
        assert Experiment(**other).key("faces", 1) != Experiment().key("faces", 1), name


def test_the_key_differs_for_other_faces() -> None:
    assert Experiment().key("these faces", 1) != Experiment().key("those faces", 1)


def test_another_recipe_is_another_run() -> None:
    assert Experiment().key("faces", 1) != Experiment().key("faces", 2)


def test_the_key_differs_between_lams_that_are_written_alike() -> None:
    assert Experiment(lam=1.01e-5).key("faces", 1) != Experiment(lam=1.02e-5).key("faces", 1)


def test_the_key_is_the_same_for_the_same_experiment() -> None:
    assert Experiment(lam=1e-5, latent=64).key("faces", 1) == Experiment().key("faces", 1)


def test_equal_experiments_have_one_key() -> None:
    assert Experiment(lam=1) == Experiment(lam=1.0)
    assert Experiment(lam=1).key("faces", 1) == Experiment(lam=1.0).key("faces", 1)


def test_the_key_survives_the_way_to_a_file_and_back() -> None:
    for experiment in SEVEN.values():
        read = Experiment(**json.loads(json.dumps(asdict(experiment))))
        assert read.key("faces", 1) == experiment.key("faces", 1)


def test_the_key_tells_a_reader_lam_latent_reading_and_seed() -> None:
    key = Experiment(lam=1e-3, latent=32, kl_reading="centre_pull", seed=7).key("faces", 1)
    assert key.startswith("lam1e-03_latent32_centre_pull_seed7_")
