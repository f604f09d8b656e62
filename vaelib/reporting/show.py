"""What a notebook displays: text with numbers filled in, pictures and tables."""

import base64
import html
import inspect
import io
import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from IPython.display import HTML, Markdown, display
from PIL import Image, ImageOps

from vaelib.reporting.picture import Picture

PREVIEW_WIDTH = 800  # pixels, at most, of the JPEG that a notebook keeps of a picture
PREVIEW_QUALITY = 85
WIDEST_COLUMN = 56  # characters of a table's cell before its text is wrapped


class _Filling(string.Formatter):
    """Fills placeholders as `str.format` does, but with nothing that would leave a gap."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """The value in words. Raises ValueError for one that says nothing."""
        words: str = super().format_field(value, format_spec)
        if value is None or words.strip() in ("", "nan"):
            raise ValueError(f"a placeholder is filled with {value!r}, which says nothing")
        return words


def filled(template: str, **values: Any) -> str:
    """The template with its {placeholders} filled; see `text`."""
    return _Filling().format(template.strip(), **values)


def text(template: str, **values: Any) -> None:
    """Show Markdown whose {placeholders} are filled from `values`.

    Placeholders may look inside: {base[kl]:.0f}, {experiment.budget:,}. Raises KeyError where a
    value is missing, and ValueError where it is empty, None or not a number.
    """
    display(Markdown(filled(template, **values)))


def masthead(template: str, date: str, **values: Any) -> None:
    """Show the paragraphs that stand below the title in the PDF, filled in as in `text`.

    date: of the run, such as 2026-11-30; the PDF carries it.
    """
    words = filled(template, date=date, **values)
    display(Markdown(words), metadata={"date": date})


def picture(shown: Picture) -> None:
    """Show a picture in a notebook without writing a file."""
    display(preview(shown))


def preview(shown: Picture) -> HTML:
    """The picture as a notebook keeps it: a JPEG no wider than PREVIEW_WIDTH."""
    small = shown.image.convert("RGB")
    if small.width > PREVIEW_WIDTH:
        small = ImageOps.contain(small, (PREVIEW_WIDTH, small.height), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, format="JPEG", quality=PREVIEW_QUALITY)
    # An <img>: of an image/jpeg with `alt` in its metadata, neither JupyterLab 4.6 nor the page of
    # nbconvert 7.17 shows the text. JupyterLab shows the <img> in an untrusted notebook, too.
    source = f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"
    return HTML(f'<img alt="{html.escape(shown.alt)}" src="{source}">')


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    caption: str = "",
    label: str = "",
) -> None:
    """Show a Markdown table: the first column and text to the left, numbers to the right.

    In a table that is too wide for the page, columns are as wide as their longest cells ask for.
    caption and label ("tbl-models"): where the report refers to the table.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    alignment = []
    for column, heading in enumerate(header):
        has_text = column == 0 or any(row[column][:1].isalpha() for row in cells)
        longest = max(len(heading), *(len(row[column]) for row in cells), 3)
        dashes = "-" * (min(longest, WIDEST_COLUMN) - 1)
        alignment.append(f":{dashes}" if has_text else f"{dashes}:")
    lines = ["| " + " | ".join(line) + " |" for line in (header, alignment, *cells)]
    anchor = f'<a id="{label}"></a>\n\n' if label else ""
    caption_line = f"\n\nTable: {caption}" if caption else ""
    display(Markdown(anchor + "\n".join(lines) + caption_line))


def source(definition: type | Callable[..., object]) -> None:
    """Show the source of a class or function as it stands in its module."""
    code = f"```python\n{inspect.getsource(definition)}```"
    # nbconvert's page gives code of an output the font of what surrounds it.
    display(Markdown(f'<div style="font-family: monospace">\n\n{code}\n\n</div>'))
