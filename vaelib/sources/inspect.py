"""Every place faces come from: a copy of CelebA in any shape, any photos, or procedural faces.

`python -m vaelib inspect PATH` says what PATH is, and prepares nothing.
"""

import math
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaelib.config import FACE_BYTES
from vaelib.sources import annotations, cache, layouts
from vaelib.sources.annotations import CELEBA_SIZE
from vaelib.sources.layouts import Source
from vaelib.support import paths
from vaelib.support.errors import InputError

LEAST_PHOTOS = 64
BROKEN_LIMIT = 0.01  # share of broken photos from which on a source is refused
BY_HASH = "by a hash of the file names"
TRIED = 256  # photos that are decoded to see how long all will take


def find(data: str) -> Source:
    """The source that `data` asks for, found by looking.

    "auto" is the copy of CelebA under `paths.CELEBA` if there is anything, else procedural faces;
    "synthetic" is procedural faces. Anything else is a path: a folder as torchvision, Kaggle or the
    official download have it, a zip, parquet shards as Hugging Face has them, any folder of photos,
    subfolders included, hidden files not, or a folder of prepared faces (see `caches`). A folder
    that is really called "auto" or "synthetic" can be given as "./auto".

    Raises InputError when the path is missing, cannot be read, or holds too few photos, and when
    prepared faces are damaged.
    """
    if data == "auto":
        data = str(paths.CELEBA) if _holds_anything(paths.CELEBA) else "synthetic"
    if data == "synthetic":
        return Source("synthetic", "synthetic", "drawn by a program")
    # Not resolved: a link keeps the name that the reader gave it. ".." has to go, though.
    path = Path(os.path.abspath(Path(data).expanduser()))  # noqa: PTH100
    if not path.exists():
        raise InputError(f"there is no {path}; give a folder of photos, 'auto' or 'synthetic'")
    source = layouts.in_folder(path) if path.is_dir() else layouts.in_file(path)
    if source.count < LEAST_PHOTOS:
        raise InputError(
            f"{path} holds {source.count} photos; at least {LEAST_PHOTOS} are needed to train"
        )
    if source.kind == "celeba" and source.count > CELEBA_SIZE:
        raise InputError(
            f"{path} holds {source.count:,} photos and CelebA only {CELEBA_SIZE:,}; "
            "remove what is not CelebA's"
        )
    return source


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir())


def read_attributes(source: Source) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """Attributes bool (N, A) of the source's files, in their order, and the A names.

    None and no names where nothing is known. Raises InputError naming line, photo or column where
    the list does not hold together.
    """
    if source.attribute_list:
        listed = source.attribute_list
        return annotations.attributes(listed.text(), listed.where, source.files)
    return source.in_shards.attributes() if source.in_shards else (None, ())


def read_partition(source: Source) -> tuple[NDArray[np.uint8] | None, str]:
    """The source's own split, uint8 (N,), of its files in their order, and where it is from.

    None, and why, where the source has no split of its own, or too few of its validation or test
    photos are there (a copy of only the first photos has none).
    Raises InputError where the list does not hold together, or is not CelebA's though the photos
    are all of CelebA.
    """
    split: NDArray[np.uint8] | None
    if source.partition_list:
        listed = source.partition_list
        split = annotations.partition(listed.text(), listed.where, source.files)
        origin = f"by {listed.name}"
    else:
        split = source.in_shards.partition() if source.in_shards else None
        origin = "by the names of the shards"
    if split is None:
        return None, BY_HASH
    counts = tuple(np.bincount(split, minlength=3).tolist())
    if (
        source.kind == "celeba"
        and len(split) == CELEBA_SIZE
        and counts != annotations.CELEBA_SPLIT_SIZES
    ):
        raise InputError(
            f"{source.name}: CelebA is split {origin} into {counted(split)}, and not into the "
            f"published {' / '.join(f'{n:,}' for n in annotations.CELEBA_SPLIT_SIZES)}; bring that list again"
        )
    if any(counts[code] < least for code, least in annotations.LEAST_IN_SPLIT.items()):
        return None, (
            f"{BY_HASH}, as {origin} there are {counts[1]} validation and {counts[2]} test photos "
            f"of {len(split)}"
        )
    return split, origin


def describe(source: Source) -> list[str]:
    """What the source is, in lines to be printed: images, attributes, split, faults, time.

    Raises InputError where it cannot be prepared, as far as that is seen without preparing it.
    """
    if source.prepared:
        told = _told_of_prepared(source.prepared)
    elif source.kind == "synthetic":
        return ["procedural faces, drawn by a program: as many as the preset asks for"]
    else:
        told = _told_of_photos(source)
    told = {"images": f"{source.count:,}{_of_whole(source)}", **told}
    what = {"celeba": "CelebA", "photos": "photos", "synthetic": "procedural faces"}[source.kind]
    return [f"{what}, {source.layout}", *(f"  {key:<12}{value}" for key, value in told.items())]


def _told_of_prepared(prepared: cache.Prepared) -> dict[str, str]:
    """What describes faces that are prepared already."""
    broken = prepared.broken
    return {
        "attributes": str(len(prepared.attribute_names) or "none"),
        "split": counted(np.load(prepared.folder / cache.SPLIT)),
        "left out": f"{len(broken)}: {few(broken)}" if broken else "none",
        "name": prepared.name,
    }


def _told_of_photos(source: Source) -> dict[str, str]:
    """What describes a copy whose photos are still to be decoded, after decoding some of them."""
    cache.check_installed(*cache.DECODERS)
    import joblib

    _, names = read_attributes(source)
    official, origin = read_partition(source)
    split = annotations.split_by_hash(source.files) if official is None else official
    missing = _missing(source, bool(names), official is None)
    tried, broken, seconds = _try_some(source)
    seconds = math.ceil(seconds * source.count / joblib.cpu_count())
    megabytes = source.count * FACE_BYTES / 1e6
    return {
        "attributes": str(len(names) or "none"),
        "split": f"{counted(split)}, {origin}",
        "missing": ", ".join(missing) or "nothing",
        "broken": f"{len(broken)}: {few(broken)}" if broken else f"none of {tried} tried",
        "preparing": f"about {seconds:,} s on {joblib.cpu_count()} cores, {megabytes:,.0f} MB",
    }


def summary(source: Source, split: NDArray[np.uint8], origin: str) -> str:
    """How many of the source's faces there are, and in which part of the split, in a line."""
    return f"{len(split):,}{_of_whole(source)} images; {counted(split)}, {origin}"


def _of_whole(source: Source) -> str:
    return f" of {CELEBA_SIZE:,}" if source.kind == "celeba" else ""


def counted(split: NDArray[np.uint8]) -> str:
    """How many faces are in each part of a split, in words."""
    train, validation, test = np.bincount(split, minlength=3).tolist()
    return f"{train:,} train, {validation:,} validation, {test:,} test"


def few(names: Sequence[str]) -> str:
    """The first names of several, and whether there are more."""
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


def check_broken(broken: Sequence[str], count: int) -> None:
    """Raise InputError where the broken photos are too many of all to be left out."""
    if len(broken) >= BROKEN_LIMIT * count:
        raise InputError(
            f"{len(broken):,} of {count:,} photos cannot be decoded: {few(broken)}; "
            "mend or remove them (a few, under 1 %, would be left out)"
        )


def _missing(source: Source, has_attributes: bool, hashed: bool) -> list[str]:
    """What the source could have and has not."""
    missing = [] if has_attributes else ["attributes"]
    if source.kind == "celeba":
        missing += ["CelebA's split"] * hashed
        missing += [f"{CELEBA_SIZE - len(source.files):,} images"] * (
            len(source.files) < CELEBA_SIZE
        )
    if source.in_shards:
        absent = source.in_shards.absent()
        missing += [f"{len(absent)} shards: {few(absent)}"] * bool(absent)
    return missing


def _try_some(source: Source) -> tuple[int, list[str], float]:
    """How many photos were decoded, which are broken and why, and seconds for each.

    Empty photos are among the broken, decoded or not.
    """
    from vaelib.sources import decode

    empty = (position for position, stamp in enumerate(source.stamps) if stamp.size == 0)
    broken = {source.files[position]: "empty" for position in empty}
    tried, started = 0, 0.0
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about bombs, palettes and odd EXIF
        for position, photo in source.some_photos(TRIED):
            started = started or time.perf_counter()  # a zip has been opened by now, once for all
            tried += 1
            try:
                decode.decode(photo)
            except Exception as error:  # broken bytes make Pillow raise nearly every kind
                broken[source.files[position]] = decode.why_broken(photo, error)
    seconds = (time.perf_counter() - started) / tried
    named = [f"{file} ({why})" for file, why in sorted(broken.items())]
    check_broken(named, len(source.files))
    if len(named) > tried / 10:  # of an even sample: more than few of all
        check_broken(named, tried)
    return tried, named, seconds
