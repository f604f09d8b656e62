"""What training writes, one process shows: whole lines, in words, and nothing is left running."""

import io
import json
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vaelib import progress


class Terminal(io.StringIO):
    """A place to print to that says whether somebody looks."""

    def __init__(self, live: bool) -> None:
        super().__init__()
        self.live = live

    def isatty(self) -> bool:
        return self.live


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
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.005)


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def line(model: str = "centred", images: int = 1_280) -> str:
    facts = {"label": model, "images": images, "of": 40_000, "detail": "epoch  2  loss 0.1235"}
    return json.dumps({**facts, "rate": 256.4, "left": 151.0}) + "\n"


def wait_for(text: str, terminal: Terminal) -> None:
    deadline = time.monotonic() + 10
    while text not in terminal.getvalue():
        assert time.monotonic() < deadline, f"waited in vain for {text!r}"
        time.sleep(0.002)


# --- writing


def test_the_preparation_of_photos_is_told_in_the_same_way(
    told: Path, clock: SimpleNamespace
) -> None:
    with progress.preparing("preparing celeba", 1_000) as add:
        clock.now += 1
        add(256)
        clock.now += 1
        add(256)
    facts = {"label": "preparing celeba", "of": 1_000, "detail": "photos", "rate": 256.0}
    assert [{**each, "left": 0} for each in read(told)] == [
        {**facts, "images": 256, "left": 0},
        {**facts, "images": 512, "left": 0},
    ]


def test_training_tells_its_file_how_far_it_is(told: Path, clock: SimpleNamespace) -> None:
    with progress.watching("centred", 2_000) as watch:
        clock.now += 4
        watch(500, 1, 0.25)
    assert read(told) == [
        {
            "label": "centred",
            "images": 500,
            "of": 2_000,
            "detail": "epoch  1  loss 0.2500",
            "rate": 125.0,
            "left": 12.0,
        }
    ]


def test_the_last_line_stands_at_the_full_total(told: Path, clock: SimpleNamespace) -> None:
    with progress.watching("centred", 320) as watch:
        for images in range(32, 321, 32):
            clock.now += 0.01
            watch(images, 1, 0.25)
    assert (read(told)[-1]["images"], read(told)[-1]["left"]) == (320, 0)


def test_between_first_and_last_lines_come_half_a_second_apart(
    told: Path, clock: SimpleNamespace
) -> None:
    with progress.watching("centred", 100) as watch:
        for images in range(1, 101):
            clock.now += 0.125
            watch(images, 1, 0.25)
    assert [each["images"] for each in read(told)] == [*range(1, 101, 4), 100]


def test_one_model_after_another_writes_to_the_same_file(told: Path) -> None:
    for name in ("lam-1e-3", "lam-1e-4"):
        with progress.watching(name, 32) as watch:
            watch(32, 1, 0.25)
    assert [each["label"] for each in read(told)] == ["lam-1e-3", "lam-1e-4"]


def test_without_the_variable_there_is_a_bar_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(progress.FILE_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    terminal = Terminal(live=True)
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.watching("centred", 64) as watch:
        watch(32, 1, 0.25)
        watch(64, 1, 0.25)
    assert "centred" in terminal.getvalue()
    assert list(tmp_path.iterdir()) == []


def log_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What is printed where tqdm is not installed, even if somebody looks."""
    monkeypatch.delenv(progress.FILE_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    terminal = Terminal(live=True)
    monkeypatch.setattr("sys.stderr", terminal)
    return terminal


def test_without_tqdm_training_prints_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace
) -> None:
    log = log_without_tqdm(monkeypatch)
    with progress.watching("centred", 4_000) as watch:
        for images in range(100, 4_001, 100):
            clock.now += 1
            watch(images, 1, 0.25)
    words = [text.split() for text in log.getvalue().splitlines()]
    assert [" ".join(text[:6]) for text in words] == [
        f"centred epoch 1 loss 0.2500 {images}" for images in ("100", "1,700", "3,300", "4,000")
    ]


def test_without_tqdm_the_preparation_of_photos_prints_lines_too(
    monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace
) -> None:
    log = log_without_tqdm(monkeypatch)
    with progress.preparing("preparing celeba", 512) as add:
        clock.now += 1
        add(256)
    assert " ".join(log.getvalue().split()).startswith("preparing celeba photos 256 of 512")


# --- following


def followed(
    written: str, file: Path, monkeypatch: pytest.MonkeyPatch, models: list[str], live: bool = False
) -> str:
    """What the terminal shows when the file holds this, from the first word on."""
    terminal = Terminal(live)
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.following(file, models):
        file.write_text(written, encoding="utf-8")
        wait_for("left", terminal)
    return terminal.getvalue()


@pytest.mark.usefixtures("eager")
def test_the_sentence_names_model_epoch_loss_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = followed(line(), tmp_path / "progress", monkeypatch, models=[])
    words = " ".join(sentence.split())
    assert words == "centred epoch 2 loss 0.1235 1,280 of 40,000 256 images/s 2:31 left"


@pytest.mark.usefixtures("eager")
def test_the_sentence_adds_the_time_of_the_models_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ["lam-1e-5", "centred", "latent-32", "latent-128"]
    sentence = followed(line("centred"), tmp_path / "progress", monkeypatch, models)
    # 151 s of this one and twice 40,000 images at 256.4 a second: 463 s.
    assert sentence.rstrip().endswith("2:31 left, all models 7:43")


@pytest.mark.usefixtures("eager")
def test_a_terminal_has_one_line_that_is_drawn_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = followed(line(), tmp_path / "progress", monkeypatch, models=[], live=True)
    assert shown.startswith("\r\x1b[K   centred")
    assert shown.endswith("left\r\x1b[K")
    assert "\n" not in shown


@pytest.mark.usefixtures("eager")
def test_a_log_has_lines_without_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = followed(line(), tmp_path / "progress", monkeypatch, models=[])
    assert shown.endswith("left\n")
    assert shown.replace("\n", "").isprintable()


@pytest.mark.usefixtures("eager")
def test_what_is_written_next_is_shown_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, terminal = tmp_path / "progress", Terminal(live=True)
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.following(file, []):
        for images in (1_000, 2_000, 3_000):
            with file.open("a", encoding="utf-8") as lines:
                lines.write(line(images=images))
            wait_for(f"{images:,} of", terminal)


@pytest.mark.parametrize("live", [True, False])
def test_a_finished_model_keeps_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    file, terminal = tmp_path / "progress", Terminal(live)
    monkeypatch.setattr("sys.stderr", terminal)
    names = ["lam-1e-3", "lam-1e-4", "lam-1e-5"]
    with progress.following(file, []):  # which ends before its first look
        file.write_text("".join(line(name, images=40_000) for name in names), encoding="utf-8")
    shown = terminal.getvalue().splitlines()
    assert [name for name in names if any(name in text for text in shown)] == names
    assert sum("40,000 of 40,000" in text for text in shown) == len(names)


@pytest.mark.usefixtures("eager")
def test_a_log_has_a_line_for_the_first_step_and_none_for_those_soon_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = "".join(line(images=images) for images in (1_000, 2_000, 3_000))
    shown = followed(written, tmp_path / "progress", monkeypatch, models=[])
    assert [text.split()[5] for text in shown.splitlines()] == ["1,000"]


@pytest.mark.usefixtures("eager")
def test_a_half_written_last_line_waits_until_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, terminal = tmp_path / "progress", Terminal(live=True)
    monkeypatch.setattr("sys.stderr", terminal)
    whole, next_one = line(images=1_000), line(images=2_000)
    with progress.following(file, []):
        file.write_text(whole + next_one[:40], encoding="utf-8")
        wait_for("1,000 of", terminal)
        time.sleep(0.03)  # some more looks at the same half
        assert "2,000 of" not in terminal.getvalue()
        file.write_text(whole + next_one, encoding="utf-8")
        wait_for("2,000 of", terminal)


@pytest.mark.usefixtures("eager")
def test_the_running_notebook_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(live=False)
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.following(tmp_path / "progress", []) as heading:
        heading("03_lambda_study")
    assert terminal.getvalue() == "03_lambda_study\n"


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_nothing_runs_on_after_the_block(tmp_path: Path, error: type[BaseException] | None) -> None:
    before = set(threading.enumerate())
    running: set[threading.Thread] = set()

    def block() -> None:
        with progress.following(tmp_path / "progress", []):
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
