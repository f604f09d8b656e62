"""Lists that come with photos: attributes, and CelebA's split, as text or as tables."""

import csv
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaelib.support.errors import InputError

CELEBA_SIZE = 202_599  # images of CelebA, and how its list splits them:
CELEBA_SPLIT_SIZES = (162_770, 19_867, 19_962)  # train, validation, test
TRAIN, VALIDATION, TEST = 0, 1, 2  # as in CelebA's own partition list
MIN_SPLIT_SIZES = {TEST: 8, VALIDATION: 4}

CELEBA_ATTRIBUTES = tuple(
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
    Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie
    Young""".split()  # noqa: SIM905, as forty quoted words would fill the screen
)


class TextRow(NamedTuple):
    """A line of a list that is not blank."""

    location: str  # such as "list.txt, line 7"
    cells: list[str]


def normalise_name(name: str) -> str:
    """An attribute's name in lower case, without hyphens, underscores and spaces."""
    return re.sub(r"[-_\s]", "", name).lower()


def celeba_order(names: Sequence[str], location: str) -> tuple[tuple[str, ...], list[int]]:
    """Names spelled and ordered as in CelebA, then all others, and the old column of each.

    Raises InputError when two of them are the same attribute.
    """
    official = {normalise_name(name): name for name in CELEBA_ATTRIBUTES}
    spelled = [official.get(normalise_name(name), name) for name in names]
    normalised = [normalise_name(name) for name in spelled]
    for column, name in enumerate(names):
        if normalised.index(normalised[column]) < column:
            raise InputError(f"{location}: the attribute {name!r} is there twice; remove one")
    rank = {name: number for number, name in enumerate(CELEBA_ATTRIBUTES)}
    order = sorted(range(len(names)), key=lambda column: rank.get(spelled[column], len(rank)))
    return tuple(spelled[column] for column in order), order


def read_attributes(
    text: str, location: str, files: Sequence[str]
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Attributes bool (N, A) of these files, in their order, and the A names.

    The list has CelebA's form (a line with the number of rows, a line with the names, then a file
    name and -1 or 1 for each) or is a table (a header whose first column is the file, then 0 or 1,
    or -1 or 1). location: how messages call it. Raises InputError naming line or photo where the
    list is malformed or does not fit the photos.
    """
    rows = _rows(text, location)
    declared, header = _read_header(rows, text, location)
    names, order = celeba_order(header, location)
    values = {"-1": False, "0": False, "1": True} if declared is None else {"-1": False, "1": True}
    table = np.zeros((len(files), len(names)), dtype=np.bool_)
    matcher = _RowMatcher(files)
    for row in rows:
        file, *cells = row.cells
        if len(cells) != len(names):
            raise InputError(
                f"{row.location}: {len(cells)} values for {len(names)} attributes; correct it"
            )
        position = matcher.match(file, row.location)
        try:
            booleans = [values[cell] for cell in cells]
        except KeyError as error:
            wrong = f"the value {error.args[0][:40]!r} is none of {', '.join(values)}"
            raise InputError(f"{row.location}: {wrong}; correct it") from None
        if position is not None:
            table[position] = booleans
    count = len(matcher.rows)
    if declared not in (None, count):
        raise InputError(
            f"{location}: line 1 says {declared} rows, but {count} follow; is the file cut short?"
        )
    matcher.check_complete(location)
    return table[:, order], names


def _read_header(rows: Iterator[TextRow], text: str, location: str) -> tuple[int | None, list[str]]:
    """The number of rows that CelebA's form declares (None in a table), and the attributes."""
    start, header = next(rows, TextRow("", []))
    if not header:
        raise InputError(f"{location} is empty; get it again")
    declared = None
    if not _separator(text):
        if len(header) != 1 or not re.fullmatch("[0-9]{1,9}", header[0]):
            raise InputError(
                f"{start}: {' '.join(header)[:40]!r} is not the number of rows, which begins "
                "CelebA's list; other lists need commas and a header"
            )
        declared = int(header[0])
        start, names = next(rows, TextRow(location, []))
        header = ["file", *names]
    names = header[1:]
    if not names or "" in names or {"-1", "0", "1"} & set(names):
        raise InputError(
            f"{start}: {' '.join(header)[:40]!r} names no attributes, or not each; begin with a "
            "line of their names"
        )
    return declared, names


def read_split(text: str, location: str, files: Sequence[str]) -> NDArray[np.uint8]:
    """CelebA's own split, uint8 (N,), of these files in their order: 0 train, 1 validation, 2 test.

    Every line holds a file name and its number, with a space or (below a header) a comma between.
    Raises InputError naming line or photo where the list is malformed or does not fit the photos.
    """
    split = np.zeros(len(files), dtype=np.uint8)
    matcher, is_table = _RowMatcher(files), bool(_separator(text))
    for number, (row_location, cells) in enumerate(_rows(text, location)):
        has_code = len(cells) == 2 and re.fullmatch("-?[0-9]+", cells[1])
        if is_table and number == 0 and len(cells) == 2 and not has_code:
            continue  # the header, which not every table has
        if not has_code or cells[1] not in ("0", "1", "2"):
            line = " ".join(cells)[:40]
            raise InputError(
                f"{row_location}: {line!r} is not a file name and 0, 1 or 2; correct it"
            )
        position = matcher.match(cells[0], row_location)
        if position is not None:
            split[position] = int(cells[1])
    matcher.check_complete(location)
    return split


class _RowMatcher:
    """Finds the photo of each row, and checks in the end that rows and photos are the same.

    A row names its photo in full, or by an ending of its path that no other photo has (lists know
    no subfolders), or by a longer path (lists may begin further up); with slashes of either kind,
    accents composed or not, and any file extension or none (photos may have become PNG since).
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self.positions = {file: position for position, file in enumerate(files)}
        self.rows: dict[str, int | None] = {}
        self.matched = np.zeros(len(files), dtype=np.bool_)

    def match(self, file: str, location: str) -> int | None:
        """The position of a row's photo, None for an absent one. Raises InputError for a second."""
        position = self.positions.get(file)
        if position is None:
            position = self._match_loosely(file)
        if file in self.rows or (position is not None and self.matched[position]):
            raise InputError(f"{location}: a second row for {file}; remove one of the two")
        self.rows[file] = position
        if position is not None:
            self.matched[position] = True
        return position

    @cached_property
    def _index(self) -> tuple[dict[str, int | None], dict[str, int | None]]:
        """Photos by full name, and by each shorter ending of it; None where several share one.

        Made only for lists that call photos otherwise than their files, as it takes memory.
        """
        full: dict[str, int | None] = {}
        endings: dict[str, int | None] = {}
        for position, file in enumerate(self.files):
            for name in _spellings(file):
                full[name] = position if full.get(name, position) == position else None
                for ending in _endings(name)[1:]:
                    unique = endings.get(ending, position) == position
                    endings[ending] = position if unique else None
        return full, endings

    def _match_loosely(self, file: str) -> int | None:
        full, endings = self._index
        for name in _spellings(file):
            candidates = [full.get(ending) for ending in _endings(name)]
            for position in (*candidates, endings.get(name)):
                if position is not None:
                    return position
        return None

    def check_complete(self, location: str) -> None:
        """Every photo has a row; every row a photo, except in the lists of all of CelebA."""
        missing = np.flatnonzero(~self.matched)
        if len(missing) > 0:
            raise InputError(
                f"{location}: no row for {self.files[missing[0]]}, one of {len(missing)} such "
                f"photos of {len(self.files)}; complete the list or remove these photos"
            )
        absent = [file for file, position in self.rows.items() if position is None]
        if absent and len(self.rows) != CELEBA_SIZE:
            raise InputError(
                f"{location} names {min(absent)}, which is not among the {len(self.files)} "
                "photos; is the list another copy's, or are photos missing? (The list of all of "
                "CelebA may name absent ones)"
            )


def _spellings(name: str) -> tuple[str, str]:
    """A photo's name with slashes and composed accents, as it is and without its extension."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/")
    return name, re.sub(r"\.\w{1,5}$", "", name)


def _endings(name: str) -> list[str]:
    """The name, then ever less of it: a/b/c, b/c, c."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _separator(text: str) -> str:
    """What separates the cells of a table, seen in its first line; "" for CelebA's own form."""
    first = text.lstrip().partition("\n")[0].rstrip()
    return next((sign for sign in ",;\t" if sign in first), "")


def _rows(text: str, location: str) -> Iterator[TextRow]:
    """The cells of every line that is not blank; of a table, without empty ones at its end."""
    if text.lstrip().startswith("<"):
        raise InputError(f"{location} is a web page and not a list; get it again")
    separator = _separator(text)
    for number, line in enumerate(text.splitlines(), start=1):
        row_location = f"{location}, line {number}"
        cells = line.split()
        if separator:
            # Line by line: a quote that nobody closes must not take the lines after it.
            reader = csv.reader([line], delimiter=separator, skipinitialspace=True)
            try:
                cells = [cell.strip() for cell in next(reader, [])]
            except csv.Error as error:
                raise InputError(f"{row_location}: {error}; correct it") from error
            while cells and not cells[-1]:
                cells.pop()
        if cells:
            yield TextRow(row_location, cells)


def split_by_hash(names: Sequence[str]) -> NDArray[np.uint8]:
    """Split uint8 (N,) of about 80/10/10 for train, validation and test, by a hash of each name.

    A face's part depends on its own name (for procedural faces: their number), so adding photos
    moves none. The one exception are small folders: where chance leaves fewer than 8 test or 4
    validation faces, those train faces with the lowest hashes make up for it, until the folder has
    grown enough not to need them.
    """
    digests = (hashlib.sha1(name.encode("utf-8", "surrogateescape")).digest() for name in names)
    hashes = np.frombuffer(b"".join(digest[:8] for digest in digests), dtype=">u8")
    share = hashes / 2.0**64
    split = np.select([share < 0.1, share < 0.2], [TEST, VALIDATION], TRAIN).astype(np.uint8)
    for code, minimum in MIN_SPLIT_SIZES.items():
        train = np.flatnonzero(split == TRAIN)
        train = train[np.argsort(hashes[train], kind="stable")]
        split[train[: max(0, minimum - int((split == code).sum()))]] = code
    return split
