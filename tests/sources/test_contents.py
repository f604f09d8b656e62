"""Photos are told from masks, depth maps and thumbnails, and what is left aside is named."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import refusal
from tests.sources import shapes, trees
from tests.sources.conftest import message_of
from vaelib import data
from vaelib.sources import contents, inspect, layouts

FACES = [f"{number:04}" for number in range(64)]


def photos_of(path: Path) -> list[str]:
    source = layouts.find(str(path))
    return [source.prefix + file for file in source.files]


def aside_of(path: Path) -> tuple[str, ...]:
    return layouts.find(str(path)).aside


def zipped(tree: dict[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in tree.items():
            archive.writestr(f"CelebAMask-HQ/{name}", content)
    return path


# --- CelebAMask-HQ


@pytest.mark.parametrize("channels", [1, 3])
def test_of_celebamask_hq_the_photos_are_taken_and_the_masks_are_not(
    tmp_path: Path, channels: int
) -> None:
    folder = trees.written(tmp_path, trees.celeba_mask_hq(channels))
    assert sorted(photos_of(folder)) == sorted(f"CelebA-HQ-img/{n}.jpg" for n in range(64))


def test_where_masks_are_how_many_and_of_what_kind_is_said(tmp_path: Path) -> None:
    folder = trees.written(tmp_path, trees.celeba_mask_hq(1))
    masks = [
        f"64 masks in CelebAMask-HQ-mask-anno/{n} (.png, 32 x 32, 1 channel)" for n in range(4)
    ]
    assert list(aside_of(folder)) == masks


def test_folders_that_are_many_are_counted_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MANY_FOLDERS", 3)
    folder = trees.written(tmp_path, trees.celeba_mask_hq(3))
    assert list(aside_of(folder)) == [
        "256 masks in CelebAMask-HQ-mask-anno/* (.png, 32 x 32, 3 channels)"
    ]


def test_so_many_folders_that_only_the_top_ones_are_looked_at_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MAX_GROUPS", 2)
    folder = trees.written(tmp_path, trees.celeba_mask_hq())
    assert len(photos_of(folder)) == 64
    assert list(aside_of(folder)) == [
        "256 masks in CelebAMask-HQ-mask-anno (.png, 32 x 32, 3 channels)"
    ]


def test_celebamask_hqs_own_list_gives_the_attributes(tmp_path: Path) -> None:
    folder = trees.written(tmp_path / "CelebAMask-HQ", trees.celeba_mask_hq())
    faces = data.load(str(folder))
    assert (faces.name, faces.kind, len(faces.images)) == ("CelebAMask-HQ", "photos", 64)
    copy = shapes.procedural(64, size=(16, 16))
    expected = sorted(zip([f"{n}.jpg" for n in range(64)], copy.attributes, strict=True))
    assert faces.attributes is not None
    assert faces.attributes.tolist() == [row for _, row in expected]


def test_celebamask_hq_is_read_from_its_zip(tmp_path: Path) -> None:
    tree = trees.celeba_mask_hq()
    path = zipped(tree, tmp_path / "CelebAMask-HQ.zip")
    unpacked = trees.written(tmp_path / "copy/CelebAMask-HQ", tree)
    in_zip, in_folder = layouts.find(str(path)), layouts.find(str(unpacked))
    assert in_zip.files == in_folder.files
    assert in_zip.read_attributes()[1] == in_folder.read_attributes()[1]
    assert [line.replace("CelebAMask-HQ/", "") for line in in_zip.aside] == list(in_folder.aside)


def test_what_was_found_where_is_described_and_printed_when_it_is_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trees.written(tmp_path / "mine", trees.celeba_mask_hq())
    lines = inspect.describe(layouts.find(str(folder)))
    assert "  found       64 photos in CelebA-HQ-img (.jpg, 48 x 64, 3 channels)" in lines
    masks = "64 masks in CelebAMask-HQ-mask-anno/3 (.png, 32 x 32, 3 channels)"
    assert f"  left aside  {masks}" in lines
    data.load(str(folder))
    assert f"left aside: {masks}\n" in capsys.readouterr().err


def test_celebamask_hq_among_other_photos_keeps_its_photos(tmp_path: Path) -> None:
    tree = {f"CelebAMask-HQ/{name}": file for name, file in trees.celeba_mask_hq().items()}
    others = {f"others/{number}.jpg": trees.photo(number) for number in range(64)}
    found = photos_of(trees.written(tmp_path, {**tree, **others}))
    assert {name.rpartition("/")[0] for name in found} == {"CelebAMask-HQ/CelebA-HQ-img", "others"}
    assert len(found) == 128


# --- other companions of photos


def test_companions_of_photos_are_left_aside(tmp_path: Path) -> None:
    photos = {f"images/{name}.png": trees.photo(n, ".png") for n, name in enumerate(FACES)}
    cases = {
        "masks": {f"parts-mask/{name}.png": trees.mask(n) for n, name in enumerate(FACES)},
        "pictures of few colours": {
            f"parts/{name}.png": trees.mask(n) for n, name in enumerate(FACES)
        },
        "depth maps": {f"depthMaps/{name}.png": trees.depth(n) for n, name in enumerate(FACES)},
        "normal maps": {
            f"a/normals/{name}_n.png": trees.photo(n, ".png") for n, name in enumerate(FACES)
        },
        "thumbnails": {
            f"thumbnails128x128/{name}.jpg": trees.photo(n, size=(24, 32))
            for n, name in enumerate(FACES)
        },
    }
    for kind, companions in cases.items():
        folder = trees.written(tmp_path / kind, {**photos, **companions})
        assert photos_of(folder) == sorted(photos), kind
        (line,) = aside_of(folder)
        assert line.startswith(f"64 {kind} in "), kind


def test_companions_in_the_folder_of_the_photos_are_left_aside(tmp_path: Path) -> None:
    photos = {f"{name}.png": trees.photo(n, ".png") for n, name in enumerate(FACES)}
    masks = {f"{name}_mask.png": trees.mask(n) for n, name in enumerate(FACES)}
    depths = {f"{name}-depth.png": trees.depth(n) for n, name in enumerate(FACES)}
    folder = trees.written(tmp_path, {**photos, **masks, **depths})
    assert photos_of(folder) == sorted(photos)
    assert [line.partition(" in ")[0] for line in aside_of(folder)] == [
        "64 masks",
        "64 depth maps",
    ]


def test_companions_of_several_kinds_in_one_place_are_all_left_aside(tmp_path: Path) -> None:
    tree = {f"{name}.jpg": trees.photo(n) for n, name in enumerate(FACES)}
    tree |= {f"{name}.png": trees.mask(n) for n, name in enumerate(FACES)}
    tree |= {f"{name}_seg.png": trees.mask(n) for n, name in enumerate(FACES)}
    folder = trees.written(tmp_path, tree)
    assert photos_of(folder) == [f"{name}.jpg" for name in FACES]
    assert len(aside_of(folder)) == 2


def test_faces_that_wear_masks_are_photos(tmp_path: Path) -> None:
    names = [f"with_mask/with_mask_{n}.jpg" for n in range(40)]
    names += [f"without_mask/without_mask_{n}.jpg" for n in range(40)]
    folder = trees.written(tmp_path, trees.photos(names))
    assert (photos_of(folder), aside_of(folder)) == (sorted(names), ())


def test_grey_photos_beside_colour_ones_are_photos(tmp_path: Path) -> None:
    tree = {f"colour/{name}.jpg": trees.photo(n) for n, name in enumerate(FACES)}
    tree |= {f"grey/{name}.png": trees.depth(n) for n, name in enumerate(FACES)}
    folder = trees.written(tmp_path, tree)
    assert (len(photos_of(folder)), aside_of(folder)) == (128, ())


def test_thumbnails_alone_are_the_photos(tmp_path: Path) -> None:
    names = [f"thumbnails128x128/{n // 8:05}/{n:05}.png" for n in range(80)]
    folder = trees.written(tmp_path, trees.photos(names))
    assert (photos_of(folder), aside_of(folder)) == (sorted(names), ())


def test_masks_alone_are_what_is_wanted(tmp_path: Path) -> None:
    tree = {f"masks/{name}.png": trees.mask(n) for n, name in enumerate(FACES)}
    tree |= {f"more/{name}.png": trees.mask(n) for n, name in enumerate(FACES)}
    assert len(photos_of(trees.written(tmp_path, tree))) == 128


def test_photos_of_one_format_in_one_folder_are_not_opened_to_be_found(tmp_path: Path) -> None:
    folder = trees.written(tmp_path, {f"{name}.png": b"no picture" for name in FACES})
    assert len(photos_of(folder)) == 64


def test_a_broken_picture_is_no_mask(tmp_path: Path) -> None:
    tree = trees.photos([f"{name}.jpg" for name in FACES])
    assert "0.png" in photos_of(trees.written(tmp_path, {**tree, "0.png": b"no picture"}))


# --- files that are not read


def test_files_that_are_not_read_are_named_with_what_to_do(tmp_path: Path) -> None:
    odd = ["a.gif", "b.HEIC", "c/d.heic", "e.avif", "f.tgz", "g.7z", "h.7z.001", "i.zip", "j.npy"]
    tree = trees.photos([f"{name}.jpg" for name in FACES]) | dict.fromkeys(odd, b"any")
    tree |= dict.fromkeys(["notes.txt", "list.json", "readme"], b"any")
    convert, unpack = contents.CONVERT, contents.UNPACK
    assert list(aside_of(trees.written(tmp_path, tree))) == [
        f"1 .gif (a.gif): {convert}",
        f"2 .heic (b.HEIC, c/d.heic): {convert}",
        f"1 .avif (e.avif): {convert}",
        f"1 .tgz (f.tgz): {unpack}",
        f"2 .7z (g.7z, h.7z.001): {unpack}",
        f"1 .zip (i.zip): {unpack}",
        f"1 .npy (j.npy): {contents.SAVE}",
    ]


def test_a_table_that_may_be_a_list_of_attributes_is_named_where_there_is_none(
    tmp_path: Path,
) -> None:
    tree = trees.photos([f"{name}.jpg" for name in FACES])
    folder = trees.written(tmp_path, {**tree, "labels.csv": b"any"})
    assert aside_of(folder) == ("1 .csv (labels.csv): call a list of attributes attributes.csv",)
    rows = "".join(f"{name},1\n" for name in FACES)
    (folder / "attributes.csv").write_text(f"file,Bald\n{rows}")
    assert aside_of(folder) == ()


def test_a_second_zip_is_named(tmp_path: Path) -> None:
    for name, count in (("first.zip", 64), ("second.zip", 70)):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for number in range(count):
                archive.writestr(f"{number:04}.jpg", b"photo")
    source = layouts.find(str(tmp_path))
    assert (source.count, source.aside) == (70, (f"1 .zip (first.zip): {contents.UNPACK}",))


def test_a_zip_in_a_zip_is_named(tmp_path: Path) -> None:
    inner = io.BytesIO()
    zipfile.ZipFile(inner, "w").close()
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("deep/inner.zip", inner.getvalue())
        for number in range(64):
            archive.writestr(f"{number:04}.jpg", b"photo")
    assert aside_of(tmp_path / "faces.zip") == (f"1 .zip (deep/inner.zip): {contents.UNPACK}",)


def test_photos_beside_a_zip_that_holds_more_are_named(tmp_path: Path) -> None:
    folder = shapes.zip_in_folder(shapes.procedural(80, (16, 16)), tmp_path / "copy")
    trees.written(folder, trees.photos(["img_align_celeba/000001.jpg"]))
    assert aside_of(folder) == ("1 photos beside img_align_celeba.zip, which holds more",)


def test_where_nothing_can_be_read_the_refusal_names_what_there_is(tmp_path: Path) -> None:
    trees.written(tmp_path, dict.fromkeys([f"{n}.heic" for n in range(70)], b"any"))
    message = refusal(lambda: layouts.find(str(tmp_path)))
    assert "holds no photos" in message
    assert f"70 .heic (0.heic, 1.heic, 10.heic, ...): {contents.CONVERT}" in message


def test_where_there_are_too_few_photos_the_refusal_names_what_else_there_is(
    tmp_path: Path,
) -> None:
    trees.written(tmp_path, {**trees.photos(["a.jpg"]), "b.rar": b"any"})
    message = refusal(lambda: layouts.find(str(tmp_path)))
    assert (
        "holds 1 photos; at least 64 are needed to train (left aside: 1 .rar (b.rar): " in message
    )


def test_an_archive_that_is_not_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for name in ("lfw.tgz", "faces.tar.gz", "faces.7z", "faces.RAR"):
        path = trees.written(tmp_path, {name: b"any"}) / name
        message = message_of(layouts.find, str(path))
        assert message.endswith(f"is packed in a way that is not read; {contents.UNPACK}"), name


def test_a_jfif_is_decoded_like_the_jpeg_that_it_is(tmp_path: Path) -> None:
    jpegs = trees.photos([f"{name}.jpg" for name in FACES])
    renamed = {name.replace(".jpg", ".jfif"): content for name, content in jpegs.items()}
    first = data.load(str(trees.written(tmp_path / "jpg", jpegs)))
    second = data.load(str(trees.written(tmp_path / "jfif", renamed)))
    assert second.images.equal(first.images)


def test_a_picture_in_16_bits_is_looked_at_in_all_its_depth(tmp_path: Path) -> None:
    tree = trees.photos([f"{name}.jpg" for name in FACES])
    for number in range(3):
        content = io.BytesIO()
        pixels = trees.faces(64)[number, :, :, 0].astype("uint16") * 257
        Image.fromarray(pixels).save(content, "PNG")
        tree[f"deep{number}.png"] = content.getvalue()
    assert len(photos_of(trees.written(tmp_path, tree))) == 67
