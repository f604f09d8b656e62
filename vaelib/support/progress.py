"""How far the training of models and the preparation of photos are, shown while they run.

`watching` and `preparing` report from inside the loop. Reports are shown right here: as tqdm's bars
on a terminal and in Jupyter, as a line now and then in a log file. Where several processes train,
`reporting_to` sends their reports to the file of `shown` instead, and one process shows them all.
"""

import contextvars
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from vaelib.support.progress_bars import Display, Message, Progress

SECONDS_BETWEEN_REPORTS = 0.5

Report = Callable[[Message], None]
Watch = Callable[[int, str], None]  # takes how much is done and details, as often as it likes

_receiver: contextvars.ContextVar[Report | None] = contextvars.ContextVar("receiver", default=None)


@contextmanager
def watching(label: str, total: int, unit: str = "images") -> Iterator[Watch]:
    """Report the training of one model on `total` images, or other work on so many units."""
    receiver = _receiver.get()
    if receiver:
        yield _Meter(label, unit, total, receiver).update
        return
    with closing(Display()) as display:
        yield _Meter(label, unit, total, display.show).update


@contextmanager
def preparing(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Report the preparation of `total` photos; yields a function that takes how many are added."""
    done = 0
    with watching(label, total, "photos") as watch:

        def add(photos: int) -> None:
            nonlocal done
            done += photos
            watch(done, "")

        yield add


@contextmanager
def reporting_to(receiver: Report) -> Iterator[None]:
    """Reports made inside the block, in this thread, go to the receiver and are not shown here."""
    token = _receiver.set(receiver)
    try:
        yield
    finally:
        _receiver.reset(token)


class _Meter:
    """Reports one model now and then, and its end always."""

    def __init__(self, label: str, unit: str, total: int, report: Report) -> None:
        self.label, self.unit, self.total, self.report = label, unit, total, report
        self.started = self.reported = time.monotonic()
        self.first: int | None = None  # done at the first call: a resumed run does not begin at 0

    def update(self, done: int, detail: str) -> None:
        now = time.monotonic()
        rate = (done - (self.first or 0)) / max(now - self.started, 1e-9)
        if self.first is None and done < self.total:
            self.first, self.started, rate = done, now, 0.0
        elif done < self.total and now - self.reported < SECONDS_BETWEEN_REPORTS:
            return
        self.reported = now
        self.report(Progress(self.label, self.unit, done, self.total, rate, detail))


def append(progress_file: Path, message: Message) -> None:
    """Add a message, as JSON, to a file that other processes write to at the same time."""
    with progress_file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(message) + "\n")


def decode(line: str | bytes) -> Message:
    """The message in a line that `append` wrote."""
    value = json.loads(line)
    return value if isinstance(value, str) else Progress(*value)


@contextmanager
def shown(budgets: Mapping[str, int]) -> Iterator[Path]:
    """Yield a file for `append`. Messages in it are shown here until the block ends.

    budgets: the images that each model is going to see, by its label.
    """
    display = Display()
    for label, budget in budgets.items():
        display.expect(label, budget)
    ended = threading.Event()

    def follow(progress_file: Path) -> None:
        with progress_file.open("rb") as file:
            rest, is_last = b"", False
            while not is_last:
                is_last = ended.wait(SECONDS_BETWEEN_REPORTS)  # reads once more after the end
                *lines, rest = (rest + file.read()).split(b"\n")
                for line in lines:
                    display.show(decode(line))

    with tempfile.TemporaryDirectory() as folder, closing(display):
        progress_file = Path(folder) / "progress.jsonl"
        progress_file.touch()
        # In the context of this thread, by which Jupyter knows the cell that bars belong to.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(follow, progress_file), daemon=True)
        thread.start()
        try:
            yield progress_file
        finally:
            ended.set()
            thread.join()
