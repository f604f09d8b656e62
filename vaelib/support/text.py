"""Names that come from outside, made fit for one line on any terminal and for any file."""

import unicodedata
from collections.abc import Sequence


def printable(text: str) -> str:
    """The text with whatever is no visible letter as an escape, such as \\n, \\x1b or \\udcff.

    A file's name may hold a line break, a terminal's control sequence, or bytes that are no text.
    Letters of any script and spaces stay.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or unicodedata.category(letter) == "Zs" else _escape(letter)
        for letter in text
    )


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def first_names(names: Sequence[str]) -> str:
    """The first three names, printable, and whether there are more."""
    return ", ".join(map(printable, names[:3])) + (", ..." if len(names) > 3 else "")
