"""Parquet gives its photos with the right names, or the shard that cannot be read is named."""

import contextlib
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import refusal
from tests.sources import shapes
from tests.sources.conftest import message_of
from vaelib.sources import annotations, parquet
from vaelib.support.errors import InputError

PLAIN = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def images(photos: Mapping[str, bytes], kind: pa.DataType = PLAIN) -> pa.Array:
    """A column of Hugging Face's kind: bytes with their paths."""
    rows = [{"bytes": photo, "path": name} for name, photo in photos.items()]
    return pa.array(rows, kind)


def numbered(numbers: Iterable[int]) -> dict[str, bytes]:
    return {f"{number:06}.jpg": f"photo {number}".encode() for number in numbers}


def write(path: Path, columns: Mapping[str, object], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)
    return path


def opened(folder: Path) -> parquet.Shards:
    return parquet.open_shards(folder, sorted(folder.rglob("*.parquet")))


def photos_of(store: parquet.Shards) -> dict[str, bytes]:
    """Photos by their names, as the positions in their order say."""
    names = sorted(store.names)
    return {names[position]: photo for position, photo in store.photos()}


def one(folder: Path, **columns: object) -> parquet.Shards:
    """A copy of one shard."""
    write(folder / "faces.parquet", columns)
    return opened(folder)


# --- photos


def test_photos_come_with_their_positions_in_the_order_of_the_names(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", {"image": images(numbered([5, 2, 9]))})
    write(tmp_path / "test-0.parquet", {"image": images(numbered([1, 7]))})
    found = list(opened(tmp_path).photos())
    assert found == [
        (2, b"photo 5"),
        (1, b"photo 2"),
        (4, b"photo 9"),
        (0, b"photo 1"),
        (3, b"photo 7"),
    ]


@pytest.mark.parametrize("named", [True, False])
def test_a_copy_of_celeba_gives_the_photos_attributes_and_split_that_went_in(
    tmp_path: Path, named: bool
) -> None:
    copy = shapes.procedural(40, (16, 16))
    shapes.parquet(copy, tmp_path / "copy", named)
    store = opened(tmp_path / "copy")
    attributes, names = store.read_attributes()
    assert photos_of(store) == copy.photos
    assert names == copy.names
    np.testing.assert_array_equal(np.asarray(attributes), copy.attributes)
    np.testing.assert_array_equal(np.asarray(store.read_split()), copy.split)
    assert store.of_celeba
    assert store.missing() == []


def test_bytes_and_paths_may_be_of_any_of_arrows_kinds(tmp_path: Path) -> None:
    photos = numbered(range(6))
    plain = pa.array(list(photos))
    paths = [plain, plain.cast(pa.large_string()), plain.dictionary_encode()]
    paths.append(plain.cast(pa.large_string()).dictionary_encode())
    paths[3] = paths[3].cast(pa.dictionary(pa.int8(), pa.large_string()))
    for content in (pa.binary(), pa.large_binary()):
        for path in paths:
            columns = [pa.array(list(photos.values()), content), path]
            column = pa.StructArray.from_arrays(columns, ["bytes", "path"])
            write(tmp_path / "faces.parquet", {"image": column}, row_group_size=2)
            assert photos_of(opened(tmp_path)) == photos, column.type


def test_bytes_and_paths_may_be_views_as_polars_has_them(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary_view()), ("path", pa.string_view())])
    assert photos_of(one(tmp_path, image=images(numbered([2, 1]), kind))) == numbered([2, 1])


def test_plain_bytes_are_photos_in_a_column_that_is_called_so(tmp_path: Path) -> None:
    for name in ("image", "img", "jpg", "Image", "PNG"):
        for content in (pa.binary(), pa.large_binary()):
            columns = {"thumbnail": pa.array([b"x"]), name: pa.array([b"photo"], content)}
            assert photos_of(one(tmp_path, **columns)) == {"000001.jpg": b"photo"}, columns


def test_bytes_with_paths_are_photos_whatever_the_column_is_called(tmp_path: Path) -> None:
    store = one(tmp_path, note=pa.array(["x", "y"]), face=images(numbered([1, 2])))
    assert photos_of(store) == numbered([1, 2])


def test_a_column_that_is_called_image_is_taken_before_another(tmp_path: Path) -> None:
    store = one(tmp_path, mask=images({"1.png": b"mask"}), image=images({"1.jpg": b"photo"}))
    assert photos_of(store) == {"1.jpg": b"photo"}


def test_columns_that_begin_alike_are_not_confused(tmp_path: Path) -> None:
    columns = {"image.path": pa.array(["x"]), "image": images({"1.jpg": b"photo"})}
    write(tmp_path / "faces.parquet", {**columns, "image.bytes": pa.array([b"y"])})
    assert photos_of(opened(tmp_path)) == {"1.jpg": b"photo"}


def test_a_dot_in_the_name_of_the_column_is_part_of_it(tmp_path: Path) -> None:
    write(tmp_path / "faces.parquet", {"photo.jpg": images(numbered([1, 2]))})
    assert photos_of(opened(tmp_path)) == numbered([1, 2])


def test_a_missing_photo_comes_out_empty(tmp_path: Path) -> None:
    rows = [{"bytes": b"photo", "path": "1.jpg"}, {"bytes": None, "path": "2.jpg"}]
    assert photos_of(one(tmp_path, image=pa.array(rows, PLAIN))) == {
        "1.jpg": b"photo",
        "2.jpg": b"",
    }


def test_a_missing_row_of_photos_comes_out_empty(tmp_path: Path) -> None:
    store = one(tmp_path, image=pa.array([None, {"bytes": b"photo", "path": "1.jpg"}], PLAIN))
    assert photos_of(store) == {"000001.jpg": b"", "000002.jpg": b"photo"}


def test_a_shard_without_rows_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", {"image": images(numbered([1]))})
    write(tmp_path / "test-0.parquet", {"image": images({})})
    assert photos_of(opened(tmp_path)) == numbered([1])


def test_shards_may_be_compressed_in_any_way(tmp_path: Path) -> None:
    for compression in ("none", "snappy", "gzip", "brotli", "zstd", "lz4"):
        write(tmp_path / "a.parquet", {"image": images(numbered([1]))}, compression=compression)
        assert photos_of(opened(tmp_path)) == numbered([1]), compression


def test_of_a_large_shard_only_a_little_is_held_at_once(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(600 * 20_000)
    photos = {f"{n:06}.jpg": content[n * 20_000 :][:20_000] for n in range(600)}
    path, columns = tmp_path / "faces.parquet", {"image": images(photos)}
    write(path, columns, compression="none", data_page_size=100_000, write_batch_size=5)
    store = opened(tmp_path)
    before, held = pa.total_allocated_bytes(), []
    tracemalloc.start()
    try:
        for _ in store.photos():
            held.append(pa.total_allocated_bytes() - before)
        read = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(held) == 600
    assert max(held) + read < 6_000_000 < len(content)


def test_rows_are_read_a_fixed_number_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = one(tmp_path, image=images(numbered(range(10))))
    batch_sizes = []
    read = pq.ParquetFile.iter_batches

    def watched(shard: pq.ParquetFile, rows: int, columns: Sequence[str]) -> object:
        batch_sizes.append(rows)
        return read(shard, rows, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 3)
    assert photos_of(store) == numbered(range(10))
    assert batch_sizes == [3]


# --- names


def test_a_name_is_the_last_part_of_the_path(tmp_path: Path) -> None:
    photos = {"img_align_celeba/1.jpg": b"1", "2.jpg": b"2", "C:\\faces\\3.jpg": b"3"}
    assert one(tmp_path, image=images(photos)).names == ("1.jpg", "2.jpg", "3.jpg")


def test_photos_without_paths_are_numbered_from_train_to_test(tmp_path: Path) -> None:
    for part in ("test", "train", "valid"):
        write(tmp_path / f"{part}-0.parquet", {"image": pa.array([part.encode()] * 2)})
    assert photos_of(opened(tmp_path)) == {
        "000001.jpg": b"train",
        "000002.jpg": b"train",
        "000003.jpg": b"valid",
        "000004.jpg": b"valid",
        "000005.jpg": b"test",
        "000006.jpg": b"test",
    }


def test_photos_are_numbered_where_one_has_no_path_or_that_of_another(tmp_path: Path) -> None:
    for path in ("000001.jpg", "other/000001.jpg", "", None):
        rows = [{"bytes": b"a", "path": "000001.jpg"}, {"bytes": b"b", "path": path}]
        store = one(tmp_path, image=pa.array(rows, PLAIN))
        assert photos_of(store) == {"000001.jpg": b"a", "000002.jpg": b"b"}, path


def test_shards_are_numbered_in_the_order_of_their_names(tmp_path: Path) -> None:
    for number in (1, 0, 2):
        write(
            tmp_path / f"train-{number:05}-of-00003.parquet", {"image": pa.array([b"%d" % number])}
        )
    store = parquet.open_shards(tmp_path, sorted(tmp_path.iterdir(), reverse=True))
    assert list(photos_of(store).values()) == [b"0", b"1", b"2"]


def test_paths_that_are_no_text_are_not_used(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.binary())])
    column = pa.array([{"bytes": b"photo", "path": b"a.jpg"}], kind)
    assert one(tmp_path, image=column).names == ("000001.jpg",)


# --- the split


def test_the_split_is_in_the_name_of_the_shard_or_else_of_its_folder(tmp_path: Path) -> None:
    splits = {
        "train-00000-of-00001.parquet": 0,
        "train.parquet": 0,
        "default/train/0000.parquet": 0,
        "train/faces/0000.parquet": 0,
        "valid-00000-of-00001.parquet": 1,
        "validation-0.parquet": 1,
        "val.parquet": 1,
        "default/partial-validation/0000.parquet": 1,
        "Test-0.PARQUET": 2,
        "celeba_test_0.parquet": 2,
        "train/test.parquet": 2,
        "test/train-test.parquet": 2,
        "0000.parquet": None,
        "training.parquet": None,
        "attestation.parquet": None,
        "train-test.parquet": None,
    }
    for file, split in splits.items():
        path = write(tmp_path / file, {"image": images(numbered([1, 2]))})
        found = parquet.open_shards(tmp_path, [path]).read_split()
        assert (None if found is None else found.tolist()) == (
            split if split is None else [split] * 2
        ), file


def test_folders_above_the_copy_do_not_count(tmp_path: Path) -> None:
    write(tmp_path / "test/copy/0000.parquet", {"image": images(numbered([1]))})
    assert opened(tmp_path / "test/copy").read_split() is None


def test_the_split_is_in_the_order_of_the_names(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", {"image": images(numbered([5, 2]))})
    write(tmp_path / "test-0.parquet", {"image": images(numbered([3, 1]))})
    write(tmp_path / "valid-0.parquet", {"image": images(numbered([4]))})
    found = opened(tmp_path).read_split()
    assert found is not None
    assert found.tolist() == [
        annotations.TEST,
        annotations.TRAIN,
        annotations.TEST,
        annotations.VALIDATION,
        annotations.TRAIN,
    ]


def test_one_shard_of_no_part_leaves_the_copy_without_a_split(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", {"image": images(numbered([1]))})
    write(tmp_path / "more.parquet", {"image": images(numbered([2]))})
    assert opened(tmp_path).read_split() is None


# --- shards that are not there


def test_shards_that_the_names_of_others_count_on_are_absent(tmp_path: Path) -> None:
    for name in ("train-00000-of-00003", "train-00002-of-00003", "test-00000-of-00001"):
        write(tmp_path / f"{name}.parquet", {"image": images(numbered([1]))})
    write(tmp_path / "valid-1-of-2.parquet", {"image": images(numbered([2]))})
    assert opened(tmp_path).missing() == ["train-00001-of-00003.parquet", "valid-0-of-2.parquet"]


def test_a_hash_at_the_end_of_a_shards_name_does_not_count(tmp_path: Path) -> None:
    for number in (0, 2):
        name = f"train-0000{number}-of-00003-0a1b2c3d4e5f{number}.parquet"
        write(tmp_path / name, {"image": images(numbered([number]))})
    assert opened(tmp_path).missing() == ["train-00001-of-00003.parquet"]


def test_shards_without_a_believable_count_miss_none(tmp_path: Path) -> None:
    for name in ("0000", "train", "best-of-3", "train-00000-of-99999999999"):
        path = write(tmp_path / f"{name}.parquet", {"image": images(numbered([1]))})
        assert parquet.open_shards(tmp_path, [path]).missing() == [], name


# --- attributes


def test_attributes_may_be_booleans_or_numbers(tmp_path: Path) -> None:
    for values in (
        pa.array([True, False, True]),
        pa.array([1, 0, 1]),
        pa.array([1, -1, 1], pa.int8()),
        pa.array([1, 0, 1], pa.uint8()),
        pa.array([1.0, -1.0, 1.0]),
    ):
        store = one(tmp_path, image=images(numbered(range(3))), Bald=values)
        table, names = store.read_attributes()
        assert table is not None
        assert names == ("Bald",), values.type
        assert table.dtype == np.bool_, values.type
        assert table.tolist() == [[True], [False], [True]], values.type


def test_attributes_are_in_the_order_of_the_names_and_of_celeba(tmp_path: Path) -> None:
    bald, young = pa.array([True, False, True]), pa.array([1, -1, -1])
    columns = {"image": images(numbered([2, 3, 1])), "young": young, "id": pa.array([7, 8, 9])}
    columns |= {"odd": pa.array([False] * 3), "BALD": bald, "even": pa.array([True] * 3)}
    write(tmp_path / "train-0.parquet", columns)
    table, names = opened(tmp_path).read_attributes()
    assert names == ("Bald", "Young", "odd", "even")
    assert table is not None
    others = [False, True]
    assert table.tolist() == [
        [True, False, *others],
        [True, True, *others],
        [False, False, *others],
    ]


def test_shards_may_hold_the_same_attributes_in_another_order_and_type(tmp_path: Path) -> None:
    yes, no = pa.array([True]), pa.array([-1])
    write(tmp_path / "a.parquet", {"image": images(numbered([1])), "Bald": yes, "Young": no})
    write(tmp_path / "b.parquet", {"image": images(numbered([2])), "Young": yes, "Bald": no})
    table, _ = opened(tmp_path).read_attributes()
    assert table is not None
    assert table.tolist() == [[True, False], [False, True]]


def test_numbers_in_columns_of_other_names_are_no_attributes(tmp_path: Path) -> None:
    store = one(tmp_path, image=images(numbered([1])), celeb_id=pa.array([1]))
    assert store.read_attributes() == (None, ())
    assert not store.of_celeba


def test_an_attribute_that_is_neither_true_nor_false_is_refused(tmp_path: Path) -> None:
    cases = [
        (pa.array([True, None]), "empty in a row"),
        (pa.array([1, None]), "empty in a row"),
        (pa.array([None, None]), "of type null"),
        (pa.array([1, 2]), "2 in a row"),
        (pa.array([1.0, 0.5]), "0.5 in a row"),
        (pa.array([1.0, float("nan")]), "nan in a row"),
        (pa.array(["1", "0"]), "of type string"),
        (pa.array([[1], [0]]), "of type list<"),
    ]
    for values, fault in cases:
        store = one(tmp_path, image=images(numbered([1, 2])), Bald=values)
        message = message_of(store.read_attributes)
        assert message.startswith(f"{tmp_path / 'faces.parquet'}: Bald is {fault}"), message


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
def test_shards_of_different_attributes_are_refused_by_shard_and_column(
    tmp_path: Path, first: str, second: str
) -> None:
    more = {"Young": pa.array([True])}
    shared = {"Bald": pa.array([True])}
    write(tmp_path / f"{first}.parquet", {"image": images(numbered([1])), **shared, **more})
    write(tmp_path / f"{second}.parquet", {"image": images(numbered([2])), **shared})
    message = refusal(opened(tmp_path).read_attributes)
    assert message.startswith(f"{tmp_path / 'b.parquet'} and a.parquet have different columns:")
    assert "'Young' is in one only" in message


def test_an_attribute_in_two_columns_is_refused(tmp_path: Path) -> None:
    yes = pa.array([True])
    store = one(tmp_path, image=images(numbered([1])), No_Beard=yes, no_beard=yes)
    assert "the attribute 'no_beard' is there twice" in refusal(store.read_attributes)


def test_a_copy_is_celebas_if_five_and_most_of_its_attributes_are(tmp_path: Path) -> None:
    for known, others, celeba in ((6, 1, True), (6, 6, False), (2, 1, False), (0, 2, False)):
        names = [*annotations.CELEBA_ATTRIBUTES[:known], *(f"other {n}" for n in range(others))]
        columns = {name: pa.array([True]) for name in names}
        store = one(tmp_path, image=images(numbered([1])), **columns)
        assert store.of_celeba is celeba, (known, others)


# --- shards that cannot be read


def test_shards_without_photos_are_refused_with_the_columns_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"text": pa.array(["x"]), "label": pa.array([1])})
    message = refusal(lambda: opened(tmp_path))
    assert message == (
        f"{path} has no column of photos; looked for bytes in image, img, jpg, jpeg, png, "
        "found text, label"
    )


def test_a_column_of_anything_but_bytes_holds_no_photos(tmp_path: Path) -> None:
    for column in (
        pa.array([[1, 2]]),
        pa.array(["photo"]),
        pa.array([[b"photo"]]),
        pa.array([{"bytes": "photo"}]),
        pa.array([{"path": "a.jpg"}]),
    ):
        write(tmp_path / "a.parquet", {"image": column})
        assert "has no column of photos" in message_of(opened, tmp_path), column.type


def test_two_columns_of_the_same_name_are_not_taken_for_photos(tmp_path: Path) -> None:
    column = images(numbered([1]))
    pq.write_table(pa.table([column, column], names=["image"] * 2), tmp_path / "a.parquet")
    assert "found image, image" in refusal(lambda: opened(tmp_path))


def test_photos_in_another_column_than_the_first_shards_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"image": images(numbered([1]))})
    path = write(tmp_path / "b.parquet", {"img": images(numbered([2]))})
    message = refusal(lambda: opened(tmp_path))
    assert message.startswith(f"{path} has its photos in another column than a.parquet ('image')")


def test_a_file_that_is_only_called_parquet_is_refused_as_what_it_is(tmp_path: Path) -> None:
    cases = [
        (b"", "is empty; get it again"),
        (b"<!doctype html><title>Sign in</title>", "is a web page and not parquet, as a download"),
        (b"<?xml version='1.0'?><Error>", "is a web page and not parquet"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS and not"),
        (b"PAR1", "is cut short, damaged or no parquet; get it again"),
        (
            b"PAR1" + bytes(100) + b"PAR1",
            "is cut short, damaged or no parquet; get it again",
        ),
        (b"ARROW1" + bytes(100), "is cut short, damaged or no parquet; get it again"),
    ]
    path = tmp_path / "a.parquet"
    for content, fault in cases:
        path.write_bytes(content)
        message = message_of(opened, tmp_path)
        assert message.startswith(f"{path} {fault}"), content


def test_a_shard_that_is_gone_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    message = refusal(lambda: parquet.open_shards(tmp_path, [path]))
    assert message == f"cannot read {path}: No such file or directory; check its permissions"


def test_a_shard_that_may_not_be_read_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(path: Path, mode: str) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)
    message = refusal(lambda: parquet.open_shards(tmp_path, [tmp_path / "a.parquet"]))
    assert message.startswith(f"cannot read {tmp_path / 'a.parquet'}: Permission denied")


def test_a_shard_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"image": images(numbered(range(100)))})
    content = path.read_bytes()
    for kept in (0.1, 0.5, 0.9, 0.99):
        path.write_bytes(content[: int(kept * len(content))])
        fault = f"{path} is cut short, damaged or no parquet; get it again"
        assert message_of(opened, tmp_path) == fault, kept


def test_a_shard_that_is_cut_short_later_is_refused_while_its_photos_are_read(
    tmp_path: Path,
) -> None:
    store = one(tmp_path, image=images(numbered(range(100))))
    store.files[0].write_bytes(store.files[0].read_bytes()[:-50])
    message = refusal(lambda: photos_of(store))
    assert message == f"{store.files[0]} is cut short, damaged or no parquet; get it again"


def test_a_shard_with_other_rows_than_before_does_not_move_the_photos_of_the_next(
    tmp_path: Path,
) -> None:
    for rows in (2, 4):
        path = write(tmp_path / "a.parquet", {"image": images(numbered(range(3)))})
        write(tmp_path / "b.parquet", {"image": images(numbered(range(3, 6)))})
        store = opened(tmp_path)
        write(path, {"image": images(numbered(range(rows)))})
        assert str(path) in message_of(photos_of, store), rows


def test_a_shard_whose_directory_counts_other_rows_than_it_holds_is_refused(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.parquet", {"image": images(numbered([1, 2]))})
    content, two = path.read_bytes(), b"\x16\x04\x19\x1c"  # rows, then the groups of rows
    assert content.count(two) == 1
    for rows in (0, 1, 3):
        path.write_bytes(content.replace(two, b"\x16" + bytes([2 * rows]) + two[2:]))
        assert str(path) in message_of(opened, tmp_path), rows


def noisy(count: int) -> dict[str, bytes]:
    """Photos of noise, each of another length."""
    noise = np.random.default_rng(0)
    return {f"{n:03}.jpg": noise.bytes(300 + 7 * n) for n in range(count)}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], bytes]:
    """Make a shard of several pages, with checksums of them or without."""
    folder = tmp_path_factory.mktemp("pages")

    def make(checksums: bool) -> bytes:
        path = folder / "a.parquet"
        return write(
            path,
            {"image": images(noisy(40)), "Bald": pa.array([True, False] * 20)},
            row_group_size=20,
            data_page_size=4_000,
            use_dictionary=False,
            write_page_checksum=checksums,
        ).read_bytes()

    return make


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda old: bytes([old[0] ^ 1]) + old[1:],
    "a byte": lambda old: bytes([old[0] ^ 255]) + old[1:],
    "zeros": lambda old: bytes(len(old)),
    "noise": lambda old: np.random.default_rng(1).bytes(len(old)),
}


@pytest.mark.slow
@pytest.mark.parametrize("checksums", [True, False])
def test_damage_anywhere_gives_no_photo_the_name_of_another(
    tmp_path: Path, pages: Callable[[bool], bytes], checksums: bool
) -> None:
    content, path, photos = pages(checksums), tmp_path / "a.parquet", noisy(40)
    begins = {photo[:40]: name for name, photo in photos.items()}
    for number, at in enumerate(range(0, len(content) - 64, 37)):
        damage = list(DAMAGE.values())[number % len(DAMAGE)]
        changed = damage(content[at : at + 64])
        path.write_bytes(content[:at] + changed + content[at + 64 :])
        with contextlib.suppress(InputError):  # whatever else it is would be a traceback
            store = opened(tmp_path)
            store.read_attributes()
            found = [photo for _, photo in sorted(store.photos())]
            names = [
                begins.get(photo[:40], name) for photo, name in zip(found, photos, strict=True)
            ]
            assert names == list(photos), f"damaged at {at}"


def test_damage_that_checksums_show_is_refused_by_name(
    tmp_path: Path, pages: Callable[[bool], bytes]
) -> None:
    content, path = pages(True), tmp_path / "a.parquet"
    at = content.index(noisy(40)["020.jpg"]) + 100
    path.write_bytes(content[:at] + b"not the same" + content[at + 12 :])
    message = refusal(lambda: photos_of(opened(tmp_path)))
    assert message == f"{path} is cut short, damaged or no parquet; get it again"


def test_a_path_that_is_no_text_any_more_is_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet", {"image": images({"portrait.jpg": b"1"})}, compression="none"
    )
    path.write_bytes(path.read_bytes().replace(b"portrait", b"\xff" * 8))
    assert str(path) in refusal(lambda: opened(tmp_path))
