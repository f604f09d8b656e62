"""Files that may be damaged, or made by a stranger: each is what was asked for, or is refused.

Nothing is taken from a file before its content is known to be well formed: JSON by its schema,
arrays by their names, shapes and dtypes. No size that a file claims is believed: memory is taken
for the bytes that there are, and only so many. Whatever is wrong is a `DamagedError`; a file that
is missing is a FileNotFoundError.
"""

import io
import math
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelib.support.errors import DamagedError

LARGEST_TEXT = 2**22  # bytes of a JSON or CSV file; what is written here has a few thousand
LARGEST_BINARY = 2**29  # bytes of arrays: three times a checkpoint of the largest network

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]  # JSON has numbers of any length
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e12)]  # finite
Value = str | bool | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | float | None


class TensorFile(NamedTuple):
    """The content of a safetensors file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


class _Header(msgspec.Struct):
    """What is read here of the header of a safetensors file; its library reads the rest."""

    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict)


@contextmanager
def damage_in(path: Path) -> Iterator[None]:
    """Whatever goes wrong in the block is damage of this file, said in one line.

    All exceptions alike: what a reader raises depends on where the damage is.
    """
    try:
        yield
    except (DamagedError, FileNotFoundError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedError(f"{path} is damaged: {reason}") from error


def check_size(path: Path, most: int) -> None:
    """Raise DamagedError unless this is a file, of at most so many bytes."""
    with damage_in(path):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise ValueError("it is not a file")
        if status.st_size > most:
            raise ValueError(f"it has {status.st_size:,} bytes, more than {most:,}")


def read_bytes(path: Path, most: int) -> bytes:
    """All bytes of a file. Raises DamagedError where there are more than `most`."""
    check_size(path, most)
    with damage_in(path):
        return path.read_bytes()


def read_text(path: Path) -> str:
    """A whole text file, UTF-8."""
    content = read_bytes(path, LARGEST_TEXT)
    with damage_in(path):
        return content.decode("utf-8")


def read_json(path: Path, schema: type[T]) -> T:
    """The value in a JSON file, of this type: see msgspec for what types may be."""
    content = read_bytes(path, LARGEST_TEXT)
    with damage_in(path):
        return msgspec.json.decode(content, type=schema)


def read_tensors(path: Path) -> TensorFile:
    """All tensors of a safetensors file, in memory of their own, and its metadata."""
    content = read_bytes(path, LARGEST_BINARY)
    with damage_in(path):
        # The library compares all that the header claims with the bytes that follow it.
        tensors = safetensors.torch.load(content)
        header = content[8 : 8 + int.from_bytes(content[:8], "little")]
        return TensorFile(tensors, msgspec.json.decode(header, type=_Header).metadata)


def check_tensors(path: Path, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> None:
    """Raise DamagedError unless the tensors of a file are finite, and otherwise as those of `like`.

    They have to have the same names, shapes and dtypes. `like` may be on the device "meta".
    """
    with damage_in(path):
        if other := sorted(tensors.keys() ^ like.keys()):
            raise ValueError(f"{other[0]} is {'missing' if other[0] in like else 'unknown'}")
        for name, expected in like.items():
            found = tensors[name]
            if (found.shape, found.dtype) != (expected.shape, expected.dtype):
                shape, right_shape = list(found.shape), list(expected.shape)
                raise ValueError(
                    f"{name} is {shape} {found.dtype}, not {right_shape} {expected.dtype}"
                )
            if not is_finite(found):
                raise ValueError(f"{name} has values that are not finite")


def is_finite(tensor: Tensor) -> bool:
    """Whether no value of a tensor is nan or infinite."""
    # The sum tells in a tenth of the time, but that of large values may be infinite itself.
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All the arrays of an .npz that `files.write_arrays` wrote: numbers, in C order."""
    content = read_bytes(path, LARGEST_BINARY)
    with damage_in(path), zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its arrays are compressed")
        # A checksum of each member is checked here, before anything interprets it.
        return {
            member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members
        }


def _array(content: bytes) -> NDArray[Any]:
    """The array in the bytes of an .npy file of version 1, which has to be full to the byte."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"an array has the format {version}")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "biuf" or is_fortran or min(shape, default=0) < 0:
        raise ValueError(f"an array is {list(shape)} {dtype}")
    data = content[file.tell() :]
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of {list(shape)} {dtype} has {len(data):,} bytes")
    return np.frombuffer(bytearray(data), dtype).reshape(shape)
