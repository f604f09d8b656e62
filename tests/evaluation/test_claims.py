"""A claim gets the verdict that made-up measures deserve."""

import json

import pytest
import torch
from torch import Tensor

from vaelib.config import SEVEN
from vaelib.evaluation import evaluate
from vaelib.evaluation.attributes import AttributeClassifier, ClassifierNetwork
from vaelib.evaluation.bootstrap import REPLICATES, Interval
from vaelib.evaluation.claims import (
    RULES,
    MeasuresByModel,
    Rule,
    Verdict,
    VerdictWord,
    as_record,
    decide,
    verdict_word,
)

nan = float("nan")
L3, L4, L5, L6, SMALL, LARGE, CENTRED = SEVEN

# What moves which measure of which model so that a claim holds; all others are alike.
PARTS: dict[str, dict[tuple[str, str], float]] = {
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
COMPARED = {"C1": L4, "C2": L5, "C3": L3, "C4": L4, "C5": L5, "C6": L5, "C7": L5, "C8": L5}
COMPARED |= {"C10": L5, "C11": L5}
# What makes a claim fail by being moved.
SPOILT: dict[str, dict[tuple[str, str], float]] = {
    "C9": {(model, name): 2 for model in (L4, L6, SMALL, LARGE) for name in ("evenness", "middle")},
    "C10": {(CENTRED, "evenness"): 2},
}


def measured(
    moved: dict[tuple[str, str], float], spread: float = 0.002, seed: int = 0
) -> MeasuresByModel:
    """Measures that are 1 but for those moved, and as uncertain as verdict_word."""
    generator = torch.Generator().manual_seed(seed)

    def one(model: str, measure: str) -> Tensor:
        chance = torch.randn(1 + REPLICATES, generator=generator, dtype=torch.float64)
        chance[0] = 0  # the estimate
        return moved.get((model, measure), 1.0) * torch.exp(spread * chance)

    names = {*evaluate.MEASURES, "frequency Eyeglasses", "deformed Eyeglasses"}
    names |= {"deformed Pale_or_Fair_Female", "deformed not Pale_or_Fair_Female"}
    return {model: {name: one(model, name) for name in sorted(names)} for model in SEVEN}


def knowing(*attributes: str, deformed_auc: float = 1.0) -> AttributeClassifier:
    """A classifier who can tell these attributes, and deformed faces."""
    areas = (1.0,) * len(attributes)
    return AttributeClassifier(
        ClassifierNetwork(1),
        "",
        attributes,
        areas,
        deformed_auc,
        predicts_attributes=True,
        factors=(),
    )


ALL_KNOWING = knowing("Eyeglasses", "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male")


def verdict(claim: str, *seeds: MeasuresByModel) -> VerdictWord:
    return decide(RULES[claim], seeds, ALL_KNOWING).word


def spoilt(claim: str) -> dict[tuple[str, str], float]:
    """Moved so that the claim fails."""
    return PARTS[claim] | SPOILT[claim] if claim in SPOILT else {}


# --- intervals


@pytest.mark.parametrize(
    ("bounds", "bounded", "word"),
    [
        ((0.11, 0.30), False, "holds"),
        ((-0.30, 0.09), False, "fails"),
        ((0.09, 0.30), False, "undecided"),
        ((0.10, 0.30), False, "undecided"),
        ((nan, nan), False, "undecided"),
        ((0.11, nan), False, "undecided"),
        ((-0.09, 0.09), True, "holds"),
        ((0.11, 0.30), True, "fails"),
        ((-0.30, -0.11), True, "fails"),
        ((-0.09, 0.11), True, "undecided"),
        ((-0.11, 0.09), True, "undecided"),
        ((-0.11, 0.11), True, "undecided"),
        ((nan, nan), True, "undecided"),
    ],
)
def test_an_interval_on_one_side_of_the_margin_decides(
    bounds: tuple[float, float], bounded: bool, word: str
) -> None:
    rule = Rule("", "lambda", lambda models: torch.zeros(0), "", margin=0.1, two_sided=bounded)
    assert verdict_word(rule, Interval(0.1, *bounds)) == word


# --- made-up measures


@pytest.mark.parametrize("claim", PARTS)
def test_a_claim_holds_where_all_its_parts_do(claim: str) -> None:
    assert verdict(claim, measured(PARTS[claim])) == "holds"


@pytest.mark.parametrize(
    ("claim", "effect"),
    list(zip(PARTS, (1, 0.5, 1, 1, 1, 1, 1, 1, 0, 0.2, 1), strict=True)),
)
def test_the_effect_is_that_of_the_weakest_part(claim: str, effect: float) -> None:
    found = decide(RULES[claim], [measured(PARTS[claim])], ALL_KNOWING).effect
    assert found.value == pytest.approx(effect)


@pytest.mark.parametrize(("claim", "part"), [(c, part) for c in PARTS for part in PARTS[c]])
def test_a_claim_fails_without_any_one_of_its_parts(claim: str, part: tuple[str, str]) -> None:
    others = {other: by for other, by in PARTS[claim].items() if other != part}
    assert verdict(claim, measured(others)) == "fails"


@pytest.mark.parametrize(("claim", "part"), [(c, part) for c in COMPARED for part in PARTS[c]])
def test_a_claim_fails_where_the_other_model_is_no_different(
    claim: str, part: tuple[str, str]
) -> None:
    alike = {(COMPARED[claim], part[1]): PARTS[claim][part]}
    assert verdict(claim, measured(PARTS[claim] | alike)) == "fails"


@pytest.mark.parametrize(("claim", "part"), [(c, part) for c in SPOILT for part in SPOILT[c]])
def test_a_claim_that_something_is_unharmed_fails_where_it_is(
    claim: str, part: tuple[str, str]
) -> None:
    assert verdict(claim, measured(PARTS[claim] | {part: 2})) == "fails"


def test_a_bounded_claim_fails_below_its_bounds_as_well() -> None:
    assert verdict("C9", measured({(L6, "middle"): 0.5})) == "fails"


@pytest.mark.parametrize("claim", PARTS)
def test_a_claim_is_undecided_where_the_faces_are_too_few(claim: str) -> None:
    assert verdict(claim, measured(PARTS[claim], spread=0.3)) == "undecided"


@pytest.mark.parametrize("claim", PARTS)
def test_a_claim_is_undecided_where_seeds_disagree(claim: str) -> None:
    assert verdict(claim, measured(PARTS[claim]), measured(spoilt(claim))) == "undecided"


@pytest.mark.parametrize("claim", PARTS)
def test_seeds_that_agree_leave_less_to_chance(claim: str) -> None:
    seeds = [measured(PARTS[claim], seed=seed) for seed in range(6)]
    one, six = (decide(RULES[claim], some, ALL_KNOWING) for some in (seeds[:1], seeds))
    assert (six.word, six.seeds) == ("holds", 6)
    assert six.effect.high - six.effect.low < one.effect.high - one.effect.low


def test_the_effect_is_the_mean_over_seeds() -> None:
    seeds = [measured({(L3, "reconstruction"): by}) for by in (2, 4)]
    assert decide(RULES["C1"], seeds, ALL_KNOWING).effect.value == pytest.approx((1 + 3) / 2)


@pytest.mark.parametrize(
    ("claim", "attribute"),
    [
        ("C4", "Eyeglasses"),
        ("C8", "Eyeglasses"),
        ("C11", "Pale_Skin"),
        ("C11", "Blond_Hair"),
        ("C11", "Gray_Hair"),
        ("C11", "Male"),
    ],
)
def test_what_the_judge_cannot_tell_decides_nothing(claim: str, attribute: str) -> None:
    classifier = knowing(*(name for name in ALL_KNOWING.targets if name != attribute))
    found = decide(RULES[claim], [measured(PARTS[claim])], classifier)
    assert found.word == "not measurable on this data"
    assert all(value != value for value in found.effect)


@pytest.mark.parametrize("claim", ["C6", "C8", "C9", "C10", "C11"])
def test_who_cannot_tell_deformed_faces_decides_nothing_about_them(claim: str) -> None:
    classifier = knowing(*ALL_KNOWING.targets, deformed_auc=0.79)
    found = decide(RULES[claim], [measured(PARTS[claim])], classifier)
    assert found.word == "not measurable on this data"


def test_no_variety_at_all_is_less_than_some() -> None:
    assert verdict("C2", measured(PARTS["C2"] | {(L5, "variety"): 0})) == "fails"


def test_a_distance_below_zero_is_the_smallest() -> None:
    assert verdict("C7", measured({(L5, "distance"): -0.1})) == "holds"
    assert verdict("C7", measured({(L6, "distance"): -0.1})) == "fails"


# --- what is as_record


def test_there_is_a_rule_for_each_of_eleven_claims() -> None:
    assert list(RULES) == [f"C{number}" for number in range(1, 12)]


@pytest.mark.parametrize("rule", RULES.values())
def test_a_rule_says_when_it_holds_and_when_it_fails(rule: Rule) -> None:
    words = str(rule).replace(",", " ").split()
    assert {"holds", "fails", f"{rule.margin:g}"} <= set(words)


def test_a_verdict_is_told_as_it_is() -> None:
    kept = as_record(RULES["C1"], Verdict(Interval(0.5, 0.4, 0.6), 3, "holds"))
    assert (kept["effect"], kept["interval"], kept["seeds"]) == (0.5, [0.4, 0.6], 3)
    assert (kept["claim"], kept["verdict"]) == (RULES["C1"].claim, "holds")


def test_what_is_no_number_is_told_as_null() -> None:
    kept = as_record(
        RULES["C4"], Verdict(Interval(nan, nan, nan), 1, "not measurable on this data")
    )
    assert (kept["effect"], kept["interval"]) == (None, [None, None])
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
