"""A file is whole or not there, whatever happens while it is written."""

import json
from pathlib import Path

import pytest

from vaelib.support import files


def test_a_file_is_there_when_the_block_has_ended(tmp_path: Path) -> None:
    with files.atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "file").read_text() == "whole"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_file_is_not_there_before_it_is_whole(tmp_path: Path) -> None:
    with files.atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "file").exists()


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with files.atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "file").read_text() == "old"
    assert (tmp_path / "file").read_text() == "new"


def test_a_file_is_written_beside_its_place(tmp_path: Path) -> None:
    # Only within one file system is a file renamed in one step.
    with files.atomic_write(tmp_path / "file") as temporary:
        temporary.touch()
        assert temporary.parent == tmp_path


def test_missing_folders_are_made(tmp_path: Path) -> None:
    files.write_text(tmp_path / "one" / "two" / "file", "whole")
    assert (tmp_path / "one" / "two" / "file").read_text() == "whole"


def write_half(path: Path, error: BaseException) -> None:
    """Begin a file, and fail with this error before it is whole."""
    with files.atomic_write(path) as temporary:
        temporary.write_text("ha")
        raise error


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_an_error_leaves_neither_file_nor_remains(
    tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        write_half(tmp_path / "file", error())
    assert list(tmp_path.iterdir()) == []


def test_an_error_before_the_first_byte_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="first"), files.atomic_write(tmp_path / "file"):
        raise ValueError("first")


def test_an_error_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="full"):
        write_half(tmp_path / "file", OSError("the disk is full"))
    assert (tmp_path / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_text_keeps_its_greek_letters(tmp_path: Path) -> None:
    files.write_text(tmp_path / "file", "λ = 10⁻⁵")
    assert (tmp_path / "file").read_bytes() == "λ = 10⁻⁵".encode()


def test_json_comes_back_as_it_was_and_is_readable(tmp_path: Path) -> None:
    value = {"mean μ²": 0.1, "models": ["centred", None], "seen": 40_000}
    files.write_json(tmp_path / "file", value)
    text = (tmp_path / "file").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert '"mean μ²": 0.1,\n' in text
    assert text.endswith("}\n")


def test_what_json_cannot_say_leaves_the_old_file(tmp_path: Path) -> None:
    files.write_json(tmp_path / "file", {"value": 1})
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "file", {"value": object()})
    assert json.loads((tmp_path / "file").read_text()) == {"value": 1}
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
