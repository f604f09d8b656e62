"""What a source is, in lines to be printed. Nothing is prepared for that."""

import math
import time
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vaelib.config import FACE_BYTES
from vaelib.sources import annotations, cache
from vaelib.sources.layouts import Source, split_sizes
from vaelib.support.errors import InputError

BROKEN_LIMIT = 0.01  # a source with this share of broken photos, or more, is refused
SAMPLE_SIZE = 256  # photos that are decoded to see how long all will take


def describe(source: Source) -> list[str]:
    """What the source is, in lines to be printed: images, attributes, split, faults, time.

    Raises InputError where it cannot be prepared, as far as that is seen without preparing it.
    """
    if source.prepared:
        details = _describe_prepared(source.prepared)
    elif source.kind == "synthetic":
        return ["procedural faces, drawn by a program: as many as the preset asks for"]
    else:
        details = _describe_photos(source)
    details = {"images": f"{source.count:,}{_of_celeba(source)}", **details}
    what = {"celeba": "CelebA", "photos": "photos", "synthetic": "procedural faces"}[source.kind]
    lines = [f"  {label:<12}{value}" for label, value in details.items()]
    return [f"{what}, {source.layout}", *lines]


def _describe_prepared(prepared: cache.Prepared) -> dict[str, str]:
    broken = prepared.broken
    return {
        "attributes": str(len(prepared.attribute_names) or "none"),
        "split": split_sizes(np.load(prepared.folder / cache.SPLIT)),
        "left out": f"{len(broken)}: {first_names(broken)}" if broken else "none",
        "name": prepared.name,
    }


def _describe_photos(source: Source) -> dict[str, str]:
    """What describes a copy whose photos are still to be decoded, after decoding a sample."""
    cache.check_installed(*cache.DECODERS)
    import joblib

    _, names = source.read_attributes()
    own_split, origin = source.read_split()
    split = annotations.split_by_hash(source.files) if own_split is None else own_split
    missing = _missing(source, bool(names), own_split is not None)
    decoded, broken, seconds = _decode_sample(source)
    cores = joblib.cpu_count()
    seconds = math.ceil(seconds * source.count / cores)
    megabytes = source.count * FACE_BYTES / 1e6
    return {
        "attributes": str(len(names) or "none"),
        "split": f"{split_sizes(split)}, {origin}",
        "missing": ", ".join(missing) or "nothing",
        "broken": f"{len(broken)}: {first_names(broken)}" if broken else f"none of {decoded} tried",
        "preparing": f"about {seconds:,} s on {cores} cores, {megabytes:,.0f} MB",
    }


def summary(source: Source, split: NDArray[np.uint8], origin: str) -> str:
    """How many of the source's faces there are, and in which part of the split, in a line."""
    return f"{len(split):,}{_of_celeba(source)} images; {split_sizes(split)}, {origin}"


def _of_celeba(source: Source) -> str:
    return f" of {annotations.CELEBA_SIZE:,}" if source.kind == "celeba" else ""


def first_names(names: Sequence[str]) -> str:
    """The first three names, and whether there are more."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def check_broken(broken: Sequence[str], count: int) -> None:
    """Raise InputError where too many of the photos are broken to be left out."""
    if len(broken) >= BROKEN_LIMIT * count:
        raise InputError(
            f"{len(broken):,} of {count:,} photos cannot be decoded: {first_names(broken)}; "
            "correct or remove them (a few, under 1 %, would be left out)"
        )


def _missing(source: Source, has_attributes: bool, has_split: bool) -> list[str]:
    """What the source could have and has not."""
    missing = [] if has_attributes else ["attributes"]
    if source.kind == "celeba":
        absent = annotations.CELEBA_SIZE - len(source.files)
        if not has_split:
            missing.append("CelebA's split")
        if absent > 0:
            missing.append(f"{absent:,} images")
    shards = source.shards.missing() if source.shards else []
    if shards:
        missing.append(f"{len(shards)} shards: {first_names(shards)}")
    return missing


def _decode_sample(source: Source) -> tuple[int, list[str], float]:
    """How many photos were decoded, which are broken and why, and seconds for each.

    Empty photos are among the broken, decoded or not.
    """
    from vaelib.sources import decode

    empty = (position for position, state in enumerate(source.states) if state.size == 0)
    broken = {source.files[position]: "empty" for position in empty}
    decoded, started = 0, 0.0
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about bombs, palettes and odd EXIF
        for position, photo in source.sample(SAMPLE_SIZE):
            started = started or time.perf_counter()  # after opening a zip, which is done once
            decoded += 1
            try:
                decode.decode(photo)
            except Exception as error:  # broken bytes make Pillow raise nearly every exception
                broken[source.files[position]] = decode.failure_reason(photo, error)
    seconds = (time.perf_counter() - started) / decoded
    named = [f"{file} ({reason})" for file, reason in sorted(broken.items())]
    check_broken(named, len(source.files))
    if len(named) > decoded / 10:  # of an even sample: so it is more than 1 % of all
        check_broken(named, decoded)
    return decoded, named, seconds
