"""What training tells, somebody hears: whole lines, now and then, and nothing is left running."""

import io
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vaelib.support import display, progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands until `clock.now` is set."""
    stopped = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: stopped.now))
    return stopped


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the variable names."""
    monkeypatch.setenv(progress.FILE_VARIABLE, str(tmp_path / "progress"))
    return tmp_path / "progress"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is shown on this screen, which is a log, looked at often; the variable is not set."""
    place = io.StringIO()
    monkeypatch.delenv(progress.FILE_VARIABLE, raising=False)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.005)
    monkeypatch.setattr(display, "here", display.Screen)
    monkeypatch.setattr(display, "SECONDS_BETWEEN_PRINTS", 0.0)
    monkeypatch.setattr(display, "sys", SimpleNamespace(stderr=place))
    return place


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def line(label: str = "centred", done: int = 4_000) -> str:
    facts = {"label": label, "unit": "images", "done": done, "of": 40_000, "rate": 200.0}
    return json.dumps({**facts, "detail": "epoch 2, loss 0.1235"}) + "\n"


def wait_for(text: str, screen: io.StringIO) -> None:
    deadline = time.monotonic() + 10
    while text not in screen.getvalue():
        assert time.monotonic() < deadline, f"waited in vain for {text!r}"
        time.sleep(0.002)


# --- telling


def test_training_tells_its_file_how_far_it_is(told: Path, clock: SimpleNamespace) -> None:
    with progress.watching("centred", 2_000) as watch:
        clock.now += 1
        watch(100, 1, 0.5)
        clock.now += 4
        watch(500, 1, 0.25)
    first, second = read(told)
    assert (first["done"], first["rate"]) == (100, 0)
    wanted = {"label": "centred", "unit": "images", "done": 500, "of": 2_000, "rate": 100.0}
    assert second == {**wanted, "detail": "epoch 1, loss 0.2500"}


def test_a_resumed_training_is_no_faster_for_what_was_done_before(
    told: Path, clock: SimpleNamespace
) -> None:
    with progress.watching("centred", 40_000) as watch:
        for images in (30_000, 30_100):
            clock.now += 1
            watch(images, 1, 0.25)
    assert [each["rate"] for each in read(told)] == [0, 100]


def test_the_preparation_of_photos_is_told_in_the_same_way(
    told: Path, clock: SimpleNamespace
) -> None:
    with progress.preparing("preparing celeba", 1_000) as add:
        for _ in range(3):
            clock.now += 1
            add(256)
    assert [(each["done"], each["rate"], each["unit"]) for each in read(told)] == [
        (256, 0, "photos"),
        (512, 256, "photos"),
        (768, 256, "photos"),
    ]


def test_lines_come_half_a_second_apart_and_the_last_one_always(
    told: Path, clock: SimpleNamespace
) -> None:
    with progress.watching("centred", 100) as watch:
        for images in range(1, 101):
            clock.now += 0.125
            watch(images, 1, 0.25)
    assert [each["done"] for each in read(told)] == [*range(1, 101, 4), 100]


def test_a_listener_is_told_instead_of_the_file_in_its_own_thread_alone(told: Path) -> None:
    heard: list[display.Told] = []

    def train(label: str) -> None:
        with progress.watching(label, 32) as watch:
            watch(32, 1, 0.25)

    with progress.telling(heard.append):
        train("here")
        other = threading.Thread(target=train, args=("in another thread",))
        other.start()
        other.join()
    train("after")
    assert [each["label"] for each in heard] == ["here"]
    assert [each["label"] for each in read(told)] == ["in another thread", "after"]


def test_without_file_and_listener_it_is_shown_here(screen: io.StringIO) -> None:
    with progress.watching("centred", 64) as watch:
        watch(64, 1, 0.25)
    assert " ".join(screen.getvalue().split()).startswith("centred · 64 images · epoch 1, loss 0.2")


# --- following


def test_several_models_are_shown_together(tmp_path: Path, screen: io.StringIO) -> None:
    file = tmp_path / "progress"
    with progress.following(file):
        file.write_text(line("lam-1e-4", 18_000) + line("lam-1e-5", 17_600), encoding="utf-8")
        wait_for("0 of 2 models · lam-1e-4 45 %, lam-1e-5 44 % · 400 images/s", screen)


def test_whoever_trains_several_announces_them_and_shows_them(screen: io.StringIO) -> None:
    with progress.shown({"lam-1e-4": 40_000, "lam-1e-5": 40_000, "proof": 640}) as file:
        progress.append(file, json.loads(line("lam-1e-4", 18_000)))
        wait_for("0 of 3 models · lam-1e-4 45 %", screen)
    assert not file.exists()


def test_where_another_process_follows_nothing_is_shown_here(
    told: Path, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(progress.FILE_VARIABLE, str(told))
    with progress.shown({"lam-1e-4": 40_000}) as file:
        progress.append(file, json.loads(line("lam-1e-4", 40_000)))
    assert [each["done"] for each in read(told)] == [0, 40_000]
    assert screen.getvalue() == ""


def test_a_half_written_last_line_waits_until_it_is_whole(
    tmp_path: Path, screen: io.StringIO
) -> None:
    file = tmp_path / "progress"
    whole, next_one = line(done=4_000), line(done=8_000)
    with progress.following(file):
        file.write_text(whole + next_one[:40], encoding="utf-8")
        wait_for("10 %", screen)
        time.sleep(0.03)  # some more looks at the same half
        assert "20 %" not in screen.getvalue()
        file.write_text(whole + next_one, encoding="utf-8")
        wait_for("20 %", screen)


def test_what_is_told_just_before_the_end_is_shown(tmp_path: Path, screen: io.StringIO) -> None:
    file = tmp_path / "progress"
    names = ["lam-1e-3", "lam-1e-4", "centred"]
    with progress.following(file):
        file.write_text("".join(line(name, 40_000) for name in names), encoding="utf-8")
    shown = screen.getvalue().splitlines()
    assert [text.split()[0] for text in shown if "40,000 images" in text] == names


def test_the_running_notebook_is_named(tmp_path: Path, screen: io.StringIO) -> None:
    with progress.following(tmp_path / "progress") as heading:
        heading("03_lambda_study")
    assert screen.getvalue() == "03_lambda_study\n"


@pytest.mark.usefixtures("screen")
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_nothing_runs_on_after_the_block(tmp_path: Path, error: type[BaseException] | None) -> None:
    before = set(threading.enumerate())
    running: set[threading.Thread] = set()

    def block() -> None:
        with progress.following(tmp_path / "progress"):
            running.update(set(threading.enumerate()) - before)
            if error:
                raise error

    if error:
        with pytest.raises(error):
            block()
    else:
        block()
    assert len(running) == 1
    assert not any(thread.is_alive() for thread in running)
