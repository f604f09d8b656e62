"""Files that are whole or not there: written to a temporary name, then renamed."""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

PIECE_BYTES = 2**25  # of a file, hashed at once


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file at once."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a whole JSON file at once, readable by people."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as one .npz at once: no pickle, and a checksum of each array inside."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Only one process at a time runs this block; the others wait, with the message on stderr.

    A process that dies releases the lock. Raises OSError where the lock file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(message, file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def checksum(path: Path) -> str:
    """Hash (hex) of a file's content: the sha256 of the sha256s of its pieces of 32 MB.

    In pieces, so that all cores can share the work.
    """

    def hash_piece(start: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return hashlib.sha256(file.read(PIECE_BYTES)).digest()

    with ThreadPoolExecutor() as threads:
        pieces = threads.map(hash_piece, range(0, path.stat().st_size, PIECE_BYTES))
        return hashlib.sha256(b"".join(pieces)).hexdigest()
