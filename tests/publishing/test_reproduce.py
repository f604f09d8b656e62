"""Every notebook of the report takes the parameters that the report gives it."""

import json

import pytest

from vaelib.publishing import notebooks, reproduce
from vaelib.support import paths


@pytest.mark.parametrize("name", reproduce.NOTEBOOKS)
def test_every_notebook_takes_the_same_parameters(name: str) -> None:
    names = ("data", "preset", "name", "out", "seed", "budget", "side_budget")
    parameters: notebooks.Parameters = dict.fromkeys(names, "")
    notebooks.check_parameters(paths.NOTEBOOKS / f"{name}.ipynb", parameters)
    cells = json.loads((paths.NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
