"""Sources become caches of faces: resumed after an interruption, and named by a key."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import PIL
import pytest
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import edit, refusal
from tests.sources import shapes
from vaelib.evaluation.detector import hog_scores
from vaelib.faces import render
from vaelib.sources import alignment, cache, decode, layouts, prepare
from vaelib.sources.source import Source
from vaelib.support import paths

Make = Callable[..., Path]


def prepared(source: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    found = layouts.find(str(source))
    prepare.prepare(found, len(found.files), folder)
    return folder


def images(folder: Path) -> NDArray[np.uint8]:
    return np.asarray(np.load(folder / "images.npy"))


def facts(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "facts.json").read_text()))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lists the blocks that are decoded, of 16 photos each, and in this process."""
    decode_block = decode.decode_block
    blocks = []

    def counting(block: int, *rest: object) -> decode.DecodedBlock:
        blocks.append(block)
        return decode_block(block, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(decode, "decode_block", counting)
    monkeypatch.setattr(prepare, "BLOCK_PHOTOS", 16)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    return blocks


# --- the cache


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def opened(folder: Path) -> cache.Prepared:
    """The faces of a folder of photos, from the cache or prepared for it."""
    source = layouts.find(str(folder))
    return prepare.open_or_prepare(source, source.count)


def caches(folder: Path) -> list[Path]:
    """All that lies in the folder of caches, but for the lock."""
    return sorted(path for path in folder.iterdir() if path.name != ".lock")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_is_prepared_once_is_not_decoded_again(
    celeba_folder: Make, own_cache: Path, counted: list[int]
) -> None:
    folder = celeba_folder(84)
    first = opened(folder)
    counted.clear()
    assert opened(folder) == first
    assert counted == []


def test_a_changed_photo_is_seen(photo_folder: Make, own_cache: Path) -> None:
    folder = photo_folder(64)
    before = opened(folder)
    Image.new("RGB", (89, 109), "white").save(folder / "000005.jpg")
    after = opened(folder)
    assert after.fingerprint != before.fingerprint
    assert images(after.folder)[5].min() == 255


@pytest.mark.slow
def test_an_incomplete_cache_is_made_again(celeba_folder: Make, own_cache: Path) -> None:
    folder = celeba_folder(64)
    cached = opened(folder).folder
    whole = contents(cached)
    for file, content in whole.items():
        for left in (None, content[: len(content) // 2], b""):
            (cached / file).unlink()
            if left is not None:
                (cached / file).write_bytes(left)
            opened(folder)
            assert contents(cached) == whole, file
            assert caches(own_cache) == [cached], file


def test_a_cache_with_one_wrong_bit_is_made_again_and_that_is_printed(
    celeba_folder: Make, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = celeba_folder(64)
    cached = opened(folder).folder
    whole = contents(cached)
    assert sorted(whole) == ["attributes.npy", "facts.json", "images.npy", "split.npy"]
    for file, content in whole.items():
        harmed = bytearray(content)
        harmed[-5] ^= 1
        times = (cached / file).stat()
        (cached / file).write_bytes(harmed)
        os.utime(cached / file, ns=(times.st_atime_ns, times.st_mtime_ns))
        capsys.readouterr()
        opened(folder)
        assert contents(cached) == whole, file
        assert f"the cache {cached} is damaged" in capsys.readouterr().err, file


def test_a_refused_preparation_leaves_nothing_behind(celeba_folder: Make, own_cache: Path) -> None:
    folder = celeba_folder(64)
    (folder / "img_align_celeba/000007.jpg").write_bytes(b"")
    assert "000007.jpg (empty)" in refusal(lambda: opened(folder))
    assert caches(own_cache) == []


def test_what_is_left_of_a_source_that_has_changed_since_is_removed(
    photo_folder: Make, own_cache: Path
) -> None:
    (own_cache / ".photos-0123456789ab.part").mkdir(parents=True)
    (own_cache / ".others-0123456789ab.part").mkdir()
    opened(photo_folder(64))
    left = [path.name for path in caches(own_cache) if path.name.startswith(".")]
    assert left == [".others-0123456789ab.part"]


@pytest.mark.slow
def test_a_second_process_waits_and_uses_the_faces_of_the_first(
    photo_folder: Make, own_cache: Path
) -> None:
    folder = photo_folder(64)
    own_cache.mkdir()
    lock = FileLock(own_cache / ".lock")
    script = f"from vaelib import data; print(len(data.load({str(folder)!r}).images))"
    environment = os.environ | {"VAELIB_CACHE": str(own_cache)}
    with lock:
        other = subprocess.Popen(
            [sys.executable, "-c", script],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert other.stderr is not None
        assert "another process prepares faces" in other.stderr.readline()
        cached = own_cache / f"photos-{key_of(folder)[:12]}"
        part = prepared(folder, own_cache / "first")
        (part / "of the first").touch()
        part.rename(cached)
    output, _ = other.communicate(timeout=60)
    assert output == "64\n"
    assert (cached / "of the first").exists()


def test_preparations_at_the_same_time_do_not_spoil_each_other(
    photo_folder: Make, own_cache: Path
) -> None:
    folder = photo_folder(64)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(opened, [folder] * 4))
    assert results == [results[0]] * 4
    assert caches(own_cache) == [results[0].folder]


def test_a_cache_folder_that_cannot_be_made_is_refused(
    photo_folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "CACHE", tmp_path / "file" / "cache")
    assert "set VAELIB_CACHE" in refusal(lambda: opened(photo_folder(64)))


def test_a_cache_folder_that_cannot_be_written_to_is_refused(
    photo_folder: Make, own_cache: Path
) -> None:
    (own_cache / ".lock").mkdir(parents=True)
    assert f"cannot write to {own_cache}: " in refusal(lambda: opened(photo_folder(64)))


def test_a_disk_without_room_is_refused_before_it_is_filled(
    photo_folder: Make, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(own_cache.parent)._replace(free=64 * 9216 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert "MB free" in refusal(lambda: opened(photo_folder(64)))
    assert caches(own_cache) == []


def test_photos_are_refused_in_one_line_where_pillow_is_missing(
    photo_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(64)
    monkeypatch.setitem(sys.modules, "PIL", None)
    message = refusal(lambda: opened(folder))
    assert message.startswith("photos cannot be decoded without pillow; run pip install pillow, or")


# --- what is prepared


def test_faces_stand_in_the_order_of_their_file_names(photo_folder: Make, tmp_path: Path) -> None:
    folder = photo_folder(70)
    found = images(prepared(folder, tmp_path / "prepared"))
    expected = [decode.decode(photo).pixels for photo in sorted(folder.iterdir())]
    np.testing.assert_array_equal(found, expected)


def test_a_photo_beside_celebas_lists_is_cropped_where_it_is_not_aligned(
    celeba_folder: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = celeba_folder(64)
    square = Image.new("RGB", (218, 218), "red")
    square.paste((255, 255, 255), (20, 0, 198, 218))
    square.save(folder / "img_align_celeba/000000.jpg")
    assert images(prepared(folder, tmp_path / "prepared"))[0, 1, :, 0].min() > 240
    said = "cropped 1 photo whose proportions are not CelebA's: 0 around the face in it, 1 without"
    assert said in capsys.readouterr().err


@pytest.fixture
def portraits(tmp_path: Path) -> Path:
    """Seventy square photos of procedural faces, each somewhere else before a plain ground."""
    folder = tmp_path / "portraits"
    folder.mkdir()
    for number, face in enumerate(render.generate(70, 0)[0]):
        photo = Image.new("RGB", (300, 300), (90, 120, 150))
        portrait = Image.fromarray(face.transpose(1, 2, 0)).resize((120, 160))
        photo.paste(portrait, (20 + 2 * number, 10 + number))
        photo.save(folder / f"{number:03}.png")
    return folder


def found_share(faces: NDArray[np.uint8]) -> float:
    """The share of faces that a detector finds, of another kind than the one that aligns."""
    return float((hog_scores(torch.from_numpy(faces)) > 0).float().mean())


@pytest.mark.slow
def test_photos_are_cropped_around_the_faces_in_them_unless_that_is_off(
    portraits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    around = images(prepared(portraits, tmp_path / "around"))
    assert re.search(r"cropped 70 photos .*: [4-7]\d around the face", capsys.readouterr().err)
    monkeypatch.setenv(alignment.VARIABLE, "off")
    middle = images(prepared(portraits, tmp_path / "middle"))
    assert "cropped 70 photos" in capsys.readouterr().err
    assert found_share(around) > found_share(middle) + 0.3


def test_another_choice_is_another_cache(portraits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = layouts.find(str(portraits))
    key = prepare.cache_key(source, 70)
    monkeypatch.setenv(alignment.VARIABLE, "off")
    assert prepare.cache_key(source, 70) != key


# --- broken photos


def break_photos(folder: Path, count: int) -> list[str]:
    """Make junk of every eleventh photo, so many of them."""
    names = [f"{11 * number:06}.jpg" for number in range(count)]
    for name in names:
        (folder / name).write_bytes(b"no photo at all")
    return names


def test_broken_photos_are_left_out_and_named(
    photo_folder: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photo_folder(201, size=(24, 29))
    whole = images(prepared(folder, tmp_path / "whole"))
    break_photos(folder, 2)
    remaining = prepared(folder, tmp_path / "remaining")
    assert facts(remaining)["broken"] == ["000000.jpg (no image)", "000011.jpg (no image)"]
    kept = [number for number in range(201) if number not in (0, 11)]
    np.testing.assert_array_equal(images(remaining), whole[kept])
    message = "left out 2 broken photos of 201: 000000.jpg (no image), 000011.jpg (no image)\n"
    assert message in capsys.readouterr().err


def test_attributes_and_split_stay_with_their_faces_when_others_are_broken(
    celeba_folder: Make, tmp_path: Path
) -> None:
    folder = celeba_folder(201)
    break_photos(folder / "img_align_celeba", 2)
    remaining = prepared(folder, tmp_path / "remaining")
    kept = [number for number in range(201) if number not in (0, 11)]
    smiling = np.load(remaining / "attributes.npy")[:, 1]
    assert smiling.tolist() == [number % 2 == 1 for number in kept]
    assert np.load(remaining / "split.npy").tolist() == ([0] * 181 + [2, 1] * 10)[2:]


def test_one_percent_of_broken_photos_is_too_many(photo_folder: Make, tmp_path: Path) -> None:
    folder = photo_folder(100, size=(24, 29))
    break_photos(folder, 1)
    message = refusal(lambda: prepared(folder, tmp_path / "remaining"))
    assert "1 of 100 photos cannot be decoded: 000000.jpg (no image);" in message


def test_many_broken_photos_are_named_by_the_first_three(
    photo_folder: Make, tmp_path: Path
) -> None:
    folder = photo_folder(64, size=(24, 29))
    first, second, third, *_ = (f"{name} (no image)" for name in break_photos(folder, 5))
    message = refusal(lambda: prepared(folder, tmp_path / "remaining"))
    assert f"5 of 64 photos cannot be decoded: {first}, {second}, {third}, ...;" in message


def test_a_list_is_refused_before_a_photo_is_decoded(
    celeba_folder: Make, tmp_path: Path, counted: list[int]
) -> None:
    folder = celeba_folder(64)
    edit(folder / "list_eval_partition.txt", 3, "000002.jpg 3")
    refusal(lambda: prepared(folder, tmp_path / "remaining"))
    assert counted == []


# --- interrupted and resumed


class Stopped(BaseException):
    pass


def stop_after(monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    decode_block = decode.decode_block

    def stopping(block: int, *rest: object) -> decode.DecodedBlock:
        if block == blocks:
            raise Stopped
        return decode_block(block, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(decode, "decode_block", stopping)


@pytest.mark.parametrize("shape", [shapes.torchvision, shapes.the_zip_itself, shapes.hugging_face])
def test_an_interrupted_preparation_is_resumed(
    shape: Callable[[shapes.Copy, Path], Path],
    tmp_path: Path,
    counted: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = shape(shapes.procedural(80), tmp_path / "copy")
    whole = images(prepared(source, tmp_path / "whole"))
    counted.clear()
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Stopped):
            prepared(source, tmp_path / "part")
    assert not (tmp_path / "part/facts.json").exists()
    prepared(source, tmp_path / "part")
    assert counted == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(images(tmp_path / "part"), whole)


def test_broken_photos_seen_before_an_interruption_are_not_forgotten(
    photo_folder: Make, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(201, size=(24, 29))
    break_photos(folder, 2)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Stopped):
            prepared(folder, tmp_path / "part")
    assert len(images(prepared(folder, tmp_path / "part"))) == 199


def test_decoded_blocks_are_checked_before_they_are_used_again(
    photo_folder: Make, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(80)
    whole = images(prepared(folder, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Stopped):
            prepared(folder, tmp_path / "part")
    np.load(tmp_path / "part/images.npy", mmap_mode="r+")[20] = 0
    counted.clear()
    prepared(folder, tmp_path / "part")
    assert counted == [1, 3, 4]
    np.testing.assert_array_equal(images(tmp_path / "part"), whole)


def test_after_damage_to_the_head_of_what_was_decoded_all_is_decoded_again(
    photo_folder: Make,
    tmp_path: Path,
    counted: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = photo_folder(80)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Stopped):
            prepared(folder, tmp_path / "part")
    content = bytearray((tmp_path / "part/images.npy").read_bytes())
    content[20] ^= 8
    (tmp_path / "part/images.npy").write_bytes(content)
    counted.clear()
    assert len(images(prepared(folder, tmp_path / "part"))) == 80
    assert len(counted) == 5
    assert "images.npy is damaged: " in capsys.readouterr().err


@pytest.mark.slow
def test_the_work_of_a_process_that_was_killed_is_resumed(tmp_path: Path) -> None:
    source = shapes.bare(shapes.procedural(64, size=(800, 980)), tmp_path / "faces")
    expected = [decode.decode(path).pixels for path in sorted(source.iterdir())]
    for number in range(1_000):
        os.link(source / f"{number % 64 + 1:06}.jpg", source / f"more{number:06}.jpg")
    cache = tmp_path / "cache"
    script = f"from vaelib import data; print(data.load({str(source)!r}).fingerprint)"
    command, environment = [sys.executable, "-c", script], os.environ | {"VAELIB_CACHE": str(cache)}
    first = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(journal.stat().st_size for journal in cache.glob(".faces-*.part/journal.jsonl")):
        assert time.monotonic() < deadline, "nothing was decoded in a minute"
        assert first.poll() is None, "the preparation ended before it could be killed"
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    first.wait()
    [part] = cache.glob(".faces-*.part")
    assert not (part / "facts.json").exists()
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    cached = [folder for folder in cache.iterdir() if not folder.name.startswith(".")]
    assert len(cached) == 1
    assert second.stdout.strip() == facts(cached[0])["fingerprint"]
    found = images(cached[0])
    for number, name in enumerate(sorted(path.name for path in source.iterdir())):
        original = int(name[:6]) - 1 if name[0] != "m" else int(name[4:10]) % 64
        assert np.array_equal(found[number], expected[original]), name


@pytest.mark.slow
def test_many_photos_are_decoded_in_several_processes_to_the_same_bytes(
    photo_folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(300, size=(24, 29))
    one = prepared(folder, tmp_path / "one")
    monkeypatch.setattr(prepare, "BLOCK_PHOTOS", 64)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    two = prepared(folder, tmp_path / "two")
    assert (one / "images.npy").read_bytes() == (two / "images.npy").read_bytes()


def test_blocks_end_where_their_bytes_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = layouts.find(str(shapes.the_zip_itself(shapes.procedural(64), tmp_path / "copy")))
    monkeypatch.setattr(prepare, "BLOCK_BYTES", 40_000)
    blocks = list(prepare._blocks(source))
    assert sum(map(len, blocks)) == 64
    sizes = [[len(photo) for _, photo in block if isinstance(photo, bytes)] for block in blocks]
    assert all(sum(lengths[:-1]) <= 40_000 for lengths in sizes)
    assert len(blocks) > 4


# --- the key


def folder_of_names(folder: Path, names: list[str]) -> Path:
    """Files with nothing in them but their names: finding does not decode."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
        os.utime(folder / name, (0, 0))
    return folder


def numbered(count: int) -> list[str]:
    return [f"{number:04}.jpg" for number in range(count)]


def key_of(folder: Path) -> str:
    source = layouts.find(str(folder))
    return prepare.cache_key(source, len(source.files))


def test_nothing_changed_gives_the_same_key(celeba_folder: Make) -> None:
    folder = celeba_folder(64)
    assert key_of(folder) == key_of(folder)


def test_any_change_of_a_photo_gives_another_key(tmp_path: Path) -> None:
    def write(photo: Path, text: str, time: int = 0) -> None:
        photo.write_text(text)
        os.utime(photo, (time, time))

    changes: dict[str, tuple[int, Callable[[Path], object]]] = {
        "added": (70, lambda folder: write(folder / "new.jpg", "new.jpg")),
        "renamed": (70, lambda folder: (folder / "0001.jpg").rename(folder / "0001b.jpg")),
        "another size": (1_000, lambda folder: write(folder / "0500.jpg", "longer than before")),
        "another time": (1_000, lambda folder: write(folder / "0500.jpg", "0500.jpg", time=1)),
        "other bytes": (64, lambda folder: write(folder / "0033.jpg", "0034.jpg")),
    }
    unseen = []
    for name, (count, change) in changes.items():
        folder = folder_of_names(tmp_path / name, numbered(count))
        before = key_of(folder)
        change(folder)
        if key_of(folder) == before:
            unseen.append(name)
    assert unseen == []


def test_a_changed_list_gives_another_key(tmp_path: Path) -> None:
    copy = shapes.procedural(64)
    for shape in (shapes.torchvision, shapes.kaggle, shapes.zip_in_folder):
        folder = shape(copy, tmp_path / shape.__name__)
        for word in ("attr", "partition"):
            before = key_of(folder)
            [path] = folder.glob(f"list_*{word}*")
            path.write_bytes(path.read_bytes() + b"\n")
            assert key_of(folder) != before, (shape.__name__, word)


def test_one_other_photo_in_a_zip_gives_another_key(tmp_path: Path) -> None:
    copy = shapes.procedural(64)
    photo = bytearray(copy.photos["000040.jpg"])
    photo[-30] ^= 1
    changed = {**copy.photos, "000040.jpg": bytes(photo)}
    other = shapes.Copy(changed, copy.names, copy.attributes, copy.split)
    for shape in (shapes.the_zip_itself, shapes.zip_of_kaggle):
        before = key_of(shape(copy, tmp_path / f"{shape.__name__} before"))
        assert key_of(shape(other, tmp_path / f"{shape.__name__} after")) != before, shape.__name__


def test_one_other_bit_in_a_shard_gives_another_key(tmp_path: Path) -> None:
    folder = shapes.hugging_face(shapes.procedural(64), tmp_path / "copy")
    before = key_of(folder)
    shard = sorted(folder.rglob("*.parquet"))[0]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert key_of(folder) != before


def test_another_version_of_pillow_gives_another_key(
    photo_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(64)
    before = key_of(folder)
    monkeypatch.setattr(PIL, "__version__", "0")
    assert key_of(folder) != before


def test_procedural_faces_have_the_same_key_where_no_decoder_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = layouts.find("synthetic")
    before = prepare.cache_key(source, 10)
    for module in cache.DECODERS:
        monkeypatch.setitem(sys.modules, module, None)
    assert prepare.cache_key(source, 10) == before


def test_another_recipe_gives_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source("synthetic", "synthetic", "drawn by a program")
    before = prepare.cache_key(source, 10)
    monkeypatch.setattr(prepare, "RECIPE", prepare.RECIPE + 1)
    assert prepare.cache_key(source, 10) != before


def test_procedural_faces_have_another_key_for_another_number() -> None:
    source = layouts.find("synthetic")
    assert prepare.cache_key(source, 10) != prepare.cache_key(source, 11)
