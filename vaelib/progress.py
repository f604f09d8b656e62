"""How far a long step has come: a bar where somebody looks, a file where another process does.

Where tqdm, which draws the bar, is not installed, a line now and then takes its place.
"""

import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

# Names the file that `vaelib.reproduce` reads while a notebook trains in another process.
FILE_VARIABLE = "VAELIB_PROGRESS"
SECONDS_BETWEEN_LINES = 0.5
SECONDS_BETWEEN_PRINTS = 15.0  # where the terminal is a log file and every line stays


class Watch(Protocol):
    """Told after every step how many images were seen, in which epoch, and the latest loss."""

    def __call__(self, images: int, epoch: int, loss: float) -> None: ...


@contextmanager
def watching(label: str, total: int) -> Iterator[Watch]:
    """Follow one training run of `total` images under the name `label`."""
    tell = _in_lines(label, total)
    if tell:
        yield lambda images, epoch, loss: tell(images, f"epoch {epoch:>2}  loss {loss:.4f}")
        return
    with _bar(label, total, " images") as bar:

        def update(images: int, epoch: int, loss: float) -> None:
            bar.set_postfix_str(f"epoch {epoch}, loss {loss:.4f}", refresh=False)
            bar.update(images - bar.n)

        yield update


@contextmanager
def preparing(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Follow the preparation of `total` photos; yields a function to be told how many are added."""
    tell, done = _in_lines(label, total), 0
    if tell:

        def add(photos: int) -> None:
            nonlocal done
            done += photos
            tell(done, "photos")

        yield add
        return
    with _bar(label, total, " photos") as bar:
        yield bar.update


def _bar(label: str, total: int, unit: str) -> Any:
    from tqdm.auto import tqdm  # only here: training must not need it

    return tqdm(total=total, desc=label, unit=unit, mininterval=0.5, leave=False)


def _in_lines(label: str, total: int) -> Callable[[int, str], None] | None:
    """What is to be told the images so far and a detail; None where a bar can be drawn instead."""
    if file := os.environ.get(FILE_VARIABLE):
        return _now_and_then(label, total, partial(_append, Path(file)))
    if importlib.util.find_spec("tqdm") is None:
        return _now_and_then(label, total, _Screen([], live=False).show)
    return None


def _append(file: Path, told: dict[str, Any]) -> None:
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(told) + "\n")


def _now_and_then(
    label: str, total: int, show: Callable[[dict[str, Any]], None]
) -> Callable[[int, str], None]:
    started = time.monotonic()
    last = 0.0

    def update(images: int, detail: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES and images < total:
            return
        last = now
        rate = images / max(now - started, 1e-9)
        told = {
            "label": label,
            "images": images,
            "of": total,
            "detail": detail,
            "rate": rate,
            "left": (total - images) / max(rate, 1e-9),
        }
        show(told)

    return update


@contextmanager
def following(file: Path, models: list[str]) -> Iterator[Callable[[str], None]]:
    """Show on this terminal what training writes into `file`, until the block ends.

    models: the names of those still to be trained, for the time that is left. Yields a function to
    be told which notebook is running.
    """
    screen = _Screen(models, live=sys.stderr.isatty())
    done = threading.Event()

    def follow() -> None:
        running = True
        while running:
            running = not done.wait(SECONDS_BETWEEN_LINES)  # once more after the end
            if file.exists():
                screen.read(file.read_text(encoding="utf-8"))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield screen.heading
    finally:
        done.set()
        thread.join()
        screen.clear()


class _Screen:
    """One line that is drawn over on a terminal, and now and then a line in a log."""

    def __init__(self, models: list[str], live: bool) -> None:
        self.models = models
        self.live = live
        self.shown = 0  # lines of the file
        self.printed = 0.0

    def heading(self, notebook: str) -> None:
        self.clear()
        print(notebook, file=sys.stderr, flush=True)

    def read(self, lines: str) -> None:
        whole = lines[: lines.rfind("\n") + 1].splitlines()
        for line in whole[self.shown :]:
            self.show(json.loads(line))
        self.shown = len(whole)

    def show(self, told: dict[str, Any]) -> None:
        text = self._sentence(told)
        finished = told["images"] == told["of"]
        now = time.monotonic()
        if self.live:
            print(f"\r\x1b[K{text}", end="\n" * finished, file=sys.stderr, flush=True)
        elif finished or now - self.printed > SECONDS_BETWEEN_PRINTS:
            print(text, file=sys.stderr, flush=True)
            self.printed = now

    def clear(self) -> None:
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _sentence(self, told: dict[str, Any]) -> str:
        text = (
            f"   {told['label']:<18} {told['detail']}  {told['images']:>7,} of {told['of']:,}"
            f"  {told['rate']:.0f} images/s  {_clock(told['left'])} left"
        )
        if told["label"] in self.models:
            after = len(self.models) - self.models.index(told["label"]) - 1
            text += f", all models {_clock(told['left'] + after * told['of'] / told['rate'])}"
        return text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
