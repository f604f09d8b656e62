"""What names of photos say by the convention of their data set: age, sex, and who it is.

Only well-known conventions are recognised, and only where nearly all photos follow one.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaelib.sources import annotations

# The last part of a path is age, sex and perhaps a person.
UTKFACE = re.compile(r"(?:.*/)?(?P<age>\d{1,3})_(?P<sex>[01])_(?:[0-4]_)?\d{14,20}\D[^/]*")
AGEDB = re.compile(r"(?:.*/)?\d+_(?P<person>[^/_]+)_(?P<age>\d{1,3})_(?P<sex>[mf])\.\w+")
MORPH = re.compile(r"(?:.*/)?(?P<person>\d{4,6})_\d+(?P<sex>[MF])(?P<age>\d{2})\.\w+")
BY_FILE = {
    "file names as in UTKFace": UTKFACE,
    "file names as in AgeDB": AGEDB,
    "file names as in MORPH": MORPH,
}
MALE = {"0": True, "m": True, "M": True, "1": False, "f": False, "F": False}
YOUNG = 40  # who is younger has the attribute Young; CelebA's own has no such limit

MALE_FOLDERS = {"male", "males", "man", "men"}
FEMALE_FOLDERS = {"female", "females", "woman", "women"}

# A folder for each person: its name again in the file's, as in LFW, or numbered as in VGGFace2. A
# name that ends in a digit is rather that of a part of the data set.
LFW = re.compile(r"(?:.*/)?(?:pins_)?(?P<person>[^/]*[^\W\d_]\.?)/(?P=person)[ _-]?\d[^/]*")
VGGFACE2 = re.compile(r"(?:.*/)?(?P<person>n\d{6})/\d{4}_\d{2}\.\w+")
MIN_PERSONS = 20  # classes such as happy/happy_1.jpg are fewer

SHARE = 0.95  # of the photos must follow a convention
TRIED = 20  # photos that are looked at first


class AttributesInNames(NamedTuple):
    """Attributes bool (N, A) of the files whose names have them, and the names of the A."""

    convention: str  # in words
    files: tuple[str, ...]
    table: NDArray[np.bool_]
    names: tuple[str, ...]


def attributes_in(files: Sequence[str]) -> AttributesInNames | None:
    """Attributes that the names of these photos hold, None where they follow no convention."""
    for convention, pattern in BY_FILE.items():
        if matches := _matches(pattern, files):
            rows = [[MALE[match["sex"]], int(match["age"]) < YOUNG] for match in matches.values()]
            return _attributes(convention, tuple(matches), rows, ["Male", "Young"])
    if not files or _sex_of_folder(files[0]) is None:
        return None
    sexes = [_sex_of_folder(file) for file in files]
    if {*sexes} == {True, False}:
        return _attributes(
            "the names of folders", tuple(files), [[bool(sex)] for sex in sexes], ["Male"]
        )
    return None


def _attributes(
    convention: str, files: tuple[str, ...], rows: list[list[bool]], names: list[str]
) -> AttributesInNames:
    spelled, order = annotations.celeba_order(names, convention)
    return AttributesInNames(convention, files, np.array(rows, dtype=np.bool_)[:, order], spelled)


def _sex_of_folder(file: str) -> bool | None:
    """True for a photo below a folder of men, False below one of women, None for any other."""
    folders = {folder.lower() for folder in file.split("/")[:-1]}
    is_male, is_female = bool(folders & MALE_FOLDERS), bool(folders & FEMALE_FOLDERS)
    return is_male if is_male != is_female else None


def persons_in(files: Sequence[str]) -> list[str] | None:
    """Who is on each photo, by their names; None where these do not say it.

    A photo that does not follow the convention is of somebody of its own.
    """
    for pattern in (LFW, VGGFACE2, AGEDB, MORPH):
        matches = _matches(pattern, files)
        persons = {file: match["person"] for file, match in matches.items()}
        if len({*persons.values()}) >= MIN_PERSONS:
            return [persons.get(file, file) for file in files]
    return None


def _matches(pattern: re.Pattern[str], files: Sequence[str]) -> dict[str, re.Match[str]]:
    """The files that follow a convention; none where too few do."""
    tried = files[:: max(1, len(files) // TRIED)]
    if sum(pattern.fullmatch(file) is not None for file in tried) < len(tried) / 2:
        return {}
    matches = {file: match for file in files if (match := pattern.fullmatch(file))}
    return matches if len(matches) >= SHARE * len(files) else {}
