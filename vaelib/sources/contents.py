"""What lies in a folder or a zip: photos of faces, and what is left aside, with the reason."""

import io
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from vaelib.sources import cache
from vaelib.sources.storage import Folder, Zip
from vaelib.support.text import first_names, printable

if TYPE_CHECKING:
    from PIL.Image import Image

Seen = TypeVar("Seen")

PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif"),
    *(".png", ".webp", ".bmp", ".tif", ".tiff"),
)
CELEBA_PHOTOS = "img_align_celeba"

UNPACK = "unpack, and give the folder that holds the photos"
CONVERT = "convert to .jpg or .png"
SAVE = "save the pictures in it as .png files"
OTHER_SUFFIXES = {
    **dict.fromkeys((".zip", ".tgz", ".tar", ".gz", ".bz2", ".xz", ".7z", ".rar"), UNPACK),
    **dict.fromkeys((".gif", ".avif", ".heic", ".heif", ".jxl", ".jp2", ".ppm", ".pgm"), CONVERT),
    **dict.fromkeys((".psd", ".cr2", ".nef", ".arw", ".dng", ".mp4", ".mov", ".avi"), CONVERT),
    **dict.fromkeys((".npy", ".npz", ".mat", ".h5", ".tfrecord", ".tfrecords", ".mdb"), SAVE),
    ".parquet": "give the folder that holds nothing else",
}

# Words in names of folders, or at the end of a file's, for pictures that belong to photos.
COMPANIONS = {
    "masks": "mask masks segmentation segmentations seg parsing label labels anno annos matte",
    "depth maps": "depth depths disparity",
    "normal maps": "normal normals",
    "thumbnails": "thumb thumbs thumbnail thumbnails preview previews",
}
KINDS = {word: kind for kind, words in COMPANIONS.items() for word in words.split()}
AT_THE_END = re.compile(rf"[-_. ]({'|'.join(KINDS)})$")

FEW_COLOURED = "pictures of few colours"  # masks most likely, or drawings

LOSSLESS = (".png", ".bmp", ".tif", ".tiff")  # a mask kept in any other format would be blurred
MASK_COLOURS = 40  # at most, in a mask: CelebAMask-HQ's has 2, all its parts together 19
MANY_FOLDERS = 8  # so many beside each other are of persons, or numbered: looked at as one
MAX_GROUPS = 100  # that are looked at one by one
LOOKED_AT = 3  # photos of each


class Contents(NamedTuple):
    """The photos among the entries of a folder or zip, and in words what else is there."""

    photos: list[str]
    aside: list[str]


class Group(NamedTuple):
    """Pictures of one format in one place."""

    place: str  # the folder; with a * at its end, many folders in it
    suffix: str
    kind: str  # what they are by their name, such as "masks"; "" where that says nothing
    entries: list[str]


def sort_out(store: Folder | Zip) -> Contents:
    """Photos and what is left aside: masks, depth maps, thumbnails, and files that are not read.

    Of a copy of CelebA the aligned photos are taken alone.
    """
    pictures = [entry for entry in store.entries if suffix_of(entry) in PHOTO_SUFFIXES]
    aligned = [entry for entry in pictures if f"/{CELEBA_PHOTOS}/" in f"/{entry}"]
    aside = []
    if aligned:
        photos = aligned
        if others := len(pictures) - len(aligned):
            aside.append(f"{others:,} photos outside {CELEBA_PHOTOS}")
    else:
        photos, aside = _without_companions(store, pictures)
    return Contents(photos, aside + not_read(store))


def suffix_of(entry: str) -> str:
    """The ending of a file's name from its last dot on, in lower case."""
    return entry[entry.rfind(".") :].lower()


def not_read(store: Folder | Zip, opened: str = "") -> list[str]:
    """Files that may hold faces but are not read: how many of each kind, and what to do.

    opened: an archive that is read after all.
    """
    found = defaultdict(list)
    for entry in store.entries:
        suffix = suffix_of(entry)
        if suffix in PHOTO_SUFFIXES:
            continue
        if suffix[1:].isdigit():  # of a part of an archive, such as photos.7z.001
            suffix = suffix_of(entry[: -len(suffix)])
        if suffix in OTHER_SUFFIXES and entry != opened:
            found[suffix].append(entry)
    return [
        f"{len(files):,} {suffix} ({first_names(files)}): {OTHER_SUFFIXES[suffix]}"
        for suffix, files in found.items()
    ]


def _without_companions(store: Folder | Zip, pictures: list[str]) -> tuple[list[str], list[str]]:
    """The photos, and in words the pictures that only belong to them.

    Masks are known by their few colours; other companions by the names of their folders or files,
    and by being called like the photos besides. Where nothing but companions is found, they are
    what is wanted.
    """
    groups = grouped(pictures)
    looked_at = [group for group in groups if group.kind or group.suffix in LOSSLESS]
    if len(groups) == 1 or not looked_at:
        return pictures, []
    few_coloured = [group for group in looked_at if _few_colours(store, group)]
    others = [group for group in groups if group not in few_coloured]
    stems = {_stem(entry) for group in others if not group.kind for entry in group.entries}
    if not stems:
        return pictures, []
    named = [group for group in others if group.kind and _belong_to(group, stems)]
    left_aside = few_coloured + named
    entries = {entry for group in left_aside for entry in group.entries}
    words = [describe(store, group, group.kind or FEW_COLOURED) for group in left_aside]
    return [picture for picture in pictures if picture not in entries], words


def grouped(pictures: Sequence[str]) -> list[Group]:
    """Pictures by folder and format, apart from those whose names say that they are companions."""
    shared = _shared_folder(pictures)
    in_folders = defaultdict(list)
    for picture in pictures:
        folder, _, name = picture.removeprefix(shared).rpartition("/")
        in_folders[folder, suffix_of(name), _kind_of_file(name)].append(picture)
    siblings = Counter(_above(folder) for folder in {folder for folder, *_ in in_folders})
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for (folder, suffix, kind), entries in in_folders.items():
        place = folder
        if folder and siblings[_above(folder)] > MANY_FOLDERS:
            place = f"{_above(folder)}/*".lstrip("/")
        if len(in_folders) > MAX_GROUPS:
            place = place.partition("/")[0]
        groups[shared + place, suffix, kind or _kind_of(folder)] += entries
    return [Group(*key, entries) for key, entries in groups.items()]


def _shared_folder(pictures: Sequence[str]) -> str:
    """The folder that all share, with a slash at its end; of the first and last in order, all."""
    first, last = (min(pictures), max(pictures)) if pictures else ("", "")
    shared = []
    for one, other in zip(first.split("/")[:-1], last.split("/")[:-1], strict=False):
        if one != other:
            break
        shared.append(f"{one}/")
    return "".join(shared)


def _above(folder: str) -> str:
    return folder.rpartition("/")[0]


def _kind_of(folder: str) -> str:
    """What a folder holds by its name: words in it, in CamelCase or with signs between."""
    name = folder.replace("CelebAMask", "")  # which has photos, too
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return next((KINDS[word.lower()] for word in words if word.lower() in KINDS), "")


def _kind_of_file(name: str) -> str:
    """What a file holds by the last word of its name: 0001_mask.png is of the masks."""
    stem = name[: name.rfind(".")]
    if stem[-1:].isdigit():  # as nearly all
        return ""
    word = AT_THE_END.search(stem.lower())
    return KINDS[word[1]] if word else ""


def _stem(entry: str) -> str:
    return entry.rpartition("/")[2].rpartition(".")[0]


def _belong_to(group: Group, stems: set[str]) -> bool:
    """Whether each that is looked at is called like a photo: 0001, 0001_depth, 0001-1024."""
    for entry in _some(group.entries):
        stem = _stem(entry)
        starts = [stem[: sign.start()] for sign in re.finditer(r"[-_. ]", stem)]
        if stems.isdisjoint([stem, *starts]):
            return False
    return True


def _some(entries: Sequence[str]) -> list[str]:
    """The first, the last and one between."""
    last = len(entries) - 1
    return [entries[k] for k in sorted({k * last // (LOOKED_AT - 1) for k in range(LOOKED_AT)})]


def _few_colours(store: Folder | Zip, group: Group) -> bool:
    """Whether each that is looked at has the few colours of a mask."""
    from vaelib.sources import decode

    def is_mask(image: "Image") -> bool:
        if image.width * image.height > decode.MAX_PIXELS:
            return False
        return decode.to_rgb(image).getcolors(MASK_COLOURS) is not None

    return all(_look(store, entry, is_mask) for entry in _some(group.entries))


def describe(store: Folder | Zip, group: Group, kind: str) -> str:
    """How many of a kind are where, of what size, and with how many channels."""

    def size_and_channels(image: "Image") -> str:
        channels = len(image.getbands())
        return f"{image.width} x {image.height}, {channels} channel{'s' if channels > 1 else ''}"

    looks = {_look(store, entry, size_and_channels) for entry in _some(group.entries)} - {None}
    look = looks.pop() if len(looks) == 1 else "of several sizes"
    place = printable(group.place.rstrip("/")) or "the top folder"
    return f"{len(group.entries):,} {kind} in {place} ({group.suffix}, {look})"


def _look(store: Folder | Zip, entry: str, see: Callable[["Image"], Seen]) -> Seen | None:
    """What is seen in a picture; None in a broken one, which is named when photos are decoded."""
    cache.check_installed(*cache.DECODERS)
    import PIL.Image

    with warnings.catch_warnings(action="ignore"):  # Pillow's, about bombs, palettes and odd EXIF
        try:
            with PIL.Image.open(io.BytesIO(store.read(entry))) as image:
                return see(image)
        except Exception:  # broken bytes make Pillow raise nearly every exception
            return None
