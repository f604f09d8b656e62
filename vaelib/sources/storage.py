"""Where photos and their lists lie: in a folder, or in a zip that is never unpacked."""

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

Photo = str | Path | bytes  # where it lies, or what it is

MOST_BYTES = 200_000_000  # an entry of a zip that unpacks to more is not read


class Stamp(NamedTuple):
    """What changes with a file: its size in bytes, and its time of change in ns or its CRC-32."""

    size: int
    mark: int


@dataclass(frozen=True)
class Folder:
    """Files below a folder, by their names relative to it, with forward slashes."""

    path: Path
    entries: dict[str, Stamp]

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            refuse(error, self.path / name)

    def where(self, name: str) -> str:
        """How messages call an entry."""
        return str(self.path / name)

    def photos(self, names: Sequence[str]) -> Iterator[tuple[int, Photo]]:
        """Every photo with its position among the names, in the order they are best read."""
        yield from enumerate(f"{self.path}/{name}" for name in names)


@dataclass(frozen=True)
class Zip:
    """Entries of a zip, by their names. Same methods as `Folder`.

    The archive stays open as long as the object lives: to read the directory of 202,599 entries
    again takes a second.
    """

    path: Path
    entries: dict[str, Stamp]
    archive: zipfile.ZipFile = field(repr=False, compare=False)
    infos: dict[str, zipfile.ZipInfo] = field(repr=False, compare=False)

    def read(self, name: str) -> bytes:
        """All of an entry. Raises InputError for one that is damaged, or larger than any list."""
        if self.entries[name].size > MOST_BYTES:
            raise InputError(f"{self.where(name)} unpacks to over {MOST_BYTES:,} bytes; replace it")
        try:
            return self.archive.read(self.infos[name])
        except Exception as error:  # damaged bytes make each way of compressing raise its own kind
            raise InputError(f"cannot read {self.where(name)}: {error}; copy it again") from error

    def where(self, name: str) -> str:
        return f"{self.path}: {name}"

    def photos(self, names: Sequence[str]) -> Iterator[tuple[int, Photo]]:
        """As in a folder; a photo that cannot be read is empty, so counted broken and named."""
        in_file = sorted(enumerate(names), key=lambda pair: self.infos[pair[1]].header_offset)
        for position, name in in_file:
            try:
                photo = self.read(name)
            except InputError:
                photo = b""
            yield position, photo


@dataclass(frozen=True)
class Listed:
    """A list that lies in a folder or a zip."""

    store: Folder | Zip
    entry: str

    @property
    def name(self) -> str:
        return self.entry.rpartition("/")[2]

    @property
    def where(self) -> str:
        return self.store.where(self.entry)

    def text(self) -> str:
        """The list decoded: UTF-8, or UTF-16 with the mark by which Windows tells it."""
        read = self.store.read(self.entry)
        utf16 = read.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return read.decode("utf-16" if utf16 else "utf-8-sig", "replace")


def find_list(places: Sequence[Folder | Zip], names: Sequence[str]) -> Listed | None:
    """The first entry of such a name, the names tried in order; the least deep of several."""
    for name in names:
        for store in places:
            found = [entry for entry in store.entries if entry.rpartition("/")[2] == name]
            if found:
                return Listed(store, min(found, key=lambda entry: (entry.count("/"), entry)))
    return None


def open_files(path: Path, names: Sequence[str]) -> Folder:
    """Those of the named files that are in the folder, its other contents unseen.

    Raises InputError naming the file that cannot be looked at.
    """
    entries = {}
    for name in names:
        try:
            found = (path / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            refuse(error, path / name)
        if stat.S_ISREG(found.st_mode):
            entries[name] = Stamp(found.st_size, found.st_mtime_ns)
    return Folder(path, entries)


def open_folder(path: Path) -> Folder:
    """All files below the folder, but for hidden ones; subfolders and linked folders included.

    A link to a folder that holds this one, or is seen already, is left out.
    Raises InputError naming the folder or file that cannot be looked at.
    """
    return Folder(path, dict(sorted(_walk(path))))


def _walk(top: Path) -> Iterator[tuple[str, Stamp]]:
    prefixes, seen = [""], [top.resolve()]
    while prefixes:
        prefix = prefixes.pop()
        folder = top / prefix
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if _hidden(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False) or _leads_on(entry, seen):
                        prefixes.append(f"{prefix}{entry.name}/")
                    elif (found := _stat(entry)) and stat.S_ISREG(found.st_mode):
                        yield prefix + entry.name, Stamp(found.st_size, found.st_mtime_ns)
        except OSError as error:
            refuse(error, folder)


def _leads_on(entry: os.DirEntry[str], seen: list[Path]) -> bool:
    """Whether this is a link to a folder that neither lies in one seen nor holds one. Notes it.

    Any other could lead round in circles.
    """
    if not entry.is_symlink() or not Path(entry.path).is_dir():
        return False
    here = Path(entry.path).resolve()
    if any(here.is_relative_to(other) or other.is_relative_to(here) for other in seen):
        return False
    seen.append(here)
    return True


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """None for what is gone, or a link that leads nowhere."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        if entry.is_symlink() and not isinstance(error, PermissionError):  # such as to itself
            return None
        refuse(error, Path(entry.path))


def open_zip(path: Path) -> Zip:
    """All entries of the zip but hidden ones, by their names with forward slashes.

    Raises InputError for a file that is no whole zip, and for a zip that nobody should trust: with
    entries that climb out of the folder it would be unpacked to, or that ask for a password.
    """
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        refuse(error, path)
    except Exception as error:  # a damaged directory makes zipfile raise nearly every kind
        raise InputError(f"{path} {_no_zip(path)}; bring it again") from error
    infos = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")  # as some programs on Windows write them
        if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
            raise InputError(
                f"{path} holds {info.filename!r}, which climbs out of its folder; do not trust it"
            )
        if info.flag_bits & 1:
            raise InputError(f"{path} asks for a password ({name!r}); bring an open copy")
        if not name.endswith("/") and not any(map(_hidden, name.split("/"))):
            infos[name] = info
    infos = dict(sorted(infos.items()))
    entries = {name: Stamp(info.file_size, info.CRC) for name, info in infos.items()}
    return Zip(path, entries, archive, infos)


def _hidden(name: str) -> bool:
    """Hidden, or where macOS and Synology's stations keep copies of their own."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def _no_zip(path: Path) -> str:
    size = f"({path.stat().st_size:,} bytes without a directory at the end)"
    return instead_of("a zip", path) or f"is cut short or no zip {size}"


def instead_of(kind: str, path: Path) -> str:
    """What a file is instead of what its name says, as far as its start tells, else ""."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "is empty"
    if start.startswith(b"version https://git-lfs"):
        return f"is a pointer of Git LFS's and not {kind} (git lfs pull fetches it)"
    if is_web_page(path):
        return f"is a web page and not {kind}, as a download over its quota leaves behind"
    return ""


def is_web_page(path: Path) -> bool:
    """Whether a file that pretends to be something else begins like HTML, or a server's XML."""
    with path.open("rb") as file:
        start = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<!--", b"<?xml"))


def refuse(error: OSError, path: Path) -> NoReturn:
    """Say which path cannot be read, and why. Raises InputError."""
    raise InputError(f"cannot read {path}: {error.strerror}; check its permissions") from error
