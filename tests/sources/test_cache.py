"""A folder of prepared faces is recognised and read, or refused by the file at fault."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import refusal
from tests.sources.conftest import message_of
from vaelib.sources import cache
from vaelib.support import files

FILES = (cache.IMAGES, cache.SPLIT, cache.ATTRIBUTES, cache.FACTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two prepared faces with one attribute."""
    folder = tmp_path / "faces"
    folder.mkdir()
    np.save(folder / cache.IMAGES, np.zeros((2, 3, 64, 48), dtype=np.uint8))
    np.save(folder / cache.ATTRIBUTES, np.array([[True], [False]]))
    np.save(folder / cache.SPLIT, np.array([0, 2], dtype=np.uint8))
    cache.write_facts(folder, "family", "photos", 2, ["Smiling"], ["3.jpg (empty)"])
    return folder


def facts(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / cache.FACTS).read_text()))


def test_what_was_written_is_read(folder: Path) -> None:
    assert cache.read(folder) == cache.Prepared(
        folder=folder,
        name="family",
        kind="photos",
        faces=2,
        attribute_names=("Smiling",),
        broken=("3.jpg (empty)",),
        fingerprint=facts(folder)["fingerprint"],
    )


def test_the_fingerprint_does_not_depend_on_the_name(folder: Path) -> None:
    before = cache.read(folder).fingerprint
    cache.write_facts(folder, "friends", "photos", 2, ["Smiling"], [])
    assert cache.read(folder).fingerprint == before


def test_the_folder_is_given_in_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert cache.read(Path("faces")).folder == folder


def test_a_folder_that_lost_a_file_still_counts_as_prepared_faces(folder: Path) -> None:
    for file in ("images.npy", "split.npy", "facts.json"):
        (folder / file).rename(folder / "aside")
        assert cache.is_in(folder), file
        (folder / "aside").rename(folder / file)


def test_one_file_of_such_a_name_makes_no_prepared_faces(tmp_path: Path) -> None:
    for file in ("images.npy", "split.npy", "facts.json"):
        (tmp_path / file).touch()
        assert not cache.is_in(tmp_path), file
        (tmp_path / file).unlink()


def test_a_missing_file_is_named(folder: Path) -> None:
    for file in FILES:
        (folder / file).rename(folder / "aside")
        assert f"{folder} has no {file};" in message_of(cache.read, folder)
        (folder / "aside").rename(folder / file)


def test_a_damaged_file_is_named(folder: Path) -> None:
    for file in FILES:
        content = (folder / file).read_bytes()
        flipped = content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]
        for damaged in (flipped, content[: len(content) // 2], b""):
            (folder / file).write_bytes(damaged)
            message = message_of(cache.read, folder)
            assert f"{folder} is damaged: {file} is not" in message, len(damaged)
        (folder / file).write_bytes(content)
    assert cache.read(folder).faces == 2


def test_a_file_that_cannot_be_read_is_named_with_the_systems_reason(folder: Path) -> None:
    (folder / cache.SPLIT).unlink()
    (folder / cache.SPLIT).mkdir()
    expected = f"cannot read {folder / cache.SPLIT}: Is a directory"
    assert expected in refusal(lambda: cache.read(folder))


def test_a_name_that_would_lead_out_of_the_runs_is_refused_though_sealed(folder: Path) -> None:
    for name in ("../../elsewhere", "/elsewhere", ".."):
        changed = {**facts(folder), "name": name}
        changed.pop("seal", None)
        files.write_json(folder / cache.FACTS, {**changed, "seal": cache._seal(changed)})
        assert "facts.json" in message_of(cache.read, folder), name


def seal(folder: Path, **changed: object) -> None:
    """Change facts as a stranger would: with a seal that is right."""
    new = {**facts(folder), **changed}
    new.pop("seal", None)
    files.write_json(folder / cache.FACTS, {**new, "seal": cache._seal(new)})


@pytest.mark.parametrize(
    "changed",
    [
        {"faces": "2"},
        {"faces": int("9" * 400)},
        {"faces": 3},
        {"kind": "animals"},
        {"broken": [[1]]},
        {"attribute_names": ["Smiling"] * 3},
        {"sha256": {}},
        {"sha256": {"../../etc/passwd": "0"}},
    ],
    ids=str,
)
def test_facts_that_no_preparation_writes_are_refused_though_sealed(
    folder: Path, changed: dict[str, object]
) -> None:
    seal(folder, **changed)
    assert " is damaged: " in message_of(cache.read, folder)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3, np.uint8),
        np.zeros(2, np.float32),
        np.zeros((2, 2), np.uint8),
        np.array(["a", "b"]),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays_of_another_type_or_shape_are_refused_though_their_checksum_is_right(
    folder: Path, array: NDArray[Any]
) -> None:
    np.save(folder / cache.SPLIT, array)
    sums = {**facts(folder)["sha256"], cache.SPLIT: files.checksum(folder / cache.SPLIT)}
    seal(folder, sha256=sums)
    assert f"is damaged: {cache.SPLIT} is not" in message_of(cache.read, folder)


def test_an_array_that_claims_more_than_its_file_holds_is_refused(folder: Path) -> None:
    file = folder / cache.SPLIT
    file.write_bytes(file.read_bytes().replace(b"(2,)", b"(9,)"))
    seal(folder, sha256={**facts(folder)["sha256"], cache.SPLIT: files.checksum(file)})
    assert f"is damaged: {cache.SPLIT} is not" in message_of(cache.read, folder)


def test_facts_that_are_nested_without_end_are_refused(folder: Path) -> None:
    (folder / cache.FACTS).write_text("[" * 100_000)
    assert "is damaged: facts.json" in message_of(cache.read, folder)


def test_packages_that_are_missing_are_all_named_as_pip_calls_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("PIL", "joblib"):
        monkeypatch.setitem(sys.modules, module, None)
    message = refusal(lambda: cache.check_installed(*cache.DECODERS))
    assert "without joblib, pillow; run pip install joblib pillow, or prepare" in message


def test_with_all_packages_installed_nothing_is_refused() -> None:
    cache.check_installed("pyarrow", *cache.DECODERS)
