"""Files that are whole or not there: written aside, then renamed."""

import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

CHECKED_AT_ONCE = 2**25  # bytes


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file at once."""
    with atomic_write(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a whole JSON file at once, readable by people."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as one .npz at once: no pickle, and a checksum of each array inside."""
    with atomic_write(path) as aside, aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All the arrays of an .npz. Raises ValueError where it is cut short or a bit is altered."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


@contextmanager
def locked(lock: Path, waiting: str) -> Iterator[None]:
    """Wait, with this line on stderr, until no other process is in such a block. Raises OSError.

    A process that dies lets the next one in.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        print(waiting, file=sys.stderr)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def checksum(path: Path) -> str:
    """Hash (hex) of a file's content: the sha256 of the sha256s of its pieces of 32 MB.

    In pieces, because all cores hash them side by side.
    """

    def piece(start: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return hashlib.sha256(file.read(CHECKED_AT_ONCE)).digest()

    with ThreadPoolExecutor() as threads:
        pieces = threads.map(piece, range(0, path.stat().st_size, CHECKED_AT_ONCE))
        return hashlib.sha256(b"".join(pieces)).hexdigest()
