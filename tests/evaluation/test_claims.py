"""A claim gets the verdict that made-up measures deserve."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tests.evaluation.conftest import SEEING
from vaelib.config import SEVEN
from vaelib.evaluation import evaluate
from vaelib.evaluation.attributes import AttributeClassifier
from vaelib.evaluation.bootstrap import REPLICATES
from vaelib.evaluation.claims import PALE_OR_FAIR, RULES
from vaelib.evaluation.classifier_training import ClassifierNetwork
from vaelib.evaluation.detector import Calibration
from vaelib.evaluation.verdicts import MeasuresByModel, VerdictWord, decide

L3, L4, L5, L6, SMALL, LARGE, CENTRED = SEVEN

Moved = dict[tuple[str, str], float]  # by model and measure: what it is multiplied by

# What is moved so that a claim holds, part by part; all other measures are 1. "found" stands for
# the share of faces by both detectors.
PARTS: dict[str, list[Moved]] = {
    "C1": [{(L3, "reconstruction"): 2}],
    "C2": [{(L3, "asymmetry"): 0.5}, {(L3, "variety"): 0.5}, {(L3, "travel"): 0.5}],
    "C3": [{(L4, "sharpness"): 2}, {(L4, "skin_travel"): 2}, {(L4, "pose_travel"): 2}],
    "C4": [{(L5, "variety"): 2}, {(L5, "frequency Eyeglasses"): 2}],
    "C5": [{(L3, "mean_reconstruction"): 2}, {(L4, "mean_reconstruction"): 2}],
    "C6": [{(L6, "found"): 0.5}],
    "C7": [
        {(model, "found"): 0.5 for model in (L3, L4, L6)},
        {(model, "distance"): 2 for model in (L3, L4, L6)},
        {(model, "recall"): 0.5 for model in (L3, L4, L6)},
        {(model, "bits_per_dimension"): 2 for model in (L3, L4, L6)},
    ],
    "C8": [{(SMALL, "found"): 0.5}, {(LARGE, "found"): 0.5}, {(LARGE, "found Eyeglasses"): 0.5}],
    "C9": [{}, {}],
    "C10": [{}, {(CENTRED, "sharpness"): 2}, {(CENTRED, "found"): 0.5}],
    "C11": [{(CENTRED, f"found {PALE_OR_FAIR}"): 0.5}],
    "C12": [{(L6, "found"): 0.5}, {}, {}],
}
# Which model the others are compared with, where it is always the same.
REFERENCE = {"C1": L4, "C2": L5, "C3": L3, "C4": L4, "C5": L5, "C6": L5, "C7": L5, "C8": L5}
REFERENCE |= {"C10": L5, "C11": L5}
# What makes the part of this number fail by being moved: it says that something is unharmed.
HARM: dict[tuple[str, int], Moved] = {
    ("C9", 0): {(L4, "evenness"): 2},
    ("C9", 1): {(L4, "middle"): 2},
    ("C10", 0): {(CENTRED, "evenness"): 2},
    ("C12", 1): {(L6, "found_fitted"): 0.5},
    ("C12", 2): {(L6, "found_reconstructed"): 2},
}


def all_moved(claim: str) -> Moved:
    """What has to be moved so that all parts of the claim hold."""
    return {key: factor for moved in PARTS[claim] for key, factor in moved.items()}


def made_up(moved: Moved, spread: float = 0.0005, seed: int = 0) -> MeasuresByModel:
    """Measures that are 1 but for those moved, with replicates that differ by `spread`."""
    generator = torch.Generator().manual_seed(seed)

    def measure(model: str, name: str) -> Tensor:
        chance = torch.randn(1 + REPLICATES, generator=generator, dtype=torch.float64)
        chance[0] = 0  # the estimate
        factor = moved.get((model, name.removeprefix("hog_")), 1.0)
        return factor * torch.exp(spread * chance)

    shares = [name for name in evaluate.MEASURES if name.startswith("found")] + ["middle"]
    groups = ["Eyeglasses", PALE_OR_FAIR, f"not {PALE_OR_FAIR}"]
    shares += [f"found {group}" for group in groups]
    names = {*evaluate.MEASURES, "frequency Eyeglasses", *shares}
    names |= {f"hog_{name}" for name in shares}
    return {model: {name: measure(model, name) for name in sorted(names)} for model in SEVEN}


ATTRIBUTES = ("Eyeglasses", "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male")
RELIABLE = AttributeClassifier(
    ClassifierNetwork(1),
    key="",
    targets=ATTRIBUTES,
    auc=(1.0,) * len(ATTRIBUTES),
    predicts_attributes=True,
    factors=(),
)


def record(claim: str, *seeds: MeasuresByModel) -> dict[str, Any]:
    return decide(RULES[claim], seeds, RELIABLE, SEEING)


def verdict(claim: str, *seeds: MeasuresByModel) -> VerdictWord:
    word: VerdictWord = record(claim, *seeds)["verdict"]
    return word


def words_of_parts(claim: str, *seeds: MeasuresByModel) -> list[VerdictWord]:
    return [part["verdict"] for part in record(claim, *seeds)["parts"]]


def others(verdicts: Mapping[Any, VerdictWord], expected: VerdictWord) -> dict[Any, VerdictWord]:
    """Those that are not as expected."""
    return {what: word for what, word in verdicts.items() if word != expected}


def test_a_claim_holds_where_all_its_parts_do() -> None:
    verdicts = {claim: verdict(claim, made_up(all_moved(claim))) for claim in PARTS}
    assert not others(verdicts, "holds")


def test_a_part_fails_where_what_it_asks_for_is_missing_and_no_other_does() -> None:
    wrong = []
    for claim, parts in PARTS.items():
        for number, part in enumerate(parts):
            if part:
                rest = {key: moved for key, moved in all_moved(claim).items() if key not in part}
                words = words_of_parts(claim, made_up(rest))
                expected = ["holds"] * number + ["fails"] + ["holds"] * (len(parts) - number - 1)
                if words != expected:
                    wrong.append((claim, number, words))
    assert not wrong


def test_a_claim_fails_where_the_reference_model_is_no_different() -> None:
    found = {}
    for claim, reference in REFERENCE.items():
        for (model, measure), factor in all_moved(claim).items():
            alike = {(reference, measure): factor}
            found[claim, model, measure] = verdict(claim, made_up(all_moved(claim) | alike))
    assert not others(found, "fails")


def test_a_part_that_says_something_is_unharmed_fails_where_it_is_harmed() -> None:
    found = {}
    for (claim, number), moved in HARM.items():
        words = words_of_parts(claim, made_up(all_moved(claim) | moved))
        found[claim, number] = words[number]
        assert verdict(claim, made_up(all_moved(claim) | moved)) == "fails"
    assert not others(found, "fails")


def test_interpolation_is_compared_in_all_four_models() -> None:
    for model in (L4, L6, SMALL, LARGE):
        for measure in ("evenness", "middle"):
            assert verdict("C9", made_up({(model, measure): 2})) == "fails"


def test_a_two_sided_claim_fails_below_its_bounds_as_well() -> None:
    assert verdict("C9", made_up({(L6, "middle"): 0.5})) == "fails"


def test_to_be_best_is_to_be_ahead_of_each_of_the_others() -> None:
    for number, measure in enumerate(("found", "distance", "recall", "bits_per_dimension")):
        for model in (L3, L4, L6):
            moved = all_moved("C7")
            del moved[model, measure]
            assert words_of_parts("C7", made_up(moved))[number] == "fails"


def test_a_claim_is_undecided_where_the_faces_are_too_few() -> None:
    found = {claim: verdict(claim, made_up(all_moved(claim), spread=0.3)) for claim in PARTS}
    assert not others(found, "undecided")


def test_a_claim_is_undecided_where_seeds_disagree() -> None:
    found = {}
    for claim in PARTS:
        harmed = [moved for (of, _), moved in HARM.items() if of == claim]
        failing = all_moved(claim) | harmed[0] if harmed else {}
        found[claim] = verdict(claim, made_up(all_moved(claim)), made_up(failing))
    assert not others(found, "undecided")


def test_seeds_that_agree_leave_less_to_chance() -> None:
    def widths(claim: str, *seeds: MeasuresByModel) -> list[float]:
        intervals = [part["interval"] for part in record(claim, *seeds)["parts"]]
        return [high - low for low, high in intervals]

    wider = []
    for claim in PARTS:
        seeds = [made_up(all_moved(claim), seed=seed) for seed in range(6)]
        one, six = widths(claim, seeds[0]), widths(claim, *seeds)
        wider += [claim for of_one, of_six in zip(one, six, strict=True) if of_six >= of_one]
    assert not wider


def test_no_variety_at_all_is_less_than_some() -> None:
    assert verdict("C2", made_up(all_moved("C2") | {(L5, "variety"): 0})) == "fails"


def test_a_distance_below_zero_is_the_smallest() -> None:
    assert words_of_parts("C7", made_up(all_moved("C7") | {(L5, "distance"): -0.1}))[1] == "holds"
    assert words_of_parts("C7", made_up(all_moved("C7") | {(L6, "distance"): -0.1}))[1] == "fails"


# --- what the instruments cannot tell


def test_a_claim_about_what_the_classifier_cannot_predict_is_not_measurable() -> None:
    found: dict[str, set[str]] = {}
    for unknown in ATTRIBUTES:
        areas = tuple(0.79 if name == unknown else 1.0 for name in ATTRIBUTES)
        classifier = replace(RELIABLE, auc=areas)
        for claim in RULES:
            seeds = [made_up(all_moved(claim))]
            decision = decide(RULES[claim], seeds, classifier, SEEING)
            if decision["verdict"] == "not measurable on this data":
                found.setdefault(claim, set()).add(unknown)
    assert found == {
        "C4": {"Eyeglasses"},
        "C8": {"Eyeglasses"},
        "C11": {"Pale_Skin", "Blond_Hair", "Gray_Hair", "Male"},
    }


def test_claims_about_faces_that_are_found_need_a_detector_that_can_tell_them() -> None:
    blind = {**SEEING, "haar": Calibration("haar", 3, {"held out": 0.9}, {"noise": 0.8}, {})}
    found = {
        claim
        for claim, rule in RULES.items()
        if decide(rule, [made_up(all_moved(claim))], RELIABLE, blind)["verdict"]
        == "not measurable on this data"
    }
    assert found == {"C6", "C7", "C8", "C9", "C10", "C11", "C12"}


def test_there_is_a_rule_for_each_of_eleven_claims_and_one_of_our_own() -> None:
    assert list(RULES) == [f"C{number}" for number in range(1, 13)]
    assert [claim for claim, rule in RULES.items() if rule.source == "ours"] == ["C12"]
