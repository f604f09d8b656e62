"""Sentences about claims say what the records say, whatever that is."""

import re
from typing import Any

import pytest

from vaelib.evaluation.claims import RULES
from vaelib.evaluation.verdicts import VerdictWord
from vaelib.reporting import findings

UNMEASURABLE: VerdictWord = "not measurable on this data"


def part(effect: float | None = 0.25, low: float = 0.125, high: float = 0.5) -> dict[str, Any]:
    bounds = [None, None] if effect is None else [low, high]
    return {"effect": effect, "interval": bounds, "detectors_disagree": False}


def record(verdict: VerdictWord, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"verdict": verdict, "parts": list(parts)}


def test_there_is_a_clause_with_one_effect_for_every_part_of_every_claim() -> None:
    assert {name: len(rule.parts) for name, rule in RULES.items()} == {
        name: len(clauses) for name, clauses in findings.CLAUSES.items()
    }
    for clauses in findings.CLAUSES.values():
        assert all(len(findings.EFFECT.findall(words)) == 1 for words in clauses)


def test_a_clause_that_counts_faces_counts_them_in_points() -> None:
    for name, rule in RULES.items():
        for words, rule_part in zip(findings.CLAUSES[name], rule.parts, strict=True):
            [(unit, _, _)] = findings.EFFECT.findall(words)
            assert not rule_part.finds_faces or unit == "points", name


def test_a_sentence_has_the_verdict_the_effect_and_its_interval() -> None:
    assert findings.sentence("C6", record("holds", part())) == (
        "**C6** holds: the share of draws with a face is 25 points lower at $10^{-6}$ than at"
        " $10^{-5}$ (12 to 50)."
    )


def test_an_effect_below_zero_is_told_in_the_other_direction() -> None:
    assert findings.sentence("C1", record("fails", part(-0.1, -0.3, 0.05))) == (
        "**C1** fails: the held-out error at $10^{-3}$ is 10% lower than at $10^{-4}$ (-5 to 30)."
    )


def test_parts_are_listed_and_what_was_not_measured_is_left_out() -> None:
    two = findings.sentence("C5", record("holds", part(), part()))
    assert two.count(", and ") == 1
    three = findings.sentence("C2", record("holds", part(), part(), part()))
    assert three.count("; ") == 2
    one = findings.sentence("C4", record("undecided", part(), part(None)))
    assert "glasses" not in one


def test_what_cannot_be_measured_is_said_to_be_so() -> None:
    sentence = findings.sentence("C11", record(UNMEASURABLE, part(None)))
    assert sentence == "**C11** cannot be measured on these faces."


def test_it_is_said_where_the_detectors_disagree() -> None:
    open_part = part() | {"detectors_disagree": True}
    assert "the two detectors disagree" in findings.sentence("C6", record("undecided", open_part))


def test_a_number_that_rounds_to_zero_has_no_sign() -> None:
    sentence = findings.sentence("C6", record("undecided", part(-0.001, -0.004, 0.03)))
    assert "0 points higher" in sentence
    assert "(-3 to 0)" in sentence


@pytest.mark.parametrize("effect", [0.2, -0.2])
def test_every_sentence_reads_to_its_end(effect: float) -> None:
    for name, rule in RULES.items():
        parts = [part(effect, effect - 0.1, effect + 0.1) for _ in rule.parts]
        sentence = findings.sentence(name, record("undecided", *parts))
        assert re.fullmatch(r"\*\*C\d+\*\* is undecided: .+\.", sentence)
        assert not re.search(r"[{}|]|  ", re.sub(r"10\^\{-\d\}", "", sentence)), sentence


def test_verdicts_are_counted_in_words() -> None:
    words: list[VerdictWord] = ["holds", "fails", "holds", "undecided", "undecided", "undecided"]
    assert findings.counted(words) == "2 hold, 1 fails and 3 are undecided"
    assert findings.counted(["holds"]) == "1 holds"
    assert findings.counted(["holds", UNMEASURABLE]) == "1 holds and 1 cannot be measured"


def test_verdicts_that_change_are_named() -> None:
    before: dict[str, VerdictWord] = {"C1": "holds", "C2": "fails", "C3": "holds"}
    assert findings.changed(before, before) == "none of the verdicts"
    assert findings.changed(before, before | {"C2": "undecided"}) == "the verdict on C2"
    both: dict[str, VerdictWord] = before | {"C1": "undecided", "C2": "undecided"}
    assert findings.changed(before, both) == "the verdicts on C1 and C2"


@pytest.mark.parametrize("verdict", ["holds", "fails", "undecided"])
def test_why_draws_deform_follows_the_verdict_on_it(verdict: VerdictWord) -> None:
    shares = {"found": 0.57, "found_fitted": 0.91, "found_reconstructed": 0.912}
    sentence = findings.why_draws_deform(record(verdict, part()), shares)
    assert sentence.startswith(findings.WHY[verdict])
    assert sentence.endswith(
        "found in 0.57 of the draws from the prior, in 0.91 of those from where faces are encoded,"
        " and in 0.91 of reconstructions."
    )


def test_where_faces_cannot_be_found_nobody_says_why_draws_deform() -> None:
    assert "cannot be measured" in findings.why_draws_deform(record(UNMEASURABLE), {})


def test_there_is_advice_for_every_verdict() -> None:
    verdicts: list[VerdictWord] = ["holds", "fails", "undecided", UNMEASURABLE]
    advice = {findings.advice(record(verdict)) for verdict in verdicts}
    assert len(advice) == 4
    assert all(re.fullmatch(r"[A-Z].+[^.]\.", words) for words in advice)
