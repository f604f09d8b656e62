"""From a source to a cache of faces: decoded on all cores, resumed where it was interrupted."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vaelib.config import FACE_BYTES, IMAGE_SHAPE
from vaelib.faces import render
from vaelib.faces.attributes import ATTRIBUTE_NAMES
from vaelib.sources import annotations, cache, inspect
from vaelib.sources.cache import ATTRIBUTES, IMAGES, SPLIT, Prepared
from vaelib.sources.source import Source, split_sizes
from vaelib.sources.storage import PhotoData
from vaelib.support import files, paths, progress
from vaelib.support.errors import InputError
from vaelib.support.text import first_names, printable

if TYPE_CHECKING:
    from vaelib.sources.decode import DecodedBlock

JOURNAL = "journal.jsonl"  # the blocks that are decoded so far, one a line

BLOCK_PHOTOS, BLOCK_BYTES = 256, 2**24  # photos that are decoded together, and their bytes
SAMPLES, SAMPLE_BYTES = 64, 2**16  # how much of the content goes into the key

# What a cache is named by besides its source. Raise it, with a line on what changed, whenever a
# byte of the prepared faces changes.
RECIPE = 2  # photos of other proportions than CelebA's are cropped around the face in them

Block = list[tuple[int, PhotoData]]  # photos with their positions among the source's files


def cache_key(source: Source, count: int) -> str:
    """Hash (sha256, hex) of what prepared faces depend on, fast even for all of CelebA.

    Taken over kind and number of faces, names, sizes and times of change of the files (in a zip,
    their checksums), the lists, evenly spaced samples of the content, the recipe and, for photos,
    the versions of the decoders. Raises InputError where a decoder is needed but not installed.
    """
    decoders: tuple[str, ...] = ()  # without OpenCV, faces are not looked for
    if source.files:
        cache.check_installed(*cache.DECODERS)
        import cv2
        import PIL
        import simplejpeg

        from vaelib.sources import alignment

        decoders = (PIL.__version__, simplejpeg.__version__)
        if alignment.is_on():
            decoders += (cv2.__version__,)
    parts = [source.kind, count, source.files, source.states, RECIPE, decoders]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for listed in (source.attribute_list, source.partition_list):
        if listed:
            digest.update(json.dumps([listed.entry, listed.store.entries[listed.entry]]).encode())
            digest.update(listed.store.read(listed.entry))
    if source.in_names or source.persons:  # what is prepared depends on the conventions, too
        convention = source.in_names.convention if source.in_names else ""
        digest.update(json.dumps([convention, bool(source.persons)]).encode())
    for file in source.sampled_files(SAMPLES):
        digest.update(_digest_sample(file))
    return digest.hexdigest()


def _digest_sample(file: Path) -> bytes:
    """Digest of size, time of change and content; of a large file, of pieces of the content."""
    try:
        state = file.stat()
        digest = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode())
        with file.open("rb") as content:
            last = max(state.st_size - SAMPLE_BYTES, 0)
            for k in range(SAMPLES if last else 1):
                content.seek(last * k // (SAMPLES - 1))
                digest.update(content.read(SAMPLE_BYTES))
        return digest.digest()
    except OSError:  # decoding will count it among the broken photos, and name it
        return b"unreadable"


def open_or_prepare(source: Source, count: int) -> Prepared:
    """The source's faces, checked; prepared now where they were not before, or are damaged.

    count: how many faces there are. The cache lies in `paths.CACHE`, in a folder named after the
    source and its key. Such a folder, or a copy of it on another machine, is a source too, which
    cannot be prepared again. Raises InputError where that cannot be done.
    """
    if source.prepared:
        return source.prepared
    folder = paths.CACHE / f"{source.name}-{cache_key(source, count)[:12]}"
    with contextlib.suppress(InputError):
        return cache.read(folder)
    lock = paths.CACHE / ".lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.open("a").close()
    except OSError as error:
        raise InputError(
            f"cannot write to {paths.CACHE}: {error.strerror}; set VAELIB_CACHE to another folder"
        ) from error
    with files.locked(lock, "another process prepares faces; waiting for its end"):
        with contextlib.suppress(InputError):
            return cache.read(folder)  # another process was first
        _make_cache(source, count, folder)
        return cache.read(folder)


def _make_cache(source: Source, count: int, folder: Path) -> None:
    """Prepare the faces aside, then rename. An interrupted preparation is resumed."""
    if folder.exists():
        place = printable(str(folder))
        print(f"the cache {place} is damaged; the faces are prepared again", file=sys.stderr)
        shutil.rmtree(folder)
    part = folder.with_name(f".{folder.name}.part")
    for stale in paths.CACHE.glob(f".{source.name}-*.part"):
        if stale != part:  # of this source before it changed: it will never be finished
            shutil.rmtree(stale)
    _check_room(part, count)
    part.mkdir(exist_ok=True)
    try:
        prepare(source, count, part)
    except BaseException as error:
        if isinstance(error, InputError) or not (part / JOURNAL).exists():
            shutil.rmtree(part)
        raise
    part.rename(folder)


def _check_room(part: Path, count: int) -> None:
    """Checked first, because running out of disk under a memory map kills the process."""
    written = sum(getattr(file.stat(), "st_blocks", 0) * 512 for file in part.glob(IMAGES))
    free, needed = shutil.disk_usage(paths.CACHE).free, count * FACE_BYTES - written
    if free < needed:
        raise InputError(
            f"{paths.CACHE} has {free / 1e6:.0f} MB free and the faces need {needed / 1e6:.0f} MB; "
            "make room, or set VAELIB_CACHE to another folder"
        )


def prepare(source: Source, count: int, folder: Path) -> None:
    """Write the source's faces into a folder, resuming what an interrupted call left there.

    images.npy uint8 (N, 3, 64, 48), attributes.npy bool (N, A) where there are any, split.npy
    uint8 (N,), all in the order of the photos' names, and at last facts.json with their checksums.
    A photo that cannot be decoded is left out and named on stderr.
    Raises InputError where a list is malformed or does not fit, or 1% of the photos or more are
    broken.
    """
    attributes: NDArray[np.bool_] | None
    broken: list[str] = []
    if source.kind == "synthetic":
        with progress.watching("drawing faces", count, "faces") as watch:
            images, attributes = render.generate(count, 0, watch)
        names = ATTRIBUTE_NAMES
        np.save(folder / IMAGES, images)
        split = annotations.split_by_hash([str(number) for number in range(count)])
    else:
        attributes, names = source.read_attributes()
        own_split, origin = source.read_split()  # before the slow part: may be refused
        for line in source.aside:
            print(f"left aside: {line}", file=sys.stderr)
        kept, broken = decode_all(source, folder)
        attributes = None if attributes is None else attributes[kept]
        split = source.split_by_hash(kept) if own_split is None else own_split[kept]
        images_kept = inspect.image_count(source.kind, len(split))
        summary = f"{source.name}: {images_kept} images; {split_sizes(split)}, {origin}"
        print(summary, file=sys.stderr)
    if attributes is not None:
        np.save(folder / ATTRIBUTES, attributes)
    np.save(folder / SPLIT, split)
    (folder / JOURNAL).unlink(missing_ok=True)
    cache.write_facts(folder, source.name, source.kind, len(split), names, broken)


def decode_all(source: Source, folder: Path) -> tuple[NDArray[np.int64], list[str]]:
    """Decode photos into images.npy; return the positions of those kept, and names of the others.

    Runs on all cores, in memory that does not grow with the number of photos.
    """
    import joblib

    from vaelib.sources import alignment, decode
    from vaelib.support.caller import call_for

    align = alignment.is_on()
    count, file, journal = len(source.files), folder / IMAGES, folder / JOURNAL
    if not _can_go_on(file, count):
        journal.unlink(missing_ok=True)
        np.lib.format.open_memmap(file, "w+", np.uint8, (count, *IMAGE_SHAPE)).flush()
    done = _read_journal(journal)
    broken: dict[int, str] = {}
    crops: Counter[str] = Counter()

    def decode_for_this_process(*arguments: object) -> Any:
        return joblib.delayed(call_for)(os.getpid(), decode.decode_block, *arguments)

    def missing_blocks() -> Iterator[Any]:
        rows = np.load(file, mmap_mode="r")
        for number, block in enumerate(_blocks(source)):
            positions = [position for position, _ in block]
            before = done.get(number)
            if before and before.checksum == hashlib.sha256(rows[positions].data).hexdigest():
                broken.update(before.broken)
                crops.update(before.crops)
                bar(len(block))
            else:
                yield decode_for_this_process(number, block, file, align)

    processes = min(joblib.cpu_count(), -(-count // BLOCK_PHOTOS))
    run = joblib.Parallel(
        processes, return_as="generator_unordered", batch_size=1, idle_worker_timeout=30
    )
    with progress.preparing(f"preparing {source.name}", count) as bar, journal.open("a") as lines:
        for decoded in run(missing_blocks()):
            lines.write(json.dumps(decoded) + "\n")
            lines.flush()
            broken.update(decoded.broken)
            crops.update(decoded.crops)
            bar(decoded.photos)
    kept = np.setdiff1d(np.arange(count), list(broken))
    named = [
        f"{printable(source.files[position])} ({why})" for position, why in sorted(broken.items())
    ]
    if named:
        inspect.check_broken(named, count)
        names = first_names(named)
        print(f"left out {len(named):,} broken photos of {count:,}: {names}", file=sys.stderr)
        _keep_only(kept, file)
    if line := _cropped_in_words(crops, align):
        print(line, file=sys.stderr)
    return kept, named


def _can_go_on(file: Path, count: int) -> bool:
    """Whether an interrupted preparation left the rows of so many photos; each block is checked."""
    try:
        rows = np.load(file, mmap_mode="r")
        expected = ((count, *IMAGE_SHAPE), np.uint8)
        return isinstance(rows, np.memmap) and (rows.shape, rows.dtype) == expected
    except FileNotFoundError:
        return False
    except Exception as error:  # what numpy raises depends on where the damage is
        reason = " ".join(str(error).split())
        print(f"{file} is damaged: {reason}; photos are decoded anew", file=sys.stderr)
        return False


def _cropped_in_words(crops: Mapping[str, int], align: bool) -> str:
    """How photos were cropped whose proportions are not CelebA's; empty where there are none."""
    around, middle = crops.get("face", 0), crops.get("middle", 0)
    if not around + middle:
        return ""
    several = around + middle > 1
    photos = f"{around + middle:,} photos" if several else "1 photo"
    words = f"cropped {photos} whose proportions are not CelebA's"
    if not align:
        return f"{words}, to the middle"
    them = "them" if several else "it"
    return f"{words}: {around:,} around the face in {them}, {middle:,} without one to the middle"


def _blocks(source: Source) -> Iterator[Block]:
    """The source's photos in blocks: the same ones whenever the source is the same."""
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


def _read_journal(path: Path) -> dict[int, "DecodedBlock"]:
    """Every block that was finished, by its number."""
    from vaelib.sources.decode import DecodedBlock

    done = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            block = DecodedBlock(*json.loads(line))
        except (ValueError, TypeError):  # the line being written when the process ended
            continue
        done[block.number] = block
    return done


def _keep_only(kept: NDArray[np.int64], file: Path) -> None:
    """Remove all other rows from the file of images."""
    rows = np.load(file, mmap_mode="r")
    aside = file.with_name("kept.npy")
    kept_rows = np.lib.format.open_memmap(aside, "w+", np.uint8, (len(kept), *IMAGE_SHAPE))
    for start in range(0, len(kept), 4096):
        kept_rows[start : start + 4096] = rows[kept[start : start + 4096]]
    kept_rows.flush()
    del rows, kept_rows  # some systems do not replace a file that is still mapped
    aside.replace(file)
