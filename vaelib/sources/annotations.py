"""Lists that come with photos: attributes, and CelebA's split, as text or as tables."""

import csv
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaelib.sources.matching import RowMatcher
from vaelib.support.errors import InputError
from vaelib.support.text import printable

CELEBA_SIZE = 202_599  # images of CelebA, and how its list splits them:
CELEBA_SPLIT_SIZES = (162_770, 19_867, 19_962)  # train, validation, test
CELEBA_HQ_SIZE = 30_000  # images of CelebA-HQ and CelebAMask-HQ
TRAIN, VALIDATION, TEST = 0, 1, 2  # as in CelebA's own partition list
MIN_SPLIT_SIZES = {TEST: 8, VALIDATION: 4}

CELEBA_VALUES = {"-1": False, "1": True}
TABLE_VALUES = {"-1": False, "0": False, "1": True, "false": False, "true": True}
# As pandas writes them where a column once had gaps, and as people do.
SPELLED_VALUES = {"-1.0": "-1", "0.0": "0", "1.0": "1", "no": "false", "yes": "true"}
NO_HEADER = re.compile(r"(Unnamed: .*)?")  # of a column of row numbers that pandas wrote
ROWS_TRIED = 20  # by which the column of file names is found

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
    name and -1 or 1 for each) or is a table (a header, then for every photo its file, by default in
    the first column, and in each other column 0 or 1, -1 or 1, true or false). location: how
    messages call it. Raises InputError naming line or photo where the list is malformed or does
    not fit the photos.
    """
    rows = _rows(text, location)
    declared, header = _read_header(rows, text, location)
    matcher = RowMatcher(files, (CELEBA_SIZE, CELEBA_HQ_SIZE))
    tried = list(itertools.islice(rows, ROWS_TRIED))
    file_column = 0 if declared is not None else _file_column(header, tried, matcher)
    columns = _attribute_columns(header, file_column)
    names, order = celeba_order([header.cells[column] for column in columns], location)
    values = TABLE_VALUES if declared is None else CELEBA_VALUES
    table = np.zeros((len(files), len(names)), dtype=np.bool_)
    for row in itertools.chain(tried, rows):
        if len(row.cells) != len(header.cells):
            raise InputError(
                f"{row.location}: {len(row.cells) - 1} values for {len(header.cells) - 1} "
                "attributes; correct it"
            )
        position = matcher.match(row.cells[file_column], row.location)
        booleans = [_boolean(row, column, header, values) for column in columns]
        if position is not None:
            table[position] = booleans
    count = len(matcher.rows)
    if declared not in (None, count):
        raise InputError(
            f"{location}: line 1 says {declared} rows, but {count} follow; is the file cut short?"
        )
    matcher.check_complete(location)
    return table[:, order], names


def _boolean(row: TextRow, column: int, header: TextRow, values: dict[str, bool]) -> bool:
    """A cell's value. Raises InputError naming line and attribute for any other."""
    cell = row.cells[column]
    value = values.get(cell)
    if value is None and values is TABLE_VALUES:
        value = values.get(SPELLED_VALUES.get(cell.lower(), cell.lower()))
    if value is None:
        raise InputError(
            f"{row.location}: the value {cell[:40]!r} is none of {', '.join(values)}; correct it, "
            f"or remove the column {header.cells[column][:40]!r}"
        )
    return value


def _file_column(header: TextRow, rows: Sequence[TextRow], matcher: RowMatcher) -> int:
    """The column of a table whose cells are names of photos; the first where none is.

    pandas writes row numbers before it, which may look like names of photos without an ending. So
    whole names count first, then how many photos are named, then that the column has a header.
    """
    cells = [row.cells for row in rows if len(row.cells) == len(header.cells)]
    for find in (matcher.positions.get, matcher.find):
        named = [
            {find(row[column]) for row in cells} - {None} for column in range(len(header.cells))
        ]
        scores = [
            (len(photos), NO_HEADER.fullmatch(name) is None)
            for photos, name in zip(named, header.cells, strict=True)
        ]
        if any(named):
            return scores.index(max(scores))
    return 0


def _attribute_columns(header: TextRow, file_column: int) -> list[int]:
    """The columns but for the file names and the row numbers before them.

    Raises InputError where one of them has no name.
    """
    cells = header.cells
    before = [column for column in range(file_column) if not NO_HEADER.fullmatch(cells[column])]
    columns = [*before, *range(file_column + 1, len(cells))]
    names = [cells[column] for column in columns]
    if not names or "" in names or set(map(str.lower, names)) & {*TABLE_VALUES, *SPELLED_VALUES}:
        raise InputError(
            f"{header.location}: {' '.join(cells)[:40]!r} names no attributes, or not each; begin "
            "with a line of their names"
        )
    return columns


def _read_header(rows: Iterator[TextRow], text: str, location: str) -> tuple[int | None, TextRow]:
    """The number of rows that CelebA's form declares (None in a table), and the header."""
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
    return declared, TextRow(start, list(map(printable, header)))


def read_split(text: str, location: str, files: Sequence[str]) -> NDArray[np.uint8]:
    """CelebA's own split, uint8 (N,), of these files in their order: 0 train, 1 validation, 2 test.

    Every line holds a file name and its number, with a space or (below a header) a comma between.
    Raises InputError naming line or photo where the list is malformed or does not fit the photos.
    """
    split = np.zeros(len(files), dtype=np.uint8)
    matcher, is_table = RowMatcher(files, (CELEBA_SIZE,)), bool(_separator(text))
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
    grown enough not to need them. Faces of the same name, such as a person's, stay together.
    """
    different, indices, counts = np.unique(
        np.array(names, dtype=object), return_inverse=True, return_counts=True
    )
    digests = (hashlib.sha1(name.encode("utf-8", "surrogateescape")).digest() for name in different)
    hashes = np.frombuffer(b"".join(digest[:8] for digest in digests), dtype=">u8")
    share = hashes / 2.0**64
    split = np.select([share < 0.1, share < 0.2], [TEST, VALIDATION], TRAIN).astype(np.uint8)
    for code, minimum in MIN_SPLIT_SIZES.items():
        train = np.flatnonzero(split == TRAIN)
        train = train[np.argsort(hashes[train], kind="stable")]
        lower = np.cumsum(counts[train]) - counts[train]  # how many faces have lower hashes
        split[train[lower < minimum - int(counts[split == code].sum())]] = code
    return split[indices]
