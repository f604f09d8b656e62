"""How far the training of models and the preparation of photos are, shown while they run.

`watching` and `preparing` report from inside the loop. Reports are shown right here: as tqdm's bars
on a terminal and in Jupyter, as a line now and then in a log file. Where several processes train,
`reporting_to` sends their reports to the file of `shown` instead, and one process shows them all.
"""

import contextvars
import importlib.util
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

SECONDS_BETWEEN_REPORTS = 0.5
NOTEBOOK_COLUMNS = 100  # letters of a bar there
SECONDS_BETWEEN_LINES = 15.0  # in a log file, where every line stays

BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"


class Progress(NamedTuple):
    """How far one model is, or one preparation of photos."""

    label: str
    unit: str  # "images" or "photos"
    done: int
    total: int
    rate: float = 0.0  # units per second; 0 while it is not known
    detail: str = ""  # epoch and loss

    @property
    def is_running(self) -> bool:
        return 0 < self.done < self.total

    @property
    def is_finished(self) -> bool:
        return self.done == self.total


Message = Progress | str  # a string is a line to show as it is
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


class NotebookLine:
    """A line of a notebook's output that tqdm writes to, and that leaves nothing when it is blank.

    tqdm's own bars for notebooks are widgets: stored with a notebook, they are errors later on.
    """

    def __init__(self) -> None:
        self.handle: Any = None

    def write(self, text: str) -> None:
        """Show the text in place of the one before."""
        from IPython.display import display  # only here: this class is used in notebooks alone

        line = text.strip("\r\n ")
        data = {"text/plain": line} if line else {}
        if self.handle:
            self.handle.update(data, raw=True)
        elif line:
            self.handle = display(data, raw=True, display_id=True)

    def flush(self) -> None:
        """Nothing is held back."""


class Display:
    """A bar for each model that runs and one for all where there are several; lines elsewhere.

    Bars are drawn on a terminal and in Jupyter. In a log, and where tqdm is not installed, a line
    about all models is printed now and then. A line about each finished model stays, except in
    Jupyter, where it would be stored with the notebook.
    """

    def __init__(self) -> None:
        # Only a kernel of Jupyter has loaded IPython with a shell of this kind.
        ipython = sys.modules.get("IPython")
        shell = type(ipython.get_ipython()).__name__ if ipython else ""
        self.in_notebook = shell == "ZMQInteractiveShell"
        self.tqdm: Any = None
        if (self.in_notebook or sys.stderr.isatty()) and importlib.util.find_spec("tqdm"):
            from tqdm import tqdm  # only here: training must not need it

            self.tqdm = tqdm
        self.latest: dict[str, Progress] = {}
        self.bars: dict[str | None, Any] = {}  # by label; None: the bar for all
        self.printed = -SECONDS_BETWEEN_LINES

    def show(self, message: Message) -> None:
        """Show a note, or how far a model is now."""
        if isinstance(message, str):
            self._print(message)
            return
        self.latest[message.label] = message
        models = self.latest.values()
        if self.tqdm and len(models) > 1:
            self._draw(None, _summed(models))
        if self.tqdm:
            self._draw(message.label, message)
        if message.is_finished and not self.in_notebook:
            self._print(_result(message))
        is_due = time.monotonic() - self.printed >= SECONDS_BETWEEN_LINES
        if not self.tqdm and is_due and _summed(models).rate:
            self._print(_overview(models))
            self.printed = time.monotonic()

    def expect(self, label: str, budget: int) -> None:
        """Count a model that waits for its turn, which has no bar yet."""
        self.latest[label] = Progress(label, "images", 0, budget)

    def close(self) -> None:
        """Remove the bars."""
        for bar in self.bars.values():
            bar.close()

    def _draw(self, label: str | None, progress: Progress) -> None:
        if label not in self.bars:
            if progress.is_finished:
                return
            self.bars[label] = self.tqdm(
                desc=progress.label,
                total=progress.total,
                bar_format=BAR,
                file=NotebookLine() if self.in_notebook else sys.stderr,
                position=0 if self.in_notebook else None,
                ncols=NOTEBOOK_COLUMNS if self.in_notebook else None,
                leave=False,
                dynamic_ncols=not self.in_notebook,
            )
        bar = self.bars[label]
        bar.n = progress.done
        bar.set_description_str(progress.label, refresh=False)
        bar.set_postfix_str(_joined(progress.detail, _rate(progress), _time_left(progress)))
        if progress.is_finished:
            self.bars.pop(label).close()

    def _print(self, line: str) -> None:
        if self.tqdm:
            self.tqdm.write(line, file=sys.stderr)  # above the bars
        else:
            print(line, file=sys.stderr, flush=True)


def _summed(models: Collection[Progress]) -> Progress:
    """All models as one."""
    finished = sum(model.is_finished for model in models)
    return Progress(
        label=f"{finished} of {len(models)} models",
        unit=next(iter(models)).unit,
        done=sum(model.done for model in models),
        total=sum(model.total for model in models),
        rate=sum(model.rate for model in models if not model.is_finished),
    )


def _overview(models: Collection[Progress]) -> str:
    """Which models run and how far they are, their rate together, and the time left for all."""
    running = [model for model in models if model.is_running]
    percent = [f"{model.label} {100 * model.done // model.total} %" for model in running]
    detail = running[0].detail if len(running) == 1 else ""
    summed = _summed(models)
    label, time_left = "", _time_left(summed)
    if len(models) > 1:
        label, time_left = summed.label, f"all models {time_left}"
    return "   " + _joined(label, ", ".join(percent), detail, _rate(summed), time_left)


def _result(finished: Progress) -> str:
    amount = f"{finished.total:,} {finished.unit}"
    return "   " + _joined(finished.label, amount, finished.detail, _rate(finished))


def _rate(progress: Progress) -> str:
    return f"{progress.rate:.0f} {progress.unit}/s" if progress.rate else ""


def _time_left(progress: Progress) -> str:
    if not progress.rate:
        return ""
    return f"{timedelta(seconds=round((progress.total - progress.done) / progress.rate))} left"


def _joined(*words: str) -> str:
    return " · ".join(filter(None, words))
