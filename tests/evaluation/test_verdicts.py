"""An interval on one side of a margin decides a part, and the parts decide the claim."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import refusal
from tests.evaluation.conftest import SEEING
from vaelib.evaluation import verdicts
from vaelib.evaluation.attributes import AttributeClassifier
from vaelib.evaluation.bootstrap import REPLICATES, Interval, p_value
from vaelib.evaluation.classifier_training import ClassifierNetwork
from vaelib.evaluation.detector import Calibration, Detectors
from vaelib.evaluation.verdicts import (
    MeasuresByModel,
    Part,
    Rule,
    VerdictWord,
    decide,
    overall,
    verdict_word,
)

nan = float("nan")
UNMEASURABLE: VerdictWord = "not measurable on this data"

CLASSIFIER = AttributeClassifier(ClassifierNetwork(1), "", ("Bald",), (0.9,), True, ())


def blind(detector: Calibration) -> Calibration:
    return replace(detector, others={"noise": 0.8})


def spread_around(value: float, spread: float = 0.001) -> Tensor:
    around = torch.linspace(value - spread, value + spread, REPLICATES, dtype=torch.float64)
    return torch.cat([torch.tensor([value], dtype=torch.float64), around])


def models(first: float, second: float = 0.0) -> MeasuresByModel:
    """One model, in whose draws the detectors find so many faces."""
    return {"model": {"found": spread_around(first), "hog_found": spread_around(second)}}


def part(margin: float = 0.1, **more: Any) -> Part:
    return Part("share found", lambda m: m["model"]["found"], margin, **more)


def verdict_of(part: Part, measures: MeasuresByModel, detectors: Detectors = SEEING) -> VerdictWord:
    word: VerdictWord = decided(part, measures, detectors)["verdict"]
    return word


def decided(part: Part, measures: MeasuresByModel, detectors: Detectors = SEEING) -> dict[str, Any]:
    """What is recorded of the only part of a claim."""
    record = decide(Rule("a claim", "lambda", (part,)), [measures], CLASSIFIER, detectors)
    assert record["verdict"] == record["parts"][0]["verdict"]
    only: dict[str, Any] = record["parts"][0]
    return only


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
    found = {bounds: verdict_word(0.1, two_sided, Interval(0.1, *bounds)) for bounds in words}
    assert found == words


# --- parts


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "fails"], "fails"),
        (["undecided", "fails"], "fails"),
        (["holds", "undecided"], "undecided"),
        ([UNMEASURABLE, "fails"], "fails"),
        ([UNMEASURABLE, "holds"], UNMEASURABLE),
        ([UNMEASURABLE, "undecided"], UNMEASURABLE),
    ],
)
def test_a_claim_is_as_good_as_its_weakest_part(
    words: list[VerdictWord], expected: VerdictWord
) -> None:
    assert overall(words) == overall(words[::-1]) == expected


def test_each_part_is_recorded_with_its_effect_and_verdict() -> None:
    parts = (part(), part(margin=0.9), part(attributes=("Eyeglasses",)))
    record = decide(Rule("a claim", "lambda", parts), [models(0.5)] * 3, CLASSIFIER, SEEING)
    assert (record["claim"], record["source"], record["seeds"]) == ("a claim", "original", 3)
    assert record["verdict"] == "fails"
    words = ["holds", "fails", UNMEASURABLE]
    assert [part["verdict"] for part in record["parts"]] == words
    limits = ["above 0.1", "above 0.9", "above 0.1"]
    assert [part["limit"] for part in record["parts"]] == limits
    assert [part["effect"] for part in record["parts"]] == [0.5, 0.5, None]
    assert record["parts"][2]["interval"] == [None, None]


def test_the_effect_is_the_mean_over_seeds() -> None:
    record = decide(Rule("", "lambda", (part(),)), [models(0.2), models(0.4)], CLASSIFIER, SEEING)
    assert record["parts"][0]["effect"] == pytest.approx(0.3)


def test_what_cannot_be_measured_is_null_in_json() -> None:
    record = decided(part(finds_faces=True, attributes=("Eyeglasses",)), models(0.5))
    assert (record["effect"], record["second_effect"]) == (None, None)
    assert json.loads(json.dumps(record, allow_nan=False)) == record


# --- instruments


def test_a_part_needs_the_attributes_that_it_asks_for() -> None:
    assert verdict_of(part(attributes=("Bald",)), models(0.5)) == "holds"
    assert verdict_of(part(attributes=("Bald", "Male")), models(0.5)) == UNMEASURABLE


def test_a_part_about_faces_needs_a_detector_that_can_tell_them() -> None:
    one_is_blind = {**SEEING, "haar": blind(SEEING["haar"])}
    assert verdict_of(part(finds_faces=True), models(0.5, 0.5), one_is_blind) == UNMEASURABLE
    assert verdict_of(part(), models(0.5), one_is_blind) == "holds"


def test_detectors_of_opposite_opinions_leave_a_part_undecided() -> None:
    record = decided(part(finds_faces=True), models(0.5, 0.0))
    assert (record["verdict"], record["detectors_disagree"]) == ("undecided", True)
    assert (record["effect"], record["second_effect"]) == (0.5, 0.0)


def test_a_second_opinion_that_is_undecided_changes_nothing() -> None:
    for first, word in ((0.5, "holds"), (0.0, "fails")):
        record = decided(part(finds_faces=True), models(first, 0.1))
        assert (record["verdict"], record["detectors_disagree"]) == (word, False)


def test_a_second_detector_that_cannot_tell_faces_has_no_opinion() -> None:
    second_is_blind = {**SEEING, "hog": blind(SEEING["hog"])}
    record = decided(part(finds_faces=True), models(0.5, 0.0), second_is_blind)
    assert (record["verdict"], record["second_effect"]) == ("holds", None)


# --- records


def claims_with(*p_values: float | None, verdict: VerdictWord = "holds") -> dict[str, Any]:
    """A claim of one part for each p-value."""
    bounds = {"holds": [0.2, 0.2], "fails": [0.0, 0.0]}.get(verdict, [0.0, 0.2])
    part = {"measure": "x", "effect": 0.1, "interval": bounds, "margin": 0.1, "two_sided": False}
    return {
        f"C{number}": {"verdict": verdict, "parts": [part | {"verdict": verdict, "p": p}]}
        for number, p in enumerate(p_values, start=1)
    }


def test_what_is_recorded_is_checked_against_its_own_numbers() -> None:
    measures = models(0.5, 0.5)
    records = [
        decide(Rule("a claim", "lambda", (part(margin), part(0.2))), [measures], CLASSIFIER, SEEING)
        for margin in (0.1, 0.5, 0.7)
    ]
    verdicts.check({f"C{number}": record for number, record in enumerate(records)})
    assert [record["verdict"] for record in records] == ["holds", "undecided", "fails"]


def test_a_verdict_that_contradicts_its_numbers_is_refused() -> None:
    claims = claims_with(0.01)
    claims["C1"]["parts"][0]["interval"] = [0.05, 0.2]
    assert "'undecided'" in refusal(lambda: verdicts.check(claims))
    claims = claims_with(0.01)
    claims["C1"]["verdict"] = "fails"
    assert "its parts say 'holds'" in refusal(lambda: verdicts.check(claims))


def test_more_claims_ask_for_smaller_p_values() -> None:
    # Holm: 0.01 < 0.05 / 4, 0.016 < 0.05 / 3, 0.03 > 0.05 / 2, and then the rest is undecided.
    found = verdicts.corrected(claims_with(0.03, 0.01, 0.04, 0.016))
    assert found == {"C1": "undecided", "C2": "holds", "C3": "undecided", "C4": "holds"}
    assert verdicts.corrected(claims_with(0.04)) == {"C1": "holds"}


def test_a_correction_changes_no_verdict_that_was_open() -> None:
    open_ones = claims_with(0.5, None, verdict="undecided")
    assert set(verdicts.corrected(open_ones).values()) == {"undecided"}


def test_the_p_value_of_a_part_is_that_of_its_margin() -> None:
    measures = {"model": {"found": spread_around(0.5, 0.1), "hog_found": spread_around(0.5, 0.1)}}
    effect = measures["model"]["found"]
    assert decided(part(0.45), measures)["p"] == pytest.approx(p_value([effect], 0.45))
    within = decided(part(0.52, two_sided=True), measures)["p"]
    assert within == pytest.approx(p_value([effect], 0.52))  # the nearer margin
