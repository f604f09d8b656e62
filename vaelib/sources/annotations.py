"""Lists that come with photos: attributes, and CelebA's split, as text or with commas."""

import csv
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vaelib.support.errors import InputError

CELEBA_SIZE = 202_599  # images of CelebA, and how its list splits them:
CELEBA_SPLIT_SIZES = (162_770, 19_867, 19_962)  # train, validation, test
TRAIN, VALIDATION, TEST = 0, 1, 2  # as in CelebA's own partition list
LEAST_IN_SPLIT = {TEST: 8, VALIDATION: 4}

Row = tuple[str, list[str]]  # where it stands, and its words

CELEBA_ATTRIBUTES = tuple(
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
    Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie
    Young""".split()  # noqa: SIM905, as forty quoted words would fill the screen
)


def normalise_name(name: str) -> str:
    """What is left of an attribute's name when case, hyphens, underscores and spaces are not."""
    return re.sub(r"[-_\s]", "", name).lower()


def in_celebas_order(names: Sequence[str], where: str) -> tuple[tuple[str, ...], list[int]]:
    """Names as CelebA writes and orders them, then all others, and the old column of each.

    Raises InputError when two of them are the same attribute.
    """
    official = {normalise_name(name): name for name in CELEBA_ATTRIBUTES}
    spelled = [official.get(normalise_name(name), name) for name in names]
    plain = [normalise_name(name) for name in spelled]
    for column, name in enumerate(names):
        if plain.index(plain[column]) < column:
            raise InputError(f"{where}: the attribute {name!r} is there twice; remove one")
    places = {name: place for place, name in enumerate(CELEBA_ATTRIBUTES)}
    order = sorted(range(len(names)), key=lambda column: places.get(spelled[column], len(places)))
    return tuple(spelled[column] for column in order), order


def attributes(
    text: str, where: str, files: Sequence[str]
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Attributes bool (N, A) of these files, in their order, and the A names.

    The list is CelebA's (a line with the number of rows, a line with the names, then a file name
    and -1 or 1 for each) or a table (a header whose first column is the file, then 0 or 1, or -1
    or 1). where: how messages call it. Raises InputError naming line or photo where the list does
    not hold together or is of other photos.
    """
    rows = _rows(text, where)
    told, header = _head(rows, text, where)
    names, order = in_celebas_order(header, where)
    truths = {"-1": False, "1": True} if told is not None else {"-1": False, "0": False, "1": True}
    table = np.zeros((len(files), len(names)), dtype=np.bool_)
    finder = _Finder(files)
    for at, (file, *values) in rows:
        if len(values) != len(names):
            raise InputError(f"{at}: {len(values)} values for {len(names)} attributes; mend it")
        place = finder.take(file, at)
        try:
            row = list(map(truths.__getitem__, values))
        except KeyError as error:
            raise InputError(
                f"{at}: the value {error.args[0][:40]!r} is none of {', '.join(truths)}; mend it"
            ) from None
        if place is not None:
            table[place] = row
    count = len(finder.rows)
    if told not in (None, count):
        raise InputError(
            f"{where}: line 1 says {told} rows, but {count} follow; is the file cut short?"
        )
    finder.check(where)
    return table[:, order], names


def _head(rows: Iterator[Row], text: str, where: str) -> tuple[int | None, list[str]]:
    """How many rows CelebA's form says there are (None for a table), and the attributes' names."""
    start, header = next(rows, ("", []))
    if not header:
        raise InputError(f"{where} is empty; bring it again")
    told = None
    if not _separator(text):
        if len(header) != 1 or not re.fullmatch("[0-9]{1,9}", header[0]):
            raise InputError(
                f"{start}: {' '.join(header)[:40]!r} is not the number of rows, which begins "
                "CelebA's list; other lists need commas and a header"
            )
        told = int(header[0])
        start, names = next(rows, (where, []))
        header = ["file", *names]
    names = header[1:]
    if not names or "" in names or {"-1", "0", "1"} & set(names):
        raise InputError(
            f"{start}: {' '.join(header)[:40]!r} names no attributes, or not each; begin with a "
            "line of their names"
        )
    return told, names


def partition(text: str, where: str, files: Sequence[str]) -> NDArray[np.uint8]:
    """CelebA's own split, uint8 (N,), of these files in their order: 0 train, 1 validation, 2 test.

    Every line holds a file name and its number, with a space or (below a header) a comma between.
    Raises InputError naming line or photo where the list does not hold together or is of others.
    """
    split = np.zeros(len(files), dtype=np.uint8)
    finder, table = _Finder(files), bool(_separator(text))
    for number, (at, words) in enumerate(_rows(text, where)):
        if table and number == 0 and len(words) == 2 and not re.fullmatch("-?[0-9]+", words[1]):
            continue  # the header, which not every table has
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise InputError(
                f"{at}: {' '.join(words)[:40]!r} is not a file name and 0, 1 or 2; mend it"
            )
        place = finder.take(words[0], at)
        if place is not None:
            split[place] = int(words[1])
    finder.check(where)
    return split


class _Finder:
    """Which photo each of a list's rows is of, and whether rows and photos are the same in the end.

    A row has the photo's name, or the end of it that no other photo has (lists know no subfolders),
    or a longer one that ends in it (lists may begin further up); with slashes of either kind,
    accents composed or not, and any ending or none (lists outlive a conversion to PNG).
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self.places = {file: place for place, file in enumerate(files)}
        self.rows: set[str] = set()
        self.found: set[int] = set()
        self.absent: set[str] = set()

    @cached_property
    def others(self) -> tuple[dict[str, int | None], dict[str, int | None]]:
        """Photos by their whole names and by the ends of these; None where several are called so.

        Made only for lists that call photos otherwise than their files, as it takes memory.
        """
        whole: dict[str, int | None] = {}
        ends: dict[str, int | None] = {}
        for place, file in enumerate(self.files):
            for name in _plain(file):
                whole[name] = None if whole.get(name, place) != place else place
                for end in _ends(name)[1:]:
                    ends[end] = None if ends.get(end, place) != place else place
        return whole, ends

    def take(self, file: str, at: str) -> int | None:
        """The place of a row's photo, None for an absent one. Raises InputError for a second."""
        place = self.places.get(file)
        if place is None:
            place = self._otherwise(file)
        if file in self.rows or place in self.found:
            raise InputError(f"{at}: a second row for {file}; remove one of the two")
        self.rows.add(file)
        if place is None:
            self.absent.add(file)
        else:
            self.found.add(place)
        return place

    def _otherwise(self, file: str) -> int | None:
        whole, ends = self.others
        for name in _plain(file):
            for known in (*map(whole.get, _ends(name)), ends.get(name)):
                if known is not None:
                    return known
        return None

    def check(self, where: str) -> None:
        """Every photo has a row; every row a photo, but for the lists of all of CelebA."""
        missing = sorted(set(range(len(self.files))) - self.found)
        if missing:
            raise InputError(
                f"{where}: no row for {self.files[missing[0]]}, one of {len(missing)} such photos "
                f"of {len(self.files)}; complete the list or remove these photos"
            )
        if self.absent and len(self.rows) != CELEBA_SIZE:
            raise InputError(
                f"{where} names {min(self.absent)}, which is not among the {len(self.files)} "
                "photos; is the list another copy's, or are photos missing? (The list of all of "
                "CelebA may name absent ones)"
            )


def _plain(name: str) -> tuple[str, str]:
    """A photo's name with slashes and composed accents, as it is and without its ending."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/")
    return name, re.sub(r"\.\w{1,5}$", "", name)


def _ends(name: str) -> list[str]:
    """The name, then ever less of it: a/b/c, b/c, c."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _separator(text: str) -> str:
    """What is between the cells of a table, told by its first line; "" for CelebA's own form."""
    first = text.lstrip().partition("\n")[0].rstrip()
    return next((sign for sign in ",;\t" if sign in first), "")


def _rows(text: str, where: str) -> Iterator[Row]:
    """The words of every line that is not blank, after where it stands ("list.txt, line 7")."""
    if text.lstrip().startswith("<"):
        raise InputError(f"{where} is a web page and not a list; bring it again")
    separator = _separator(text)
    for number, line in enumerate(text.splitlines(), start=1):
        words = _cells(line, separator, f"{where}, line {number}") if separator else line.split()
        if words:
            yield f"{where}, line {number}", words


def _cells(line: str, separator: str, at: str) -> list[str]:
    """The cells of a line but for empty ones at its end, which some programs add."""
    # Line by line: a quote that nobody closes must not take the lines after it.
    reader = csv.reader([line], delimiter=separator, skipinitialspace=True)
    try:
        cells = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise InputError(f"{at}: {error}; mend it") from error
    while cells and not cells[-1]:
        cells.pop()
    return cells


def split_by_hash(names: Sequence[str]) -> NDArray[np.uint8]:
    """Split uint8 (N,) of about 80/10/10 for train, validation and test, by a hash of each name.

    A face's place depends on its own name (for procedural faces: their number), so adding photos
    moves none. The one exception are small folders: where chance leaves fewer than 8 test or 4
    validation faces, those train faces with the lowest hashes make up for it, until the folder has
    grown enough not to need them.
    """
    digests = (hashlib.sha1(name.encode("utf-8", "surrogateescape")).digest() for name in names)
    order = np.frombuffer(b"".join(digest[:8] for digest in digests), dtype=">u8")
    share = order / 2.0**64
    split = np.select([share < 0.1, share < 0.2], [TEST, VALIDATION], TRAIN).astype(np.uint8)
    for code, least in LEAST_IN_SPLIT.items():
        spare = np.flatnonzero(split == TRAIN)
        spare = spare[np.argsort(order[spare], kind="stable")]
        split[spare[: max(0, least - int((split == code).sum()))]] = code
    return split
