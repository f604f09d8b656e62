"""The README has the verdicts of the committed figures; it and `docs/` name what is there."""

import importlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vaelib.config import PRESETS
from vaelib.evaluation.claims import RULES
from vaelib.reporting import tables
from vaelib.support import paths

DATA = ("celeba8k", "synthetic")
README = (paths.ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [paths.ROOT / "README.md", *sorted((paths.ROOT / "docs").glob("*.md"))]
ALL_PAGES = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")


def committed(data: str) -> dict[str, Any]:
    """The claims as they were committed, whatever runs have been made here since."""
    command = ["git", "show", f"HEAD:figures/{data}/numbers.json"]
    shown = subprocess.run(command, capture_output=True, cwd=paths.ROOT, check=False)
    if shown.returncode:
        pytest.skip(f"there is no commit here that has figures/{data}")
    claims: dict[str, Any] = json.loads(shown.stdout)["claims"]
    return claims


def in_words(claim: dict[str, Any] | None) -> str:
    """A verdict as the README has it: with the effect of its only part, or with those of all."""
    if claim is None:
        return "not measured yet"
    if "parts" not in claim:  # measured before verdicts had parts
        return f"earlier: {claim['verdict']}"
    if len(claim["parts"]) == 1:
        effect = tables.part_table({"": claim})[1][0][2]
        return f"{claim['verdict']}, {effect}"
    holding = sum(part["verdict"] == "holds" for part in claim["parts"])
    return f"{claim['verdict']}, {holding} of {len(claim['parts'])} parts hold"


def test_the_readme_has_the_verdicts_on_both_data_sets() -> None:
    claims_by_data = {data: committed(data) for data in DATA}
    assert list(claims_by_data["synthetic"]) == list(RULES)
    lines = [["", "claim", *DATA]]
    for name, rule in RULES.items():
        on_each = [in_words(claims.get(name)) for claims in claims_by_data.values()]
        lines.append([name, rule.claim, *on_each])
    assert not [line for line in lines if f"| {' | '.join(line)} |" not in README]


def test_the_readme_counts_the_verdicts_of_its_table() -> None:
    verdicts = [claim["verdict"] for claim in committed("synthetic").values()]
    count = {verdict: verdicts.count(verdict) for verdict in ("holds", "fails", "undecided")}
    assert sum(count.values()) == len(RULES)
    assert (
        f"On procedural faces, {count['holds']} of the {len(RULES)} claims hold,"
        f" {count['fails']} fail and {count['undecided']} stay undecided" in README
    )


@pytest.mark.parametrize("name", PRESETS)
def test_the_pages_have_the_budgets_of_each_preset(name: str) -> None:
    preset = PRESETS[name]
    row = f"| `{name}` | {preset.budgets[0]:,} | {len(preset.budgets)} |"
    assert row in README
    assert f"{row} {preset.side_budget:,} |" in ALL_PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    missing = [
        f"{file}#{heading}"
        for file, heading in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / file).exists()
        or (heading and heading not in headings(page.parent / file if file else page))
    ]
    assert not missing


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = {file for file, _ in LINK.findall(README)}
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= linked


def headings(page: Path) -> set[str]:
    """Of a page of Markdown, as they stand in addresses."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_module_that_the_pages_name_exists() -> None:
    folders = (paths.ROOT, paths.ROOT / "vaelib", paths.ROOT / "tests")
    modules = set(re.findall(r"`([a-z_/]+\.py)`", ALL_PAGES))
    assert len(modules) > 10
    missing = [m for m in modules if not any((folder / m).is_file() for folder in folders)]
    assert not missing


def test_a_page_names_every_package_and_every_file_of_the_core() -> None:
    page = (paths.ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    inside = sorted((paths.ROOT / "vaelib").iterdir())
    names = [f"{path.name}/" for path in inside if path.joinpath("__init__.py").is_file()]
    names += [path.name for path in inside if path.suffix == ".py" and path.stem != "__init__"]
    assert not [name for name in names if f"`{name}`" not in page]


def test_what_a_page_says_is_in_a_module_is_there() -> None:
    pattern = r"`(\w+)(?:\([^`]*\))?` (?:of|in) `(?:vaelib[/.])?([a-z_/.]+?)(?:\.py)?`"
    named = re.findall(pattern, ALL_PAGES)
    assert len(named) > 5
    missing = [
        (name, module)
        for name, module in named
        if not hasattr(importlib.import_module(f"vaelib.{module.replace('/', '.')}"), name)
    ]
    assert not missing


def test_the_readme_has_the_times_of_the_explorer_as_they_were_taken() -> None:
    results = paths.ROOT / "benchmarks" / "results" / "explore.json"
    timings = json.loads(results.read_text(encoding="utf-8"))["milliseconds"]
    one, seven = (timings[name]["median"] for name in ("one_model", "seven_models"))
    assert f"takes {one:.0f} ms with one model and {seven:.0f} ms with all seven" in README
