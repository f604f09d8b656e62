"""The "Try it" boxes of the notebooks, tried: the change is made, and its cells are run again.

A box ends each section:

    > **Try it.** Replace `old` by `new`. What to expect. About so many seconds on two cores.

`old` stands in exactly one code cell of that section. That cell and those after it, down to the
box, are run once more with the change, as a reader would, in a copy of the notebook's variables.
"""

import contextlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from IPython.display import HTML, Markdown

from tests.reporting.conftest import Shown, alt_texts
from vaelib.publishing.notebooks import Parameters
from vaelib.support import paths

BOX = re.compile(r"\*\*Try it\.\*\* Replace `([^`]+)` by `([^`]+)`\.")
DURATION = re.compile(r"(seconds?|minutes?) on two cores|At once")
LAST_SECTION = "In short"

Variables = dict[str, Any]


class Box(NamedTuple):
    section: str
    old: str
    new: str
    cell: int  # its position in the notebook
    changed: int  # the position of the code cell that holds `old`


class Tried(NamedTuple):
    """A section as it stands, and what its cells do with the change."""

    before: Variables
    after: Variables
    printed: str  # by the cells that were run again: text and Markdown, in order
    pictures: list[str]  # the alternative texts of the pictures that they showed


def cells_of(name: str) -> list[Any]:
    cells: list[Any] = nbformat.read(paths.NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    return cells


def sections(cells: list[Any]) -> dict[str, range]:
    """The cells of each section, by its heading; the cell with the heading is the first."""
    starts = {
        line.removeprefix("## "): index
        for index, cell in enumerate(cells)
        for line in cell.source.splitlines()
        if cell.cell_type == "markdown" and line.startswith("## ")
    }
    ends = [*list(starts.values())[1:], len(cells)]
    return {
        heading: range(start, end)
        for (heading, start), end in zip(starts.items(), ends, strict=True)
    }


def boxes(name: str) -> list[Box]:
    """The boxes of a notebook, one per section but the last. What breaks the rules is an error."""
    cells = cells_of(name)
    found = []
    for section, positions in sections(cells).items():
        texts = {
            index: " ".join(
                line.removeprefix(">").strip() for line in cells[index].source.splitlines()
            )
            for index in positions
            if cells[index].cell_type == "markdown"
        }
        matches = [(index, match) for index, text in texts.items() for match in BOX.finditer(text)]
        if section == LAST_SECTION:
            assert not matches, f"{name}: a box in {section!r}"
            continue
        assert len(matches) == 1, f"{name}, {section!r}: {len(matches)} boxes"
        index, match = matches[0]
        text = texts[index][match.start() :]
        assert DURATION.search(text), f"{name}, {section!r}: the box says no duration"
        old, new = match.groups()
        code = [i for i in positions if cells[i].cell_type == "code" and i < index]
        places = [i for i in code for _ in range(cells[i].source.count(old))]
        assert len(places) == 1, f"{name}, {section!r}: {old!r} stands {len(places)} times above"
        found.append(Box(section, old, new, index, changed=places[0]))
    return found


def try_all(name: str, parameters: Parameters, shown: list[Shown]) -> dict[str, Tried]:
    """Run a notebook from top to bottom and try each of its boxes; by section.

    shown: where what is displayed comes to, see `tests.reporting.conftest.displayed`.
    """
    cells = cells_of(name)
    by_cell = {box.cell: box for box in boxes(name)}
    variables: Variables = {}
    tried = {}
    for index, cell in enumerate(cells):
        if cell.cell_type == "code":
            run(cell.source, variables)
            if "parameters" in cell.metadata.get("tags", []):
                variables.update(parameters)
        elif index in by_cell:
            box = by_cell[index]
            after = dict(variables)
            shown.clear()
            printed = ""
            for again in cells[box.changed : index]:
                if again.cell_type == "code":
                    printed += run(again.source.replace(box.old, box.new), after)
            texts = [what.data for what, _ in shown if isinstance(what, Markdown)]
            pages = [what.data for what, _ in shown if isinstance(what, HTML)]
            alts = [alt for page in pages for alt in alt_texts(page)]
            tried[box.section] = Tried(dict(variables), after, "\n".join([printed, *texts]), alts)
    return tried


def run(source: str, variables: Variables) -> str:
    """Run a cell, and return what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "a cell", "exec"), variables)
    return printed.getvalue()


# Images: less than the preset's, as training takes most time; the same for all notebooks, so that
# tests that run side by side share the models.
BUDGET, SIDE_BUDGET = 384, 128


def smoke_parameters(out: Path) -> Parameters:
    """Parameters for procedural faces in the smoke preset, with smaller budgets."""
    return {
        "data": "synthetic",
        "preset": "smoke",
        "out": str(out),
        "budget": str(BUDGET),
        "side_budget": SIDE_BUDGET,
    }
