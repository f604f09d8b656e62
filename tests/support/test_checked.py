"""What is read from a file is what was asked for, or the file is refused in one line."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.torch
import torch

from vaelib.support import checked, files
from vaelib.support.checked import Count
from vaelib.support.errors import DamagedError


class Fact(msgspec.Struct):
    n: Count
    share: float = 0.0


def refused(call: Callable[[], object]) -> str:
    """The line that a damaged file is refused with."""
    with pytest.raises(DamagedError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[1]",
        b'{"n": "1"}',
        b'{"n": true}',
        b'{"n": -1}',
        b'{"n": %s}' % (b"9" * 400),
        b'{"n": 1, "share": %s}' % (b"9" * 400),
        b'{"n": 1, "share": NaN}',
        b'{"n": 1, "unknown": ' + b"[" * 200_000,
        b'{"n": "\xff"}',
    ],
    ids=range(11),
)
def test_json_of_another_kind_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert f"{file} is damaged: " in refused(lambda: checked.read_json(file, Fact))


def test_a_missing_file_is_not_a_damaged_one(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checked.read_json(file, Fact)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(file: Path) -> None:
    file.touch()
    os.truncate(file, 2**40)  # without taking the space
    assert "it has 1,099,511,627,776 bytes" in refused(lambda: checked.read_json(file, Fact))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    assert "it is not a file" in refused(lambda: checked.read_text(file))


TENSORS = {"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.int64)}


def test_tensors_come_back_with_their_metadata(file: Path) -> None:
    file.write_bytes(safetensors.torch.save(TENSORS, {"format": "pt"}))
    tensors, metadata = checked.read_tensors(file)
    checked.check_tensors(file, tensors, TENSORS)
    assert torch.equal(tensors["a"], TENSORS["a"])
    assert metadata == {"format": "pt"}


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"a": TENSORS["a"]}, "b is missing"),
        ({**TENSORS, "c": torch.ones(1)}, "c is unknown"),
        ({**TENSORS, "a": torch.ones(3, 2)}, "a is [3, 2] torch.float32, not [2, 3]"),
        ({**TENSORS, "a": torch.ones(2, 3).double()}, "a is [2, 3] torch.float64"),
        ({**TENSORS, "a": torch.tensor([[1.0, 2, 3], [4, float("nan"), 6]])}, "not finite"),
        ({**TENSORS, "a": torch.full((2, 3), float("-inf"))}, "not finite"),
    ],
)
def test_tensors_that_are_not_as_expected_are_named(
    file: Path, tensors: dict[str, torch.Tensor], reason: str
) -> None:
    assert reason in refused(lambda: checked.check_tensors(file, tensors, TENSORS))


def test_large_values_are_finite() -> None:
    assert checked.is_finite(torch.full((100,), 3e38))  # though their sum is not


def test_tensors_that_claim_a_terabyte_are_refused(file: Path) -> None:
    claim = {"a": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}
    header = json.dumps(claim).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(100))
    refused(lambda: checked.read_tensors(file))


ARRAYS = {"first": np.arange(400.0), "second": np.ones((2, 3), np.float32)}


def test_arrays_come_back_as_they_were_written(file: Path) -> None:
    files.write_arrays(file, ARRAYS)
    found = checked.read_arrays(file)
    assert found.keys() == ARRAYS.keys()
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_no_flipped_bit_of_an_array_goes_unnoticed(file: Path) -> None:
    files.write_arrays(file, {"only": np.arange(4.0)})
    content = file.read_bytes()
    for position in range(0, len(content), 2):
        flipped = bytearray(content)
        flipped[position] ^= 4
        file.write_bytes(flipped)
        try:
            found = checked.read_arrays(file)
        except DamagedError:
            continue
        assert [array.tolist() for array in found.values()] == [[0, 1, 2, 3]]


def archive_of(file: Path, header: str, data: bytes = b"") -> None:
    """An .npz with one array, whose header is written here."""
    text = header.encode() + b"\n"
    npy = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("only.npy", npy)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'shape': (1,)}",
        "(" * 9000,
    ],
    ids=["terabytes", "negative", "objects", "strings", "records", "incomplete", "nested"],
)
def test_an_array_of_another_kind_is_refused(file: Path, header: str) -> None:
    archive_of(file, header, bytes(16))
    refused(lambda: checked.read_arrays(file))


def test_compressed_arrays_are_refused(file: Path) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, zeros=np.zeros(10**6))  # a thousandth of it on disk
    file.write_bytes(content.getvalue())
    assert "compressed" in refused(lambda: checked.read_arrays(file))
