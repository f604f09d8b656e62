"""Copies in parquet, as Hugging Face keeps them: photos and attributes in the same shards."""

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vaelib.sources import annotations, storage
from vaelib.support.errors import InputError

ENDING = ".parquet"
IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png")
SPLITS = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
ROWS_AT_ONCE, BUFFER = 64, 2**20  # so that shards of any size are read in little memory
CELEBAS = {annotations.normalise_name(name) for name in annotations.CELEBA_ATTRIBUTES}
DAMAGED = "is cut short, damaged or no"


@dataclass(frozen=True)
class Shards:
    """Parquet files of one copy, their splits (None where the file's name tells none) and rows.

    `names` are the photos' in the order of the shards: their own where every row has another, else
    numbers counted through the splits in order.
    """

    path: Path
    files: tuple[Path, ...]
    splits: tuple[int | None, ...]
    rows: tuple[int, ...]
    column: str
    names: tuple[str, ...]

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Positions of the rows in the order of their names, which is that of every cache."""
        return np.array(sorted(range(len(self.names)), key=self.names.__getitem__), dtype=np.int64)

    def photos(self, names: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """Every photo with its position among the sorted names, in the order of the shards.

        Raises InputError for a shard that cannot be read on, or that has not the rows it had.
        """
        positions = iter(np.argsort(self.order).tolist())
        for file, rows in zip(self.files, self.rows, strict=True):
            mine = list(itertools.islice(positions, rows))
            with _opened(file) as shard:
                inside = pa.types.is_struct(shard.schema_arrow.field(self.column).type)
                wanted = f"{self.column}.bytes" if inside else self.column
                for batch in shard.iter_batches(ROWS_AT_ONCE, columns=[wanted]):
                    column = batch.column(self.column)
                    column = column.field("bytes") if inside else column
                    if len(column) > len(mine):
                        raise InputError(f"{file} {DAMAGED} parquet; bring it again")
                    for position, photo in zip(mine, column, strict=False):
                        yield position, photo.as_py() or b""
                    del mine[: len(column)]
            if mine:
                raise InputError(f"{file} {DAMAGED} parquet; bring it again")

    def partition(self) -> NDArray[np.uint8] | None:
        """The split, uint8 (N,), in the order of the names; None where no file's name tells it."""
        if None in self.splits:
            return None
        return np.repeat(np.array(self.splits, dtype=np.uint8), self.rows)[self.order]

    def attributes(self) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
        """Attributes bool (N, A) in the order of the names, and the A names as CelebA writes them.

        Boolean columns are attributes, and so is any column that is called like one of CelebA's.
        Raises InputError for one of these that is empty somewhere, holds another number or is not
        in every shard.
        """
        columns = _attribute_columns(self.files[0])
        if not columns:
            return None, ()
        names, order = annotations.in_celebas_order(columns, str(self.path))
        tables = []
        for file in self.files:
            others = set(columns) ^ set(_attribute_columns(file))
            if others:
                raise InputError(
                    f"{file} and {self.files[0].name} have different columns: {min(others)!r} is "
                    "in one only; bring them again from one place"
                )
            with _opened(file) as shard:
                table = shard.read(columns)
            tables.append(np.stack([_truths(table[name], name, file) for name in columns], axis=1))
        return np.concatenate(tables)[self.order][:, order], names

    @property
    def of_celeba(self) -> bool:
        """Whether most of the attributes are CelebA's, and not only one or two by chance."""
        columns = _attribute_columns(self.files[0])
        known = sum(map(_known, columns))
        return known >= 5 and 2 * known > len(columns)

    def absent(self) -> list[str]:
        """Shards that are not there, though the names of the others count on them."""
        expected: dict[str, set[str]] = {}
        for file in self.files:
            # Some have a hash at the end: train-00000-of-00002-0123456789abcdef.
            if numbered := re.match(r"(.*)-(\d+)-of-(\d{1,5})(?!\d)", file.stem):
                start, number, count = numbered.groups()
                every = {f"{start}-{n:0{len(number)}}-of-{count}" for n in range(int(count))}
                expected.setdefault(f"{file.parent}/{start}-of-{count}", every)
                expected[f"{file.parent}/{start}-of-{count}"].discard(numbered.group())
        return sorted(f"{stem}{ENDING}" for missing in expected.values() for stem in missing)


def open_shards(path: Path, files: Sequence[Path]) -> Shards:
    """The copy in these files. Raises InputError for one that is no parquet or has no photos."""
    splits = [_split_of(file.relative_to(path)) for file in files]
    # In the order of CelebA's split: where photos have no names of their own, they are numbered.
    ordered = sorted(zip(splits, files, strict=True), key=lambda pair: (str(pair[0]), pair[1]))
    column = _image_column(ordered[0][1])
    names: list[str] = []
    rows: list[int] = []
    for _, file in ordered:
        if _image_column(file) != column:
            raise InputError(
                f"{file} has its photos in another column than {ordered[0][1].name} ({column!r}); "
                "bring them again from one place"
            )
        own = _names(file, column)
        rows.append(len(own))
        names += own
    if "" in names or len(set(names)) < len(names):
        names = [f"{number:06}.jpg" for number in range(1, len(names) + 1)]
    found, shards = zip(*ordered, strict=True)
    return Shards(path, shards, found, tuple(rows), column, tuple(names))


def _split_of(file: Path) -> int | None:
    """What the name of a shard, or of a folder it is in, says about the split."""
    for part in reversed(file.parts):
        told = {SPLITS[word] for word in re.findall("[a-z]+", part.lower()) if word in SPLITS}
        if len(told) == 1:
            return told.pop()
    return None


def _image_column(file: Path) -> str:
    """The column of photos: one that is called so, or else the first of Hugging Face's kind."""
    with _opened(file) as shard:
        schema = shard.schema_arrow
    called, others = [], []
    for field in schema:
        inside = pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        kind = field.type.field("bytes").type if inside else field.type
        if _is_bytes(kind) and schema.names.count(field.name) == 1:
            if field.name.lower() in IMAGE_COLUMNS:
                called.append(str(field.name))
            elif inside:
                others.append(str(field.name))
    if called or others:
        return (called or others)[0]
    raise InputError(
        f"{file} has no column of photos; looked for bytes in {', '.join(IMAGE_COLUMNS)}, "
        f"found {', '.join(schema.names)[:120]}"
    )


def _is_bytes(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _names(file: Path, column: str) -> list[str]:
    """The last part of every photo's path, "" where there is none."""
    with _opened(file) as shard:
        rows = int(shard.metadata.num_rows)
        field = shard.schema_arrow.field(column).type
        if not pa.types.is_struct(field) or field.get_field_index("path") < 0:
            return [""] * rows
        paths: list[object] = []
        for group in range(shard.num_row_groups):  # at once, pyarrow cannot read categories
            table = shard.read_row_group(group, [f"{column}.path"])
            paths += itertools.chain(*(c.field("path").to_pylist() for c in table[column].chunks))
    if len(paths) != rows:
        raise InputError(f"{file} {DAMAGED} parquet; bring it again")
    words = [path if isinstance(path, str) else "" for path in paths]
    return [word.replace("\\", "/").rpartition("/")[2] for word in words]


def _known(column: str) -> bool:
    return annotations.normalise_name(column) in CELEBAS


def _attribute_columns(file: Path) -> list[str]:
    with _opened(file) as shard:
        schema = shard.schema_arrow
    return [f.name for f in schema if pa.types.is_boolean(f.type) or _known(f.name)]


def _truths(column: pa.ChunkedArray, name: str, file: Path) -> NDArray[np.bool_]:
    """A column of attributes, bool (N,). Raises InputError for any other value, or none."""
    kind = column.type
    if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        told = f"of type {kind}"
    elif column.null_count:
        told = "empty in a row"
    else:
        values = column.to_numpy()
        wrong = values[~np.isin(values, (-1, 0, 1))]
        if len(wrong) == 0:
            return np.asarray(values == 1)
        told = f"{wrong[0]} in a row"
    raise InputError(f"{file}: {name} is {told}; it must be true, false, -1, 0 or 1 everywhere")


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """The shard, to be read in a `with` block; what cannot be read there is refused by name."""
    try:
        # Buffered ahead, all of a shard would be held. Checksums are compared where there are any.
        with (
            file.open("rb") as opened,
            pq.ParquetFile(
                opened, pre_buffer=False, buffer_size=BUFFER, page_checksum_verification=True
            ) as shard,
        ):
            yield shard
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:
            storage.refuse(error, file)
        told = storage.instead_of("parquet", file) or f"{DAMAGED} parquet"
        raise InputError(f"{file} {told}; bring it again") from error
