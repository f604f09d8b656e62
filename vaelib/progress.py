"""How far a long step has come: a bar where somebody looks, a file where another process does."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tqdm.auto import tqdm

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
    file = os.environ.get(FILE_VARIABLE)
    if file:
        write = _line_writer(Path(file), label, total)
        yield lambda images, epoch, loss: write(images, f"epoch {epoch:>2}  loss {loss:.4f}")
        return
    with tqdm(total=total, desc=label, unit=" images", mininterval=0.5, leave=False) as bar:

        def update(images: int, epoch: int, loss: float) -> None:
            bar.set_postfix_str(f"epoch {epoch}, loss {loss:.4f}", refresh=False)
            bar.update(images - bar.n)

        yield update


@contextmanager
def preparing(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Follow the preparation of `total` photos; yields a function to be told how many are added."""
    file = os.environ.get(FILE_VARIABLE)
    if file:
        write, done = _line_writer(Path(file), label, total), 0

        def add(photos: int) -> None:
            nonlocal done
            done += photos
            write(done, "photos")

        yield add
        return
    with tqdm(total=total, desc=label, unit=" photos", mininterval=0.5, leave=False) as bar:
        yield bar.update


def _line_writer(file: Path, label: str, total: int) -> Callable[[int, str], None]:
    started = time.monotonic()
    last = 0.0

    def update(images: int, detail: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES and images < total:
            return
        last = now
        rate = images / max(now - started, 1e-9)
        line = {
            "label": label,
            "images": images,
            "of": total,
            "detail": detail,
            "rate": rate,
            "left": (total - images) / max(rate, 1e-9),
        }
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")

    return update


@contextmanager
def following(file: Path, models: list[str]) -> Iterator[Callable[[str], None]]:
    """Show on this terminal what training writes into `file`, until the block ends.

    models: the names of those still to be trained, for the time that is left. Yields a function to
    be told which notebook is running.
    """
    screen = _Screen(models)
    done = threading.Event()

    def follow() -> None:
        running = True
        while running:
            running = not done.wait(SECONDS_BETWEEN_LINES)  # once more after the end
            if file.exists():
                screen.show(file.read_text(encoding="utf-8"))

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

    def __init__(self, models: list[str]) -> None:
        self.models = models
        self.live = sys.stderr.isatty()
        self.read = 0  # lines shown so far
        self.printed = 0.0

    def heading(self, notebook: str) -> None:
        self.clear()
        print(notebook, file=sys.stderr, flush=True)

    def show(self, lines: str) -> None:
        whole = lines[: lines.rfind("\n") + 1].splitlines()
        for line in whole[self.read :]:
            told = json.loads(line)
            text = self._sentence(told)
            finished = told["images"] == told["of"]
            now = time.monotonic()
            if self.live:
                print(f"\r\x1b[K{text}", end="\n" * finished, file=sys.stderr, flush=True)
            elif finished or now - self.printed > SECONDS_BETWEEN_PRINTS:
                print(text, file=sys.stderr, flush=True)
                self.printed = now
        self.read = len(whole)

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
