"""Several models that train at once are shown in one line, and what has ended stays."""

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from vaelib.support import display


class Terminal(io.StringIO):
    """A place to print to that says whether somebody looks."""

    def __init__(self, live: bool) -> None:
        super().__init__()
        self.live = live

    def isatty(self) -> bool:
        return self.live


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a file of lines."""
    place = Terminal(live=False)
    monkeypatch.setattr(display, "sys", SimpleNamespace(stderr=place, modules=sys.modules))
    return place


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error as a terminal, wide enough."""
    place = Terminal(live=True)
    monkeypatch.setattr(display, "sys", SimpleNamespace(stderr=place, modules=sys.modules))
    monkeypatch.setenv("COLUMNS", "200")
    return place


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands until `clock.now` is set."""
    stopped = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: stopped.now))
    return stopped


def told(label: str = "centred", done: int = 4_000, rate: float = 200.0, **other: Any) -> Any:
    facts = {"label": label, "unit": "images", "done": done, "of": 40_000, "rate": rate}
    return {**facts, "detail": "epoch 2, loss 0.1235", **other}


def now(terminal: Terminal) -> str:
    """What stands in the line that is drawn over."""
    return terminal.getvalue().rpartition("\r\x1b[K")[2].strip()


def test_one_model_is_told_with_epoch_loss_rate_and_time_left(terminal: Terminal) -> None:
    display.Screen().show(told())
    assert now(terminal) == "centred 10 % · epoch 2, loss 0.1235 · 200 images/s · 3:00 left"


def test_two_models_at_once_are_one_line_with_the_time_that_all_need(terminal: Terminal) -> None:
    screen = display.Screen()
    for label in ("lam-1e-3", "lam-1e-4", "lam-1e-5"):
        screen.show(told(label, done=0, rate=0.0))
    screen.show(told("lam-1e-3", 40_000))
    screen.show(told("lam-1e-4", 18_000, 190.0))
    screen.show(told("lam-1e-5", 17_600, 210.0))
    # 22,000 and 22,400 images are left, at 400 a second.
    wanted = "1 of 3 models · lam-1e-4 45 %, lam-1e-5 44 % · 400 images/s · all models 1:51 left"
    assert now(terminal) == wanted


def test_a_model_that_ends_keeps_a_line_of_its_own(terminal: Terminal) -> None:
    screen = display.Screen()
    screen.show(told("lam-1e-3", done=0))
    screen.show(told("lam-1e-4", 18_000))
    screen.show(told("lam-1e-3", 40_000))
    kept = [line.rpartition("\x1b[K")[2].strip() for line in terminal.getvalue().split("\n")[:-1]]
    assert kept == ["lam-1e-3 · 40,000 images · epoch 2, loss 0.1235 · 200 images/s"]
    assert now(terminal).startswith("1 of 2 models · lam-1e-4 45 %")


def test_nothing_is_left_of_the_line_in_the_end(terminal: Terminal) -> None:
    screen = display.Screen()
    screen.show(told())
    screen.close()
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_the_line_never_wraps(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen = display.Screen()
    for number in range(9):
        screen.show(told(f"model-{number}"))
    last = terminal.getvalue().rpartition("\r\x1b[K")[2]
    assert len(last) == 39
    assert last.endswith("…")


def test_what_has_not_begun_has_neither_rate_nor_time(terminal: Terminal) -> None:
    screen = display.Screen()
    screen.show(told("waiting", done=0, rate=0.0))
    assert now(terminal) == ""
    screen.show(told("begun", done=400, rate=0.0))
    assert now(terminal) == "0 of 2 models · begun 1 % · epoch 2, loss 0.1235"


def test_a_log_has_a_line_now_and_then_and_one_for_each_that_ends(
    log: Terminal, clock: SimpleNamespace
) -> None:
    screen = display.Screen()
    for images in range(400, 8_001, 400):
        clock.now += 1
        screen.show(told(done=images))
    screen.show(told(done=40_000))
    lines = [line.split(" · ")[0].strip() for line in log.getvalue().splitlines()]
    assert lines == ["centred 1 %", "centred 16 %", "centred"]
    assert log.getvalue().replace("\n", "").isprintable()


def test_photos_are_not_counted_among_the_models(terminal: Terminal) -> None:
    screen = display.Screen()
    screen.show(told("lam-1e-4", 18_000))
    screen.show(told("preparing celeba", 2_000, 500.0, unit="photos", detail=""))
    assert now(terminal) == "preparing celeba 5 % · 500 photos/s · 1:16 left"


def test_a_note_is_kept(terminal: Terminal) -> None:
    screen = display.Screen()
    screen.show(told())
    screen.show({"note": "a worker died"})
    assert terminal.getvalue().endswith("\r\x1b[Ka worker died\n")


@pytest.mark.parametrize(("seconds", "words"), [(9, "0:09"), (151, "2:31"), (7_384, "2:03:04")])
def test_clock(seconds: float, words: str) -> None:
    assert display._clock(seconds) == words


class Shell:
    """Stands for what IPython gives to those who ask."""


def in_jupyter(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = type("ZMQInteractiveShell", (Shell,), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))


def test_jupyter_has_bars_and_a_terminal_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert isinstance(display.here(), display.Screen)
    in_jupyter(monkeypatch)
    assert isinstance(display.here(), display.Bars)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # of tqdm
    assert isinstance(display.here(), display.Screen)


def test_bars_stand_for_the_models_that_train_and_one_for_all() -> None:
    bars = display.Bars()
    for label in ("lam-1e-3", "lam-1e-4", "lam-1e-5"):
        bars.show(told(label, done=0, rate=0.0))
    bars.show(told("lam-1e-3", 4_000))
    bars.show(told("lam-1e-4", 8_000))
    drawn = {bar.desc.rstrip(": "): bar.n for bar in bars.bars.values()}
    assert drawn == {"0 of 3 models": 12_000, "lam-1e-3": 4_000, "lam-1e-4": 8_000}
    bars.show(told("lam-1e-3", 40_000))
    assert [bar.desc.rstrip(": ") for bar in bars.bars.values()] == ["1 of 3 models", "lam-1e-4"]
    bars.close()
    assert all(bar.disable for bar in bars.bars.values())
