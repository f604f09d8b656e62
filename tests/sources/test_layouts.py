"""Whatever shape a copy of CelebA comes in, it is found by looking and gives the same faces."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import real, refusal
from tests.sources import shapes
from vaelib import data
from vaelib.sources import annotations, inspect, layouts, prepare
from vaelib.support import paths

Shape = Callable[[shapes.Copy, Path], Path]


@pytest.fixture(scope="module")
def copy() -> shapes.Copy:
    return shapes.procedural(240)


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


@pytest.mark.parametrize("shape", shapes.SHAPES.values(), ids=shapes.SHAPES)
def test_every_shape_of_the_same_faces_gives_the_same_cache_byte_for_byte(
    shape: Shape, copy: shapes.Copy, tmp_path: Path
) -> None:
    expected = cached(shapes.torchvision(copy, tmp_path / "expected"), tmp_path / "first")
    found = cached(shape(copy, tmp_path / "copy"), tmp_path / "second")
    assert sorted(found) == ["attributes.npy", "facts.json", "images.npy", "split.npy"]
    assert found == expected


@pytest.mark.parametrize("shape", shapes.SHAPES.values(), ids=shapes.SHAPES)
def test_every_shape_of_the_same_real_photos_gives_the_same_cache_byte_for_byte(
    shape: Shape, part_of_celeba: shapes.Copy, tmp_path: Path
) -> None:
    expected = cached(shapes.torchvision(part_of_celeba, tmp_path / "expected"), tmp_path / "first")
    assert cached(shape(part_of_celeba, tmp_path / "copy"), tmp_path / "second") == expected


@pytest.mark.parametrize("shape", shapes.SHAPES.values(), ids=shapes.SHAPES)
def test_every_shape_is_known_as_celeba(shape: Shape, copy: shapes.Copy, tmp_path: Path) -> None:
    assert layouts.find(str(shape(copy, tmp_path / "copy"))).kind == "celeba"


def test_a_bare_folder_gives_the_same_images_in_another_split(
    copy: shapes.Copy, tmp_path: Path
) -> None:
    expected = cached(shapes.torchvision(copy, tmp_path / "expected"), tmp_path / "first")
    found = cached(shapes.bare(copy, tmp_path / "copy"), tmp_path / "second")
    assert sorted(found) == ["facts.json", "images.npy", "split.npy"]
    assert found["images.npy"] == expected["images.npy"]
    split = np.load(tmp_path / "second/split.npy")
    np.testing.assert_array_equal(split, annotations.split_by_hash(sorted(copy.photos)))


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        (shapes.torchvision, "as torchvision unpacks it"),
        (shapes.photos_themselves, "as torchvision unpacks it"),
        (shapes.the_zip_itself, "in a zip"),
        (shapes.drive, "in a zip"),
        (shapes.kaggle, "as Kaggle packs it"),
        (shapes.hugging_face, "in parquet shards, as Hugging Face keeps it"),
        (shapes.bare, "in a folder"),
    ],
)
def test_what_was_found_is_told(
    shape: Shape, layout: str, copy: shapes.Copy, tmp_path: Path
) -> None:
    assert layouts.find(str(shape(copy, tmp_path / "copy"))).layout == layout


@pytest.mark.parametrize("shape", [shapes.kaggle, shapes.drive, shapes.hugging_face])
def test_auto_finds_every_shape_in_the_place_for_celeba(
    shape: Shape, copy: shapes.Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CELEBA", shape(copy, tmp_path / "celeba"))
    assert len(layouts.find("auto").files) == 240


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
    few = dict(list(copy.photos.items())[:100])
    shapes.bare(shapes.Copy(few, (), [], []), folder / "img_align_celeba")
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


def test_an_absent_shard_is_said_to_be_missing(copy: shapes.Copy, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("word", ["attr", "partition"])
def test_a_list_that_names_absent_images_is_refused(
    word: str, copy: shapes.Copy, tmp_path: Path
) -> None:
    folder = shapes.kaggle(copy, tmp_path / "copy")
    (folder / "img_align_celeba/img_align_celeba/000123.jpg").unlink()
    [other] = [path for path in folder.glob("list_*") if word not in path.name]
    other.unlink()
    message = refusal(lambda: inspect.describe(layouts.find(str(folder))))
    assert "names 000123.jpg, which is not among the 239 photos" in message


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
    for part, some in (("a", names[:32]), ("b", names[32:])):
        photos = {name: copy.photos[name] for name in some}
        shapes.bare(shapes.Copy(photos, (), [], []), tmp_path / "mine" / part)
    rows = [f"{'a' if k < 32 else 'b'}/{name},{k % 2}" for k, name in enumerate(names)]
    (tmp_path / "mine/attributes.csv").write_text("\n".join(["file,odd", *rows]))
    assert data.load(str(tmp_path / "mine")).where("odd").tolist() == [False, True] * 32
