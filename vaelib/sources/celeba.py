"""CelebA, found on this machine or else downloaded by those who accept its terms."""

import contextlib
import os
import shlex
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

from vaelib.sources import annotations, downloads, inspect, layouts
from vaelib.support import paths
from vaelib.support.errors import InputError
from vaelib.support.text import printable

KAGGLE = "jessicali9530/celeba-dataset"

DOWNLOAD_BYTES = 1_500_000_000  # of either download, and a little more

TERMS = f"""\
CelebA is for non-commercial research only. Neither it nor parts of it may be sold, published or
passed on. Its pictures are of people who were not asked. The full terms are on the page of the
Multimedia Laboratory: http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html

Where it comes from, the most reliable first:
  1. Hugging Face, {downloads.HUB}: parquet, about 1.4 GB, resumes and is checked (--source hub)
  2. the authors' Google Drive: a zip and two lists, 1.3 GB, often over its quota (--source drive)
  3. by hand: Kaggle's copy ({KAGGLE}, an account is needed) or any other,
     put into data/celeba as it is
"""


class DiskFull(InputError):
    """A failure that another server would not help."""


def find_or_download(agree: bool, source: str | None = None) -> None:
    """Look for CelebA in the usual places; else show its terms and, if they are accepted, download.

    A copy that is found is linked for `make report`; of every place before it, one line says why
    it does not count. source: "hub" or "drive", else both are tried. Raises InputError where the
    terms are not accepted, something else is in the way, or the download failed; OSError from the
    file system.
    """
    blocked = ""
    for path in usual_paths():
        named = printable(str(path))
        try:
            description = describe_whole(path)
        except InputError as error:
            fault = str(error)
            print(fault if named in fault else f"{named}: {fault}", flush=True)
            if path == paths.CELEBA:
                blocked = f"{path} is not all of CelebA: {fault}; move it away first"
            continue
        print(f"{named} holds all of CelebA", *description, sep="\n")
        _link(path)
        return
    if blocked:
        raise InputError(blocked)
    print(TERMS, flush=True)
    if not agree:
        raise InputError(
            "nothing was downloaded; to accept these terms, run make celeba ARGS=--agree"
        )
    download(source)


def usual_paths() -> list[Path]:
    """Where a copy of CelebA usually is, if there is anything, `paths.CELEBA` first.

    The path that the environment variable CELEBA names is in the list even if it is missing.
    """
    environment = os.environ
    caches = Path(environment.get("XDG_CACHE_HOME") or "~/.cache")
    torch = Path(environment.get("TORCH_HOME") or caches / "torch")
    hub_home = Path(environment.get("HF_HOME") or caches / "huggingface")
    hub = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    kaggle = Path(environment.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub").expanduser()
    versions = (kaggle / "datasets" / KAGGLE / "versions").glob("[0-9]*")
    library_caches = [
        torch / "datasets" / "vision" / "celeba",
        Path(hub or hub_home / "hub") / f"datasets--{downloads.HUB.replace('/', '--')}",
        *sorted(versions, key=lambda version: version.name.zfill(9), reverse=True),
    ]
    usual = [] if _is_free(paths.CELEBA) else [paths.CELEBA]
    if environment.get("CELEBA"):
        usual.append(Path(environment["CELEBA"]).expanduser())
    usual += [path for path in map(Path.expanduser, library_caches) if os.access(path, os.F_OK)]
    return list(dict.fromkeys(usual))


def _is_free(path: Path) -> bool:
    """Whether nothing is there but perhaps an empty folder, so that CelebA can go there."""
    if path.is_dir() and not path.is_symlink():
        return not any(path.iterdir())
    return not os.path.lexists(path)


def describe_whole(path: Path) -> list[str]:
    """Describe the copy of all of CelebA at a path.

    Raises InputError where there is none, with what the path holds or why that cannot be seen.
    """
    try:
        source = layouts.find(str(path))
        if source.kind != "celeba":
            raise InputError(f"holds {source.count:,} photos, which are not CelebA's")
        if source.count != annotations.CELEBA_SIZE:
            raise InputError(f"holds {source.count:,} of {annotations.CELEBA_SIZE:,} images")
        return inspect.describe(source)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from error


def _link(path: Path) -> None:
    """Link `paths.CELEBA` to a copy elsewhere; where that fails, print what to run instead."""
    try:
        if path != paths.CELEBA:
            _clear_destination()
            paths.CELEBA.symlink_to(path.absolute(), target_is_directory=True)
            print(f"{paths.CELEBA} is a link to it now")
    except OSError:  # something is there, or this user may not make links
        options = f"--data {shlex.quote(str(path))}"
        print(f"use it with: {printable(paths.report_command(options))}")
    else:
        print(f"{paths.report_command()} uses it")


def _clear_destination() -> None:
    """Make the folder above `paths.CELEBA`, and remove an empty one of its own name."""
    paths.CELEBA.parent.mkdir(parents=True, exist_ok=True)
    if paths.CELEBA.is_dir() and not paths.CELEBA.is_symlink():
        paths.CELEBA.rmdir()


def download(only: str | None = None) -> None:
    """Download CelebA to `paths.CELEBA` from the first server that gives all of it.

    `only` is "hub" or "drive"; None tries both. Everything goes to a folder beside it that ends in
    ".part", is checked there, and is renamed at the end. When the download breaks, what has come
    stays there, and the next call resumes it. Prints in one line why a server failed.
    Raises InputError where there is too little room or no server gave it, OSError where
    `paths.CELEBA` is not free.
    """
    part = paths.CELEBA.with_name(f"{paths.CELEBA.name}.part")
    servers = {
        "hub": ("Hugging Face", downloads.from_hub),
        "drive": ("Google Drive", downloads.from_drive),
    }
    for name in [only] if only else servers:
        title, fetch = servers[name]
        _check_room(part / name)
        print(f"downloading from {title} to {part / name}", flush=True)
        try:
            description = _fetch(fetch, part / name)
        except DiskFull:
            raise
        except InputError as error:
            print(f"{title}: {error}", flush=True)
            for folder in (part / name, part):
                with contextlib.suppress(OSError):  # not empty: it will be resumed
                    folder.rmdir()
            continue
        _clear_destination()
        (part / name).rename(paths.CELEBA)
        shutil.rmtree(part, ignore_errors=True)
        print(
            *description,
            f"{paths.CELEBA} holds all of CelebA; {paths.report_command()} uses it",
            sep="\n",
        )
        return
    raise InputError(
        "CelebA was not downloaded, for the reasons above; run the same command again to go on"
        f" where it was, or put a copy into {paths.CELEBA} by hand"
    )


def _check_room(folder: Path) -> None:
    present = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    disk = next(parent for parent in folder.parents if parent.exists())
    free, needed = shutil.disk_usage(disk).free, DOWNLOAD_BYTES - present
    if free < needed:
        raise InputError(
            f"the disk of {disk} has {free // 10**6:,} MB free, but the download needs"
            f" {needed // 10**6:,} MB; make room and run the same command again"
        )


def _fetch(fetch: Callable[[Path], None], folder: Path) -> list[str]:
    """Fetch CelebA into the folder and describe it. Raises InputError with what failed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries: what matters of it is raised as well
            fetch(folder)
    except InputError:
        raise
    except Exception as error:  # whatever a library raises is why its server failed
        if downloads.disk_is_full(error):
            raise DiskFull(
                f"the disk of {folder} is full; make room and run the same command again, which"
                " goes on where it was"
            ) from None
        raise InputError(downloads.failure_reason(error)) from None
    return describe_whole(folder)
