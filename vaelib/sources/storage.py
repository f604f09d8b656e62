"""Where photos and their lists are stored: in a folder, or in a zip that is never unpacked."""

import codecs
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

from vaelib.support.errors import InputError

PhotoData = str | Path | bytes  # the path of a photo, or its content

# What is added to the name of a second copy, before its extension.
SECOND_COPY = re.compile(r"(?: ?\(\d+\)| - Copy(?: \(\d+\))?| copy(?: \d+)?)(\.\w+)$")

MAX_ENTRY_BYTES = 200_000_000  # an entry of a zip that unpacks to more is not read


class FileState(NamedTuple):
    """What changes when a file changes: its size in bytes, and its time in ns or its CRC-32."""

    size: int
    stamp: int


@dataclass(frozen=True)
class Folder:
    """Files below a folder, by their names relative to it, with forward slashes."""

    path: Path
    entries: dict[str, FileState]

    def read(self, name: str) -> bytes:
        """All of a file. Raises InputError where it cannot be read."""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            refuse(error, self.path / name)

    def photos(self, names: Sequence[str]) -> Iterator[tuple[int, PhotoData]]:
        """Every photo with its position among the names, in the order that is quickest to read."""
        yield from enumerate(f"{self.path}/{name}" for name in names)


@dataclass(frozen=True)
class Zip:
    """Entries of a zip, by their names. Same methods as `Folder`.

    The archive stays open as long as the object lives: to read the directory of 202,599 entries
    again takes a second.
    """

    path: Path
    entries: dict[str, FileState]
    archive: zipfile.ZipFile = field(repr=False, compare=False)
    infos: dict[str, zipfile.ZipInfo] = field(repr=False, compare=False)

    def read(self, name: str) -> bytes:
        """All of an entry. Raises InputError for one that is damaged, or larger than any list."""
        location = self.path / name
        if self.entries[name].size > MAX_ENTRY_BYTES:
            raise InputError(f"{location} unpacks to over {MAX_ENTRY_BYTES:,} bytes; replace it")
        try:
            return self.archive.read(self.infos[name])
        except Exception as error:  # damage raises another exception in each compression
            raise InputError(f"cannot read {location}: {error}; copy it again") from error

    def photos(self, names: Sequence[str]) -> Iterator[tuple[int, PhotoData]]:
        """As in a folder. A photo that cannot be read is empty, so it is counted as broken."""
        in_file = sorted(enumerate(names), key=lambda pair: self.infos[pair[1]].header_offset)
        for position, name in in_file:
            try:
                photo = self.read(name)
            except InputError:
                photo = b""
            yield position, photo


@dataclass(frozen=True)
class ListFile:
    """A list of attributes or of the split, in a folder or a zip."""

    store: Folder | Zip
    entry: str

    @property
    def name(self) -> str:
        """The file's name without its folders, and without the number of a second download."""
        return first_saved_as(self.entry)

    @property
    def location(self) -> str:
        """How messages call the list: by its path, inside the zip where it is in one."""
        return str(self.store.path / self.entry)

    def text(self) -> str:
        """The list decoded: UTF-8, or UTF-16 where it begins with Windows's mark for that."""
        content = self.store.read(self.entry)
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if utf16 else "utf-8-sig", "replace")


def first_saved_as(entry: str) -> str:
    """A file's name as it was before a browser or a desktop kept a second copy under another.

    list (1).txt, list(1).txt, list - Copy.txt and list copy.txt are all list.txt.
    """
    return SECOND_COPY.sub(r"\1", entry.rpartition("/")[2])


def find_list(stores: Sequence[Folder | Zip], names: Sequence[str]) -> ListFile | None:
    """The first entry with one of these names, tried in order; the least deep of several.

    Second copies of a file come after all that are called by the very names.
    """
    for as_called in (_base, first_saved_as):
        for name in names:
            for store in stores:
                entries = [entry for entry in store.entries if as_called(entry) == name]
                if entries:
                    shallow = min(entries, key=lambda entry: (entry.count("/"), entry))
                    return ListFile(store, shallow)
    return None


def _base(entry: str) -> str:
    return entry.rpartition("/")[2]


def open_files(path: Path, names: Sequence[str]) -> Folder:
    """Those of the named files that are in the folder, and second copies of them.

    Nothing else in it is looked at. Raises InputError naming a file that cannot be looked at.
    """
    try:
        copies = [name for name in os.listdir(path) if first_saved_as(name) in names]  # noqa: PTH208
    except OSError:  # such as a folder whose files may be read, but not listed
        copies = []
    states = {name: _file_state(path / name) for name in sorted({*names, *copies})}
    return Folder(path, {name: state for name, state in states.items() if state})


def open_folder(path: Path) -> Folder:
    """All files below the folder that are not hidden, subfolders and linked folders included.

    A link to a folder that contains this one, or that was visited already, is left out.
    Raises InputError naming a folder or file that cannot be looked at.
    """

    def cannot_list(error: OSError) -> NoReturn:
        refuse(error, Path(error.filename or path))

    entries = {}
    visited = [path.resolve()]
    for folder, subfolders, names in os.walk(path, onerror=cannot_list, followlinks=True):
        # os.walk goes only into what is left in this list.
        subfolders[:] = [
            name for name in subfolders if not _is_hidden(name) and _is_new(folder, name, visited)
        ]
        below = Path(folder).relative_to(path).as_posix()
        prefix = "" if below == "." else f"{below}/"
        for name in names:
            state = None if _is_hidden(name) else _file_state(os.path.join(folder, name))  # noqa: PTH118
            if state:
                entries[prefix + name] = state
    return Folder(path, dict(sorted(entries.items())))


def _is_new(folder: str, name: str, visited: list[Path]) -> bool:
    """Whether to go into a subfolder. A link is followed only where it cannot lead in a circle.

    It could if its target lies in a visited folder or contains one. Adds the target to the list.
    """
    path = Path(folder, name)
    if not path.is_symlink():
        return True
    target = path.resolve()
    if any(target.is_relative_to(other) or other.is_relative_to(target) for other in visited):
        return False
    visited.append(target)
    return True


def _file_state(path: str | Path) -> FileState | None:
    """None for what is not there or no regular file, and for a link that leads nowhere."""
    try:
        state = os.stat(path)  # noqa: PTH116, as a Path for each of 202,599 photos takes long
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if Path(path).is_symlink() and not isinstance(error, PermissionError):  # as to itself
            return None
        refuse(error, Path(path))
    return FileState(state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def open_zip(path: Path) -> Zip:
    """All entries of the zip that are not hidden, by their names with forward slashes.

    Raises InputError for a file that is not a whole zip, and for a zip not to be trusted: one with
    entries outside the folder it would be unpacked to, or with a password.
    """
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        refuse(error, path)
    except Exception as error:  # a damaged directory makes zipfile raise nearly every exception
        size = f"({path.stat().st_size:,} bytes without a directory at the end)"
        reason = wrong_kind(path, "a zip") or f"is cut short or no zip {size}"
        raise InputError(f"{path} {reason}; get it again") from error
    infos = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")  # as some programs on Windows write them
        if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
            raise InputError(
                f"{path} holds {info.filename!r}, which climbs out of its folder; do not trust it"
            )
        if info.flag_bits & 1:
            raise InputError(f"{path} asks for a password ({name!r}); use a copy without one")
        if not name.endswith("/") and not any(map(_is_hidden, name.split("/"))):
            infos[name] = info
    infos = dict(sorted(infos.items()))
    entries = {name: FileState(info.file_size, info.CRC) for name, info in infos.items()}
    return Zip(path, entries, archive, infos)


def _is_hidden(name: str) -> bool:
    """Hidden, or where macOS and Synology's disk stations keep copies of their own."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def wrong_kind(path: Path, expected: str) -> str:
    """What a file is instead of what its name says, seen from its first bytes; "" if unknown."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "is empty"
    if start.startswith(b"version https://git-lfs"):
        return f"is a pointer of Git LFS and not {expected} (git lfs pull fetches it)"
    if is_web_page(path):
        return f"is a web page and not {expected}, as a download over its quota leaves behind"
    return ""


def is_web_page(path: Path) -> bool:
    """Whether a file begins like HTML, or like the XML with which servers report an error."""
    with path.open("rb") as file:
        start = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<!--", b"<?xml"))


def refuse(error: OSError, path: Path) -> NoReturn:
    """Report which path cannot be read, and why. Raises InputError."""
    raise InputError(f"cannot read {path}: {error.strerror}; check its permissions") from error
