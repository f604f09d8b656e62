"""What the report's notebook may hold, and its cells as Markdown for the PDF and the page.

The notebook stays readable in Jupyter. What it holds and what becomes of it:

- Code, streams and plain text results are left out. `text/markdown` outputs are running text. An
  output that ended in an error, and a picture that is no figure, are refused.
- A cell tagged `notebook-only`, and an output with metadata `{"notebook_only": true}`, stay in
  Jupyter.
- The first cell starts with `# Title`; the paragraph that follows it is the answer under the
  title, further ones say whose work this is and of which run, and those that follow `## Abstract`
  are the abstract. An output with `{"date": "2026-11-30"}` in its metadata dates the PDF. The other
  `##` headings are the numbered sections; those that start with `Appendix: ` come last. A heading
  may carry its number (`## 2 Data`); it is checked and not printed twice.
- A figure is an output with metadata `{"figure": {"label": "fig-3", "path":
  "figures/synthetic/fig03.png", "caption": "Markdown", "alt": "what is seen", "width": 0.8}}`: path
  below `figures_root`, width a share of the text's (if left out: a drawing's own, else 1). Its
  number is the one in its label: `fig-3` is Figure 3 and `fig-a1` is Figure A1. They stand in the
  order of their numbers, wherever a page of their section has room for them, and a sentence refers
  to each. Of figures that follow each other with a width of at most 0.5, two stand side by side.
- A table is a pipe table with a paragraph `Table: its caption` before or after it; a table without
  a caption has no number.
- An anchor in front names what follows, in Jupyter and in the PDF: `<a id="tbl-models"></a>` before
  a table, `<a id="sec-data"></a>` before a heading (each a paragraph of its own), and, on the line
  before `$$...$$`, `<a id="eq-elbo"></a>`, which also numbers the equation.
- `[Figure 3](#fig-3)`, `[Table 1](#tbl-models)`, `[Section 2](#sec-data)` and `[(1)](#eq-elbo)`
  refer. A label that is missing or there twice is refused, and so is a typed number that is not
  the printed one.
- `[Kingma and Welling, 2014](#ref-kingma2014)`, `[Kingma and Welling (2014)](#ref-kingma2014)` and
  `[Kingma and Welling](#ref-kingma2014)` cite report/references.bib; three authors or more are
  "Rezende et al.". Names and year must be those of the entry. The PDF prints its own bibliography,
  so the notebook's list of references, with its anchors, is tagged `notebook-only`.
"""

import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from PIL import Image

NOTEBOOK_ONLY = "notebook-only"
TEXT_INCHES = 5.9  # width of the text on the page
DOTS_PER_INCH = 220  # of pictures in print


class ExportError(RuntimeError):
    """The notebook cannot be typeset as it stands: one line with the notebook and the reason."""


def report_parts(notebook: NotebookNode, figures_root: Path, pictures: Path) -> list[str]:
    """The notebook's text, results and figures as Markdown; no code.

    pictures: the folder that the figures are written into, in the size they are printed in.
    Raises ExportError if a cell ended in an error, or shows a figure that cannot be set.
    """
    parts: list[str] = []
    for number, cell in enumerate(notebook.cells, start=1):
        outputs = cell.get("outputs", [])
        try:
            for output in outputs:
                if output.output_type == "error":
                    reason = one_line(output.evalue)
                    raise ExportError(f"ended in an error: {output.ename}: {reason}")
            if NOTEBOOK_ONLY in cell.metadata.get("tags", []):
                continue
            if cell.cell_type == "markdown":
                parts.append(cell.source)
            else:
                parts += _output_parts(outputs, figures_root, pictures)
        except ExportError as error:
            raise ExportError(f"cell {number} {error}") from None
    return parts


def _output_parts(outputs: list[NotebookNode], figures_root: Path, pictures: Path) -> list[str]:
    """What the outputs of a cell add to the text."""
    parts = []
    for output in outputs:
        data, metadata = output.get("data", {}), output.get("metadata", {})
        if metadata.get("notebook_only"):
            continue
        if "figure" in metadata:
            parts.append(_figure(metadata["figure"], figures_root, pictures))
        elif "text/markdown" in data:
            parts.append(data["text/markdown"])
        elif any(kind == "text/html" or kind.startswith("image/") for kind in data):
            raise ExportError("shows a picture that is neither a figure nor notebook_only")
    return parts


def _figure(figure: dict[str, Any], figures_root: Path, pictures: Path) -> str:
    """A figure as a fenced block of Markdown, which the filter sets."""
    label, path, caption, alt = (figure.get(key) for key in ("label", "path", "caption", "alt"))
    if not (label and path and caption and alt):
        raise ExportError(f"shows a figure without label, path, caption or alt: {figure}")
    if not (figures_root / path).is_file():
        raise ExportError(f"shows {label}, but there is no file {path} in {figures_root}")
    share = figure.get("width") or _own_width(figures_root / path)
    if not (isinstance(share, int | float) and 0 < share <= 1):
        raise ExportError(f"shows {label} with width {share}; it must lie between 0 and 1")
    printed = _for_print(figures_root / path, share, pictures / label)
    attributes = f'#{label} .figure path="{printed.name}" width="{share:.2%}"'
    attributes += f' alt="{_in_quotes(alt)}"'
    return f"::: {{{attributes}}}\n{' '.join(caption.split())}\n:::"


def _own_width(picture: Path) -> float:
    """The share of the text's width that a drawing is made for; 1 for other pictures."""
    if picture.suffix != ".svg":
        return 1.0
    points = re.search(r'<svg [^>]*width="([\d.]+)pt"', picture.read_text(encoding="utf-8"))
    if points is None:
        raise ExportError(f"shows {picture.name}, which does not say how wide it is in points")
    return float(points[1]) / 72 / TEXT_INCHES


def _in_quotes(text: str) -> str:
    """The text as the value of an attribute in pandoc's Markdown, in one line."""
    return re.sub(r'(["\\])', r"\\\1", " ".join(text.split()))


def _for_print(picture: Path, share: float, target: Path) -> Path:
    """Write the picture for print: as a JPEG of the printed size, unless the PNG is smaller.

    A drawing stays as it is. share: of the text's width. target: without a suffix. Returns the file
    that was written.
    """
    if picture.suffix == ".svg":
        return shutil.copyfile(picture, target.with_suffix(".svg"))
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    width = round(share * TEXT_INCHES * DOTS_PER_INCH)
    if image.width > width:
        height = round(image.height * width / image.width)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    jpeg = target.with_suffix(".jpg")
    image.save(jpeg, quality=90, subsampling=0)
    if jpeg.stat().st_size < picture.stat().st_size:
        return jpeg
    return shutil.copyfile(picture, target.with_suffix(".png"))


def date_of_run(notebook: NotebookNode) -> date:
    """The day that an output has in its metadata as `date`; the first of 2000 where none has."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            day = output.get("metadata", {}).get("date")
            if day:
                return date.fromisoformat(day)
    return date(2000, 1, 1)


def one_line(error: object) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())
