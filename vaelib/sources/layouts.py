"""What a folder or file holds, found by looking: CelebA in one of its shapes, or other photos."""

import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vaelib.sources import cache, storage
from vaelib.sources.annotations import CELEBA_SIZE
from vaelib.sources.cache import Kind, clean_name
from vaelib.sources.storage import Photo
from vaelib.support.errors import InputError

if TYPE_CHECKING:
    from vaelib.sources.parquet import Shards

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
CELEBA_PHOTOS = "img_align_celeba"
PARTITION_LISTS = ("list_eval_partition.txt", "list_eval_partition.csv")
ATTRIBUTE_LISTS = ("list_attr_celeba.txt", "list_attr_celeba.csv", "attributes.csv")
LISTS = (*PARTITION_LISTS, *ATTRIBUTE_LISTS)
OF_CELEBA = LISTS[:-1]
BESIDE_A_ZIP = ("", "../Anno", "../Eval")  # where the official download has its lists


@dataclass(frozen=True)
class Source:
    """Where faces come from. No photo has been decoded yet, and no list parsed.

    `files` are the photos' names in sorted order, without the folder that they share, and empty for
    faces that need no photos: procedural ones, and those that are prepared already. `layout` says
    in words how the copy is packed.
    """

    kind: Kind
    name: str
    layout: str
    store: "storage.Folder | storage.Zip | Shards | None" = None
    prefix: str = ""  # of every photo's entry in a folder or zip
    files: tuple[str, ...] = ()
    attribute_list: storage.Listed | None = None
    partition_list: storage.Listed | None = None
    prepared: cache.Prepared | None = None

    @property
    def count(self) -> int:
        """How many faces there are; 0 for procedural ones that are still to be drawn."""
        return self.prepared.faces if self.prepared else len(self.files)

    @cached_property
    def stamps(self) -> list[storage.Stamp]:
        """Size and mark of every photo in a folder or zip, in the order of the files."""
        if not isinstance(self.store, storage.Folder | storage.Zip):
            return []
        return [self.store.entries[self.prefix + file] for file in self.files]

    @property
    def in_shards(self) -> "Shards | None":
        """The store of a copy in parquet."""
        return None if isinstance(self.store, storage.Folder | storage.Zip) else self.store

    def photos(self) -> Iterator[tuple[int, Photo]]:
        """Every photo with its position among the files, in the order they are best read."""
        if self.store is not None:
            yield from self.store.photos([self.prefix + file for file in self.files])

    def some_photos(self, most: int) -> Iterator[tuple[int, Photo]]:
        """At most so many of the photos: evenly_spaced from all, or where that is slow, the first."""
        if not isinstance(self.store, storage.Folder | storage.Zip):
            yield from itertools.islice(self.photos(), most)
            return
        count = min(most, len(self.files))
        chosen = [round(k * (len(self.files) - 1) / max(count - 1, 1)) for k in range(count)]
        some = self.store.photos([self.prefix + self.files[position] for position in chosen])
        yield from ((chosen[k], photo) for k, photo in some)


def in_file(path: Path) -> Source:
    """The copy in a zip or a parquet file. Raises InputError for any other, or a broken one."""
    if path.suffix.lower() == ".zip":
        beside = [storage.open_files(path.parent / folder, LISTS) for folder in BESIDE_A_ZIP]
        archive = storage.open_zip(path)
        return _among(path, archive, _photos(archive.entries), beside)
    if path.suffix.lower() == ".parquet":
        return _in_shards(path, path.parent, [path])
    raise InputError(f"{path} is a file; give the folder that holds the photos, a zip or parquet")


def in_folder(path: Path) -> Source:
    """The copy in a folder. Raises InputError where there is none, or it cannot be read."""
    if cache.is_in(path):
        found = cache.read(path)
        return Source(found.kind, found.name, "prepared already", prepared=found)
    snapshots = sorted((path / "snapshots").glob("*/"), key=lambda folder: folder.stat().st_mtime)
    root = snapshots[-1] if snapshots else path  # the newest that a cache of Hugging Face's holds
    folder = storage.open_folder(root)
    photos = _photos(folder.entries)
    shards = [root / name for name in folder.entries if name.lower().endswith(".parquet")]
    if shards and not photos:
        return _in_shards(path, root, shards)
    zips = [name for name in folder.entries if name.lower().endswith(".zip")]
    zips = [name for name in zips if name.endswith(f"{CELEBA_PHOTOS}.zip")] or zips * (not photos)
    if zips and len(photos) < CELEBA_SIZE:
        archive = storage.open_zip(root / max(zips, key=lambda name: folder.entries[name].size))
        # With fewer photos beside it than inside, unpacking it was never finished.
        packed = _photos(archive.entries)
        if len(packed) > len(photos):
            return _among(path, archive, packed, [folder])
    if not photos:
        raise InputError(
            f"{path} holds no photos, no zip, no parquet and no prepared faces; looked for "
            f"{', '.join(ENDINGS)} in any case"
        )
    above = path
    while above.name == CELEBA_PHOTOS:  # the photos themselves were given: lists are further up
        above = above.parent
    return _among(path, folder, photos, [storage.open_files(above, LISTS)])


def _photos(names: Iterable[str]) -> list[str]:
    """The photos among these entries: CelebA's aligned ones only, where there are any."""
    photos = [name for name in names if name.lower().endswith(ENDINGS)]
    aligned = [name for name in photos if f"/{CELEBA_PHOTOS}/" in f"/{name}"]
    return aligned or photos


def _among(
    path: Path,
    store: storage.Folder | storage.Zip,
    photos: list[str],
    beside: list[storage.Folder],
) -> Source:
    """The copy with these photos of the store, its lists there too or in the folders beside."""
    # The folder that the first and the last in order share, all share.
    ends = [posixpath.dirname(end) for end in (min(photos), max(photos))] if photos else [""]
    prefix = posixpath.join(posixpath.commonpath(ends), "")
    shared = prefix.split("/")[:-1]
    attribute_list = storage.find_list([store, *beside], ATTRIBUTE_LISTS)
    partition_list = storage.find_list([store, *beside], PARTITION_LISTS)
    names = [one.name for one in (attribute_list, partition_list) if one and one.name in OF_CELEBA]
    if isinstance(store, storage.Zip):
        layout = "in a zip"
    elif (*path.parts, *shared).count(CELEBA_PHOTOS) > 1 or any("csv" in name for name in names):
        layout = "as Kaggle packs it"
    else:
        layout = "as torchvision unpacks it"
    celeba = bool(names) or CELEBA_PHOTOS in (path.name, *shared)
    return Source(
        kind="celeba" if celeba else "photos",
        name=_name_of(path),
        layout=layout if celeba or isinstance(store, storage.Zip) else "in a folder",
        store=store,
        prefix=prefix,
        files=tuple(sorted(photo.removeprefix(prefix) for photo in photos)),
        attribute_list=attribute_list,
        partition_list=partition_list,
    )


def _in_shards(path: Path, root: Path, files: list[Path]) -> Source:
    cache.check_installed("pyarrow", *cache.DECODERS)
    from vaelib.sources import parquet  # pyarrow is slow to load, and few copies need it

    store = parquet.open_shards(root, files)
    return Source(
        kind="celeba" if store.of_celeba else "photos",
        name=_name_of(path),
        layout="in parquet shards, as Hugging Face keeps it",
        store=store,
        files=tuple(sorted(store.names)),
    )


def _name_of(path: Path) -> str:
    """What the data is called: its folder's or file's name, unless a program gave it that one."""
    name = path.name if path.is_dir() else path.stem
    if re.fullmatch(r"img_align.*|archive.*|datasets--.*|[0-9a-f]{40}|[0-9]+", name):
        return "celeba"
    return clean_name(name) or "photos"
