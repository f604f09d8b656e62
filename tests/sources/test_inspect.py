"""What a source is, is described in lines, and what cannot be prepared is refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import refusal
from vaelib import data
from vaelib.sources import inspect, layouts

Make = Callable[..., Path]


def description(path: Path) -> dict[str, str]:
    first, *rest = inspect.describe(layouts.find(str(path)))
    return {"what": first} | {line[:14].strip(): line[14:] for line in rest}


def test_a_copy_of_celeba_is_described(celeba_folder: Make) -> None:
    lines = description(celeba_folder(84))
    assert lines.pop("preparing").endswith("cores, 1 MB")
    assert lines == {
        "what": "CelebA, as torchvision unpacks it",
        "images": "84 of 202,599",
        "found": "84 photos in img_align_celeba (.jpg, 89 x 109, 3 channels)",
        "attributes": "3",
        "split": "64 train, 10 validation, 10 test, by list_eval_partition.txt",
        "missing": "202,515 images",
        "broken": "none of 84 tried",
    }


def test_photos_are_described(photo_folder: Make) -> None:
    lines = description(photo_folder(64, size=(24, 29)))
    assert lines["what"] == "photos, in a folder"
    assert (lines["images"], lines["attributes"], lines["missing"]) == ("64", "none", "attributes")
    assert lines["split"].endswith("by a hash of the file names")


def test_what_a_copy_lacks_is_listed(celeba_folder: Make) -> None:
    folder = celeba_folder(84)
    (folder / "list_attr_celeba.txt").unlink()
    (folder / "list_eval_partition.txt").unlink()
    assert description(folder)["missing"] == "attributes, CelebA's split, 202,515 images"


def test_broken_photos_are_described_by_name_and_reason(photo_folder: Make) -> None:
    folder = photo_folder(300, size=(24, 29))
    (folder / "000000.jpg").write_bytes(b"no photo")
    (folder / "000001.jpg").write_bytes(b"")
    assert description(folder)["broken"] == "2: 000000.jpg (no image), 000001.jpg (empty)"


def test_too_many_broken_photos_are_refused(photo_folder: Make) -> None:
    folder = photo_folder(64, size=(24, 29))
    cut = folder / "000003.jpg"
    cut.write_bytes(cut.read_bytes()[:-200])
    assert "000003.jpg (cut short)" in refusal(lambda: description(folder))


def test_a_tenth_of_a_sample_broken_is_refused(
    photo_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(400, size=(24, 29))
    monkeypatch.setattr(inspect, "SAMPLE_SIZE", 10)
    for number in (0, 399):
        (folder / f"{number:06}.jpg").write_bytes(b"no photo")
    assert "2 of 10 photos cannot be decoded: 000000.jpg" in refusal(lambda: description(folder))


def test_a_bomb_is_refused_by_its_size_without_a_warning(
    photo_folder: Make, recwarn: pytest.WarningsRecorder
) -> None:
    folder = photo_folder(64, size=(24, 29))
    Image.new("1", (10_000, 9_000)).save(folder / "bomb.png")
    assert "bomb.png (10000 x 9000, over 50 megapixels)" in refusal(lambda: description(folder))
    assert not recwarn.list


def test_prepared_faces_are_described(celeba_folder: Make) -> None:
    folder = celeba_folder(201)
    (folder / "img_align_celeba/000007.jpg").write_bytes(b"")
    lines = description(data.load(str(folder)).folder)
    assert lines == {
        "what": "CelebA, prepared already",
        "images": "200 of 202,599",
        "attributes": "3",
        "split": "180 train, 10 validation, 10 test",
        "left out": "1: 000007.jpg (empty)",
        "name": "celeba",
    }


def test_prepared_faces_without_attributes_are_described(photo_folder: Make) -> None:
    lines = description(data.load(str(photo_folder(64, size=(24, 29)))).folder)
    assert lines["what"] == "photos, prepared already"
    assert (lines["images"], lines["attributes"], lines["left out"]) == ("64", "none", "none")


def test_photos_are_not_described_where_a_decoder_is_missing(
    photo_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(64, size=(24, 29))
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    assert "pip install simplejpeg" in refusal(lambda: description(folder))


def test_parquet_is_refused_in_one_line_where_pyarrow_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow" in refusal(lambda: layouts.find(str(tmp_path)))
