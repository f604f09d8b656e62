"""Copies in parquet, as Hugging Face keeps them: photos and attributes in the same shards.

Read by pyarrow's ParquetFile and not as a pyarrow.dataset: a dataset reads a whole row group at
once, which may be all of a shard, and casts the attributes of every shard to the first one's type,
where -1 becomes true.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vaelib.sources import annotations, storage
from vaelib.support.errors import InputError

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png")
BINARY = (pa.binary(), pa.large_binary(), pa.binary_view())
SPLIT_WORDS = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
ROWS_AT_ONCE, BUFFER_BYTES = 64, 2**20  # so that shards of any size are read in little memory
CELEBA_NAMES = {annotations.normalise_name(name) for name in annotations.CELEBA_ATTRIBUTES}
DAMAGED = "is cut short, damaged or no parquet"


class Shard(NamedTuple):
    """One parquet file, before any photo of it is read."""

    file: Path
    split: int | None  # None where the file's name has none
    image_column: str
    attributes: list[str]  # columns, in their order
    names: list[str]  # of the photos, "" where there is none


@dataclass(frozen=True)
class Shards:
    """The parquet files of one copy.

    `names` are the photos' in the order of the shards: their own where every row has another, else
    numbers counted through the splits in order.
    """

    path: Path
    shards: tuple[Shard, ...]
    names: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        """The shards' paths."""
        return [shard.file for shard in self.shards]

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Positions of the rows in the order of their names, which is that of every cache."""
        return np.array(sorted(range(len(self.names)), key=self.names.__getitem__), dtype=np.int64)

    def photos(self) -> Iterator[tuple[int, bytes]]:
        """Every photo with its position among the sorted names, in the order of the shards.

        Raises InputError for a shard that cannot be read, or has other rows than when it was
        opened.
        """
        ends = np.cumsum([len(shard.names) for shard in self.shards])[:-1]
        positions = np.split(np.argsort(self.order), ends)
        for shard, of_shard in zip(self.shards, positions, strict=True):
            try:
                yield from zip(of_shard.tolist(), _read_photos(shard), strict=True)
            except InputError:
                raise
            except ValueError:  # more photos than positions, or fewer
                _refuse(shard.file, DAMAGED)

    def read_split(self) -> NDArray[np.uint8] | None:
        """The split, uint8 (N,), in the order of the names; None where a file's name has none."""
        codes = [shard.split for shard in self.shards for _ in shard.names]
        return None if None in codes else np.array(codes, dtype=np.uint8)[self.order]

    def read_attributes(self) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
        """Attributes bool (N, A) in the order of the names, and the A names as CelebA writes them.

        Boolean columns are attributes, and so is any column that is called like one of CelebA's.
        Raises InputError for one of these that is empty somewhere, holds another number or is not
        in every shard.
        """
        first = self.shards[0]
        if not first.attributes:
            return None, ()
        for shard in self.shards:
            different = set(first.attributes) ^ set(shard.attributes)
            if different:
                raise InputError(
                    f"{shard.file} and {first.file.name} have different columns: "
                    f"{min(different)!r} is in one only; get all of them from one place"
                )
        names, order = annotations.celeba_order(first.attributes, str(self.path))
        tables = []
        for shard in self.shards:
            with _opened(shard.file) as opened:
                table = opened.read(first.attributes)
            columns = [_booleans(table[name], name, shard.file) for name in first.attributes]
            tables.append(np.stack(columns, axis=1))
        return np.concatenate(tables)[self.order][:, order], names

    @property
    def of_celeba(self) -> bool:
        """Whether most of the attributes are CelebA's, and not only one or two by chance."""
        attributes = self.shards[0].attributes
        known = sum(map(_is_celebas, attributes))
        return known >= 5 and 2 * known > len(attributes)

    def missing(self) -> list[str]:
        """Shards that are not there, though the names of the others count them."""
        series = defaultdict[tuple[Path, str, int, str], set[int]](set)
        for file in self.files:
            # Some have a hash at the end: train-00000-of-00002-0123456789abcdef.
            if numbered := re.match(r"(.*)-(\d+)-of-(\d{1,5})(?!\d)", file.stem):
                start, number, count = numbered.groups()
                series[file.parent, start, len(number), count].add(int(number))
        return sorted(
            f"{start}-{number:0{digits}}-of-{count}.parquet"
            for (_, start, digits, count), present in series.items()
            for number in set(range(int(count))) - present
        )


def _read_photos(shard: Shard) -> Iterator[bytes]:
    """The photos of a shard, empty where a row has none."""
    column = shard.image_column
    with _opened(shard.file) as opened:
        is_struct = pa.types.is_struct(opened.schema_arrow.field(column).type)
        leaf = f"{column}.bytes" if is_struct else column
        for batch in opened.iter_batches(ROWS_AT_ONCE, columns=[leaf]):
            contents = batch.column(column)
            for content in contents.field("bytes") if is_struct else contents:
                yield content.as_py() or b""


def open_shards(path: Path, files: Sequence[Path]) -> Shards:
    """The copy in these files. Raises InputError for one that is no parquet or has no photos."""
    # In the order of CelebA's split: where photos have no names of their own, they are numbered.
    splits = {file: _split_in_name(file.relative_to(path)) for file in files}
    ordered = sorted(files, key=lambda file: (str(splits[file]), file))
    shards = tuple(_open_shard(file, splits[file]) for file in ordered)
    first = shards[0]
    for shard in shards:
        if shard.image_column != first.image_column:
            raise InputError(
                f"{shard.file} has its photos in another column than {first.file.name} "
                f"({first.image_column!r}); get all of them from one place"
            )
    names = list(itertools.chain.from_iterable(shard.names for shard in shards))
    if "" in names or len(set(names)) < len(names):
        names = [f"{number:06}.jpg" for number in range(1, len(names) + 1)]
    return Shards(path, shards, tuple(names))


def _split_in_name(file: Path) -> int | None:
    """The split that is in the name of a shard or of a folder it is in; None where none is."""
    for part in reversed(file.parts):
        words = re.findall("[a-z]+", part.lower())
        codes = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
        if len(codes) == 1:
            return codes.pop()
    return None


def _open_shard(file: Path, split: int | None) -> Shard:
    with _opened(file) as opened:
        schema = opened.schema_arrow
        column = _image_column(schema, file)
        names = _photo_names(opened, column)
        if len(names) != opened.metadata.num_rows:
            _refuse(file, DAMAGED)
    attributes = [f.name for f in schema if pa.types.is_boolean(f.type) or _is_celebas(f.name)]
    return Shard(file, split, column, attributes, names)


def _image_column(schema: pa.Schema, file: Path) -> str:
    """The column of photos: one that is called so, or else the first of Hugging Face's kind."""
    columns = []
    for field in schema:
        is_struct = pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        kind = field.type.field("bytes").type if is_struct else field.type
        if kind in BINARY and schema.names.count(field.name) == 1:
            if field.name.lower() in IMAGE_COLUMNS:
                return str(field.name)
            if is_struct:
                columns.append(str(field.name))
    if columns:
        return columns[0]
    raise InputError(
        f"{file} has no column of photos; looked for bytes in {', '.join(IMAGE_COLUMNS)}, "
        f"found {', '.join(schema.names)[:120]}"
    )


def _photo_names(opened: pq.ParquetFile, column: str) -> list[str]:
    """The last part of every photo's path, "" where there is none."""
    kind = opened.schema_arrow.field(column).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return [""] * int(opened.metadata.num_rows)
    names = []
    for group in range(opened.num_row_groups):  # pyarrow cannot read categories of several at once
        table = opened.read_row_group(group, [f"{column}.path"])
        for chunk in table[column].chunks:
            for path in chunk.field("path").to_pylist():
                name = path if isinstance(path, str) else ""
                names.append(name.replace("\\", "/").rpartition("/")[2])
    return names


def _is_celebas(column: str) -> bool:
    return annotations.normalise_name(column) in CELEBA_NAMES


def _booleans(column: pa.ChunkedArray, name: str, file: Path) -> NDArray[np.bool_]:
    """A column of attributes, bool (N,). Raises InputError for any other value, or none."""
    kind = column.type
    if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        fault = f"of type {kind}"
    elif column.null_count:
        fault = "empty in a row"
    else:
        values = column.to_numpy()
        wrong = values[~np.isin(values, (-1, 0, 1))]
        if len(wrong) == 0:
            return np.asarray(values == 1)
        fault = f"{wrong[0]} in a row"
    raise InputError(f"{file}: {name} is {fault}; it must be true, false, -1, 0 or 1 everywhere")


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """The shard, to be read in a `with` block. What fails to be read there raises InputError."""
    try:
        # Buffered ahead, all of a shard would be held. Checksums are compared where there are any.
        with (
            file.open("rb") as content,
            pq.ParquetFile(
                content,
                pre_buffer=False,
                buffer_size=BUFFER_BYTES,
                page_checksum_verification=True,
            ) as opened,
        ):
            yield opened
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:
            storage.refuse(error, file)
        _refuse(file, storage.wrong_kind(file, "parquet") or DAMAGED, error)


def _refuse(file: Path, fault: str, error: Exception | None = None) -> NoReturn:
    """Report what is wrong with a file as a whole. Raises InputError."""
    raise InputError(f"{file} {fault}; get it again") from error
