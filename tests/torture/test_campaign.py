"""A slice of `make torture`, and whether the campaign notices faults at all."""

import time
from pathlib import Path

import pytest
from PIL import Image

from tests.torture import campaign, inputs, kills, mutations
from tests.torture.campaign import Case, Ended, Home
from vaelib.support.errors import InputError

SLICE = 96  # inputs


@pytest.mark.slow
def test_damaged_inputs_are_read_or_refused_in_a_line(tmp_path: Path) -> None:
    cases = list(inputs.mutated_inputs(0, tmp_path, SLICE))
    assert [(case.what, case.seed, case.fault) for case in cases if case.fault] == []
    assert len(cases) == SLICE


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (InputError("seed is x; it must be a number"), ""),
        (KeyError("sha256"), "KeyError: 'sha256'"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_anything_but_a_refusal_is_a_fault(tmp_path: Path, error: Exception, fault: str) -> None:
    assert inputs.fault_of(lambda _: _raise(error), tmp_path) == fault


def test_an_input_that_takes_long_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "SECONDS", 0.01)
    assert inputs.fault_of(lambda _: time.sleep(0.05), tmp_path) == "took 0 s"


def test_an_input_that_takes_much_memory_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = iter((0, 3 * 2**30))
    monkeypatch.setattr(inputs, "_peak_bytes", lambda: next(peaks))
    assert inputs.fault_of(lambda _: None, tmp_path) == "took 3.0 GB"


@pytest.mark.parametrize("kind", inputs.KINDS, ids=lambda kind: kind.name)
def test_a_mutation_is_the_same_by_its_seed_and_changes_one_file(
    kind: inputs.Kind, tmp_path: Path
) -> None:
    good = tmp_path / "good"
    good.mkdir()
    for name in ("a.txt", "b.json"):
        (good / name).write_text('{"a": [1, 2], "b": "three"}')
    contents = []
    for _ in range(2):
        inputs.mutated(kind, good, tmp_path / "damaged", 3)
        contents.append({f.name: f.read_bytes() for f in (tmp_path / "damaged").iterdir()})
    assert contents[0] == contents[1]
    changed = [name for name, text in contents[0].items() if text != (good / name).read_bytes()]
    assert len(changed) <= 1


def test_different_seeds_mutate_differently() -> None:
    import random

    content = bytes(range(256))
    assert len({mutations.of_bytes(content, random.Random(seed)) for seed in range(50)}) > 45


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (Ended(2, "error: seed is x; it must be a number\n", 1), ""),
        (Ended(1, "error: seed is x\n", 1), "exit code 1 instead of 2: ['error: seed is x']"),
        (Ended(2, "Traceback (most recent call last):\nOSError\n", 1), "a traceback: OSError"),
        (Ended(2, "error: one\nerror: two\n", 1), "not one line: ['error: one', 'error: two']"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_with_exit_code_2(ended: Ended, fault: str) -> None:
    assert campaign.refusal_fault(ended) == fault


def test_a_picture_that_is_cut_short_is_found(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.out.mkdir()
    Image.new("RGB", (64, 64), "red").save(home.out / "fig01.png")
    assert kills.unreadable(home) == ""
    content = (home.out / "fig01.png").read_bytes()
    (home.out / "fig01.png").write_bytes(content[: len(content) // 2])
    assert kills.unreadable(home).startswith("out/fig01.png is not whole: ")


def test_the_table_counts_what_was_right_and_wrong() -> None:
    cases = [
        Case("kill -9", "x", 1),
        Case("kill -9", "x", 2, "left a file"),
        Case("Ctrl-C", "x", 3),
    ]
    assert campaign.table(cases) == {"kill -9": (2, 1), "Ctrl-C": (1, 0)}
    assert campaign.in_markdown(campaign.table(cases)).splitlines()[2:] == [
        "| kill -9 | 2 | 1 | 1 |",
        "| Ctrl-C | 1 | 1 | 0 |",
        "| all | 3 | 2 | 1 |",
    ]
