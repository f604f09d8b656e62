"""What the tests of sources share: refusals in bulk, and a machine with servers of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sources import shapes
from vaelib.support.errors import InputError

if TYPE_CHECKING:
    from tests.sources.loopback import Answer, Loopback, Run


def message_of(function: Callable[..., object], *arguments: object) -> str:
    """The one line that the call is refused with; where it is not, what happened instead.

    Unlike `refusal`, for tests that list all offenders.
    """
    try:
        function(*arguments)
    except InputError as error:
        return "more than one line" if "\n" in str(error) else str(error)
    return "not refused"


# The loopback imports the libraries that download, so only the tests that need it import it.


@pytest.fixture(scope="module")
def small_celeba() -> shapes.Copy:
    """All of CelebA for a bare machine."""
    from tests.sources import loopback

    return shapes.procedural(loopback.COUNT)


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No copy of CelebA anywhere, no network but the loopback, little CelebA, no waiting."""
    from tests.sources import loopback

    loopback.bare_machine(tmp_path, monkeypatch)


@pytest.fixture
def server() -> "Iterator[Loopback]":
    from tests.sources import loopback

    with loopback.serve() as server:
        yield server


@pytest.fixture
def hub(
    server: "Loopback", small_celeba: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "dict[str, Answer]":
    """Hugging Face's answers to its parquet files by address."""
    from tests.sources import loopback

    return loopback.play_hub(server, small_celeba, tmp_path / "hub", monkeypatch)


@pytest.fixture
def drive(
    server: "Loopback", small_celeba: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "Answer":
    """Google Drive's answer to the zip."""
    from tests.sources import loopback

    return loopback.play_drive(server, small_celeba, tmp_path / "drive", monkeypatch)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> "Run":
    """The command `celeba`, which must end with `code`; returns all that it prints."""
    from tests.sources import loopback

    return loopback.run_with(capsys)
