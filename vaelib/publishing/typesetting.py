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
    """Where something begins on the page, or where text ends: a mark, which has kind "metadata"."""

    kind: str  # Typst's: figure, image, table or metadata
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
    floating: set[str] = set()
    for _ in range(PASSES):
        try:
            query = _compiler(source, floating).query("<places>", field="value", one=True)
        except RuntimeError:
            break  # typeset below, it says more of what is wrong
        places = json.loads(query)
        leaving_gaps = that_leave_gaps([Place(**place) for place in places])
        first = next((name for name in leaving_gaps if name not in floating), None)
        if first is None:
            break
        floating.add(first)  # all that follows moves: it is looked at again
    try:
        pdf, warnings = _compiler(source, floating).compile_with_warnings(
            format="pdf", pdf_standards=["a-2a", "ua-1"], timestamp=timestamp
        )
    except typst.TypstError as error:
        raise ExportError(_reason(error)) from error
    if warnings:
        raise ExportError(one_line(warnings[0].message))
    assert isinstance(pdf, bytes)  # one document, not one image a page
    return pdf


def that_leave_gaps(places: list[Place]) -> list[str]:
    """The labels of the figures and tables before which a page is left with more than GAP empty.

    places: in the order of the document. A figure comes before the image or table in it, but only
    the latter is sure to lie on the page that it is printed on.
    """
    labels: list[str] = []
    end, name = None, None
    for place in places:
        if place.kind == "metadata":
            end = place
        elif place.kind == "figure":
            name = place.name
        elif name and end and place.page > end.page and PAGE_BOTTOM - end.y > GAP:
            labels.append(name)
            name = None
    return labels


def _compiler(source: Path, floating: set[str]) -> typst.Compiler:
    inputs = {
        "references": (REPORT / "references.bib").read_text(encoding="utf-8"),
        "floating": json.dumps(sorted(floating)),
    }
    return typst.Compiler(
        str(source), root=source.parent, ignore_system_fonts=True, sys_inputs=inputs
    )


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
