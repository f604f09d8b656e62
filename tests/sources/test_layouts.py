"""Sources are found and refused, and a copy of CelebA gives the same faces in any layout."""

import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import real, refusal
from tests.sources import shapes
from tests.sources.conftest import message_of
from vaelib import data
from vaelib.sources import annotations, contents, inspect, layouts, prepare
from vaelib.support import paths

Make = Callable[..., Path]
Shape = Callable[[shapes.Copy, Path], Path]


def folder_of_names(folder: Path, names: list[str]) -> Path:
    """Files with nothing in them but their names: finding does not decode."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def numbered(count: int) -> list[str]:
    return [f"{number:04}.jpg" for number in range(count)]


@pytest.fixture(scope="module")
def copy() -> shapes.Copy:
    return shapes.procedural(240, size=(89, 109))


@pytest.fixture(scope="module")
def part_of_celeba() -> shapes.Copy:
    """Some hundred real photos, from both ends of the list and so from all parts of the split."""
    folder = Path(real("celeba8k"))
    files = sorted(path.name for path in (folder / "img_align_celeba").iterdir())
    attributes, names = annotations.read_attributes(
        (folder / "list_attr_celeba.txt").read_text(), "attributes", files
    )
    split = annotations.read_split((folder / "list_eval_partition.txt").read_text(), "split", files)
    chosen = list(range(0, len(files), 40))
    photos = {files[k]: (folder / "img_align_celeba" / files[k]).read_bytes() for k in chosen}
    return shapes.Copy(photos, names, attributes[chosen].tolist(), split[chosen].tolist())


def cached(path: Path, folder: Path) -> dict[str, bytes]:
    """All the files of the prepared cache, under a name that does not depend on the path."""
    source = replace(layouts.find(str(path)), name="copy")
    folder.mkdir()
    prepare.prepare(source, len(source.files), folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def differing_shapes(copy: shapes.Copy, folder: Path) -> list[str]:
    """The shapes of which another cache is made than of torchvision's layout."""
    expected = cached(shapes.torchvision(copy, folder / "expected"), folder / "expected cache")
    assert sorted(expected) == ["attributes.npy", "facts.json", "images.npy", "split.npy"]
    assert b'"kind": "celeba"' in expected["facts.json"]
    return [
        name
        for name, shape in shapes.SHAPES.items()
        if cached(shape(copy, folder / name), folder / f"cache of {name}") != expected
    ]


@pytest.mark.slow
def test_every_shape_of_the_same_faces_gives_the_same_cache_byte_for_byte(
    copy: shapes.Copy, tmp_path: Path
) -> None:
    assert differing_shapes(copy, tmp_path) == []


@pytest.mark.slow
def test_every_shape_of_the_same_real_photos_gives_the_same_cache_byte_for_byte(
    part_of_celeba: shapes.Copy, tmp_path: Path
) -> None:
    assert differing_shapes(part_of_celeba, tmp_path) == []


def test_a_bare_folder_gives_the_same_images_in_another_split(
    copy: shapes.Copy, tmp_path: Path
) -> None:
    expected = cached(shapes.torchvision(copy, tmp_path / "expected"), tmp_path / "first")
    found = cached(shapes.bare(copy, tmp_path / "copy"), tmp_path / "second")
    assert sorted(found) == ["facts.json", "images.npy", "split.npy"]
    assert found["images.npy"] == expected["images.npy"]
    split = np.load(tmp_path / "second/split.npy")
    np.testing.assert_array_equal(split, annotations.split_by_hash(sorted(copy.photos)))


def test_the_layout_is_described(copy: shapes.Copy, tmp_path: Path) -> None:
    layouts_of = {
        shapes.torchvision: "as torchvision unpacks it",
        shapes.photos_themselves: "as torchvision unpacks it",
        shapes.the_zip_itself: "in a zip",
        shapes.drive: "in a zip",
        shapes.kaggle: "as Kaggle packs it",
        shapes.hugging_face: "in parquet shards, as Hugging Face keeps it",
        shapes.bare: "in a folder",
    }
    for shape, layout in layouts_of.items():
        path = shape(copy, tmp_path / shape.__name__)
        assert layouts.find(str(path)).layout == layout, shape.__name__


def test_auto_finds_every_shape_in_the_place_for_celeba(
    copy: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for shape in (shapes.kaggle, shapes.drive, shapes.hugging_face):
        monkeypatch.setattr(paths, "CELEBA", shape(copy, tmp_path / shape.__name__))
        assert len(layouts.find("auto").files) == 240, shape.__name__


def test_auto_refuses_a_place_for_celeba_that_holds_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").touch()
    monkeypatch.setattr(paths, "CELEBA", tmp_path)
    assert "holds no photos" in refusal(lambda: layouts.find("auto"))


def test_auto_draws_faces_where_the_place_for_celeba_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".hidden").touch()
    monkeypatch.setattr(paths, "CELEBA", tmp_path)
    assert layouts.find("auto").kind == "synthetic"


def test_the_folder_above_a_copy_will_do(copy: shapes.Copy, tmp_path: Path) -> None:
    shapes.torchvision(copy, tmp_path / "data/celeba")
    source = layouts.find(str(tmp_path / "data"))
    assert (source.kind, len(source.files), source.files[0]) == ("celeba", 240, "000001.jpg")


def test_other_photos_beside_the_aligned_ones_are_left_alone(
    copy: shapes.Copy, tmp_path: Path
) -> None:
    folder = shapes.torchvision(copy, tmp_path / "copy")
    (folder / "img_celeba").mkdir()
    (folder / "img_celeba/000001.jpg").write_bytes(b"in the wild")
    assert len(layouts.find(str(folder)).files) == 240


def test_an_unpacking_that_was_interrupted_gives_way_to_the_zip(
    copy: shapes.Copy, tmp_path: Path
) -> None:
    folder = shapes.zip_in_folder(copy, tmp_path / "copy")
    unpacked = dict(list(copy.photos.items())[:100])
    shapes.bare(shapes.Copy(unpacked, (), [], []), folder / "img_align_celeba")
    source = layouts.find(str(folder))
    assert (len(source.files), source.layout) == (240, "in a zip")


def test_photos_are_used_rather_than_their_zip_once_all_are_unpacked(
    copy: shapes.Copy, tmp_path: Path
) -> None:
    folder = shapes.zip_in_folder(copy, tmp_path / "copy")
    shapes.bare(copy, folder / "img_align_celeba")
    assert layouts.find(str(folder)).layout == "as torchvision unpacks it"


def test_of_a_hubs_snapshots_the_newest_is_used(copy: shapes.Copy, tmp_path: Path) -> None:
    folder = shapes.hub_cache(copy, tmp_path / "datasets--someone--celeba")
    older = folder / "snapshots/older"
    shapes.parquet(copy, older)
    os.utime(older, (0, 0))
    source = layouts.find(str(folder))
    assert (len(source.files), source.name) == (240, "celeba")


def test_photos_without_names_are_numbered_through_the_splits(
    copy: shapes.Copy, tmp_path: Path
) -> None:
    shapes.parquet(copy, tmp_path / "nameless", named=False)
    expected = cached(shapes.torchvision(copy, tmp_path / "expected"), tmp_path / "first")
    assert cached(tmp_path / "nameless", tmp_path / "second") == expected


def test_an_absent_shard_is_described_as_missing(copy: shapes.Copy, tmp_path: Path) -> None:
    folder = shapes.hugging_face(copy, tmp_path / "copy")
    (folder / "img_align+identity+attr/train-00001-of-00002.parquet").unlink()
    described = "\n".join(inspect.describe(layouts.find(str(folder))))
    assert "1 shards: train-00001-of-00002.parquet" in described


def test_a_part_of_celeba_with_the_lists_of_all_of_it_is_fine(
    copy: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotations, "CELEBA_SIZE", 240)
    folder = shapes.torchvision(copy, tmp_path / "copy")
    for number in range(100, 200):
        (folder / f"img_align_celeba/{number:06}.jpg").unlink()
    faces = data.load(str(folder))
    kept = [k for k, name in enumerate(copy.photos) if not 100 <= int(name[:6]) < 200]
    assert faces.attributes is not None
    assert faces.attributes.tolist() == np.array(copy.attributes)[kept].tolist()
    assert faces.split.tolist() == np.array(copy.split)[kept].tolist()


def test_a_list_that_names_absent_images_is_refused(copy: shapes.Copy, tmp_path: Path) -> None:
    for word in ("attr", "partition"):
        folder = shapes.kaggle(copy, tmp_path / word)
        (folder / "img_align_celeba/img_align_celeba/000123.jpg").unlink()
        [other] = [path for path in folder.glob("list_*") if word not in path.name]
        other.unlink()
        source = layouts.find(str(folder))
        message = message_of(inspect.describe, source)
        assert "names 000123.jpg, which is not among the 239 photos" in message, word


def test_an_attributes_csv_gives_any_folder_its_attributes(tmp_path: Path) -> None:
    copy = shapes.procedural(64, size=(89, 109))
    folder = shapes.bare(copy, tmp_path / "mine")
    rows = [f"{name},{k % 2},1" for k, name in enumerate(copy.photos)]
    (folder / "attributes.csv").write_text("\n".join(["file,Left-handed,eyeglasses", *rows]))
    faces = data.load(str(folder))
    assert (faces.kind, faces.attribute_names) == ("photos", ("Eyeglasses", "Left-handed"))
    assert faces.where("left handed").tolist() == [False, True] * 32
    assert faces.where("Eyeglasses").all()


def test_an_attributes_csv_may_name_photos_in_subfolders(tmp_path: Path) -> None:
    copy = shapes.procedural(64, size=(89, 109))
    names = list(copy.photos)
    for part, of_part in (("a", names[:32]), ("b", names[32:])):
        photos = {name: copy.photos[name] for name in of_part}
        shapes.bare(shapes.Copy(photos, (), [], []), tmp_path / "mine" / part)
    rows = [f"{'a' if k < 32 else 'b'}/{name},{k % 2}" for k, name in enumerate(names)]
    (tmp_path / "mine/attributes.csv").write_text("\n".join(["file,odd", *rows]))
    assert data.load(str(tmp_path / "mine")).where("odd").tolist() == [False, True] * 32


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
    odd = ["a/b/1.JPG", "2.jpeg", "3.PnG", "4.webp", "c/5.BMP", "6.tif", "7.TIFF", "8.jfif"]
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


def test_the_name_is_the_folders_with_only_safe_characters(tmp_path: Path) -> None:
    names = {
        "photos": "photos",
        "My faces (2)": "My-faces-2",
        "v1.0_b-c": "v1.0_b-c",
        "顔": "photos",
    }
    for folder in names:
        folder_of_names(tmp_path / folder, numbered(64))
    assert {folder: layouts.find(str(tmp_path / folder)).name for folder in names} == names


CHOSEN_BY_PROGRAMS = [
    *("archive", "archive (1)", "img_align_celeba+more", "2", "versions/3"),
    *("0123456789abcdef0123456789abcdef01234567", "archive/archive"),
]


def test_photos_whose_name_a_program_chose_are_called_by_the_folder_above(tmp_path: Path) -> None:
    for number, folder in enumerate(CHOSEN_BY_PROGRAMS):
        path = folder_of_names(tmp_path / f"faces{number}" / folder, numbered(64))
        assert layouts.find(str(path)).name == f"faces{number}", folder


def test_an_archive_is_called_by_the_folder_in_it_that_holds_all_photos(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for name in numbered(64):
            archive.writestr(f"UTKFace/part1/{name}", "photo")
    assert layouts.find(str(tmp_path / "archive.zip")).name == "UTKFace"


def test_celeba_is_called_celeba_whatever_a_program_called_it(
    copy: shapes.Copy, tmp_path: Path
) -> None:
    for number, folder in enumerate(CHOSEN_BY_PROGRAMS):
        path = shapes.torchvision(copy, tmp_path / str(number) / folder)
        assert layouts.find(str(path)).name == "celeba", folder


def test_a_list_that_was_saved_twice_is_recognised(copy: shapes.Copy, tmp_path: Path) -> None:
    expected = layouts.find(str(shapes.torchvision(copy, tmp_path / "expected")))
    for shape in (shapes.torchvision, shapes.photos_themselves, shapes.the_zip_itself):
        path = shape(copy, tmp_path / shape.__name__)
        for number, listed in enumerate((tmp_path / shape.__name__).glob("list_*")):
            listed.rename(listed.with_name(f"{listed.stem} ({number}){listed.suffix}"))
        source = layouts.find(str(path))
        assert source.kind == "celeba", shape.__name__
        assert source.read_attributes()[1] == copy.names, shape.__name__
        assert source.read_split()[1] == expected.read_split()[1], shape.__name__


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
    assert ", ".join(contents.PHOTO_SUFFIXES) in refusal(lambda: layouts.find(str(tmp_path)))


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
