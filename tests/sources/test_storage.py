"""Folders and zips give their files; damaged and dangerous ones are refused."""

import contextlib
import copy
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import refusal
from tests.sources import shapes
from tests.sources.conftest import message_of
from vaelib.sources import storage
from vaelib.support.errors import InputError

PHOTOS = {f"faces/{n}.jpg": f"photo {n} ".encode() * 100 for n in range(4)}
COMPRESSIONS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.fixture
def zip_of(tmp_path: Path) -> Callable[..., Path]:
    """Make a zip of these entries."""

    def make(entries: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
        path = tmp_path / "faces.zip"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in entries.items():
                # Not by its name alone: zipfile would change some of these names on Windows.
                info = zipfile.ZipInfo("entry")
                info.filename, info.compress_type = name, compression
                archive.writestr(info, content)
        return path

    return make


Zipped = Callable[..., Path]


def folder_of(folder: Path, *names: str) -> Path:
    """Files with nothing in them but their names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def photos_in(path: Path) -> dict[str, bytes]:
    """What comes out of a zip for the entries in it."""
    archive = storage.open_zip(path)
    names = list(archive.entries)
    found = {names[k]: photo for k, photo in archive.photos(names)}
    assert sorted(found) == names
    return {name: photo for name, photo in found.items() if isinstance(photo, bytes)}


def damaged(path: Path, at: int, new: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[at : at + len(new)] = new
    path.write_bytes(content)
    return path


def content_of(path: Path, entry: str) -> int:
    """Where the bytes of an entry begin."""
    with zipfile.ZipFile(path) as archive, archive.open(entry):
        info = archive.getinfo(entry)
    return info.header_offset + 30 + len(entry)


def flag(path: Path, entry: str, where: tuple[int, int], value: int) -> Path:
    """Change a field of two bytes in both places where a zip describes an entry."""
    with zipfile.ZipFile(path) as archive:
        local = archive.getinfo(entry).header_offset
    central = path.read_bytes().rfind(entry.encode()) - 46
    for at, offset in zip((local, central), where, strict=True):
        damaged(path, at + offset, value.to_bytes(2, "little"))
    return path


# --- folders


def test_a_folder_holds_the_files_of_its_subfolders_sorted(tmp_path: Path) -> None:
    folder_of(tmp_path, "z.jpg", "b/2.jpg", "b.jpg", "a/c/1.jpg", "B.jpg")
    names = list(storage.open_folder(tmp_path).entries)
    assert names == ["B.jpg", "a/c/1.jpg", "b.jpg", "b/2.jpg", "z.jpg"]


def test_what_a_system_hides_in_a_folder_is_left_out(tmp_path: Path) -> None:
    hidden = [".a.jpg", "._a.jpg", ".trash/a.jpg", "__MACOSX/a.jpg", "x/@eaDir/a.jpg/thumb.jpg"]
    assert list(storage.open_folder(folder_of(tmp_path, *hidden, "b.jpg")).entries) == ["b.jpg"]


def test_a_hidden_folder_can_be_given_itself(tmp_path: Path) -> None:
    assert list(storage.open_folder(folder_of(tmp_path / ".faces", "a.jpg")).entries) == ["a.jpg"]


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert storage.open_folder(tmp_path).entries == {}


def test_a_link_back_up_is_not_followed(tmp_path: Path) -> None:
    folder_of(tmp_path, "a/1.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    assert list(storage.open_folder(tmp_path).entries) == ["a/1.jpg"]


def test_a_link_to_a_folder_elsewhere_is_followed_once(tmp_path: Path) -> None:
    folder_of(tmp_path / "disk", "1.jpg")
    folder_of(tmp_path / "here", "2.jpg")
    for name in ("img", "same"):
        (tmp_path / "here" / name).symlink_to(tmp_path / "disk")
    (tmp_path / "disk/back").symlink_to(tmp_path / "here")
    (tmp_path / "disk/round").symlink_to(tmp_path / "disk")
    found = set(storage.open_folder(tmp_path / "here").entries)
    assert found in ({"2.jpg", "img/1.jpg"}, {"2.jpg", "same/1.jpg"})


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    folder_of(tmp_path, "blobs/0123")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/a.jpg").symlink_to("../blobs/0123")
    folder = storage.open_folder(tmp_path / "snapshot")
    assert folder.entries["a.jpg"].size == len("blobs/0123")
    assert folder.read("a.jpg") == b"blobs/0123"


def test_a_link_that_leads_nowhere_is_left_out(tmp_path: Path) -> None:
    folder_of(tmp_path, "b.jpg")
    for name, target in (("a", "gone.jpg"), ("itself", "itself"), ("c", "b.jpg/c.jpg")):
        (tmp_path / name).symlink_to(target)
    assert list(storage.open_folder(tmp_path).entries) == ["b.jpg"]


def test_a_pipe_is_no_photo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert storage.open_folder(tmp_path).entries == {}


def test_names_in_any_script_are_found(tmp_path: Path) -> None:
    folder_of(tmp_path, "顔/笑.jpg", "a b.jpg")
    assert list(storage.open_folder(tmp_path).entries) == ["a b.jpg", "顔/笑.jpg"]


@pytest.mark.parametrize("name", ["locked", "."])
def test_an_unreadable_folder_is_refused_by_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(tmp_path, "a.jpg", "locked/b.jpg")
    scandir, closed = os.scandir, tmp_path / name

    def locked(folder: str) -> object:  # whoever may read everything cannot lock a real folder
        if Path(folder) == closed:
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    message = refusal(lambda: storage.open_folder(tmp_path))
    assert message == f"cannot read {closed}: Permission denied; check its permissions"


@pytest.fixture
def fail_stat(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, OSError], None]:
    """Let nobody look at one file: whoever may read everything cannot lock a real one."""

    def fail(path: Path, error: OSError) -> None:
        stat = os.stat

        def failing(target: Any, **named: Any) -> os.stat_result:
            if target in (path, str(path)) and named.get("follow_symlinks", True):
                raise error
            return stat(target, **named)

        monkeypatch.setattr(os, "stat", failing)

    return fail


@pytest.mark.parametrize("link", [True, False])
def test_a_file_that_cannot_be_looked_at_is_refused_by_name(
    tmp_path: Path, link: bool, fail_stat: Callable[[Path, OSError], None]
) -> None:
    folder_of(tmp_path, "a.jpg", "b.jpg")
    closed = tmp_path / ("c.jpg" if link else "a.jpg")
    if link:
        closed.symlink_to(tmp_path / "a.jpg")
    fail_stat(closed, PermissionError(13, "Permission denied"))
    message = refusal(lambda: storage.open_folder(tmp_path))
    assert message == f"cannot read {closed}: Permission denied; check its permissions"


def test_a_file_on_a_broken_disk_is_refused_by_name(
    tmp_path: Path, fail_stat: Callable[[Path, OSError], None]
) -> None:
    folder_of(tmp_path, "a.jpg")
    fail_stat(tmp_path / "a.jpg", OSError(5, "Input/output error"))
    message = refusal(lambda: storage.open_folder(tmp_path))
    assert message == f"cannot read {tmp_path}/a.jpg: Input/output error; check its permissions"


def test_a_file_that_goes_while_its_folder_is_read_is_left_out(
    tmp_path: Path, fail_stat: Callable[[Path, OSError], None]
) -> None:
    folder_of(tmp_path, "a.jpg", "b.jpg")
    fail_stat(tmp_path / "a.jpg", FileNotFoundError(2, "No such file"))
    assert list(storage.open_folder(tmp_path).entries) == ["b.jpg"]


def test_a_changed_file_has_another_state(tmp_path: Path) -> None:
    before = storage.open_folder(folder_of(tmp_path, "a.jpg", "b.jpg")).entries
    os.utime(tmp_path / "a.jpg", ns=(5, 7))
    after = storage.open_folder(tmp_path).entries
    assert after["a.jpg"] == storage.FileState(5, 7) != before["a.jpg"]
    assert after["b.jpg"] == before["b.jpg"]


def test_photos_of_a_folder_are_paths_in_the_order_of_the_names(tmp_path: Path) -> None:
    folder = storage.open_folder(folder_of(tmp_path, "a.jpg", "b/c.jpg"))
    found = list(folder.photos(["b/c.jpg", "a.jpg"]))
    assert found == [(0, f"{tmp_path}/b/c.jpg"), (1, f"{tmp_path}/a.jpg")]


def test_a_file_that_is_gone_is_refused_by_name(tmp_path: Path) -> None:
    folder = storage.open_folder(folder_of(tmp_path, "list.txt"))
    (tmp_path / "list.txt").unlink()
    message = refusal(lambda: folder.read("list.txt"))
    assert f"cannot read {tmp_path / 'list.txt'}: No such file" in message


# --- named files of a folder


def test_only_the_named_files_are_seen(tmp_path: Path) -> None:
    folder_of(tmp_path, "list.txt", "a.jpg", "table.csv/x")
    seen = storage.open_files(tmp_path, ["gone.txt", "list.txt", "table.csv"]).entries
    assert list(seen) == ["list.txt"]
    assert seen["list.txt"].size == len("list.txt")


def test_of_a_folder_that_is_not_there_nothing_is_seen(tmp_path: Path) -> None:
    folder_of(tmp_path, "file")
    assert storage.open_files(tmp_path / "gone/../Anno", ["list.txt"]).entries == {}
    assert storage.open_files(tmp_path / "file", ["list.txt"]).entries == {}


def test_a_named_file_that_cannot_be_looked_at_is_refused_by_name(
    tmp_path: Path, fail_stat: Callable[[Path, OSError], None]
) -> None:
    fail_stat(tmp_path / "list.txt", PermissionError(13, "Permission denied"))
    message = refusal(lambda: storage.open_files(tmp_path, ["list.txt"]))
    assert f"cannot read {tmp_path / 'list.txt'}: Permission denied" in message


# --- zips


def test_photos_come_out_of_a_zip_as_they_went_in(zip_of: Zipped) -> None:
    for compression in COMPRESSIONS:
        assert photos_in(zip_of(PHOTOS, compression)) == PHOTOS, compression


def test_photos_come_in_the_order_in_which_they_lie(zip_of: Zipped) -> None:
    archive = storage.open_zip(zip_of({"c": b"3", "a": b"1", "b": b"2"}))
    assert list(archive.entries) == ["a", "b", "c"]
    assert list(archive.photos(["a", "b", "c"])) == [(2, b"3"), (0, b"1"), (1, b"2")]


def test_nothing_is_unpacked(zip_of: Zipped, tmp_path: Path) -> None:
    photos_in(zip_of(PHOTOS))
    assert [file.name for file in tmp_path.iterdir()] == ["faces.zip"]


def test_the_state_of_an_entry_is_its_size_and_checksum(zip_of: Zipped) -> None:
    entries = storage.open_zip(zip_of({"a.jpg": b"123456789"}, zipfile.ZIP_DEFLATED)).entries
    assert entries == {"a.jpg": storage.FileState(9, 0xCBF43926)}  # the published check value


def test_directories_and_what_a_system_hides_are_left_out(zip_of: Zipped) -> None:
    hidden = ["faces/", "faces\\", ".a.jpg", "faces/._a.jpg", ".git/a.jpg", "@eaDir/a.jpg"]
    hidden += ["__MACOSX/a.jpg", "__MACOSX/faces/._0.jpg"]
    assert photos_in(zip_of({**dict.fromkeys(hidden, b""), **PHOTOS})) == PHOTOS


def test_backslashes_are_taken_for_slashes(zip_of: Zipped) -> None:
    backward = {name.replace("/", "\\"): photo for name, photo in PHOTOS.items()}
    assert photos_in(zip_of(backward)) == PHOTOS


def test_odd_names_are_no_danger(zip_of: Zipped) -> None:
    names = ["12:30.jpg", "a..b/..c.jpg", "faces/b:c.jpg", "...jpg", "顔.jpg"]
    storage.open_zip(zip_of(dict.fromkeys(names, b"")))


def test_an_entry_that_climbs_out_is_refused_by_name(zip_of: Zipped) -> None:
    names = ["../x.jpg", "/etc/x.jpg", "C:/x.jpg", "c:x.jpg", "a/../../x.jpg", "a/..", "..\\x.jpg"]
    names += [
        "a\\..\\..\\x.jpg",
        "\\x.jpg",
        "\\\\server\\x.jpg",
        "C:\\x.jpg",
        "../.hidden",
        "../folder/",
    ]
    for name in names:
        path = zip_of({**PHOTOS, name: b""})
        fault = f"{path} holds {name!r}, which climbs out of its folder; do not trust it"
        assert message_of(storage.open_zip, path) == fault


def test_a_zip_that_asks_for_a_password_is_refused_by_the_entry(zip_of: Zipped) -> None:
    path = flag(zip_of(PHOTOS), "faces/2.jpg", (6, 8), 1)
    message = refusal(lambda: storage.open_zip(path))
    assert message == f"{path} asks for a password ('faces/2.jpg'); use a copy without one"


def test_a_zip_cut_short_is_refused_by_name(zip_of: Zipped) -> None:
    path = zip_of(PHOTOS)
    content = path.read_bytes()
    for kept in (0.1, 0.5, 0.9, 0.999):
        path.write_bytes(content[: int(kept * len(content))])
        size = f"{path.stat().st_size:,} bytes without a directory at the end"
        fault = f"{path} is cut short or no zip ({size}); get it again"
        assert message_of(storage.open_zip, path) == fault, kept


def test_a_file_that_is_only_called_a_zip_is_refused_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "faces.zip"
    cases = [
        (b"<!DOCTYPE html><html>", "is a web page and not a zip, as a download over its quota"),
        (b"\xef\xbb\xbf\r\n  <HTML lang='en'>", "is a web page and not a zip"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "is a web page and not a zip"),
        (b"", "is empty; get it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS and not"),
        (b"7z\xbc\xaf\x27\x1c" * 20, "is cut short or no zip (120 bytes without"),
        (b"PK\x05\x06" + bytes(17), "is cut short or no zip (21 bytes without"),
    ]
    for content, fault in cases:
        path.write_bytes(content)
        assert message_of(storage.open_zip, path).startswith(f"{path} {fault}"), content


def test_a_damaged_directory_is_never_a_traceback(zip_of: Zipped) -> None:
    for at in range(0, 68, 3):
        path = zip_of({"a.jpg": b"1"})
        damaged(path, path.stat().st_size - 72 + at, b"\xfe\xff\xff")
        with contextlib.suppress(InputError):
            assert set(photos_in(path).values()) <= {b"1", b""}, at


def test_a_zip_that_is_gone_or_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    gone = refusal(lambda: storage.open_zip(tmp_path / "gone.zip"))
    assert gone.startswith(f"cannot read {tmp_path / 'gone.zip'}: No such file")
    folder = refusal(lambda: storage.open_zip(tmp_path))
    assert folder.startswith(f"cannot read {tmp_path}: Is a directory")


def test_a_damaged_entry_comes_out_empty_and_the_others_whole(zip_of: Zipped) -> None:
    for compression in COMPRESSIONS:
        path = zip_of(PHOTOS, compression)
        damaged(path, content_of(path, "faces/1.jpg") + 12, b"\x55\xaa\x55")
        assert photos_in(path) == {**PHOTOS, "faces/1.jpg": b""}, compression


def test_a_wrong_checksum_makes_an_entry_empty(zip_of: Zipped) -> None:
    path = zip_of(PHOTOS)
    damaged(path, path.read_bytes().rfind(b"faces/3.jpg") - 46 + 16, b"\1\2\3\4")
    assert photos_in(path) == {**PHOTOS, "faces/3.jpg": b""}


def test_an_unknown_compression_makes_an_entry_empty(zip_of: Zipped) -> None:
    path = flag(zip_of(PHOTOS), "faces/0.jpg", (8, 10), 93)
    assert photos_in(path) == {**PHOTOS, "faces/0.jpg": b""}


def test_zeros_where_the_header_of_an_entry_was_make_it_empty(zip_of: Zipped) -> None:
    path = zip_of(PHOTOS)
    damaged(path, content_of(path, "faces/2.jpg") - 41, bytes(41))
    assert photos_in(path) == {**PHOTOS, "faces/2.jpg": b""}


def test_an_entry_that_would_unpack_to_too_much_is_not_read(
    zip_of: Zipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_of({**PHOTOS, "bomb.jpg": bytes(1_001)}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(storage, "MAX_ENTRY_BYTES", 1_000)
    assert photos_in(path) == {**PHOTOS, "bomb.jpg": b""}


def test_an_entry_that_lies_about_its_size_is_not_read_further(zip_of: Zipped) -> None:
    path = zip_of({**PHOTOS, "bomb.jpg": bytes(10**6)}, zipfile.ZIP_DEFLATED)
    damaged(path, path.read_bytes().rfind(b"bomb.jpg") - 46 + 24, (10).to_bytes(4, "little"))
    assert photos_in(path) == {**PHOTOS, "bomb.jpg": b""}


@pytest.mark.slow
def test_more_entries_than_two_bytes_can_count_are_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        archive.writestr("0", b"")
        for number in range(1, 66_000):  # the same content for all, as writing it takes long
            other = copy.copy(archive.filelist[0])
            other.filename = str(number)
            archive.filelist.append(other)
    assert len(storage.open_zip(tmp_path / "many.zip").entries) == 66_000


# --- lists


def test_a_list_is_read_from_a_zip(zip_of: Zipped) -> None:
    path = zip_of({**PHOTOS, "Anno/list.txt": b"words"}, zipfile.ZIP_DEFLATED)
    listed = storage.find_list([storage.open_zip(path)], ["list.txt"])
    assert listed is not None
    assert (listed.name, listed.location) == ("list.txt", f"{path}/Anno/list.txt")
    assert listed.text() == "words"


def test_a_damaged_list_in_a_zip_is_refused_by_name(zip_of: Zipped) -> None:
    path = zip_of({"list.txt": b"words", "other.txt": b""})
    archive = storage.open_zip(damaged(path, content_of(path, "list.txt"), b"W"))
    message = refusal(lambda: archive.read("list.txt"))
    assert message.startswith(f"cannot read {path}/list.txt: Bad CRC-32")


def test_a_list_that_would_unpack_to_too_much_is_refused(
    zip_of: Zipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_of({"list.txt": bytes(1_001)}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(storage, "MAX_ENTRY_BYTES", 1_000)
    message = refusal(lambda: storage.open_zip(path).read("list.txt"))
    assert message == f"{path}/list.txt unpacks to over 1,000 bytes; replace it"


def test_lists_are_taken_in_the_order_of_their_names_then_of_the_places(tmp_path: Path) -> None:
    one = storage.open_folder(folder_of(tmp_path / "one", "b.txt"))
    two = storage.open_folder(folder_of(tmp_path / "two", "a.txt", "b.txt"))
    found = storage.find_list([one, two], ["a.txt", "b.txt"])
    assert found == storage.ListFile(two, "a.txt")
    assert storage.find_list([one, two], ["b.txt"]) == storage.ListFile(one, "b.txt")


def test_of_several_lists_the_least_deep_is_taken(tmp_path: Path) -> None:
    folder = storage.open_folder(folder_of(tmp_path, "a/a/l.txt", "z/l.txt", "b/l.txt", "x/xl.txt"))
    assert storage.find_list([folder], ["l.txt"]) == storage.ListFile(folder, "b/l.txt")
    assert storage.find_list([folder], ["no.txt"]) is None


def test_second_copies_of_a_list_are_taken_after_the_list_itself(tmp_path: Path) -> None:
    names = ["a/l (1).txt", "l(2).txt", "l - Copy.txt", "l copy 2.txt", "l(x).txt", "l (1)"]
    folder = storage.open_folder(folder_of(tmp_path, *names))
    second = storage.find_list([folder], ["l.txt"])
    assert second is not None
    assert second == storage.ListFile(folder, "l - Copy.txt")
    assert (second.name, second.location) == ("l.txt", f"{tmp_path}/l - Copy.txt")
    folder = storage.open_folder(folder_of(tmp_path, "b/c/l.txt"))
    assert storage.find_list([folder], ["l.txt"]) == storage.ListFile(folder, "b/c/l.txt")


def test_second_copies_of_named_files_are_seen(tmp_path: Path) -> None:
    folder_of(tmp_path, "l (1).txt", "l2.txt", "k.txt", "a.jpg")
    assert list(storage.open_files(tmp_path, ["l.txt", "k.txt"]).entries) == ["k.txt", "l (1).txt"]


def test_a_list_in_any_of_windows_encodings_is_read(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "list.csv").write_text("é,顔\n", encoding=encoding)
        listed = storage.ListFile(storage.open_folder(tmp_path), "list.csv")
        assert listed.text() == "é,顔\n", encoding


def test_bytes_that_are_no_text_are_marked_and_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xe9,1\n")
    assert storage.ListFile(storage.open_folder(tmp_path), "list.csv").text() == "\ufffd\ufffd,1\n"


# --- copies of CelebA


def test_a_zip_of_celeba_gives_the_photos_that_went_in(tmp_path: Path) -> None:
    celeba = shapes.procedural(20, (16, 16))
    found = photos_in(shapes.zip_of_kaggle(celeba, tmp_path / "copy"))
    photos = {f"img_align_celeba/img_align_celeba/{k}": v for k, v in celeba.photos.items()}
    assert {k: v for k, v in found.items() if k.endswith(".jpg")} == photos


def test_only_regular_files_of_the_drives_folders_are_found(tmp_path: Path) -> None:
    folder = shapes.drive(shapes.procedural(10, (8, 8)), tmp_path / "copy")
    assert list(storage.open_folder(folder).entries) == [
        "Anno/list_attr_celeba.txt",
        "Eval/list_eval_partition.txt",
        "Img/img_align_celeba.zip",
    ]
