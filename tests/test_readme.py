"""The README has the verdicts of the committed figures, and names what is in the tree."""

import importlib
import json
import re
import subprocess
from typing import Any

import pytest

from vaelib.evaluation.claims import RULES
from vaelib.reporting import tables
from vaelib.support import paths

DATA = ("celeba8k", "synthetic")
README = (paths.ROOT / "README.md").read_text(encoding="utf-8")


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


def test_every_module_that_the_readme_names_exists() -> None:
    folders = (paths.ROOT, paths.ROOT / "vaelib", paths.ROOT / "tests")
    modules = set(re.findall(r"`([a-z_/]+\.py)`", README))
    assert len(modules) > 10
    missing = [m for m in modules if not any((folder / m).is_file() for folder in folders)]
    assert not missing


def test_the_readme_names_every_package_and_every_file_of_the_core() -> None:
    inside = sorted((paths.ROOT / "vaelib").iterdir())
    names = [f"{path.name}/" for path in inside if path.joinpath("__init__.py").is_file()]
    names += [path.name for path in inside if path.suffix == ".py" and path.stem != "__init__"]
    assert not [name for name in names if f"`{name}`" not in README]


def test_what_the_readme_says_is_in_a_module_is_there() -> None:
    pattern = r"`(\w+)(?:\([^`]*\))?` (?:of|in) `(?:vaelib[/.])?([a-z_/.]+?)(?:\.py)?`"
    named = re.findall(pattern, README)
    assert len(named) > 5
    missing = [
        (name, module)
        for name, module in named
        if not hasattr(importlib.import_module(f"vaelib.{module.replace('/', '.')}"), name)
    ]
    assert not missing
