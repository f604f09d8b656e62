"""Several steps that run at once, shown in one place: bars in Jupyter, else a line on stderr."""

import importlib.util
import shutil
import sys
import time
from collections.abc import Collection
from typing import Any, Protocol

SECONDS_BETWEEN_PRINTS = 15.0  # where the terminal is a log file and every line stays

# Either {"note": a sentence to be kept on the screen}, or how far a step is: its "label", how many
# images or photos ("unit") are "done" and how many there are ("of"), the "rate" in units per
# second, 0 as long as it is not known, and a "detail" in words.
Told = dict[str, Any]


class Display(Protocol):
    """Shown whatever is told, until it is closed."""

    def show(self, told: Told) -> None: ...

    def close(self) -> None: ...


def here() -> Display:
    """What suits the place where this process prints."""
    # Only a kernel of Jupyter has loaded IPython with a shell of this kind.
    ipython = sys.modules.get("IPython")
    shell = type(ipython.get_ipython()).__name__ if ipython else ""
    in_notebook = shell == "ZMQInteractiveShell" and importlib.util.find_spec("tqdm")
    return Bars() if in_notebook else Screen()


class Bars:
    """A bar for each step that runs, and one for all where they are several; none at the end."""

    def __init__(self) -> None:
        self.steps: dict[str, Told] = {}
        self.bars: dict[str, Any] = {}

    def show(self, told: Told) -> None:
        if "note" in told:
            print(told["note"], file=sys.stderr, flush=True)
            return
        self.steps[told["label"]] = told
        if len(self.steps) > 1:
            self._draw("all", _together(self.steps.values()))
        self._draw(f"one: {told['label']}", told)

    def close(self) -> None:
        for bar in self.bars.values():
            bar.close()

    def _draw(self, name: str, told: Told) -> None:
        from tqdm.auto import tqdm  # only here: training must not need it

        label, unit, done, of = told["label"], told["unit"], told["done"], told["of"]
        if name not in self.bars and 0 < done < of:
            self.bars[name] = tqdm(desc=label, initial=done, total=of, unit=f" {unit}", leave=False)
        if name in self.bars:
            bar = self.bars[name]
            bar.total = of
            bar.set_description_str(label, refresh=False)
            bar.set_postfix_str(told["detail"], refresh=False)
            bar.update(done - bar.n)
            bar.refresh()
        if done == of and name in self.bars:
            self.bars.pop(name).close()


class Screen:
    """A line that is drawn over on a terminal, now and then a line in a log; what ends is kept."""

    def __init__(self) -> None:
        self.steps: dict[str, Told] = {}
        self.printed = -SECONDS_BETWEEN_PRINTS

    def show(self, told: Told) -> None:
        if "note" in told:
            self._keep(told["note"])
            return
        self.steps[told["label"]] = told
        if told["done"] == told["of"]:
            self._keep(_joined(told["label"], _amount(told), told["detail"], _rate(told)))
        alike = [other for other in self.steps.values() if other["unit"] == told["unit"]]
        line = _line(alike)
        now = time.monotonic()
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            cut = line if len(line) <= width else line[: width - 1] + "…"
            print(f"\r\x1b[K{cut}", end="", file=sys.stderr, flush=True)
        elif _together(alike)["rate"] and now - self.printed >= SECONDS_BETWEEN_PRINTS:
            print(line, file=sys.stderr, flush=True)
            self.printed = now

    def close(self) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _keep(self, line: str) -> None:
        self.close()
        print(line, file=sys.stderr, flush=True)


def _line(steps: Collection[Told]) -> str:
    """All the steps in one line: how many have ended, how far those are that run, what is left."""
    running = [told for told in steps if 0 < told["done"] < told["of"]]
    every = _together(steps)
    if not running:
        return ""
    each = ", ".join(f"{told['label']} {100 * told['done'] // told['of']} %" for told in running)
    left = (every["of"] - every["done"]) / every["rate"] if every["rate"] else 0
    return _joined(
        every["label"] if len(steps) > 1 else "",
        each,
        running[0]["detail"] if len(running) == 1 else "",
        _rate(every),
        f"{'all models ' if len(steps) > 1 else ''}{_clock(left)} left" if left else "",
    )


def _together(steps: Collection[Told]) -> Told:
    """Several steps told as one."""
    ended = sum(told["done"] == told["of"] for told in steps)
    return {
        "label": f"{ended} of {len(steps)} models",
        "unit": next(iter(steps))["unit"],
        "done": sum(told["done"] for told in steps),
        "of": sum(told["of"] for told in steps),
        "rate": sum(told["rate"] for told in steps if told["done"] < told["of"]),
        "detail": "",
    }


def _joined(*words: str) -> str:
    return "   " + " · ".join(filter(None, words))


def _amount(told: Told) -> str:
    return f"{told['of']:,} {told['unit']}"


def _rate(told: Told) -> str:
    return f"{told['rate']:.0f} {told['unit']}/s" if told["rate"] else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
