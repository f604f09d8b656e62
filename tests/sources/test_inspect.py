"""Sources are found, refused and described."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import refusal
from vaelib import data
from vaelib.sources import annotations, inspect, layouts
from vaelib.support import paths

Make = Callable[..., Path]


def folder_of_names(folder: Path, names: list[str]) -> Path:
    """Files with nothing in them but their names: finding does not decode."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def numbered(count: int) -> list[str]:
    return [f"{number:04}.jpg" for number in range(count)]


# --- finding


def test_auto_is_procedural_where_there_is_no_celeba(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CELEBA", tmp_path / "celeba")
    assert layouts.find("auto").kind == "synthetic"


def test_auto_is_celeba_where_there_is_a_copy(
    celeba_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CELEBA", celeba_folder(64))
    source = layouts.find("auto")
    assert (source.kind, source.name, len(source.files)) == ("celeba", "celeba", 64)


def test_synthetic_is_procedural_even_beside_a_copy_of_celeba(
    celeba_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CELEBA", celeba_folder(64))
    assert layouts.find("synthetic").kind == "synthetic"


def test_photos_are_found_in_subfolders_with_any_ending_in_any_case(tmp_path: Path) -> None:
    odd = ["a/b/1.JPG", "2.jpeg", "3.PnG", "4.webp", "c/5.BMP", "6.tif", "7.TIFF"]
    folder_of_names(tmp_path, numbered(60) + odd)
    assert set(odd) < set(layouts.find(str(tmp_path)).files)


def test_hidden_files_and_other_files_are_not_photos(tmp_path: Path) -> None:
    folder_of_names(tmp_path, [*numbered(64), ".1.jpg", "._2.jpg", ".trash/3.jpg", "notes.txt"])
    assert layouts.find(str(tmp_path)).files == tuple(numbered(64))


def test_a_link_back_up_is_not_followed_for_ever(tmp_path: Path) -> None:
    folder_of_names(tmp_path, numbered(64))
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(layouts.find(str(tmp_path)).files) == 64


def test_files_are_sorted_and_carry_their_sizes(tmp_path: Path) -> None:
    folder_of_names(tmp_path, ["z.jpg", "a/long.jpg", *numbered(62)])
    source = layouts.find(str(tmp_path))
    assert list(source.files) == sorted(source.files)
    sizes = {file: stamp.size for file, stamp in zip(source.files, source.states, strict=True)}
    assert sizes["a/long.jpg"] == len("a/long.jpg")


def test_the_folder_that_all_photos_share_is_not_part_of_their_names(tmp_path: Path) -> None:
    folder_of_names(tmp_path / "a/b", ["c/1.jpg", *numbered(64)])
    assert layouts.find(str(tmp_path)).files == layouts.find(str(tmp_path / "a/b")).files


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("photos", "photos"),
        ("My faces (2)", "My-faces-2"),
        ("v1.0_b-c", "v1.0_b-c"),
        ("顔", "photos"),
        ("img_align_celeba+more", "celeba"),
        ("0123456789abcdef0123456789abcdef01234567", "celeba"),
    ],
)
def test_the_name_is_the_folders_with_only_safe_characters(
    tmp_path: Path, folder: str, name: str
) -> None:
    folder_of_names(tmp_path / folder, numbered(64))
    assert layouts.find(str(tmp_path / folder)).name == name


def test_a_link_gives_its_own_name_to_the_data(tmp_path: Path) -> None:
    folder_of_names(tmp_path / "disk7", numbered(64))
    (tmp_path / "faces").symlink_to(tmp_path / "disk7")
    assert layouts.find(str(tmp_path / "faces")).name == "faces"


# --- refusing


def test_a_missing_path_is_refused_by_name(tmp_path: Path) -> None:
    assert str(tmp_path / "gone") in refusal(lambda: layouts.find(str(tmp_path / "gone")))


def test_a_file_that_is_neither_zip_nor_parquet_is_refused_as_a_file(tmp_path: Path) -> None:
    photo = folder_of_names(tmp_path, ["1.jpg"]) / "1.jpg"
    assert f"{photo} is a file" in refusal(lambda: layouts.find(str(photo)))


def test_a_folder_without_photos_is_refused_with_the_endings_looked_for(tmp_path: Path) -> None:
    folder_of_names(tmp_path, ["1.gif", "2.heic"])
    assert ", ".join(layouts.PHOTO_SUFFIXES) in refusal(lambda: layouts.find(str(tmp_path)))


def test_63_photos_are_too_few(tmp_path: Path) -> None:
    folder_of_names(tmp_path, numbered(63))
    assert re.search(r"holds 63 photos.* 64 ", refusal(lambda: layouts.find(str(tmp_path))))


def test_an_unreadable_subfolder_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of_names(tmp_path, [*numbered(64), "locked/1.jpg"])
    scandir = os.scandir

    def locked(folder: str) -> object:  # whoever may read everything cannot lock a real folder
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    message = refusal(lambda: layouts.find(str(tmp_path)))
    assert str(tmp_path / "locked") in message
    assert "Permission denied" in message


# --- the split


def test_the_split_follows_the_list(celeba_folder: Make) -> None:
    split, origin = layouts.find(str(celeba_folder(84))).read_split()
    assert split is not None
    np.testing.assert_array_equal(split, [0] * 64 + [1, 2] * 10)
    assert origin == "by list_eval_partition.txt"


def test_without_lists_there_are_neither_attributes_nor_an_official_split(
    celeba_folder: Make,
) -> None:
    folder = celeba_folder(64)
    (folder / "list_attr_celeba.txt").unlink()
    (folder / "list_eval_partition.txt").unlink()
    source = layouts.find(str(folder))
    assert source.read_attributes() == (None, ())
    assert source.read_split() == (None, "by a hash of the file names")


def test_a_copy_without_test_photos_is_split_by_name_and_says_why(
    celeba_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = celeba_folder(90)
    monkeypatch.setattr(annotations, "CELEBA_SIZE", 90)  # so that the list may name absent photos
    for photo in sorted((folder / "img_align_celeba").iterdir())[70:]:
        photo.unlink()
    split, origin = layouts.find(str(folder)).read_split()
    assert split is None
    assert "0 validation and 0 test photos of 70" in origin


def whole_celeba(monkeypatch: pytest.MonkeyPatch, *split: int) -> None:
    """Let CelebA have the size of a small copy."""
    monkeypatch.setattr(annotations, "CELEBA_SIZE", sum(split))
    monkeypatch.setattr(annotations, "CELEBA_SPLIT_SIZES", split)


def test_all_of_celeba_must_be_split_as_published(
    celeba_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_celeba(monkeypatch, 70, 7, 7)
    message = refusal(lambda: layouts.find(str(celeba_folder(84))).read_split())
    assert "64 train, 10 validation, 10 test, and not into the published 70 / 7 / 7" in message


def test_all_of_celeba_split_as_published_is_accepted(
    celeba_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_celeba(monkeypatch, 64, 10, 10)
    split, _ = layouts.find(str(celeba_folder(84))).read_split()
    assert split is not None


def test_more_photos_than_celeba_has_are_not_celeba(
    celeba_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_celeba(monkeypatch, 63, 10, 10)
    folder = celeba_folder(84)
    assert "84 photos and CelebA only 83" in refusal(lambda: layouts.find(str(folder)))


def test_the_published_numbers_are_those_of_the_paper() -> None:
    assert (annotations.CELEBA_SIZE, annotations.CELEBA_SPLIT_SIZES) == (
        202_599,
        (162_770, 19_867, 19_962),
    )
    assert sum(annotations.CELEBA_SPLIT_SIZES) == annotations.CELEBA_SIZE


# --- what a path is, in a few lines


def told(path: Path) -> dict[str, str]:
    first, *rest = inspect.describe(layouts.find(str(path)))
    return {"what": first} | {line[:14].strip(): line[14:] for line in rest}


def test_a_copy_of_celeba_is_described(celeba_folder: Make) -> None:
    lines = told(celeba_folder(84))
    assert lines.pop("preparing").endswith("cores, 1 MB")
    assert lines == {
        "what": "CelebA, as torchvision unpacks it",
        "images": "84 of 202,599",
        "attributes": "3",
        "split": "64 train, 10 validation, 10 test, by list_eval_partition.txt",
        "missing": "202,515 images",
        "broken": "none of 84 tried",
    }


def test_photos_are_described(photo_folder: Make) -> None:
    lines = told(photo_folder(64, size=(24, 29)))
    assert lines["what"] == "photos, in a folder"
    assert (lines["images"], lines["attributes"], lines["missing"]) == ("64", "none", "attributes")
    assert lines["split"].endswith("by a hash of the file names")


def test_what_a_copy_lacks_is_said(celeba_folder: Make) -> None:
    folder = celeba_folder(84)
    (folder / "list_attr_celeba.txt").unlink()
    (folder / "list_eval_partition.txt").unlink()
    assert told(folder)["missing"] == "attributes, CelebA's split, 202,515 images"


def test_broken_photos_are_described_by_name_and_reason(photo_folder: Make) -> None:
    folder = photo_folder(300, size=(24, 29))
    (folder / "000000.jpg").write_bytes(b"no photo")
    (folder / "000001.jpg").write_bytes(b"")
    assert told(folder)["broken"] == "2: 000000.jpg (no image), 000001.jpg (empty)"


def test_too_many_broken_photos_are_refused(photo_folder: Make) -> None:
    folder = photo_folder(64, size=(24, 29))
    cut = folder / "000003.jpg"
    cut.write_bytes(cut.read_bytes()[:-200])
    assert "000003.jpg (cut short)" in refusal(lambda: told(folder))


def test_a_tenth_of_a_sample_broken_is_refused(
    photo_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(400, size=(24, 29))
    monkeypatch.setattr(inspect, "SAMPLE_SIZE", 10)
    for number in (0, 399):
        (folder / f"{number:06}.jpg").write_bytes(b"no photo")
    assert "2 of 10 photos cannot be decoded: 000000.jpg" in refusal(lambda: told(folder))


def test_a_bomb_is_refused_by_its_size_without_a_warning(
    photo_folder: Make, recwarn: pytest.WarningsRecorder
) -> None:
    folder = photo_folder(64, size=(24, 29))
    Image.new("1", (10_000, 9_000)).save(folder / "bomb.png")
    assert "bomb.png (10000 x 9000, over 50 megapixels)" in refusal(lambda: told(folder))
    assert not recwarn.list


def test_prepared_faces_are_described(celeba_folder: Make) -> None:
    folder = celeba_folder(201)
    (folder / "img_align_celeba/000007.jpg").write_bytes(b"")
    lines = told(data.load(str(folder)).folder)
    assert lines == {
        "what": "CelebA, prepared already",
        "images": "200 of 202,599",
        "attributes": "3",
        "split": "180 train, 10 validation, 10 test",
        "left out": "1: 000007.jpg (empty)",
        "name": "celeba",
    }


def test_prepared_faces_without_attributes_are_described(photo_folder: Make) -> None:
    lines = told(data.load(str(photo_folder(64, size=(24, 29)))).folder)
    assert lines["what"] == "photos, prepared already"
    assert (lines["images"], lines["attributes"], lines["left out"]) == ("64", "none", "none")


def test_photos_are_not_described_where_a_decoder_is_missing(
    photo_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(64, size=(24, 29))
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert "pip install simplejpeg" in refusal(lambda: told(folder))


def test_parquet_is_refused_in_one_line_where_pyarrow_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow" in refusal(lambda: layouts.find(str(tmp_path)))
