"""Progress is reported now and then, and shown as bars or as lines; nothing is left running."""

import io
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vaelib.support import progress, progress_bars
from vaelib.support.progress_bars import Display, Message, Progress


class Stderr(io.StringIO):
    """Standard error that is a terminal or a log file."""

    encoding = "utf-8"

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Stderr:
    """Standard error as a log file."""
    stderr = Stderr(is_terminal=False)
    monkeypatch.setattr(progress_bars, "sys", SimpleNamespace(stderr=stderr, modules=sys.modules))
    return stderr


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are looked at and shown without delay."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_REPORTS", 0.005)
    monkeypatch.setattr(progress_bars, "SECONDS_BETWEEN_LINES", 0.0)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Stderr:
    """Standard error as a terminal, wide enough."""
    stderr = Stderr(is_terminal=True)
    monkeypatch.setattr(progress_bars, "sys", SimpleNamespace(stderr=stderr, modules=sys.modules))
    monkeypatch.setenv("COLUMNS", "150")
    return stderr


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands until `clock.now` is set."""
    stopped = SimpleNamespace(now=1_000.0)
    for module in (progress, progress_bars):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: stopped.now))
    return stopped


def report(label: str = "centred", done: int = 4_000, rate: float = 200.0) -> Progress:
    return Progress(label, "images", done, 40_000, rate, "epoch 2, loss 0.1235" if rate else "")


@contextmanager
def collected() -> Iterator[list[Any]]:
    messages: list[Message] = []
    with progress.reporting_to(messages.append):
        yield messages


def wait_for(text: str, stderr: io.StringIO) -> None:
    deadline = time.monotonic() + 10
    while text not in stderr.getvalue():
        assert time.monotonic() < deadline, f"waited in vain for {text!r}"
        time.sleep(0.002)


# --- reporting


def test_training_reports_how_far_it_is(clock: SimpleNamespace) -> None:
    with collected() as reports, progress.watching("centred", 2_000) as watch:
        clock.now += 1
        watch(100, "epoch 1, loss 0.5000")
        clock.now += 4
        watch(500, "epoch 1, loss 0.2500")
    assert (reports[0].done, reports[0].rate) == (100, 0)
    assert reports[1] == Progress("centred", "images", 500, 2_000, 100.0, "epoch 1, loss 0.2500")


def test_a_resumed_training_is_no_faster_for_what_was_done_before(clock: SimpleNamespace) -> None:
    with collected() as reports, progress.watching("centred", 40_000) as watch:
        for images_seen in (30_000, 30_100):
            clock.now += 1
            watch(images_seen, "epoch 1, loss 0.2500")
    assert [each.rate for each in reports] == [0, 100]


def test_the_preparation_of_photos_is_reported_in_the_same_way(clock: SimpleNamespace) -> None:
    with collected() as reports, progress.preparing("preparing celeba", 1_000) as add:
        for _ in range(3):
            clock.now += 1
            add(256)
    assert [(each.done, each.rate, each.unit) for each in reports] == [
        (256, 0, "photos"),
        (512, 256, "photos"),
        (768, 256, "photos"),
    ]


def test_reports_come_half_a_second_apart_and_the_last_one_always(clock: SimpleNamespace) -> None:
    with collected() as reports, progress.watching("centred", 100) as watch:
        for images_seen in range(1, 101):
            clock.now += 0.125
            watch(images_seen, "epoch 1, loss 0.2500")
    assert [each.done for each in reports] == [*range(1, 101, 4), 100]


def test_a_receiver_gets_the_reports_of_its_own_thread_and_its_own_block(log: Stderr) -> None:
    def train(label: str) -> None:
        with progress.watching(label, 32) as watch:
            watch(32, "epoch 1, loss 0.2500")

    with collected() as reports:
        train("here")
        thread = threading.Thread(target=train, args=("in another thread",))
        thread.start()
        thread.join()
    train("after")
    assert [each.label for each in reports] == ["here"]
    shown = [line.split(" · ")[0].strip() for line in log.getvalue().splitlines()]
    assert shown == ["in another thread", "after"]


def test_messages_survive_their_file(tmp_path: Path) -> None:
    messages: list[Message] = [report(), 'a note\nwith "all" sorts of things: é']
    for message in messages:
        progress.append(tmp_path / "progress", message)
    lines = (tmp_path / "progress").read_text(encoding="utf-8").splitlines()
    assert [progress.decode(line) for line in lines] == messages


# --- several processes, shown in one place


@pytest.mark.usefixtures("often")
def test_models_that_others_train_are_shown_together(log: Stderr) -> None:
    with progress.shown({"lam-1e-4": 40_000, "lam-1e-5": 40_000, "proof": 640}) as progress_file:
        progress.append(progress_file, report("lam-1e-4", 18_000))
        progress.append(progress_file, report("lam-1e-5", 17_600))
        wait_for("0 of 3 models · lam-1e-4 45%, lam-1e-5 44% · 400 images/s", log)
    assert not progress_file.exists()


@pytest.mark.usefixtures("often")
def test_a_half_written_last_line_waits_until_it_is_whole(log: Stderr) -> None:
    line = json.dumps(report(done=8_000)) + "\n"
    with progress.shown({"centred": 40_000}) as progress_file:
        with progress_file.open("a", encoding="utf-8") as file:
            file.write(line[:40])
        time.sleep(0.03)  # the file is read some more times
        assert log.getvalue() == ""
        with progress_file.open("a", encoding="utf-8") as file:
            file.write(line[40:])
        wait_for("20%", log)


def test_what_is_reported_just_before_the_end_is_shown(log: Stderr) -> None:
    labels = ["lam-1e-3", "lam-1e-4", "centred"]
    with progress.shown(dict.fromkeys(labels, 40_000)) as progress_file:
        for label in labels:
            progress.append(progress_file, report(label, 40_000))
    shown = log.getvalue().splitlines()
    assert [line.split()[0] for line in shown if "40,000 images" in line] == labels


@pytest.mark.usefixtures("log", "often")
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_nothing_runs_on_after_the_block(error: type[BaseException] | None) -> None:
    before = set(threading.enumerate())
    started: set[threading.Thread] = set()

    def block() -> None:
        with progress.shown({"centred": 40_000}):
            started.update(set(threading.enumerate()) - before)
            if error:
                raise error

    if error:
        with pytest.raises(error):
            block()
    else:
        block()
    assert len(started) == 1
    assert not any(thread.is_alive() for thread in started)


# --- lines in a log


def test_a_log_has_a_line_now_and_then_and_one_for_each_that_finishes(
    log: Stderr, clock: SimpleNamespace
) -> None:
    display = Display()
    for done in range(400, 8_001, 400):
        clock.now += 1
        display.show(report(done=done))
    display.show(report(done=40_000))
    assert log.getvalue().splitlines() == [
        "   centred 1% · epoch 2, loss 0.1235 · 200 images/s · 0:03:18 left",
        "   centred 16% · epoch 2, loss 0.1235 · 200 images/s · 0:02:48 left",
        "   centred · 40,000 images · epoch 2, loss 0.1235 · 200 images/s",
    ]


@pytest.mark.usefixtures("often")
def test_models_that_train_at_once_share_a_line_with_the_time_that_all_need(log: Stderr) -> None:
    display = Display()
    for label in ("lam-1e-3", "lam-1e-4", "lam-1e-5"):
        display.show(report(label, done=0, rate=0))
    display.show(report("lam-1e-3", 40_000))
    assert log.getvalue() == "   lam-1e-3 · 40,000 images · epoch 2, loss 0.1235 · 200 images/s\n"
    display.show(report("lam-1e-4", 18_000, 190))
    display.show(report("lam-1e-5", 17_600, 210))
    # 22,000 and 22,400 images are left, at 400 a second.
    expected = (
        "   1 of 3 models · lam-1e-4 45%, lam-1e-5 44% · 400 images/s · all models 0:01:51 left"
    )
    assert log.getvalue().splitlines()[-1] == expected


def test_a_note_is_a_line_of_its_own(log: Stderr) -> None:
    Display().show("a worker died")
    assert log.getvalue() == "a worker died\n"


# --- bars


def bars(display: Display) -> list[str]:
    return [str(bar) for bar in display.bars.values()]


@pytest.mark.usefixtures("terminal")
def test_a_bar_has_epoch_loss_rate_and_time_left() -> None:
    display = Display()
    display.show(report())
    (bar,) = bars(display)
    assert bar.startswith("centred  10%|█")
    assert bar.endswith("| 4000/40000, epoch 2, loss 0.1235 · 200 images/s · 0:03:00 left")
    display.close()


@pytest.mark.usefixtures("terminal")
def test_there_is_a_bar_for_each_model_that_runs_and_one_for_all() -> None:
    display = Display()
    for label in ("lam-1e-3", "lam-1e-4", "lam-1e-5"):
        display.expect(label, 40_000)
    assert bars(display) == []
    display.show(report("lam-1e-3", 4_000))
    display.show(report("lam-1e-4", 8_000))
    assert [bar.split("%")[0] for bar in bars(display)] == [
        "0 of 3 models  10",
        "lam-1e-3  10",
        "lam-1e-4  20",
    ]
    assert bars(display)[0].endswith("| 12000/120000, 400 images/s · 0:04:30 left")
    display.show(report("lam-1e-3", 40_000))
    assert [bar.split("%")[0] for bar in bars(display)] == ["1 of 3 models  40", "lam-1e-4  20"]
    display.close()


def test_a_line_stays_of_what_has_finished_and_nothing_of_the_bars(terminal: Stderr) -> None:
    display = Display()
    for done in (4_000, 40_000):
        display.show(report("lam-1e-3", done))
    display.show("a worker died")
    display.show(report("lam-1e-4"))
    display.close()
    drawn = re.split(r"[\r\n]|\x1b\[A", terminal.getvalue())
    assert [line for line in drawn if line.strip() and "%|" not in line] == [
        "   lam-1e-3 · 40,000 images · epoch 2, loss 0.1235 · 200 images/s",
        "a worker died",
    ]
    assert re.search(r"\r +(\r|\x1b\[A)$", terminal.getvalue())  # the last bar is wiped out


class Output:
    """An output of a notebook's cell, as a kernel displays it and replaces it later."""

    def __init__(self, data: dict[str, str]) -> None:
        self.shown = [data]

    def update(self, data: dict[str, str], raw: bool) -> None:
        self.shown.append(data)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> list[Output]:
    """What a kernel of Jupyter displays."""
    displayed: list[Output] = []

    def display(data: dict[str, str], raw: bool, display_id: bool) -> Output:
        displayed.append(Output(data))
        return displayed[-1]

    kernel = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setattr("IPython.get_ipython", lambda: kernel)
    monkeypatch.setattr("IPython.display.display", display)
    return displayed


def test_jupyter_has_a_line_for_each_bar_and_keeps_none(outputs: list[Output], log: Stderr) -> None:
    display = Display()
    display.show(report("lam-1e-3"))
    display.show(report("lam-1e-4"))
    display.show(report("lam-1e-3", done=40_000))
    display.close()
    first = [data.get("text/plain", "") for output in outputs for data in output.shown[:1]]
    assert [line.split()[0] for line in first] == ["lam-1e-3", "0", "lam-1e-4"]
    assert all("%|" in line for line in first)
    assert [output.shown[-1] for output in outputs] == [{}] * 3
    assert log.getvalue() == ""


@pytest.mark.usefixtures("terminal")
def test_without_tqdm_there_are_lines_even_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    display = Display()
    display.show(report())
    assert display.bars == {}
