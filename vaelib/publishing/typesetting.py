"""From a Typst document to a PDF: what floats is decided here, the rest is report/paper.typ."""

import json
import re
import unicodedata
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import NamedTuple

import typst

from vaelib.publishing.cells import ExportError, one_line
from vaelib.support.paths import REPORT

PAGE_BOTTOM = 29.7 - 2.8  # cm, where the text of a page ends
GAP = 3.0  # cm: a figure or table that leaves more of a page empty floats to the next one
PASSES = 16  # at most; each lets one more float


class Place(NamedTuple):
    """Where something begins on the page, or where it ends."""

    kind: str  # figure, image, table; end of text, end of figure, end of table
    name: str | None  # the label of a figure or numbered table
    page: int
    y: float  # cm from the top of the page


def typeset(document: str, pictures: Path, day: date) -> bytes:
    """The PDF of a Typst document whose pictures lie in this folder, dated as made on this day.

    Raises ExportError, also on Typst's warnings.
    """
    source = pictures / "document.typ"
    source.write_text(document, encoding="utf-8")
    timestamp = int(datetime.combine(day, time(), UTC).timestamp())  # not that of the build
    inputs = {"references": (REPORT / "references.bib").read_text(encoding="utf-8")}
    compiler = typst.Compiler(
        str(source), root=pictures, ignore_system_fonts=True, sys_inputs=inputs
    )
    _write_floating(pictures, least_empty(compiler, pictures))
    try:
        pdf, warnings = compiler.compile_with_warnings(
            format="pdf", pdf_standards=["a-2a", "ua-1"], timestamp=timestamp
        )
    except typst.TypstError as error:
        raise ExportError(_reason(error)) from error
    if warnings:
        raise ExportError(one_line(warnings[0].message))
    assert isinstance(pdf, bytes)  # one document, not one image a page
    return pdf


def least_empty(compiler: typst.Compiler, folder: Path) -> set[str]:
    """The labels of those figures and tables that float in the layout with the smallest gaps.

    folder: of the document, which reads there what floats.
    """
    floating: set[str] = set()
    layouts: list[tuple[float, float, set[str]]] = []  # largest gap, all gaps, what floats
    for _ in range(PASSES):
        _write_floating(folder, floating)
        try:
            query = compiler.query("<places>", field="value", one=True)
        except RuntimeError:
            break  # the document cannot be typeset, which says more of what is wrong
        places = [Place(**place) for place in json.loads(query)]
        heights = gaps(places).values()
        layouts.append((max(heights, default=0.0), sum(heights), floating))
        name = that_leaves_a_gap(places, floating)
        if name is None:
            break
        floating = floating | {name}  # all that follows moves: it is looked at again
    return min(layouts, key=lambda layout: layout[:2], default=(0.0, 0.0, floating))[2]


def gaps(places: list[Place]) -> dict[int, float]:
    """The pages that have more than GAP empty, in cm; not the last, which may end anywhere."""
    bottoms: dict[int, float] = {}
    for place in places:
        if place.kind.startswith("end of"):
            bottoms[place.page] = max(place.y, bottoms.get(place.page, 0.0))
    empty = {page: PAGE_BOTTOM - bottom for page, bottom in sorted(bottoms.items())[:-1]}
    return {page: height for page, height in empty.items() if height > GAP}


def that_leaves_a_gap(places: list[Place], floating: set[str]) -> str | None:
    """The label of the first figure or table that left a gap because it does not float.

    It comes next after all that is on the page with the gap. places: in the order of the document.
    A figure comes before the image or table in it, but only the latter is sure to lie on the page
    that it is printed on. What stands to the right of another floats with it.
    """
    for page in gaps(places):
        name, left = None, None
        for place in places:
            if place.kind == "figure":
                name = place.name
            elif place.page > page and place.kind == "end of text":
                break
            elif place.kind in ("image", "table"):
                stands_alone = left is None or (place.page, place.y) != (left.page, left.y)
                if place.page > page and name and name not in floating and stands_alone:
                    return name
                left = place
    return None


def _write_floating(folder: Path, floating: set[str]) -> None:
    """Names for the document what floats; a file, so that all else is typeset only once."""
    (folder / "floating.json").write_text(json.dumps(sorted(floating)), encoding="utf-8")


def _reason(error: typst.TypstError) -> str:
    """The line of Typst's complaint that says what is wrong and, for a character, where."""
    reason = one_line(error.message).removeprefix("panicked with: ")
    if "could not be displayed" not in reason:
        return reason
    text = re.search(r'`"(.+?)"`', reason)
    characters = text[1] if text else reason
    names = ", ".join(unicodedata.name(char, f"U+{ord(char):04X}") for char in characters)
    source_line = re.search(r"^\s*\d+ │ (.*)$", error.diagnostic, re.MULTILINE)
    near = f", near: {source_line[1].strip()}" if source_line else ""
    return f"no font of the report can print {characters} ({names}){near}"
