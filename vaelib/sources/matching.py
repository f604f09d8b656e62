"""Which photo each row of a list means, and whether rows and photos are the same."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from vaelib.support.errors import InputError

Positions = dict[str, int | None]  # of photos by name; None where several share the name


class RowMatcher:
    """Finds the photo of each row, and checks in the end that rows and photos are the same.

    A row names its photo in full, or by an ending of its path that no other photo has (lists know
    no subfolders), or by a longer path (lists may begin further up); with slashes of either kind,
    accents composed or not, any file extension or none (photos may have become PNG since), and, if
    nothing else fits, in letters of another case. whole_sizes: numbers of rows with which a list is
    that of all of a published data set, and may name photos that are absent.
    """

    def __init__(self, files: Sequence[str], whole_sizes: Sequence[int] = ()) -> None:
        self.files = files
        self.whole_sizes = whole_sizes
        self.positions = {file: position for position, file in enumerate(files)}
        self.rows: dict[str, int | None] = {}
        self.matched = np.zeros(len(files), dtype=np.bool_)

    def find(self, file: str) -> int | None:
        """The position of the photo that is meant by a name, None where there is none."""
        position = self.positions.get(file)
        return self._find_loosely(file) if position is None else position

    def match(self, file: str, location: str) -> int | None:
        """The position of a row's photo, None for an absent one. Raises InputError for a second."""
        position = self.find(file)
        if file in self.rows or (position is not None and self.matched[position]):
            raise InputError(f"{location}: a second row for {file}; remove one of the two")
        self.rows[file] = position
        if position is not None:
            self.matched[position] = True
        return position

    # Made only for lists that call photos otherwise than their files, as they take memory.

    @cached_property
    def _index(self) -> tuple[Positions, Positions]:
        return _index(self.files, str)

    @cached_property
    def _caseless_index(self) -> tuple[Positions, Positions]:
        return _index(self.files, str.casefold)

    def _find_loosely(self, file: str) -> int | None:
        position = _look_up(self._index, file)
        return _look_up(self._caseless_index, file.casefold()) if position is None else position

    def check_complete(self, location: str) -> None:
        """Every photo has a row; every row a photo, except in the lists of a whole data set."""
        missing = np.flatnonzero(~self.matched)
        if len(missing) > 0:
            raise InputError(
                f"{location}: no row for {self.files[missing[0]]}, one of {len(missing)} such "
                f"photos of {len(self.files)}; complete the list or remove these photos"
            )
        absent = [file for file, position in self.rows.items() if position is None]
        if absent and len(self.rows) not in self.whole_sizes:
            raise InputError(
                f"{location} names {min(absent)}, which is not among the {len(self.files)} "
                "photos; is the list another copy's, or are photos missing? (The list of all of "
                "CelebA may name absent ones)"
            )


def _index(files: Sequence[str], changed: Callable[[str], str]) -> tuple[Positions, Positions]:
    """Photos by full name, and by each shorter ending of it."""
    full: Positions = {}
    endings: Positions = {}
    for position, file in enumerate(files):
        for name in _spellings(changed(file)):
            full[name] = position if full.get(name, position) == position else None
            for ending in _endings(name)[1:]:
                unique = endings.get(ending, position) == position
                endings[ending] = position if unique else None
    return full, endings


def _look_up(index: tuple[Positions, Positions], file: str) -> int | None:
    full, endings = index
    for name in _spellings(file):
        candidates = [full.get(ending) for ending in _endings(name)]
        for position in (*candidates, endings.get(name)):
            if position is not None:
                return position
    return None


def _spellings(name: str) -> tuple[str, str]:
    """A photo's name with slashes and composed accents, as it is and without its extension."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/")
    return name, re.sub(r"\.\w{1,5}$", "", name)


def _endings(name: str) -> list[str]:
    """The name, then ever less of it: a/b/c, b/c, c."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
