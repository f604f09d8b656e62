"""Progress as it is shown: bars on a terminal and in Jupyter, a line now and then in a log file."""

import importlib.util
import sys
import time
from collections.abc import Collection
from datetime import timedelta
from typing import Any, NamedTuple

NOTEBOOK_COLUMNS = 100  # letters of a bar there
SECONDS_BETWEEN_LINES = 15.0  # in a log file, where every line stays

BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}"


class Progress(NamedTuple):
    """How far one model is, or any other work."""

    label: str
    unit: str  # "images", "photos" and so on
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
            place: dict[str, Any] = {"file": sys.stderr, "dynamic_ncols": True}
            if self.in_notebook:
                place = {"file": NotebookLine(), "position": 0, "ncols": NOTEBOOK_COLUMNS}
                place["ascii"] = False  # tqdm draws blocks on a terminal alone by itself
            self.bars[label] = self.tqdm(
                desc=progress.label, total=progress.total, bar_format=BAR, leave=False, **place
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
    percent = [f"{model.label} {100 * model.done // model.total}%" for model in running]
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
    return f"{progress.rate:.0f} {progress.unit}/s" if progress.rate >= 1 else ""


def _time_left(progress: Progress) -> str:
    if not progress.rate:
        return ""
    return f"{timedelta(seconds=round((progress.total - progress.done) / progress.rate))} left"


def _joined(*words: str) -> str:
    return " · ".join(filter(None, words))
