"""Files that are whole or not there: written aside, then renamed."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

CHECKED_AT_ONCE = 2**25  # bytes


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
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
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a whole JSON file at once, readable by people."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


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
