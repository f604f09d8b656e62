"""`make celeba`: CelebA, found on this machine or else downloaded by those who accept its terms."""

import contextlib
import os
import shlex
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

from vaelib.sources import annotations, downloads, inspect
from vaelib.support import paths
from vaelib.support.errors import InputError

KAGGLE = "jessicali9530/celeba-dataset"

NEEDED = 1_500_000_000  # bytes: either download, and a little more

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


def find_or_download(agree: bool, source: str | None = None) -> None:
    """Look for CelebA in the usual places; else show its terms and, if they are accepted, download.

    source: "hub" or "drive", else both are tried. Raises InputError where the terms are not
    accepted, something else is in the way, or the download failed; OSError from the file system.
    """
    if look():
        return
    if not _is_free(paths.CELEBA):
        held, _ = what_is_in(paths.CELEBA)
        raise InputError(f"{paths.CELEBA} is not all of CelebA: {held}; move it away first")
    print(TERMS, flush=True)
    if not agree:
        raise InputError(
            "nothing was downloaded; to accept these terms, run make celeba ARGS=--agree"
        )
    download(source)


def usual_places() -> list[Path]:
    """Where a copy of CelebA usually is, as far as there is anything, `paths.CELEBA` first.

    The place that the environment variable CELEBA names is among them even if it is missing.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    torch = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    hub = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    hub = hub or str(Path(os.environ.get("HF_HOME") or cache / "huggingface") / "hub")
    kaggle = Path(os.environ.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub").expanduser()
    versions = (kaggle / "datasets" / KAGGLE / "versions").glob("[0-9]*")
    places = [
        torch / "datasets" / "vision" / "celeba",
        Path(hub) / f"datasets--{downloads.HUB.replace('/', '--')}",
        *sorted(versions, key=lambda version: version.name.zfill(9), reverse=True),
    ]
    named = [Path(os.environ["CELEBA"]).expanduser()] if os.environ.get("CELEBA") else []
    own = [] if _is_free(paths.CELEBA) else [paths.CELEBA]
    there = [place for place in map(Path.expanduser, places) if os.access(place, os.F_OK)]
    return list(dict.fromkeys([*own, *named, *there]))


def _is_free(place: Path) -> bool:
    """Whether nothing is there but perhaps an empty folder, so that CelebA can go there."""
    if place.is_dir() and not place.is_symlink():
        return not any(place.iterdir())
    return not os.path.lexists(place)


def what_is_in(place: Path) -> tuple[str, list[str]]:
    """What a place holds in a few words and, only if that is all of CelebA, the lines about it."""
    try:
        source = inspect.find(str(place))
        if source.kind != "celeba":
            return f"holds {source.count:,} photos, which are not CelebA's", []
        held = f"holds {source.count:,} of {annotations.CELEBA_SIZE:,} images"
        return held, inspect.describe(source) if source.count == annotations.CELEBA_SIZE else []
    except InputError as error:
        return str(error), []
    except OSError as error:
        return f"cannot be read: {error.strerror}", []


def look() -> bool:
    """Whether a usual place holds all of CelebA; then says so and lets `make report` find it.

    Says of every place before it in one line why it does not count.
    """
    for place in usual_places():
        held, lines = what_is_in(place)
        if lines:
            print(f"{place} holds all of CelebA", *lines, sep="\n")
            _link(place)
            return True
        print(held if str(place) in held else f"{place}: {held}", flush=True)
    return False


def _link(place: Path) -> None:
    """Link `paths.CELEBA` to a copy elsewhere, or where that cannot be, say what to run instead."""
    try:
        if place != paths.CELEBA:
            _make_way()
            paths.CELEBA.symlink_to(place.absolute(), target_is_directory=True)
            print(f"{paths.CELEBA} is a link to it now")
    except OSError:  # something is there, or links need rights that we lack
        print(f'use it with: make report ARGS="--data {shlex.quote(str(place))}"')
    else:
        print("make report uses it")


def _make_way() -> None:
    """Have a folder for `paths.CELEBA`, and none of its name. Raises OSError unless it is free."""
    paths.CELEBA.parent.mkdir(parents=True, exist_ok=True)
    if paths.CELEBA.is_dir() and not paths.CELEBA.is_symlink():
        paths.CELEBA.rmdir()


def download(only: str | None = None) -> None:
    """Download CelebA to `paths.CELEBA` from the first source that gives all of it.

    `only` is "hub" or "drive"; None tries both. Everything goes to a folder beside it that ends in
    ".part", is checked there, and is renamed at the end. When the download breaks, what has come
    stays there, and the next call goes on from it. Prints in one line why a source failed.
    Raises InputError where room is lacking or no source gave it, OSError where `paths.CELEBA` is
    not free.
    """
    part = paths.CELEBA.with_name(f"{paths.CELEBA.name}.part")
    for name, title, fetch in (
        ("hub", "Hugging Face", downloads.from_hub),
        ("drive", "Google Drive", downloads.from_drive),
    ):
        if only not in (None, name):
            continue
        _check_room(part / name)
        print(f"downloading from {title} to {part / name}", flush=True)
        reason, lines = _fetch(fetch, part / name)
        if reason:
            print(f"{title}: {reason}", flush=True)
            for empty in (part / name, part):
                with contextlib.suppress(OSError):  # what has come stays, to be gone on with
                    empty.rmdir()
            continue
        _make_way()
        (part / name).rename(paths.CELEBA)
        shutil.rmtree(part, ignore_errors=True)
        print(*lines, f"{paths.CELEBA} holds all of CelebA; make report uses it", sep="\n")
        return
    raise InputError(
        "CelebA was not downloaded, for the reasons above; run the same command again to go on"
        f" where it was, or put a copy into {paths.CELEBA} by hand"
    )


def _check_room(folder: Path) -> None:
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    disk = next(place for place in folder.parents if place.exists())
    free, needed = shutil.disk_usage(disk).free, NEEDED - held
    if free < needed:
        raise InputError(
            f"the disk of {disk} has {free // 10**6:,} MB free, but the download needs"
            f" {needed // 10**6:,} MB; make room and run the same command again"
        )


def _fetch(fetch: Callable[[Path], None], folder: Path) -> tuple[str, list[str]]:
    """Fetch CelebA into the folder: why that failed, or else the lines about what is there now.

    Raises InputError when the disk is full, as no other source would fare better.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries: what matters of it is raised as well
            fetch(folder)
    except InputError as error:
        return str(error), []
    except Exception as error:  # whatever a library raises is why its source failed
        if downloads.disk_is_full(error):
            raise InputError(
                f"the disk of {folder} is full; make room and run the same command again, which"
                " goes on where it was"
            ) from None
        return downloads.why(error), []
    held, lines = what_is_in(folder)
    return ("" if lines else held), lines
