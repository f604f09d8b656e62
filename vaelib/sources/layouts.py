"""The sources of faces, recognised by looking: CelebA in any of its layouts, or other photos."""

import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vaelib.sources import annotations, cache, contents, conventions, storage
from vaelib.sources.cache import clean_name
from vaelib.sources.contents import CELEBA_PHOTOS, PHOTO_SUFFIXES, Contents
from vaelib.sources.source import Source
from vaelib.sources.storage import Folder, Zip
from vaelib.support import paths
from vaelib.support.errors import InputError
from vaelib.support.text import first_names

MIN_PHOTOS = 64
PARTITION_LISTS = ("list_eval_partition.txt", "list_eval_partition.csv")
CELEBA_ATTRIBUTE_LISTS = ("list_attr_celeba.txt", "list_attr_celeba.csv")
CELEBA_HQ_ATTRIBUTE_LIST = "CelebAMask-HQ-attribute-anno.txt"
# The last is for any photos.
ATTRIBUTE_LISTS = (*CELEBA_ATTRIBUTE_LISTS, CELEBA_HQ_ATTRIBUTE_LIST, "attributes.csv")
LISTS = (*PARTITION_LISTS, *ATTRIBUTE_LISTS)
LIST_FOLDERS = ("", "../Anno", "../Eval")  # where the official download has them, seen from its zip
# Names that a program or a server chose, not the owner of the data.
CHOSEN_BY_PROGRAMS = r"img_align.*|archive.*|versions|snapshots|[0-9a-f]{40}|[0-9]+"


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
            f"{_besides(source.aside)}"
        )
    if source.kind == "celeba" and source.count > annotations.CELEBA_SIZE:
        raise InputError(
            f"{path} holds {source.count:,} photos and CelebA only {annotations.CELEBA_SIZE:,}; "
            "remove what is not CelebA's"
        )
    return source


def _besides(aside: Sequence[str]) -> str:
    """What was left aside, to be added to a message."""
    return f" (left aside: {'; '.join(aside)})" if aside else ""


def _in_file(path: Path) -> Source:
    suffix = path.suffix.lower()
    if suffix == ".zip":
        beside = [storage.open_files(path.parent / folder, LISTS) for folder in LIST_FOLDERS]
        archive = storage.open_zip(path)
        return _with_lists(path, archive, contents.sort_out(archive), beside)
    if suffix == ".parquet":
        return _in_shards(path, path.parent, [path])
    if contents.OTHER_SUFFIXES.get(suffix) == contents.UNPACK:
        raise InputError(f"{path} is packed in a way that is not read; {contents.UNPACK}")
    raise InputError(f"{path} is a file; give the folder that holds the photos, a zip or parquet")


def _in_folder(path: Path) -> Source:
    if cache.is_in(path):
        prepared = cache.read(path)
        return Source(prepared.kind, prepared.name, "prepared already", prepared=prepared)
    snapshots = sorted((path / "snapshots").glob("*/"), key=lambda folder: folder.stat().st_mtime)
    root = snapshots[-1] if snapshots else path  # the newest that a cache of Hugging Face's holds
    folder = storage.open_folder(root)
    found = contents.sort_out(folder)
    shards = [root / name for name in folder.entries if name.lower().endswith(".parquet")]
    if shards and not found.photos:
        return _in_shards(path, root, shards)
    if len(found.photos) < annotations.CELEBA_SIZE:
        zipped = _largest_zip(folder, bool(found.photos))
        if zipped and (source := _in_zip_of(path, folder, zipped, len(found.photos))):
            return source
    if not found.photos:
        raise InputError(
            f"{path} holds no photos, no zip, no parquet and no prepared faces; looked for "
            f"{', '.join(PHOTO_SUFFIXES)} in any case{_besides(found.aside)}"
        )
    above = path
    while above.name == CELEBA_PHOTOS:  # the photos themselves were given: lists are further up
        above = above.parent
    return _with_lists(path, folder, found, [storage.open_files(above, LISTS)])


def _in_zip_of(path: Path, folder: Folder, zipped: str, unpacked: int) -> Source | None:
    """The photos of a zip in the folder; None where as many are unpacked beside it."""
    archive = storage.open_zip(folder.path / zipped)
    packed = contents.sort_out(archive)
    if len(packed.photos) <= unpacked:
        return None
    beside = contents.not_read(folder, zipped)
    if unpacked:
        beside.insert(0, f"{unpacked:,} photos beside {first_names([zipped])}, which holds more")
    packed.aside.extend(beside)
    return _with_lists(path, archive, packed, [folder])


def _largest_zip(folder: Folder, has_photos: bool) -> str | None:
    """The largest zip of CelebA's in the folder; where it has neither these nor photos, of any."""
    zips = [name for name in folder.entries if name.lower().endswith(".zip")]
    as_saved = {name: storage.first_saved_as(name) for name in zips}
    celebas = [name for name in zips if as_saved[name].endswith(f"{CELEBA_PHOTOS}.zip")]
    candidates = celebas or ([] if has_photos else zips)
    return max(candidates, key=lambda name: folder.entries[name].size, default=None)


def _with_lists(path: Path, store: Folder | Zip, found: Contents, beside: list[Folder]) -> Source:
    """The copy with these photos of the store, its lists there too or in the folders beside."""
    photos = found.photos
    # The folder that the first and the last in order share, all share.
    ends = [posixpath.dirname(end) for end in (min(photos), max(photos))] if photos else [""]
    prefix = posixpath.join(posixpath.commonpath(ends), "")
    attribute_list = storage.find_list([store, *beside], ATTRIBUTE_LISTS)
    partition_list = storage.find_list([store, *beside], PARTITION_LISTS)
    listed = {each.name for each in (attribute_list, partition_list) if each}
    celebas = listed & {*PARTITION_LISTS, *CELEBA_ATTRIBUTE_LISTS}
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
    source = Source(
        kind="celeba" if celeba else "photos",
        name=_data_name(path, celeba, shared),
        layout=layout,
        files=tuple(sorted(photo.removeprefix(prefix) for photo in photos)),
        store=store,
        prefix=prefix,
        attribute_list=attribute_list,
        partition_list=partition_list,
        aside=tuple(found.aside),
    )
    return source if celeba or attribute_list else _without_list(source)


def _without_list(source: Source) -> Source:
    """The source with the attributes that its files' names hold, without photos that lack them."""
    in_names = conventions.attributes_in(source.files)
    aside = source.aside
    if in_names is None:
        entries = source.store.entries if source.store else {}
        if tables := [entry for entry in entries if entry.lower().endswith(".csv")]:
            aside += (
                f"{len(tables):,} .csv ({first_names(tables)}): call a list of attributes "
                "attributes.csv",
            )
        return replace(source, aside=aside)
    if lacking := sorted({*source.files} - {*in_names.files}):
        aside += (
            f"{len(lacking):,} photos without age or sex in their names ({first_names(lacking)}): "
            "correct the names",
        )
    return replace(source, in_names=in_names, files=in_names.files, aside=aside)


def _in_shards(path: Path, root: Path, files: list[Path]) -> Source:
    cache.check_installed("pyarrow", *cache.DECODERS)
    from vaelib.sources import parquet  # pyarrow is slow to load, and only these copies need it

    shards = parquet.open_shards(root, files)
    return Source(
        kind="celeba" if shards.of_celeba else "photos",
        name=_data_name(path, shards.of_celeba),
        layout="in parquet shards, as Hugging Face keeps it",
        files=tuple(sorted(shards.names)),
        shards=shards,
    )


def _data_name(path: Path, celeba: bool, shared: Sequence[str] = ()) -> str:
    """What the data is called: its folder's or file's name, unless a program chose that name.

    CelebA is then called "celeba", other data by the first folder within that all photos share
    (`shared`), or else by the folder that it lies in.
    """
    name = path.name if path.is_dir() else path.stem
    if celeba:
        chosen = re.fullmatch(rf"{CHOSEN_BY_PROGRAMS}|datasets--.*", name)
        return "celeba" if chosen else clean_name(name) or "photos"
    candidates = (name, *shared, *(parent.name for parent in path.parents))
    own = (each for each in candidates if not re.fullmatch(CHOSEN_BY_PROGRAMS, each))
    return clean_name(next(own)) or "photos"
