"""A claim gets the verdict that made-up measures deserve."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from vaelib.config import SEVEN
from vaelib.evaluation import evaluate
from vaelib.evaluation.attributes import DEFORMED, AttributeClassifier
from vaelib.evaluation.bootstrap import REPLICATES, Interval
from vaelib.evaluation.claims import (
    RULES,
    MeasuresByModel,
    Rule,
    VerdictWord,
    decide,
    verdict_word,
)
from vaelib.evaluation.classifier_training import ClassifierNetwork

nan = float("nan")
L3, L4, L5, L6, SMALL, LARGE, CENTRED = SEVEN

Moved = dict[tuple[str, str], float]  # by model and measure: by what it is multiplied

# What is moved so that a claim holds; all other measures are 1.
PARTS: dict[str, Moved] = {
    "C1": {(L3, "reconstruction"): 2},
    "C2": {(L3, "asymmetry"): 0.5, (L3, "variety"): 0.5, (L3, "travel"): 0.5},
    "C3": {(L4, "sharpness"): 2, (L4, "skin_travel"): 2, (L4, "pose_travel"): 2},
    "C4": {(L5, "variety"): 2, (L5, "frequency Eyeglasses"): 2},
    "C5": {(L3, "mean_reconstruction"): 2, (L4, "mean_reconstruction"): 2},
    "C6": {(L6, "deformed"): 2},
    "C7": {(L3, "distance"): 2, (L4, "distance"): 2, (L6, "distance"): 2},
    "C8": {
        (SMALL, "deformed"): 2,
        (LARGE, "deformed"): 2,
        (LARGE, "deformed Eyeglasses"): 2,
    },
    "C9": {},
    "C10": {(CENTRED, "sharpness"): 2, (CENTRED, "deformed"): 2},
    "C11": {(CENTRED, "deformed Pale_or_Fair_Female"): 2},
}
# Which model the others are compared with, where it is always the same.
REFERENCE = {"C1": L4, "C2": L5, "C3": L3, "C4": L4, "C5": L5, "C6": L5, "C7": L5, "C8": L5}
REFERENCE |= {"C10": L5, "C11": L5}
# What makes a claim that something is unharmed fail by being moved.
HARM: dict[str, Moved] = {
    "C9": {(model, name): 2 for model in (L4, L6, SMALL, LARGE) for name in ("evenness", "middle")},
    "C10": {(CENTRED, "evenness"): 2},
}


# The effect that these parts have: that of the weakest.
EFFECTS = dict(zip(PARTS, (1, 0.5, 1, 1, 1, 1, 1, 1, 0, 0.2, 1), strict=True))


def made_up(moved: Moved, spread: float = 0.002, seed: int = 0) -> MeasuresByModel:
    """Measures that are 1 but for those moved, with replicates that differ by `spread`."""
    generator = torch.Generator().manual_seed(seed)

    def measure(model: str, name: str) -> Tensor:
        chance = torch.randn(1 + REPLICATES, generator=generator, dtype=torch.float64)
        chance[0] = 0  # the estimate
        return moved.get((model, name), 1.0) * torch.exp(spread * chance)

    names = {*evaluate.MEASURES, "frequency Eyeglasses", "deformed Eyeglasses"}
    names |= {"deformed Pale_or_Fair_Female", "deformed not Pale_or_Fair_Female"}
    return {model: {name: measure(model, name) for name in sorted(names)} for model in SEVEN}


ATTRIBUTES = ("Eyeglasses", "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male")
RELIABLE = AttributeClassifier(
    ClassifierNetwork(1),
    key="",
    targets=ATTRIBUTES,
    auc=(1.0,) * len(ATTRIBUTES),
    deformed_auc=1.0,
    predicts_attributes=True,
    factors=(),
)


def verdict(claim: str, *seeds: MeasuresByModel) -> VerdictWord:
    word: VerdictWord = decide(RULES[claim], seeds, RELIABLE)["verdict"]
    return word


def others(verdicts: Mapping[Any, VerdictWord], expected: VerdictWord) -> dict[Any, VerdictWord]:
    """Those that are not as expected."""
    return {what: word for what, word in verdicts.items() if word != expected}


# --- intervals


@pytest.mark.parametrize(
    ("two_sided", "words"),
    [
        (
            False,
            {
                (0.11, 0.30): "holds",
                (-0.30, 0.09): "fails",
                (0.09, 0.30): "undecided",
                (0.10, 0.30): "undecided",
                (nan, nan): "undecided",
                (0.11, nan): "undecided",
            },
        ),
        (
            True,
            {
                (-0.09, 0.09): "holds",
                (0.11, 0.30): "fails",
                (-0.30, -0.11): "fails",
                (-0.09, 0.11): "undecided",
                (-0.11, 0.09): "undecided",
                (-0.11, 0.11): "undecided",
                (nan, nan): "undecided",
            },
        ),
    ],
)
def test_an_interval_on_one_side_of_the_margin_decides(
    two_sided: bool, words: dict[tuple[float, float], str]
) -> None:
    rule = Rule("", "lambda", lambda models: torch.zeros(0), "", margin=0.1, two_sided=two_sided)
    found = {bounds: verdict_word(rule, Interval(0.1, *bounds)) for bounds in words}
    assert found == words


# --- made-up measures


def test_a_claim_holds_where_all_its_parts_do() -> None:
    assert not others({claim: verdict(claim, made_up(PARTS[claim])) for claim in PARTS}, "holds")


def test_the_effect_is_that_of_the_weakest_part() -> None:
    found = {
        claim: decide(RULES[claim], [made_up(PARTS[claim])], RELIABLE)["effect"] for claim in PARTS
    }
    assert found == pytest.approx(EFFECTS)


def test_a_claim_fails_without_any_one_of_its_parts() -> None:
    found = {}
    for claim, parts in PARTS.items():
        for part in parts:
            rest = {key: factor for key, factor in parts.items() if key != part}
            found[claim, part] = verdict(claim, made_up(rest))
    assert not others(found, "fails")


def test_a_claim_fails_where_the_reference_model_is_no_different() -> None:
    found = {}
    for claim, reference in REFERENCE.items():
        for model, measure in PARTS[claim]:
            alike = {(reference, measure): PARTS[claim][model, measure]}
            found[claim, model, measure] = verdict(claim, made_up(PARTS[claim] | alike))
    assert not others(found, "fails")


def test_a_claim_that_something_is_unharmed_fails_where_it_is_harmed() -> None:
    found = {
        (claim, part): verdict(claim, made_up(PARTS[claim] | {part: 2}))
        for claim in HARM
        for part in HARM[claim]
    }
    assert not others(found, "fails")


def test_a_two_sided_claim_fails_below_its_bounds_as_well() -> None:
    assert verdict("C9", made_up({(L6, "middle"): 0.5})) == "fails"


def test_a_claim_is_undecided_where_the_faces_are_too_few() -> None:
    found = {claim: verdict(claim, made_up(PARTS[claim], spread=0.3)) for claim in PARTS}
    assert not others(found, "undecided")


def test_a_claim_is_undecided_where_seeds_disagree() -> None:
    found = {}
    for claim, parts in PARTS.items():
        failing = parts | HARM[claim] if claim in HARM else {}
        found[claim] = verdict(claim, made_up(parts), made_up(failing))
    assert not others(found, "undecided")


def test_seeds_that_agree_leave_less_to_chance() -> None:
    widths = {}
    for claim, parts in PARTS.items():
        seeds = [made_up(parts, seed=seed) for seed in range(6)]
        one, six = decide(RULES[claim], seeds[:1], RELIABLE), decide(RULES[claim], seeds, RELIABLE)
        assert (six["verdict"], six["seeds"]) == ("holds", 6)
        widths[claim] = [high - low for low, high in (six["interval"], one["interval"])]
    assert not {claim for claim, (of_six, of_one) in widths.items() if of_six >= of_one}


def test_the_effect_is_the_mean_over_seeds() -> None:
    seeds = [made_up({(L3, "reconstruction"): factor}) for factor in (2, 4)]
    assert decide(RULES["C1"], seeds, RELIABLE)["effect"] == pytest.approx((1 + 3) / 2)


def test_no_variety_at_all_is_less_than_some() -> None:
    assert verdict("C2", made_up(PARTS["C2"] | {(L5, "variety"): 0})) == "fails"


def test_a_distance_below_zero_is_the_smallest() -> None:
    assert verdict("C7", made_up({(L5, "distance"): -0.1})) == "holds"
    assert verdict("C7", made_up({(L6, "distance"): -0.1})) == "fails"


# --- what the classifier cannot predict


def test_a_claim_about_what_the_classifier_cannot_predict_is_not_measurable() -> None:
    needed = {
        "C4": {"Eyeglasses"},
        "C6": {DEFORMED},
        "C8": {DEFORMED, "Eyeglasses"},
        "C9": {DEFORMED},
        "C10": {DEFORMED},
        "C11": {DEFORMED, "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male"},
    }
    found: dict[str, set[str]] = {}
    for unknown in (*ATTRIBUTES, DEFORMED):
        classifier = replace(
            RELIABLE,
            auc=tuple(0.79 if name == unknown else 1.0 for name in ATTRIBUTES),
            deformed_auc=0.79 if unknown == DEFORMED else 1.0,
        )
        for claim in RULES:
            decision = decide(RULES[claim], [made_up(PARTS[claim])], classifier)
            if decision["verdict"] == "not measurable on this data":
                assert (decision["effect"], decision["interval"]) == (None, [None, None])
                found.setdefault(claim, set()).add(unknown)
    assert found == needed


# --- what is recorded


def test_there_is_a_rule_for_each_of_eleven_claims() -> None:
    assert list(RULES) == [f"C{number}" for number in range(1, 12)]


def words_of_rule(claim: str) -> set[str]:
    record = decide(RULES[claim], [made_up(PARTS[claim])], RELIABLE)
    return set(record["rule"].replace(",", " ").split())


def test_a_rule_says_when_it_holds_and_when_it_fails() -> None:
    silent = {
        claim
        for claim, rule in RULES.items()
        if not {"holds", "fails", f"{rule.margin:g}"} <= words_of_rule(claim)
    }
    assert not silent


def test_a_verdict_is_recorded_as_it_is() -> None:
    seeds = [made_up(PARTS["C1"], spread=0)] * 3
    record = decide(RULES["C1"], seeds, RELIABLE)
    assert (record["effect"], record["interval"], record["seeds"]) == (1.0, [1.0, 1.0], 3)
    assert (record["claim"], record["verdict"]) == (RULES["C1"].claim, "holds")


def test_nan_is_recorded_as_null() -> None:
    unreliable = replace(RELIABLE, auc=(0.5,) * len(ATTRIBUTES))
    record = decide(RULES["C4"], [made_up(PARTS["C4"])], unreliable)
    assert (record["effect"], record["interval"]) == (None, [None, None])
    assert json.loads(json.dumps(record, allow_nan=False)) == record
