"""How far long steps have come, of one model or of several at once.

What a step tells goes to whoever listens in its thread, else into the file that VAELIB_PROGRESS
names, which another process follows, else onto this screen.
"""

import contextvars
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from vaelib.support import display
from vaelib.support.display import Told

# Names the file that `python -m vaelib report` follows while a notebook trains in another process.
FILE_VARIABLE = "VAELIB_PROGRESS"
SECONDS_BETWEEN_LINES = 0.5

Tell = Callable[[Told], None]

_listener: contextvars.ContextVar[Tell | None] = contextvars.ContextVar("listener", default=None)


class Watch(Protocol):
    """Told after every step how many images were seen, in which epoch, and the latest loss."""

    def __call__(self, images: int, epoch: int, loss: float) -> None: ...


@contextmanager
def watching(label: str, total: int) -> Iterator[Watch]:
    """Follow one training run of `total` images under the name `label`."""
    with _place() as tell:
        update = _now_and_then(label, total, "images", tell)
        yield lambda images, epoch, loss: update(images, f"epoch {epoch}, loss {loss:.4f}")


@contextmanager
def preparing(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Follow the preparation of `total` photos; yields a function to be told how many are added."""
    done = 0
    with _place() as tell:
        update = _now_and_then(label, total, "photos", tell)

        def add(photos: int) -> None:
            nonlocal done
            done += photos
            update(done, "")

        yield add


@contextmanager
def telling(listener: Tell) -> Iterator[None]:
    """What is told inside the block, in this thread, goes to the listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def shown(models: Mapping[str, int]) -> Iterator[Path]:
    """Yield the file into which the training of these models is told; what it says is shown.

    models: how many images each is going to see. The file is the one of VAELIB_PROGRESS where
    another process follows that already.
    """
    with tempfile.TemporaryDirectory() as folder:
        followed = os.environ.get(FILE_VARIABLE)
        file = Path(followed or Path(folder) / "progress")
        for label, images in models.items():
            append(file, _told(label, images, "images"))
        if followed:
            yield file
        else:
            with following(file):
                yield file


@contextmanager
def following(file: Path) -> Iterator[Callable[[str], None]]:
    """Show here whatever is told into the file, until the block ends.

    Yields a function that puts a line of its own there.
    """
    place = display.here()
    ended = threading.Event()

    def follow() -> None:
        position, running = 0, True
        while running:
            running = not ended.wait(SECONDS_BETWEEN_LINES)  # once more after the end
            if file.exists():
                with file.open("rb") as lines:
                    lines.seek(position)
                    whole, end, _ = lines.read().rpartition(b"\n")
                position += len(whole + end)
                for line in whole.splitlines():
                    place.show(json.loads(line))

    # In the context of this thread, from which Jupyter knows the cell that bars belong to.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(follow,), daemon=True)
    thread.start()
    try:
        yield lambda text: place.show({"note": text})
    finally:
        ended.set()
        thread.join()
        place.close()


def append(file: Path, told: Told) -> None:
    """Tell it into the file, to which others may write at the same time."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(told) + "\n")


@contextmanager
def _place() -> Iterator[Tell]:
    listener = _listener.get()
    file = os.environ.get(FILE_VARIABLE)
    if listener or file:
        yield listener or partial(append, Path(str(file)))
        return
    place = display.here()
    try:
        yield place.show
    finally:
        place.close()


def _told(
    label: str, total: int, unit: str, done: int = 0, rate: float = 0.0, detail: str = ""
) -> Told:
    return {
        "label": label,
        "unit": unit,
        "done": done,
        "of": total,
        "rate": rate,
        "detail": detail,
    }


def _now_and_then(label: str, total: int, unit: str, tell: Tell) -> Callable[[int, str], None]:
    """A function that is told after every step how many units are done, and passes some of it on.

    The rate is that since the first call, because a resumed step does not begin with nothing done.
    """
    started = last = time.monotonic()
    first: int | None = None

    def update(done: int, detail: str) -> None:
        nonlocal started, last, first
        now = time.monotonic()
        rate = (done - (first or 0)) / max(now - started, 1e-9)
        if first is None and done < total:
            first, started, rate = done, now, 0.0
        elif done < total and now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        tell(_told(label, total, unit, done, rate, detail))

    return update
