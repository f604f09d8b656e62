"""What a source is, in lines to be printed. Nothing is prepared for that."""

import math
import time
import warnings
from collections.abc import Sequence

import numpy as np

from vaelib.config import FACE_BYTES
from vaelib.sources import annotations, cache
from vaelib.sources.source import Source, split_sizes
from vaelib.support.errors import InputError
from vaelib.support.text import first_names, printable

BROKEN_LIMIT = 0.01  # a source with this share of broken photos, or more, is refused
MAX_PLACES = 4  # folders of photos that are described
SAMPLE_SIZE = 256  # photos that are decoded to see how long all will take


def describe(source: Source) -> list[str]:
    """What the source is, in lines to be printed: images, attributes, split, faults, time.

    Raises InputError where it cannot be prepared, as far as that is seen without preparing it.
    """
    if prepared := source.prepared:
        broken = prepared.broken
        details = [
            ("attributes", str(len(prepared.attribute_names) or "none")),
            ("split", split_sizes(np.load(prepared.folder / cache.SPLIT))),
            ("left out", f"{len(broken)}: {first_names(broken)}" if broken else "none"),
            ("name", prepared.name),
        ]
    elif source.kind == "synthetic":
        return ["procedural faces, drawn by a program: as many as the preset asks for"]
    else:
        details = _describe_photos(source)
    what = {"celeba": "CelebA", "photos": "photos", "synthetic": "procedural faces"}[source.kind]
    details.insert(0, ("images", image_count(source.kind, source.count)))
    return [f"{what}, {source.layout}", *(f"  {label:<12}{value}" for label, value in details)]


def _describe_photos(source: Source) -> list[tuple[str, str]]:
    """What describes a copy whose photos are still to be decoded, after decoding a sample."""
    cache.check_installed(*cache.DECODERS)
    import joblib

    _, names = source.read_attributes()
    own_split, origin = source.read_split()
    every = np.arange(source.count)
    split = source.split_by_hash(every) if own_split is None else own_split
    decoded, broken, seconds = _decode_sample(source)
    cores, megabytes = joblib.cpu_count(), source.count * FACE_BYTES / 1e6
    seconds_left = math.ceil(seconds / cores)
    return [
        *(("found", line) for line in source.describe_photos(MAX_PLACES)),
        *(("left aside", line) for line in source.aside),
        ("attributes", _attributes_in_words(source, names)),
        ("split", f"{split_sizes(split)}, {origin}"),
        ("missing", ", ".join(_missing(source, own_split is None, names)) or "nothing"),
        (
            "broken",
            f"{len(broken)}: {first_names(broken)}" if broken else f"none of {decoded} tried",
        ),
        ("preparing", f"about {seconds_left:,} s on {cores} cores, {megabytes:,.0f} MB"),
    ]


def _attributes_in_words(source: Source, names: Sequence[str]) -> str:
    """How many attributes there are; which ones where they are read from names."""
    if source.in_names:
        return f"{', '.join(names)}, from {source.in_names.convention}"
    return str(len(names) or "none")


def _missing(source: Source, lacks_split: bool, names: Sequence[str]) -> list[str]:
    missing = [] if names else ["attributes"]
    if source.kind == "celeba":
        if lacks_split:
            missing.append("CelebA's split")
        if source.count < annotations.CELEBA_SIZE:
            missing.append(f"{annotations.CELEBA_SIZE - source.count:,} images")
    if source.shards and (shards := source.shards.missing()):
        missing.append(f"{len(shards)} shards: {first_names(shards)}")
    return missing


def image_count(kind: cache.Kind, count: int) -> str:
    """The number of images and, of CelebA, of how many."""
    return f"{count:,}" + (f" of {annotations.CELEBA_SIZE:,}" if kind == "celeba" else "")


def check_broken(broken: Sequence[str], count: int) -> None:
    """Raise InputError where too many of the photos are broken to be left out."""
    if len(broken) >= BROKEN_LIMIT * count:
        raise InputError(
            f"{len(broken):,} of {count:,} photos cannot be decoded: {first_names(broken)}; "
            "correct or remove them (a few, under 1%, would be left out)"
        )


def _decode_sample(source: Source) -> tuple[int, list[str], float]:
    """How many photos were decoded, which are broken and why, and seconds for all on one core.

    Empty photos are among the broken, decoded or not.
    """
    from vaelib.sources import alignment, decode

    empty = (position for position, state in enumerate(source.states) if state.size == 0)
    broken = {source.files[position]: "empty" for position in empty}
    decoded, started = 0, 0.0
    with warnings.catch_warnings(action="ignore"):  # Pillow's, about bombs, palettes and odd EXIF
        for position, photo in source.sample(SAMPLE_SIZE):
            started = started or time.perf_counter()  # after opening a zip, which is done once
            decoded += 1
            try:
                decode.decode(photo, alignment.is_on())
            except Exception as error:  # broken bytes make Pillow raise nearly every exception
                broken[source.files[position]] = decode.failure_reason(error)
    seconds = (time.perf_counter() - started) / decoded * source.count
    named = [f"{printable(file)} ({reason})" for file, reason in sorted(broken.items())]
    check_broken(named, len(source.files))
    if len(named) > decoded / 10:  # of an even sample: so it is more than 1% of all
        check_broken(named, decoded)
    return decoded, named, seconds
