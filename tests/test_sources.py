"""Sources are found, refused, told apart and split as `vaelib.sources` says."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vaelib import faces, paths, sources
from vaelib.errors import InputError

Make = Callable[..., Path]


def folder_of_names(folder: Path, names: list[str]) -> Path:
    """Files with nothing in them but their names: finding does not decode."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def numbered(count: int) -> list[str]:
    return [f"{number:04}.jpg" for number in range(count)]


def edit(path: Path, line: int, new: str | None) -> None:
    """Replace a line, counted from 1, or remove it."""
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if new is None else [new]
    path.write_text("\n".join(lines) + "\n")


def refusal(call: Callable[[], object]) -> str:
    """The message that the call is refused with: always a single line."""
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- finding


def test_auto_is_procedural_where_there_is_no_celeba(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CELEBA", tmp_path / "celeba")
    assert sources.find("auto").kind == "synthetic"


def test_auto_is_celeba_where_there_is_a_copy(
    celeba_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CELEBA", celeba_folder(64))
    source = sources.find("auto")
    assert (source.kind, source.name, len(source.files)) == ("celeba", "celeba", 64)


def test_synthetic_is_procedural_even_beside_a_copy_of_celeba(
    celeba_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CELEBA", celeba_folder(64))
    assert sources.find("synthetic") == sources.Source("synthetic", "synthetic")


def test_photos_are_found_in_subfolders_with_any_ending_in_any_case(tmp_path: Path) -> None:
    odd = ["a/b/1.JPG", "2.jpeg", "3.PnG", "4.webp", "c/5.BMP", "6.tif", "7.TIFF"]
    folder_of_names(tmp_path, numbered(60) + odd)
    assert set(odd) < set(sources.find(str(tmp_path)).files)


def test_hidden_files_and_other_files_are_not_photos(tmp_path: Path) -> None:
    folder_of_names(tmp_path, [*numbered(64), ".1.jpg", "._2.jpg", ".trash/3.jpg", "notes.txt"])
    assert sources.find(str(tmp_path)).files == tuple(numbered(64))


def test_a_link_back_up_is_not_followed_for_ever(tmp_path: Path) -> None:
    folder_of_names(tmp_path, numbered(64))
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(sources.find(str(tmp_path)).files) == 64


def test_files_are_sorted_and_carry_their_sizes(tmp_path: Path) -> None:
    folder_of_names(tmp_path, ["z.jpg", "a/long.jpg", *numbered(62)])
    source = sources.find(str(tmp_path))
    assert list(source.files) == sorted(source.files)
    assert dict(zip(source.files, source.sizes, strict=True))["a/long.jpg"] == len("a/long.jpg")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("photos", "photos"),
        ("My faces (2)", "My-faces-2"),
        ("v1.0_b-c", "v1.0_b-c"),
        ("顔", "photos"),
    ],
)
def test_the_name_is_the_folders_with_only_safe_characters(
    tmp_path: Path, folder: str, name: str
) -> None:
    folder_of_names(tmp_path / folder, numbered(64))
    assert sources.find(str(tmp_path / folder)).name == name


def test_a_link_gives_its_own_name_to_the_data(tmp_path: Path) -> None:
    folder_of_names(tmp_path / "disk7", numbered(64))
    (tmp_path / "faces").symlink_to(tmp_path / "disk7")
    assert sources.find(str(tmp_path / "faces")).name == "faces"


# --- refusing


def test_a_missing_path_is_refused_by_name(tmp_path: Path) -> None:
    assert str(tmp_path / "gone") in refusal(lambda: sources.find(str(tmp_path / "gone")))


def test_a_file_is_refused_as_a_file(tmp_path: Path) -> None:
    photo = folder_of_names(tmp_path, ["1.jpg"]) / "1.jpg"
    assert f"{photo} is a file" in refusal(lambda: sources.find(str(photo)))


def test_a_folder_without_photos_is_refused_with_the_endings_looked_for(tmp_path: Path) -> None:
    folder_of_names(tmp_path, ["1.gif", "2.heic"])
    assert ", ".join(sources.ENDINGS) in refusal(lambda: sources.find(str(tmp_path)))


def test_63_photos_are_too_few(tmp_path: Path) -> None:
    folder_of_names(tmp_path, numbered(63))
    assert re.search(r"holds 63 photos.* 64 ", refusal(lambda: sources.find(str(tmp_path))))


def test_an_unreadable_subfolder_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of_names(tmp_path, [*numbered(64), "locked/1.jpg"])
    scandir = os.scandir

    def locked(folder: Path) -> object:  # whoever may read everything cannot lock a real folder
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    message = refusal(lambda: sources.find(str(tmp_path)))
    assert str(tmp_path / "locked") in message
    assert "Permission denied" in message


# --- the lists of CelebA


def test_attributes_follow_the_list(celeba_folder: Make) -> None:
    table, names = sources.read_attributes(sources.find(str(celeba_folder(64))))
    assert names == ("Smiling", "Young", "Eyeglasses")
    assert table is not None
    np.testing.assert_array_equal(table, [[n % 2 == 1, True, False] for n in range(64)])


def test_the_split_follows_the_list(celeba_folder: Make) -> None:
    split = sources.read_partition(sources.find(str(celeba_folder(84))))
    assert split is not None
    np.testing.assert_array_equal(split, [0] * 64 + [1, 2] * 10)


def test_rows_of_absent_photos_are_ignored(celeba_folder: Make) -> None:
    folder = celeba_folder(90)
    for number in (0, 41, 89):
        (folder / f"img_align_celeba/{number:06}.jpg").unlink()
    source = sources.find(str(folder))
    table, _ = sources.read_attributes(source)
    split = sources.read_partition(source)
    assert table is not None
    assert split is not None
    assert table[:, 0].tolist() == [n % 2 == 1 for n in range(90) if n not in (0, 41, 89)]
    assert split.tolist() == ([0] * 70 + [1, 2] * 10)[2:-1]


def test_without_lists_there_are_neither_attributes_nor_an_official_split(
    celeba_folder: Make,
) -> None:
    folder = celeba_folder(64)
    (folder / "list_attr_celeba.txt").unlink()
    (folder / "list_eval_partition.txt").unlink()
    source = sources.find(str(folder))
    assert sources.read_attributes(source) == (None, ())
    assert sources.read_partition(source) is None


def test_a_copy_without_test_photos_is_split_by_name_and_says_so(
    celeba_folder: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = celeba_folder(90)
    for photo in sorted((folder / "img_align_celeba").iterdir())[70:]:
        photo.unlink()
    assert sources.read_partition(sources.find(str(folder))) is None
    assert "0 validation and 0 test photos of 70" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "new", "told"),
    [
        (1, "eight", "line 1: 'eight' is not the number of rows"),
        (1, "65", "line 1 says 65 rows, but 64 follow"),
        (5, "000002.jpg 1 1", "line 5: 2 values for 3 attributes"),
        (5, "000002.jpg 1 1 1 1", "line 5: 4 values for 3 attributes"),
        (5, "000002.jpg 1 0 1", "line 5: the value '0' is neither -1 nor 1"),
        (5, "000001.jpg 1 1 1", "line 5: a second row for 000001.jpg"),
        (5, "gone.jpg 1 1 1", "no row for 000002.jpg, one of 1 such photos of 64"),
    ],
)
def test_an_attribute_list_that_does_not_hold_together_is_refused(
    celeba_folder: Make, line: int, new: str, told: str
) -> None:
    folder = celeba_folder(64)
    edit(folder / "list_attr_celeba.txt", line, new)
    message = refusal(lambda: sources.read_attributes(sources.find(str(folder))))
    assert str(folder / "list_attr_celeba.txt") in message
    assert told in message


def test_an_empty_attribute_list_is_refused(celeba_folder: Make) -> None:
    folder = celeba_folder(64)
    (folder / "list_attr_celeba.txt").write_text("")
    assert "line 1" in refusal(lambda: sources.read_attributes(sources.find(str(folder))))


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("000002.jpg 3", "line 3: '000002.jpg 3' is not a file name and 0, 1 or 2"),
        ("000002.jpg", "line 3: '000002.jpg' is not a file name and 0, 1 or 2"),
        ("000001.jpg 0", "line 3: a second row for 000001.jpg"),
        (None, "no row for 000002.jpg, one of 1 such photos of 64"),
    ],
)
def test_a_partition_list_that_does_not_hold_together_is_refused(
    celeba_folder: Make, new: str | None, told: str
) -> None:
    folder = celeba_folder(64)
    edit(folder / "list_eval_partition.txt", 3, new)
    message = refusal(lambda: sources.read_partition(sources.find(str(folder))))
    assert str(folder / "list_eval_partition.txt") in message
    assert told in message


# --- splitting by name


def test_about_80_10_10_go_to_train_validation_and_test() -> None:
    split = sources.split_by_hash(numbered(10_000))
    np.testing.assert_allclose(np.bincount(split) / 10_000, [0.8, 0.1, 0.1], atol=0.01)


def test_adding_photos_moves_none_to_another_split() -> None:
    before = sources.split_by_hash(numbered(1_000))
    after = sources.split_by_hash(sorted(numbered(1_000) + [f"new/{n}" for n in numbered(500)]))
    np.testing.assert_array_equal(after[:1_000], before)


def test_the_split_is_the_same_on_every_machine_and_in_every_release() -> None:
    assert "".join(map(str, sources.split_by_hash(numbered(400))[:40])) == (
        "0000100000000000000100000002110200000000"
    )


@pytest.mark.parametrize("series", range(20))
def test_the_smallest_folder_still_has_8_test_and_4_validation_faces(series: int) -> None:
    split = sources.split_by_hash([f"{series}-{n}.jpg" for n in range(64)])
    train, validation, test = np.bincount(split, minlength=3)
    assert test >= 8
    assert validation >= 4
    assert train >= 32


def test_topping_up_takes_from_train_only_and_gives_back_later() -> None:
    small = sources.split_by_hash(numbered(64))
    grown = sources.split_by_hash(numbered(1_000))[:64]
    assert (small != grown).any()  # otherwise this folder needed no topping up
    assert (grown[small != grown] == sources.TRAIN).all()


# --- the fingerprint


def told_apart(folder: Path) -> str:
    source = sources.find(str(folder))
    return sources.fingerprint(source, len(source.files), 1)


def test_a_copy_has_the_fingerprint_of_its_original(tmp_path: Path) -> None:
    one = folder_of_names(tmp_path / "one", numbered(70))
    two = folder_of_names(tmp_path / "two", list(reversed(numbered(70))))
    os.utime(two / "0001.jpg", (0, 0))
    assert told_apart(one) == told_apart(two)


def test_an_added_photo_gives_another_fingerprint(tmp_path: Path) -> None:
    before = told_apart(folder_of_names(tmp_path, numbered(70)))
    assert told_apart(folder_of_names(tmp_path, ["new.jpg"])) != before


def test_a_renamed_photo_gives_another_fingerprint(tmp_path: Path) -> None:
    before = told_apart(folder_of_names(tmp_path, numbered(70)))
    (tmp_path / "0001.jpg").rename(tmp_path / "0001b.jpg")
    assert told_apart(tmp_path) != before


def test_a_photo_of_another_size_gives_another_fingerprint(tmp_path: Path) -> None:
    before = told_apart(folder_of_names(tmp_path, numbered(1_000)))
    (tmp_path / "0500.jpg").write_text("longer than before")
    assert told_apart(tmp_path) != before


def test_other_bytes_of_the_same_size_give_another_fingerprint(tmp_path: Path) -> None:
    before = told_apart(folder_of_names(tmp_path, numbered(64)))
    (tmp_path / "0033.jpg").write_text("0034.jpg")
    assert told_apart(tmp_path) != before


def test_a_changed_list_gives_another_fingerprint(celeba_folder: Make) -> None:
    folder = celeba_folder(64)
    before = told_apart(folder)
    edit(folder / "list_attr_celeba.txt", 3, "000000.jpg -1  1  1")  # as long as before
    assert told_apart(folder) != before


def test_another_way_of_preparing_gives_another_fingerprint() -> None:
    source = sources.find("synthetic")
    assert sources.fingerprint(source, 10, 1) != sources.fingerprint(source, 10, 2)


def test_procedural_faces_are_told_apart_by_number_and_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = sources.find("synthetic")
    told = {sources.fingerprint(source, 10, 1), sources.fingerprint(source, 11, 1)}
    monkeypatch.setattr(faces, "VERSION", faces.VERSION + 1)
    assert len(told | {sources.fingerprint(source, 10, 1)}) == 3
