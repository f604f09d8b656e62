"""The sources of faces, recognised by looking: CelebA in any of its layouts, or other photos."""

import itertools
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vaelib.sources import annotations, cache, storage
from vaelib.sources.cache import Kind, clean_name
from vaelib.sources.storage import FileState, Folder, ListFile, PhotoData, Zip
from vaelib.support import paths
from vaelib.support.errors import InputError

if TYPE_CHECKING:
    from vaelib.sources.parquet import Shards

MIN_PHOTOS = 64
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
CELEBA_PHOTOS = "img_align_celeba"
PARTITION_LISTS = ("list_eval_partition.txt", "list_eval_partition.csv")
CELEBA_ATTRIBUTE_LISTS = ("list_attr_celeba.txt", "list_attr_celeba.csv")
ATTRIBUTE_LISTS = (*CELEBA_ATTRIBUTE_LISTS, "attributes.csv")  # the last for any photos
LISTS = (*PARTITION_LISTS, *ATTRIBUTE_LISTS)
LIST_FOLDERS = ("", "../Anno", "../Eval")  # where the official download has them, seen from its zip
BY_HASH = "by a hash of the file names"


@dataclass(frozen=True)
class Source:
    """Where faces come from. No photo has been decoded yet, and no list parsed.

    `files` are the photos' names in sorted order, without the folder that they share, and empty for
    faces that need no photos: procedural ones, and those that are prepared already. Photos are in
    a `store` or in `shards`. `layout` says in words how the copy is packed.
    """

    kind: Kind
    name: str
    layout: str
    files: tuple[str, ...] = ()
    store: Folder | Zip | None = None
    prefix: str = ""  # of every photo's entry in the store
    attribute_list: ListFile | None = None
    partition_list: ListFile | None = None
    shards: "Shards | None" = None
    prepared: cache.Prepared | None = None

    @property
    def count(self) -> int:
        """How many faces there are; 0 for procedural ones that are still to be drawn."""
        return self.prepared.faces if self.prepared else len(self.files)

    @cached_property
    def states(self) -> list[FileState]:
        """Size and stamp of every photo in a folder or zip, in the order of the files."""
        if self.store is None:
            return []
        return [self.store.entries[self.prefix + file] for file in self.files]

    def photos(self) -> Iterator[tuple[int, PhotoData]]:
        """Every photo with its position among the files, in the order that is quickest to read."""
        if self.shards:
            yield from self.shards.photos()
        elif self.store:
            yield from self.store.photos([self.prefix + file for file in self.files])

    def sample(self, count: int) -> Iterator[tuple[int, PhotoData]]:
        """At most so many of the photos: evenly spaced ones, or in parquet the first."""
        if self.store is None:
            yield from itertools.islice(self.photos(), count)
            return
        count = min(count, len(self.files))
        last = len(self.files) - 1
        positions = [round(k * last / (count - 1)) for k in range(count)]
        entries = [self.prefix + self.files[position] for position in positions]
        for k, photo in self.store.photos(entries):
            yield positions[k], photo

    def sampled_files(self, count: int) -> list[Path]:
        """Files whose content stands for all: some photos, or all that they are packed in."""
        if self.shards:
            return self.shards.files
        if isinstance(self.store, Zip):
            return [self.store.path]
        return [Path(photo) for _, photo in self.sample(count) if isinstance(photo, str)]

    def read_attributes(self) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
        """Attributes bool (N, A) of the files, in their order, and the A names.

        None and no names where there are none. Raises InputError naming line, photo or column where
        the list is malformed or does not fit the photos.
        """
        if self.attribute_list:
            text, location = self.attribute_list.text(), self.attribute_list.location
            return annotations.read_attributes(text, location, self.files)
        return self.shards.read_attributes() if self.shards else (None, ())

    def read_split(self) -> tuple[NDArray[np.uint8] | None, str]:
        """The source's own split, uint8 (N,), of the files in their order, and where it is from.

        None, and why, where the source has no split of its own, or too few validation or test
        photos (a copy of only the first photos has none).
        Raises InputError where the list is malformed or does not fit the photos, or where the
        photos are all of CelebA but the split is not CelebA's.
        """
        split: NDArray[np.uint8] | None = None
        origin = "by the names of the shards"
        if self.partition_list:
            text, location = self.partition_list.text(), self.partition_list.location
            split = annotations.read_split(text, location, self.files)
            origin = f"by {self.partition_list.name}"
        elif self.shards:
            split = self.shards.read_split()
        if split is None:
            return None, BY_HASH
        sizes = tuple(np.bincount(split, minlength=3).tolist())
        whole = self.kind == "celeba" and len(split) == annotations.CELEBA_SIZE
        if whole and sizes != annotations.CELEBA_SPLIT_SIZES:
            published = " / ".join(f"{size:,}" for size in annotations.CELEBA_SPLIT_SIZES)
            raise InputError(
                f"{self.name}: CelebA is split {origin} into {split_sizes(split)}, and not into "
                f"the published {published}; get that list again"
            )
        if any(sizes[code] < minimum for code, minimum in annotations.MIN_SPLIT_SIZES.items()):
            return None, (
                f"{BY_HASH}, as {origin} there are {sizes[1]} validation and {sizes[2]} test "
                f"photos of {len(split)}"
            )
        return split, origin


def split_sizes(split: NDArray[np.uint8]) -> str:
    """How many faces are in each part of a split, in words."""
    train, validation, test = np.bincount(split, minlength=3).tolist()
    return f"{train:,} train, {validation:,} validation, {test:,} test"


def find(data: str) -> Source:
    """The source that `data` names.

    "auto" is the copy of CelebA under `paths.CELEBA` if there is anything, else procedural faces;
    "synthetic" is procedural faces. Anything else is a path: a folder as torchvision, Kaggle or the
    official download have it, a zip, parquet shards as Hugging Face has them, any folder of photos,
    subfolders included, hidden files not, or a folder of prepared faces (see `cache`). A folder
    that is really called "auto" or "synthetic" can be given as "./auto".

    Raises InputError when the path is missing, cannot be read, or holds too few photos, and when
    prepared faces are damaged.
    """
    if data == "auto":
        names = [entry.name for entry in paths.CELEBA.iterdir()] if paths.CELEBA.is_dir() else []
        has_copy = any(not name.startswith(".") for name in names)
        data = str(paths.CELEBA) if has_copy else "synthetic"
    if data == "synthetic":
        return Source("synthetic", "synthetic", "drawn by a program")
    # Not resolved: a link keeps the name that the reader gave it. ".." has to go, though.
    path = Path(os.path.abspath(Path(data).expanduser()))  # noqa: PTH100
    if not path.exists():
        raise InputError(f"there is no {path}; give a folder of photos, 'auto' or 'synthetic'")
    source = _in_folder(path) if path.is_dir() else _in_file(path)
    if source.count < MIN_PHOTOS:
        raise InputError(
            f"{path} holds {source.count} photos; at least {MIN_PHOTOS} are needed to train"
        )
    if source.kind == "celeba" and source.count > annotations.CELEBA_SIZE:
        raise InputError(
            f"{path} holds {source.count:,} photos and CelebA only {annotations.CELEBA_SIZE:,}; "
            "remove what is not CelebA's"
        )
    return source


def _in_file(path: Path) -> Source:
    if path.suffix.lower() == ".zip":
        beside = [storage.open_files(path.parent / folder, LISTS) for folder in LIST_FOLDERS]
        archive = storage.open_zip(path)
        return _with_lists(path, archive, _photos_among(archive.entries), beside)
    if path.suffix.lower() == ".parquet":
        return _in_shards(path, path.parent, [path])
    raise InputError(f"{path} is a file; give the folder that holds the photos, a zip or parquet")


def _in_folder(path: Path) -> Source:
    if cache.is_in(path):
        prepared = cache.read(path)
        return Source(prepared.kind, prepared.name, "prepared already", prepared=prepared)
    snapshots = sorted((path / "snapshots").glob("*/"), key=lambda folder: folder.stat().st_mtime)
    root = snapshots[-1] if snapshots else path  # the newest that a cache of Hugging Face's holds
    folder = storage.open_folder(root)
    photos = _photos_among(folder.entries)
    shards = [root / name for name in folder.entries if name.lower().endswith(".parquet")]
    if shards and not photos:
        return _in_shards(path, root, shards)
    if len(photos) < annotations.CELEBA_SIZE and (archive := _largest_zip(folder, bool(photos))):
        packed = _photos_among(archive.entries)
        if len(packed) > len(photos):  # else all of it was unpacked beside it
            return _with_lists(path, archive, packed, [folder])
    if not photos:
        raise InputError(
            f"{path} holds no photos, no zip, no parquet and no prepared faces; looked for "
            f"{', '.join(PHOTO_SUFFIXES)} in any case"
        )
    above = path
    while above.name == CELEBA_PHOTOS:  # the photos themselves were given: lists are further up
        above = above.parent
    return _with_lists(path, folder, photos, [storage.open_files(above, LISTS)])


def _photos_among(names: Iterable[str]) -> list[str]:
    """The photos among these entries: CelebA's aligned ones only, where there are any."""
    photos = [name for name in names if name.lower().endswith(PHOTO_SUFFIXES)]
    aligned = [name for name in photos if f"/{CELEBA_PHOTOS}/" in f"/{name}"]
    return aligned or photos


def _largest_zip(folder: Folder, has_photos: bool) -> Zip | None:
    """The largest zip of CelebA's in the folder; where it has neither these nor photos, of any."""
    zips = [name for name in folder.entries if name.lower().endswith(".zip")]
    celebas = [name for name in zips if name.endswith(f"{CELEBA_PHOTOS}.zip")]
    candidates = celebas or ([] if has_photos else zips)
    if not candidates:
        return None
    largest = max(candidates, key=lambda name: folder.entries[name].size)
    return storage.open_zip(folder.path / largest)


def _with_lists(path: Path, store: Folder | Zip, photos: list[str], beside: list[Folder]) -> Source:
    """The copy with these photos of the store, its lists there too or in the folders beside."""
    # The folder that the first and the last in order share, all share.
    ends = [posixpath.dirname(end) for end in (min(photos), max(photos))] if photos else [""]
    prefix = posixpath.join(posixpath.commonpath(ends), "")
    attribute_list = storage.find_list([store, *beside], ATTRIBUTE_LISTS)
    partition_list = storage.find_list([store, *beside], PARTITION_LISTS)
    found = {listed.name for listed in (attribute_list, partition_list) if listed}
    celebas = found & {*PARTITION_LISTS, *CELEBA_ATTRIBUTE_LISTS}
    shared = prefix.split("/")[:-1]
    celeba = bool(celebas) or CELEBA_PHOTOS in (path.name, *shared)
    if isinstance(store, Zip):
        layout = "in a zip"
    elif not celeba:
        layout = "in a folder"
    elif (*path.parts, *shared).count(CELEBA_PHOTOS) > 1 or any("csv" in name for name in celebas):
        layout = "as Kaggle packs it"
    else:
        layout = "as torchvision unpacks it"
    return Source(
        kind="celeba" if celeba else "photos",
        name=_data_name(path),
        layout=layout,
        files=tuple(sorted(photo.removeprefix(prefix) for photo in photos)),
        store=store,
        prefix=prefix,
        attribute_list=attribute_list,
        partition_list=partition_list,
    )


def _in_shards(path: Path, root: Path, files: list[Path]) -> Source:
    cache.check_installed("pyarrow", *cache.DECODERS)
    from vaelib.sources import parquet  # pyarrow is slow to load, and only these copies need it

    shards = parquet.open_shards(root, files)
    return Source(
        kind="celeba" if shards.of_celeba else "photos",
        name=_data_name(path),
        layout="in parquet shards, as Hugging Face keeps it",
        files=tuple(sorted(shards.names)),
        shards=shards,
    )


def _data_name(path: Path) -> str:
    """What the data is called: its folder's or file's name, unless a program chose that name."""
    name = path.name if path.is_dir() else path.stem
    if re.fullmatch(r"img_align.*|archive.*|datasets--.*|[0-9a-f]{40}|[0-9]+", name):
        return "celeba"
    return clean_name(name) or "photos"
