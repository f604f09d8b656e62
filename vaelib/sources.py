"""Every place faces come from: a copy of CelebA, any folder of photos, or procedural faces."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from vaelib import faces, paths
from vaelib.errors import InputError

Kind = Literal["celeba", "photos", "synthetic"]

TRAIN, VALIDATION, TEST = 0, 1, 2  # as in CelebA's own partition list
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
LEAST_PHOTOS = 64
LEAST_IN_SPLIT = {TEST: 8, VALIDATION: 4}

CELEBA_PHOTOS = "img_align_celeba"
ATTRIBUTE_LIST = "list_attr_celeba.txt"
PARTITION_LIST = "list_eval_partition.txt"


@dataclass(frozen=True)
class Source:
    """Where faces come from. Nothing has been decoded yet, and no list parsed.

    `files` are relative to `root`, with forward slashes, in sorted order, and `sizes` are theirs in
    bytes; both are empty for procedural faces. `lists` are the CelebA lists that are there.
    """

    kind: Kind
    name: str
    root: Path = Path()
    files: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    lists: tuple[Path, ...] = ()

    def list_named(self, name: str) -> Path | None:
        """The CelebA list of this name, or None where this source lacks it."""
        return next((path for path in self.lists if path.name == name), None)


def find(data: str) -> Source:
    """The source that `data` asks for.

    "auto" is the copy of CelebA under `paths.CELEBA` if there is one, else procedural faces;
    "synthetic" is procedural faces. Anything else is a path: a CelebA folder in torchvision's
    layout (`img_align_celeba/` beside its lists, any number of its photos), or any folder of
    photos, subfolders included, hidden files and linked subfolders not. A folder that is really
    called "auto" or "synthetic" can be given as "./auto".

    Raises InputError when the path is missing, is a file, cannot be read or holds too few photos.
    """
    if data == "auto":
        data = str(paths.CELEBA) if (paths.CELEBA / CELEBA_PHOTOS).is_dir() else "synthetic"
    if data == "synthetic":
        return Source("synthetic", "synthetic")
    # Not resolved: a link keeps the name that the reader gave it. ".." has to go, though.
    folder = Path(os.path.abspath(Path(data).expanduser()))  # noqa: PTH100
    if not folder.exists():
        raise InputError(f"there is no {folder}; give a folder of photos, 'auto' or 'synthetic'")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; give the folder that holds the photos")
    celeba = (folder / CELEBA_PHOTOS).is_dir()
    root = folder / CELEBA_PHOTOS if celeba else folder
    photos = sorted(_photos(root, ""))
    if not photos:
        raise InputError(f"{root} holds no photos; looked for {', '.join(ENDINGS)} in any case")
    if len(photos) < LEAST_PHOTOS:
        raise InputError(
            f"{root} holds {len(photos)} photos; at least {LEAST_PHOTOS} are needed to train"
        )
    lists = [folder / name for name in (ATTRIBUTE_LIST, PARTITION_LIST)] if celeba else []
    return Source(
        kind="celeba" if celeba else "photos",
        name=clean_name(folder.name) or "photos",
        root=root,
        files=tuple(name for name, _ in photos),
        sizes=tuple(size for _, size in photos),
        lists=tuple(path for path in lists if path.exists()),
    )


def clean_name(name: str) -> str:
    """The name with nothing but ASCII letters, digits, '-', '_' and '.': it names folders."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")


def _photos(folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
    """Relative name and size of every photo below the folder."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):  # a link could lead back up for ever
                    yield from _photos(folder / entry.name, f"{prefix}{entry.name}/")
                elif entry.name.lower().endswith(ENDINGS) and entry.is_file():
                    yield prefix + entry.name, entry.stat().st_size
    except OSError as error:
        _refuse(error, folder)


def _refuse(error: OSError, path: Path) -> NoReturn:
    raise InputError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def fingerprint(source: Source, count: int, preparation: int) -> str:
    """Hash (sha256, hex) of what the prepared faces depend on, fast even for all of CelebA.

    Taken over the kind, the number of faces, the version of the preparation, names and sizes of the
    files, all of the lists, and the first 64 KB of 64 files evenly spread (of every file, where
    there are no more). Times of change are left out, so a copy has the fingerprint of its original.
    """
    told = [source.kind, count, preparation, source.files, source.sizes]
    if source.kind == "synthetic":
        told.append(faces.VERSION)
    digest = hashlib.sha256(json.dumps(told).encode())
    for path in source.lists:
        try:
            digest.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
        except OSError as error:
            _refuse(error, path)
    for index in np.linspace(0, len(source.files) - 1, min(64, len(source.files))).astype(int):
        path = source.root / source.files[index]
        try:
            with path.open("rb") as file:
                digest.update(file.read(2**16))
        except OSError:  # decoding will count it among the broken images, and name it
            digest.update(b"unreadable")
    return digest.hexdigest()


def read_attributes(source: Source) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """Attributes bool (N, A) of the source's files, in their order, and the A names.

    None and no names where the source has no attribute list. Rows of absent photos are checked but
    not used. Raises InputError naming line or photo where the list does not hold together.
    """
    path = source.list_named(ATTRIBUTE_LIST)
    if path is None:
        return None, ()
    rows = _rows(path)
    _, header = next(rows, ("", []))
    if len(header) != 1 or not header[0].isdecimal():
        raise InputError(f"{path}, line 1: {' '.join(header)[:40]!r} is not the number of rows")
    names = tuple(next(rows, ("", []))[1])
    table = np.zeros((len(source.files), len(names)), dtype=np.bool_)
    position = {file: index for index, file in enumerate(source.files)}
    seen: set[str] = set()
    for where, (file, *values) in rows:
        if len(values) != len(names):
            raise InputError(f"{where}: {len(values)} values for {len(names)} attributes; mend it")
        if not {"-1", "1"}.issuperset(values):
            wrong = next(value for value in values if value not in ("-1", "1"))
            raise InputError(f"{where}: the value {wrong!r} is neither -1 nor 1; mend it")
        _tick(file, seen, where)
        if file in position:
            table[position[file]] = [value == "1" for value in values]
    if len(seen) != int(header[0]):
        raise InputError(
            f"{path}: line 1 says {header[0]} rows, but {len(seen)} follow; is the file cut short?"
        )
    _check_all_seen(source.files, seen, path)
    return table, names


def read_partition(source: Source) -> NDArray[np.uint8] | None:
    """CelebA's own split, uint8 (N,), of the source's files in their order.

    None where the source has no partition list, or where too few of its validation or test photos
    are there (a copy of only the first photos has none); the latter is said on stderr.
    Raises InputError naming line or photo where the list does not hold together.
    """
    path = source.list_named(PARTITION_LIST)
    if path is None:
        return None
    position = {file: index for index, file in enumerate(source.files)}
    split = np.zeros(len(source.files), dtype=np.uint8)
    seen: set[str] = set()
    for where, words in _rows(path):
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise InputError(f"{where}: {' '.join(words)[:40]!r} is not a file name and 0, 1 or 2")
        _tick(words[0], seen, where)
        if words[0] in position:
            split[position[words[0]]] = int(words[1])
    _check_all_seen(source.files, seen, path)
    if any((split == code).sum() < least for code, least in LEAST_IN_SPLIT.items()):
        print(
            f"note: {path.name} gives {(split == VALIDATION).sum()} validation and "
            f"{(split == TEST).sum()} test photos of {len(split)}; split by file name instead",
            file=sys.stderr,
        )
        return None
    return split


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The words of every line that is not blank, after where it stands ("list.txt, line 7")."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if words := line.split():
                yield f"{path}, line {number}", words


def _tick(file: str, seen: set[str], where: str) -> None:
    if file in seen:
        raise InputError(f"{where}: a second row for {file}; remove one of the two")
    seen.add(file)


def _check_all_seen(files: Sequence[str], seen: set[str], path: Path) -> None:
    missing = [file for file in files if file not in seen]
    if missing:
        raise InputError(
            f"{path}: no row for {missing[0]}, one of {len(missing)} such photos of {len(files)}; "
            "complete the list or remove these photos"
        )


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
