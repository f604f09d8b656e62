"""The explorer's own controls, without a browser."""

import asyncio

import pytest

from vaelib.explore import widgets
from vaelib.explore.widgets import FileDrop, Settled, StatusLine, Throttled
from vaelib.support.errors import InputError


@pytest.fixture
def opened() -> list[bytes]:
    return []


@pytest.fixture
def drop(opened: list[bytes]) -> FileDrop:
    return FileDrop("", StatusLine(), opened.append)


def test_the_pieces_of_a_file_are_joined(drop: FileDrop, opened: list[bytes]) -> None:
    for piece, part in enumerate((b"one ", b"two ", b"three")):
        drop._on_message(None, {"piece": piece, "pieces": 3}, [memoryview(part)])
    assert opened == [b"one two three"]


def test_a_file_that_the_browser_refused_is_reported(drop: FileDrop) -> None:
    drop._on_message(None, {"refused": 23_400_000}, [])
    assert drop.status.text == "the file has 23.4 MB; choose one of at most 20 MB"


def test_pieces_beyond_the_limit_are_not_collected(drop: FileDrop, opened: list[bytes]) -> None:
    drop.max_bytes = 10
    for piece in range(3):
        drop._on_message(None, {"piece": piece, "pieces": 100}, [memoryview(bytes(8))])
    assert [len(content) for content in opened] == [16]
    assert len(drop.pieces) == 1


def test_requests_while_the_loop_is_busy_are_drawn_once() -> None:
    drawn: list[int] = []
    latest = [0]

    async def request_at_once() -> None:
        throttled = Throttled(StatusLine(), lambda: drawn.append(latest[0]))
        for latest[0] in range(100):
            throttled()
        await asyncio.sleep(0.1)

    asyncio.run(request_at_once())
    assert drawn == [99]


def test_the_last_request_is_always_drawn() -> None:
    drawn: list[int] = []
    latest = [0]

    async def drag() -> None:
        throttled = Throttled(StatusLine(), lambda: drawn.append(latest[0]))
        for latest[0] in range(30):
            throttled()
            await asyncio.sleep(0.003)
        await asyncio.sleep(0.1)

    asyncio.run(drag())
    assert drawn[-1] == 29
    assert len(drawn) < 15


def test_what_is_slow_waits_until_nothing_has_changed_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(widgets, "MOMENT", 0.2)
    counted: list[int] = []

    async def drag() -> None:
        settled = Settled(StatusLine(), lambda: counted.append(1))
        for _ in range(20):
            settled()
            await asyncio.sleep(0.01)
        assert not counted
        await asyncio.sleep(0.5)

    asyncio.run(drag())
    assert counted == [1]


def test_an_error_is_shown_until_the_next_action() -> None:
    status = StatusLine()

    def refuse() -> None:
        raise InputError("too large")

    status.run(refuse)
    assert (status.text, status.is_error) == ("too large", True)
    status.run(lambda: None)
    assert (status.text, status.is_error) == ("", False)
