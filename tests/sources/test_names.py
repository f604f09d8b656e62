"""Whatever a file is called, it is prepared, named in one printable line, and never a traceback."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import refusal
from tests.sources import trees
from vaelib import data
from vaelib.__main__ import main
from vaelib.sources import inspect, layouts
from vaelib.support import paths

# Bytes that are no UTF-8, a line break, a sequence that colours a terminal, one that turns text.
ODD_NAMES = {
    os.fsdecode(b"latin-\xe9.jpg"): r"latin-\udce9.jpg",
    "two\nlines.jpg": r"two\nlines.jpg",
    "\x1b[31mred\x1b[0m.jpg": r"\x1b[31mred\x1b[0m.jpg",
    "back\u202egpj.jpg": r"back\u202egpj.jpg",
}


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")


def folder_with(path: Path, odd: dict[str, bytes], count: int = 200) -> Path:
    try:
        return trees.written(path, {**trees.photos(f"{n:04}.jpg" for n in range(count)), **odd})
    except (OSError, UnicodeError):
        pytest.skip("the file system has no such names")


def assert_printable(text: str) -> None:
    assert all(letter.isprintable() or letter in "\n" for letter in text), repr(text)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_photo_is_prepared_whatever_it_is_called(
    name: str, tmp_path: Path, own_cache: None
) -> None:
    faces = data.load(str(folder_with(tmp_path / "faces", {name: trees.photo(0)}, 64)))
    assert (len(faces.images), faces.broken) == (65, ())


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_broken_photo_is_left_out_whatever_it_is_called(
    name: str, tmp_path: Path, own_cache: None, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = data.load(str(folder_with(tmp_path / "faces", {name: b"none"})))
    named = f"{ODD_NAMES[name]} (no image)"
    assert faces.broken == (named,)
    assert f"left out 1 broken photos of 201: {named}\n" in capsys.readouterr().err
    assert json.loads((faces.folder / "facts.json").read_text("utf-8"))["broken"] == [named]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_source_is_described_whatever_its_files_are_called(name: str, tmp_path: Path) -> None:
    other = name.replace(".jpg", ".gif")
    folder = folder_with(tmp_path, {name: b"none", other: b"", f"in {name}/1.png": trees.photo(1)})
    lines = inspect.describe(layouts.find(str(folder)))
    assert any(ODD_NAMES[name] in line for line in lines if "broken" in line)
    assert any(ODD_NAMES[name][:-3] + "gif" in line for line in lines if "left aside" in line)
    assert_printable("\n".join(lines))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_photo_that_a_list_lacks_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, {name: trees.photo(0)})
    rows = "".join(f"{n:04}.jpg,1\n" for n in range(200))
    (folder / "attributes.csv").write_text(f"file,Bald\n{rows}")
    message = refusal(layouts.find(str(folder)).read_attributes)
    assert f"no row for {ODD_NAMES[name]}" in message
    assert_printable(message)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_is_refused_in_one_line_whatever_it_is_called(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["inspect", str(tmp_path / name)], ["report", "--data", name], [name]):
        with pytest.raises(SystemExit):
            main(arguments)
        printed = capsys.readouterr().err
        assert ODD_NAMES[name] in printed
        assert printed.count("\n") == 1
        assert_printable(printed)


def test_a_folder_that_no_notebook_can_name_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_with(tmp_path / os.fsdecode(b"caf\xe9"), {}, 64)
    for command in ("report", "app"):
        with pytest.raises(SystemExit):
            main([command, "--data", str(folder), "--preset", "smoke"])
        assert "rename it, or give a link to it" in capsys.readouterr().err, command


@pytest.mark.parametrize("name", ODD_NAMES)
def test_celeba_is_looked_for_whatever_a_folder_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("HOME", "TORCH_HOME", "HF_HOME", "KAGGLEHUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(paths, "CELEBA", tmp_path / "celeba")
    monkeypatch.setenv("CELEBA", str(folder_with(tmp_path / name, {}, 64)))
    with pytest.raises(SystemExit):
        main(["celeba"])
    printed = capsys.readouterr().out
    assert f"{ODD_NAMES[name]}: holds 64 photos, which are not CelebA's" in printed
    assert_printable(printed)


def test_an_entry_of_a_zip_is_named_in_one_line_whatever_it_is_called(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for number in range(64):
            archive.writestr(f"{number:04}.jpg", trees.photo(number))
        archive.writestr("\x1b[31m\n.jpg", b"none")
    message = refusal(lambda: inspect.describe(layouts.find(str(tmp_path / "faces.zip"))))
    assert r"\x1b[31m\n.jpg (no image)" in message


def test_the_name_of_an_attribute_is_made_printable(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, {}, 64)
    rows = "".join(f"{n:04}.jpg,1\n" for n in range(64))
    (folder / "attributes.csv").write_text(f"file,\x1b[31mBald\n{rows}")
    assert layouts.find(str(folder)).read_attributes()[1] == (r"\x1b[31mBald",)


def test_a_terminal_that_lacks_the_letters_gets_escapes(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "faces", {"顔.jpg": b"none"})
    done = subprocess.run(
        [sys.executable, "-m", "vaelib", "inspect", str(folder)],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u9854.jpg (no image)" in done.stdout
