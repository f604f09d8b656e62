"""Where faces come from: their photos, attributes and split, before any of them is decoded."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vaelib.sources import annotations, cache, contents, conventions
from vaelib.sources.conventions import AttributesInNames
from vaelib.sources.storage import FileState, Folder, ListFile, PhotoData, Zip
from vaelib.support.errors import InputError

if TYPE_CHECKING:
    from vaelib.sources.parquet import Shards

BY_HASH, BY_PERSON = "by a hash of the file names", "by a hash of the persons' names"


@dataclass(frozen=True)
class Source:
    """Where faces come from. No photo has been decoded yet, and no list parsed.

    `files` are the photos' names in sorted order, without the folder that they share, and empty for
    faces that need no photos: procedural ones, and those that are prepared already. Photos are in
    a `store` or in `shards`. `layout` says in words how the copy is packed.
    """

    kind: cache.Kind
    name: str
    layout: str
    files: tuple[str, ...] = ()
    store: Folder | Zip | None = None
    prefix: str = ""  # of every photo's entry in the store
    attribute_list: ListFile | None = None
    partition_list: ListFile | None = None
    shards: "Shards | None" = None
    prepared: cache.Prepared | None = None
    in_names: AttributesInNames | None = None  # attributes that the files' names hold
    aside: tuple[str, ...] = ()  # what else was found and is not used, in words

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

    def describe_photos(self, places: int) -> list[str]:
        """How many photos are where, and of what size: a line for each of the largest places."""
        if self.store is None:
            return []
        groups = contents.grouped([self.prefix + file for file in self.files])
        groups.sort(key=lambda group: -len(group.entries))
        return [contents.describe(self.store, group, "photos") for group in groups[:places]]

    def sampled_files(self, count: int) -> list[Path]:
        """Files whose content stands for all: some photos, or all that they are packed in."""
        if self.shards:
            return self.shards.files
        if isinstance(self.store, Zip):
            return [self.store.path]
        return [Path(photo) for _, photo in self.sample(count) if isinstance(photo, str)]

    @cached_property
    def persons(self) -> list[str] | None:
        """Who is on each photo, where their names say that; CelebA's do not."""
        return conventions.persons_in(self.files) if self.kind == "photos" else None

    @property
    def hashed_by(self) -> str:
        """What decides the split where the source has none of its own, in words."""
        return BY_PERSON if self.persons else BY_HASH

    def split_by_hash(self, kept: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The split of files at these positions, by a hash of their names or of the persons'."""
        names = self.files if self.persons is None else self.persons
        return annotations.split_by_hash([names[position] for position in kept])

    def read_attributes(self) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
        """Attributes bool (N, A) of the files, in their order, and the A names.

        None and no names where there are none. Raises InputError naming line, photo or column where
        the list is malformed or does not fit the photos.
        """
        if self.attribute_list:
            text, location = self.attribute_list.text(), self.attribute_list.location
            return annotations.read_attributes(text, location, self.files)
        if self.in_names:
            return self.in_names.table, self.in_names.names
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
            return None, self.hashed_by
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
                f"{self.hashed_by}, as {origin} there are {sizes[1]} validation and {sizes[2]} "
                f"test photos of {len(split)}"
            )
        return split, origin


def split_sizes(split: NDArray[np.uint8]) -> str:
    """How many faces are in each part of a split, in words."""
    train, validation, test = np.bincount(split, minlength=3).tolist()
    return f"{train:,} train, {validation:,} validation, {test:,} test"
