"""From a source to files of faces: decoded on all cores, resumed where it was interrupted."""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaelib.config import FACE_BYTES, IMAGE_SHAPE
from vaelib.faces import render
from vaelib.sources import annotations, cache, inspect, storage
from vaelib.sources.cache import ATTRIBUTES, IMAGES, SPLIT
from vaelib.sources.layouts import Source
from vaelib.sources.storage import Photo
from vaelib.support import progress

JOURNAL = "journal.jsonl"  # what is decoded so far, a line for each block

BLOCK_PHOTOS, BLOCK_BYTES = 256, 2**24  # photos that are decoded together, and their bytes
SAMPLES, SAMPLE_BYTES = 64, 2**16  # looked into for the fingerprint

# What a cache is named by besides its source. Raise it, with a line on what changed, whenever a byte
# of the prepared faces changes.
RECIPE = 1  # the first that is numbered

Block = list[tuple[int, Photo]]


def fingerprint(source: Source, count: int) -> str:
    """Hash (sha256, hex) of what prepared faces depend on, fast even for all of CelebA.

    Taken over kind and number of faces, names, sizes and times of change of the files (in a zip,
    their checksums), the lists, samples of the content evenly_spaced spread, the recipe and,
    for photos, those of the decoders. Raises InputError where photos need one that is not there.
    """
    decoders = _decoders() if source.files else ()
    told = [source.kind, count, source.files, source.stamps, RECIPE, decoders]
    digest = hashlib.sha256(json.dumps(told).encode())
    for listed in (source.attribute_list, source.partition_list):
        if listed:
            digest.update(listed.entry.encode() + str(listed.store.entries[listed.entry]).encode())
            digest.update(listed.store.read(listed.entry))
    for file in _files_of(source):
        digest.update(_sample(file))
    return digest.hexdigest()


def _decoders() -> tuple[str, ...]:
    """Versions of what decodes photos."""
    cache.check_installed(*cache.DECODERS)
    import PIL
    import simplejpeg

    return PIL.__version__, simplejpeg.__version__


def _files_of(source: Source) -> Sequence[Path]:
    """Files whose content is sampled: some of the photos, or all that photos are packed in."""
    if source.in_shards:
        return source.in_shards.files
    if isinstance(source.store, storage.Zip):
        return [source.store.path]
    return [Path(photo) for _, photo in source.some_photos(SAMPLES) if isinstance(photo, str)]


def _sample(file: Path) -> bytes:
    """Size, time of change, the first and last bytes, and, of a large file, some from between."""
    try:
        found = file.stat()
        digest = hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode())
        with file.open("rb") as opened:
            last = max(found.st_size - SAMPLE_BYTES, 0)
            for k in range(SAMPLES if last else 1):
                opened.seek(last * k // (SAMPLES - 1))
                digest.update(opened.read(SAMPLE_BYTES))
        return digest.digest()
    except OSError:  # decoding will count it among the broken images, and name it
        return b"unreadable"


def prepare(source: Source, count: int, folder: Path) -> None:
    """Write the source's faces into a folder, going on with what an interrupted call left there.

    images.npy uint8 (N, 3, 64, 48), attributes.npy bool (N, A) where there are any, split.npy
    uint8 (N,), all in the order of the photos' names, and at last facts.json, which seals these.
    A photo that cannot be decoded is left out and named on stderr.
    Raises InputError where the lists do not hold together or 1 % of the photos or more are broken.
    """
    attributes: NDArray[np.bool_] | None
    broken: list[str] = []
    if source.kind == "synthetic":
        images, attributes = render.generate(count, 0)
        names = render.ATTRIBUTES
        np.save(folder / IMAGES, images)
        split = annotations.split_by_hash([str(number) for number in range(count)])
    else:
        attributes, names = inspect.read_attributes(source)
        official, origin = inspect.read_partition(source)  # before the slow part: may be refused
        kept, broken = decode_all(source, folder)
        attributes = None if attributes is None else attributes[kept]
        if official is None:
            split = annotations.split_by_hash([source.files[index] for index in kept])
        else:
            split = official[kept]
        print(f"{source.name}: {inspect.summary(source, split, origin)}", file=sys.stderr)
    if attributes is not None:
        np.save(folder / ATTRIBUTES, attributes)
    np.save(folder / SPLIT, split)
    names = names if attributes is not None else ()
    (folder / JOURNAL).unlink(missing_ok=True)
    cache.write_facts(folder, source.name, source.kind, len(split), names, broken)


def decode_all(source: Source, folder: Path) -> tuple[NDArray[np.int64], list[str]]:
    """Decode photos into images.npy; return the positions of those kept, and who is left out.

    Runs on all cores, in memory that does not grow with the number of photos.
    """
    import joblib

    from vaelib.sources import decode

    tolerance = decode.WHOLE_FRAME if source.kind == "celeba" else decode.ASPECT_TOLERANCE
    count, target, journal = len(source.files), folder / IMAGES, folder / JOURNAL
    if not (target.exists() and target.stat().st_size > count * FACE_BYTES):
        journal.unlink(missing_ok=True)
        np.lib.format.open_memmap(target, "w+", np.uint8, (count, *IMAGE_SHAPE)).flush()
    done = _journal(journal)
    broken: dict[int, str] = {}

    def missing_blocks() -> Iterator[Any]:
        rows = np.load(target, mmap_mode="r")
        for number, block in enumerate(_blocks(source)):
            positions = [position for position, _ in block]
            checksum, failed = done.get(number, ("", []))
            if checksum and checksum == hashlib.sha256(rows[positions].data).hexdigest():
                broken.update(failed)
                bar(len(block))
            else:
                yield joblib.delayed(decode.decode_block)(number, block, target, tolerance)

    processes = min(joblib.cpu_count(), -(-count // BLOCK_PHOTOS))
    run = joblib.Parallel(
        processes, return_as="generator_unordered", batch_size=1, idle_worker_timeout=30
    )
    with progress.preparing(f"preparing {source.name}", count) as bar, journal.open("a") as lines:
        for decoded in run(missing_blocks()):
            lines.write(json.dumps([decoded.block, decoded.checksum, decoded.broken]) + "\n")
            lines.flush()
            broken.update(decoded.broken)
            bar(decoded.photos)
    kept = np.setdiff1d(np.arange(count), list(broken))
    named = [f"{source.files[position]} ({why})" for position, why in sorted(broken.items())]
    if named:
        inspect.check_broken(named, count)
        told = f"left out {len(named):,} broken photos of {count:,}: {inspect.few(named)}"
        print(told, file=sys.stderr)
        _keep_only(kept, target)
    return kept, named


def _blocks(source: Source) -> Iterator[Block]:
    """The source's photos, some at a time: the same blocks whenever the source is the same."""
    block: Block = []
    size = 0
    for position, photo in source.photos():
        block.append((position, photo))
        size += len(photo) if isinstance(photo, bytes) else 0
        if len(block) == BLOCK_PHOTOS or size > BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _journal(path: Path) -> dict[int, tuple[str, list[tuple[int, str]]]]:
    """Checksum and broken photos of every block that was finished."""
    done = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            number, checksum, broken = json.loads(line)
        except ValueError:  # the line being written when the process was ended
            continue
        done[int(number)] = (str(checksum), list(broken))
    return done


def _keep_only(kept: NDArray[np.int64], target: Path) -> None:
    """Take all other rows out of the file of images."""
    rows = np.load(target, mmap_mode="r")
    whole = target.with_name("whole.npy")
    fewer = np.lib.format.open_memmap(whole, "w+", np.uint8, (len(kept), *IMAGE_SHAPE))
    for start in range(0, len(kept), 4096):
        fewer[start : start + 4096] = rows[kept[start : start + 4096]]
    fewer.flush()
    del rows, fewer  # some systems do not replace a file that is still mapped
    whole.replace(target)
