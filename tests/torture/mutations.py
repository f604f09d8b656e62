"""Damage by chance: of bytes, as disks and networks do it, and of values, as people do it."""

import json
import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st

HOSTILE_NUMBERS = (b"-1", b"0", b"9" * 400, b"1e309", b"nan", b"-0", b"1.5", b"0x10", b"\xd9\xa1")
SMALL = 64  # bytes of a piece that is cut out, doubled or invented

Bytes = bytearray
Change = Callable[[Bytes, random.Random], Bytes]


def _flip(content: Bytes, numbers: random.Random) -> Bytes:
    content[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
    return content


def _overwrite(content: Bytes, numbers: random.Random) -> Bytes:
    start, value = numbers.randrange(len(content)), numbers.choice((0, 0x7F, 0x80, 0xFF))
    end = min(len(content), start + numbers.choice((1, 2, 4, 8, 32)))
    content[start:end] = bytes([value]) * (end - start)
    return content


def _piece(content: Bytes, numbers: random.Random) -> slice:
    start = numbers.randrange(len(content))
    return slice(start, start + numbers.randrange(1, SMALL))


def _cut_out(content: Bytes, numbers: random.Random) -> Bytes:
    del content[_piece(content, numbers)]
    return content


def _double(content: Bytes, numbers: random.Random) -> Bytes:
    piece = _piece(content, numbers)
    content[piece.start : piece.start] = content[piece] * numbers.choice((1, 1, 2, 200))
    return content


def _invent(content: Bytes, numbers: random.Random) -> Bytes:
    content[_piece(content, numbers)] = numbers.randbytes(numbers.randrange(1, SMALL))
    return content


def _truncate(content: Bytes, numbers: random.Random) -> Bytes:
    return content[: numbers.randrange(len(content))]


def _zero(content: Bytes, numbers: random.Random) -> Bytes:
    start = numbers.randrange(len(content))
    content[start:] = bytes(len(content) - start)
    return content


def _lines(content: Bytes, numbers: random.Random) -> Bytes:
    lines = content.splitlines(keepends=True)
    k = numbers.randrange(len(lines))
    match numbers.randrange(5):
        case 0:
            del lines[k]
        case 1:
            lines.insert(k, lines[k])
        case 2:
            numbers.shuffle(lines)
        case 3:
            lines[k] = lines[k].replace(b" ", numbers.choice((b"", b"\t", b"\0", b"\xff", b",")))
        case 4:
            lines = [line.replace(b"\n", b"\r\n") for line in lines]
    return Bytes().join(lines)


def _number(content: Bytes, numbers: random.Random) -> Bytes:
    places = [k for k, byte in enumerate(content[: 2**16]) if 48 <= byte < 58]
    if places:
        place = numbers.choice(places)
        content[place : place + 1] = numbers.choice(HOSTILE_NUMBERS)
    return content


CHANGES: tuple[Change, ...] = (
    _flip, _overwrite, _cut_out, _double, _invent, _truncate, _zero, _lines, _number,
)  # fmt: skip


def of_bytes(content: bytes, numbers: random.Random) -> bytes:
    """The content with one to four changes."""
    changed = Bytes(content)
    for _ in range(numbers.choice((1, 1, 1, 2, 4))):
        if changed:
            changed = numbers.choice(CHANGES)(changed, numbers)
    return bytes(changed)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, -1, 0])
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["../../etc/passwd", "\0", "$x$", "<b>", "x" * 100_000, "", "NaN"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def value(numbers: random.Random) -> Any:
    """Any value that JSON can have, seldom the one that is expected."""
    if numbers.random() < 0.05:
        return _nested(numbers.choice((100, 100_000)))
    found: list[Any] = []

    @with_seed(numbers.randrange(2**32))
    @settings(
        max_examples=3,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(VALUES)
    def note(drawn: Any) -> None:
        found.append(drawn)

    note()
    return found[-1]


class _nested(int):
    """Stands for so many lists in each other, which json cannot write."""


def of_json(content: bytes, numbers: random.Random) -> bytes:
    """The JSON with a value exchanged, dropped or added somewhere in it."""
    try:
        whole = json.loads(content)
    except ValueError:
        return of_bytes(content, numbers)
    places: list[tuple[Any, Any]] = []

    def note(inside: Any) -> None:
        pairs = inside.items() if isinstance(inside, dict) else enumerate(inside)
        for name, inner in list(pairs):
            places.append((inside, name))
            if isinstance(inner, dict | list):
                note(inner)

    if isinstance(whole, dict | list):
        note(whole)
    if not places:
        return json.dumps(_plain(value(numbers))).encode()
    inside, name = numbers.choice(places)
    change = numbers.randrange(6)
    if change == 0:
        del inside[name]
    elif change == 1 and isinstance(inside, dict):
        inside[numbers.choice(("", "unknown", "__class__", "x" * 300))] = _plain(value(numbers))
    else:
        new = value(numbers)
        if isinstance(new, _nested):
            inside[name] = "NESTED"
            deep = "[" * int(new) + "]" * int(new)
            return json.dumps(whole).replace('"NESTED"', deep).encode()
        inside[name] = new
    return json.dumps(whole).encode("utf-8", "surrogatepass")


def _plain(drawn: Any) -> Any:
    return None if isinstance(drawn, _nested) else drawn
