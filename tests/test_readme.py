"""The README's verdicts are those of the figures that are committed beside it."""

import json
import subprocess
from typing import Any

import pytest

from vaelib.evaluation.claims import RULES
from vaelib.reporting import tables
from vaelib.support import paths

DATA = ("celeba8k", "synthetic")


def committed(data: str) -> dict[str, Any]:
    """The claims as they were committed, whatever runs have been made here since."""
    command = ["git", "show", f"HEAD:figures/{data}/numbers.json"]
    shown = subprocess.run(command, capture_output=True, cwd=paths.ROOT, check=False)
    if shown.returncode:
        pytest.skip(f"there is no commit here that has figures/{data}")
    claims: dict[str, Any] = json.loads(shown.stdout)["claims"]
    return claims


def test_the_readme_has_the_verdicts_on_both_data_sets() -> None:
    readme = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    header, rows = tables.verdict_table_by_data({data: committed(data) for data in DATA})
    assert [row[0] for row in rows] == list(RULES)
    for line in (header, *rows):
        assert f"| {' | '.join(line)} |" in readme
