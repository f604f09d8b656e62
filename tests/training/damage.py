"""Damage that a file may take, drawn from a seed, and what a stranger may put in its place."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from vaelib.support import files
from vaelib.training import runs

HUGE = "9" * 400
NESTED = b"[" * 200_000

# In place of the numbers of a JSON or CSV file.
STRANGE_VALUES = (HUGE, f"-{HUGE}", "1e400", "NaN", "Infinity", "-1", "null", '"x"', "[]", "{}")


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The content after an accident; never as it was."""
    position = draw.randrange(len(content))
    changed = bytearray(content)
    match draw.randrange(5):
        case 0:
            changed[position] ^= 1 << draw.randrange(8)
        case 1:  # near the start, where headers are
            changed[position % 400 % len(content)] ^= 1 << draw.randrange(8)
        case 2:
            del changed[position:]
        case 3:
            block = slice(position, position + 1 + draw.randrange(100))
            changed[block] = draw.randbytes(len(changed[block]))
        case 4:
            changed[position:position] = draw.randbytes(1 + draw.randrange(20))
    return bytes(changed) if changed != content else content + b"\0"


def forgeries(content: bytes, draw: random.Random) -> Iterator[bytes]:
    """What a stranger may put in the place of a JSON or CSV file."""
    yield from (b"", b"null", b"[]", b'"x"', b"\xff\xfe", HUGE.encode(), NESTED)
    yield b'{"unknown": ' + NESTED
    text = content.decode()
    numbers = sorted(set(re.findall(r"(?<![\w.])[\d.]+(?![\w.])", text)))
    for number in draw.sample(numbers, min(2, len(numbers))):
        for value in STRANGE_VALUES:
            yield text.replace(number, value).encode()


def seal(folder: Path) -> None:
    """Give a finished run the checksums of its files as they are now, as a stranger may."""
    marker = json.loads((folder / runs.FINISHED).read_text())
    marker["sha256"] = {name: files.checksum(folder / name) for name in runs.CHECKED}
    files.write_json(folder / runs.FINISHED, marker)
