"""The same faces packed in every shape in which copies of CelebA come."""

import csv
import functools
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from vaelib.faces import render
from vaelib.faces.attributes import ATTRIBUTE_NAMES

ATTRIBUTE_TEXT, ATTRIBUTE_TABLE = "list_attr_celeba.txt", "list_attr_celeba.csv"
PARTITION_TEXT, PARTITION_TABLE = "list_eval_partition.txt", "list_eval_partition.csv"


@dataclass(frozen=True)
class Copy:
    """Photos as bytes by name, in order, with CelebA's attributes and split of each."""

    photos: dict[str, bytes]
    names: tuple[str, ...]  # of the attributes
    attributes: Sequence[Sequence[bool]]
    split: Sequence[int]

    def attribute_text(self) -> str:
        rows = zip(self.photos, self.attributes, strict=True)
        lines = [" ".join([name, *(f"{1 if v else -1:2}" for v in row)]) for name, row in rows]
        return "\n".join([str(len(self.photos)), " ".join(self.names) + " ", *lines]) + "\n"

    def partition_text(self) -> str:
        rows = zip(self.photos, self.split, strict=True)
        return "".join(f"{name} {code}\n" for name, code in rows)

    def attribute_table(self) -> str:
        rows = zip(self.photos, self.attributes, strict=True)
        return _table(
            ["image_id", *self.names],
            ([name, *(1 if v else -1 for v in row)] for name, row in rows),
        )

    def partition_table(self) -> str:
        return _table(["image_id", "partition"], zip(self.photos, self.split, strict=True))


def _table(header: list[str], rows: object) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)  # type: ignore[arg-type]
    return text.getvalue()


@functools.cache  # nobody changes a copy
def procedural(count: int, size: tuple[int, int] = (178, 218)) -> Copy:
    """Faces drawn by the program, as JPEGs of CelebA's size, split 80/10/10 like CelebA."""
    images, attributes = render.generate(count, 0)
    photos = {}
    for number, image in enumerate(images, start=1):
        large = Image.fromarray(image.transpose(1, 2, 0)).resize(size, Image.Resampling.BICUBIC)
        encoded = io.BytesIO()
        large.save(encoded, "JPEG", quality=90)
        photos[f"{number:06}.jpg"] = encoded.getvalue()
    split = np.repeat([0, 1, 2], [count - 2 * (count // 10), count // 10, count // 10])
    return Copy(photos, ATTRIBUTE_NAMES, attributes.tolist(), split.tolist())


def torchvision(copy: Copy, folder: Path) -> Path:
    """celeba/img_align_celeba/*.jpg beside the lists."""
    _write(folder / "img_align_celeba", copy.photos)
    (folder / ATTRIBUTE_TEXT).write_text(copy.attribute_text())
    (folder / PARTITION_TEXT).write_text(copy.partition_text())
    return folder


def photos_themselves(copy: Copy, folder: Path) -> Path:
    """The same, but the folder of photos is what is given."""
    return torchvision(copy, folder) / "img_align_celeba"


def zip_in_folder(copy: Copy, folder: Path) -> Path:
    """As downloaded and not unpacked: the zip beside the lists."""
    folder.mkdir(parents=True)
    zip_of(copy, folder / "img_align_celeba.zip")
    (folder / ATTRIBUTE_TEXT).write_text(copy.attribute_text())
    (folder / PARTITION_TEXT).write_text(copy.partition_text())
    return folder


def the_zip_itself(copy: Copy, folder: Path) -> Path:
    return zip_in_folder(copy, folder) / "img_align_celeba.zip"


def drive(copy: Copy, folder: Path) -> Path:
    """The folders of the authors' own download."""
    for name in ("Img", "Anno", "Eval"):
        (folder / name).mkdir(parents=True)
    zip_of(copy, folder / "Img/img_align_celeba.zip")
    (folder / "Anno" / ATTRIBUTE_TEXT).write_text(copy.attribute_text())
    (folder / "Eval" / PARTITION_TEXT).write_text(copy.partition_text())
    return folder


def zip_of_drive(copy: Copy, folder: Path) -> Path:
    return drive(copy, folder) / "Img/img_align_celeba.zip"


def kaggle(copy: Copy, folder: Path) -> Path:
    """The folder of photos twice, and lists with commas."""
    _write(folder / "img_align_celeba/img_align_celeba", copy.photos)
    (folder / ATTRIBUTE_TABLE).write_text(copy.attribute_table())
    (folder / PARTITION_TABLE).write_text(copy.partition_table())
    return folder


def zip_of_kaggle(copy: Copy, folder: Path) -> Path:
    """All of Kaggle's copy in one zip, compressed."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, photo in copy.photos.items():
            archive.writestr(f"img_align_celeba/img_align_celeba/{name}", photo)
        archive.writestr(ATTRIBUTE_TABLE, copy.attribute_table())
        archive.writestr(PARTITION_TABLE, copy.partition_table())
    return folder / "archive.zip"


def hugging_face(copy: Copy, folder: Path) -> Path:
    """Parquet shards, two to each part of the split, attributes in lower case."""
    parquet(copy, folder / "img_align+identity+attr")
    return folder


def hub_cache(copy: Copy, folder: Path) -> Path:
    """The same in a cache of Hugging Face's: links to blobs, in a snapshot."""
    parquet(copy, folder / "blobs")
    snapshot = folder / "snapshots/0123456789abcdef0123456789abcdef01234567/img_align+identity+attr"
    snapshot.mkdir(parents=True)
    for number, blob in enumerate(sorted((folder / "blobs").iterdir())):
        moved = blob.rename(blob.with_name(f"{number:064x}"))
        (snapshot / blob.name).symlink_to(moved)
    return folder


SHAPES: dict[str, Callable[[Copy, Path], Path]] = {
    shape.__name__: shape
    for shape in (
        torchvision,
        photos_themselves,
        zip_in_folder,
        the_zip_itself,
        drive,
        zip_of_drive,
        kaggle,
        zip_of_kaggle,
        hugging_face,
        hub_cache,
    )
}


def bare(copy: Copy, folder: Path) -> Path:
    """Nothing but photos."""
    _write(folder, copy.photos)
    return folder


def zip_of(copy: Copy, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img_align_celeba/", "")
        for name, photo in copy.photos.items():
            archive.writestr(f"img_align_celeba/{name}", photo)


def parquet(copy: Copy, folder: Path, named: bool = True) -> None:
    folder.mkdir(parents=True)
    split, table = np.array(copy.split), np.array(copy.attributes, dtype=bool)
    photos = list(copy.photos.items())
    for code, part in enumerate(("train", "valid", "test")):
        for shard, rows in enumerate(np.array_split(np.flatnonzero(split == code), 2)):
            images = [
                {"bytes": photos[row][1], "path": photos[row][0] if named else None} for row in rows
            ]
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            columns = {"image": pa.array(images, kind), "celeb_id": pa.array(rows)}
            for name, values in zip(copy.names, table[rows].T, strict=True):
                columns[name.lower()] = pa.array(values)
            file = folder / f"{part}-{shard:05}-of-00002.parquet"
            pq.write_table(pa.table(columns), file, row_group_size=100)


def _write(folder: Path, photos: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, photo in photos.items():
        (folder / name).write_bytes(photo)
