"""Several processes train what one would have trained, whatever happens to them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from tests.conftest import SHORT, SMALL, SOME
from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.support import progress
from vaelib.support.errors import InputError
from vaelib.support.progress_bars import Message, Progress
from vaelib.training import launch, processes
from vaelib.training.processes import Experiments, Outcome, Setup
from vaelib.training.runs import Run, is_finished, run_folder, same_weights
from vaelib.training.step import Execution


@pytest.fixture
def progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that progress goes to; it is not shown."""
    file = tmp_path / "progress"
    file.touch()
    monkeypatch.setattr(progress, "shown", lambda budgets: nullcontext(file))
    return file


def messages(progress_file: Path) -> list[Message]:
    return [progress.decode(line) for line in progress_file.read_text().splitlines()]


def reports(progress_file: Path) -> list[Progress]:
    return [each for each in messages(progress_file) if not isinstance(each, str)]


def notes(progress_file: Path) -> list[str]:
    return [each for each in messages(progress_file) if isinstance(each, str)]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.slow
def test_two_processes_train_the_same_weights_as_this_one(
    alone: dict[str, Run], flat_faces: FaceSet, tmp_path: Path, progress_file: Path
) -> None:
    runs = launch.run(SOME, flat_faces, runs=tmp_path / "runs", jobs=2)
    assert list(runs) == list(SOME)
    assert all(same_weights(runs[label], alone[label]) for label in SOME)
    assert all(run.folder.is_relative_to(tmp_path / "runs") for run in runs.values())
    assert {report.label for report in reports(progress_file)} == set(SOME)


@pytest.mark.slow
def test_a_killed_process_costs_nothing_but_time(
    alone: dict[str, Run], flat_faces: FaceSet, tmp_path: Path, progress_file: Path
) -> None:
    def kill_a_worker() -> None:
        wait_until(lambda: any(report.label == "long" for report in reports(progress_file)))
        os.kill(int(multiprocessing.active_children()[0].pid or 0), signal.SIGKILL)

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    experiments = {"long": SMALL, "as long": replace(SMALL, lam=1e-3)}
    runs = launch.run(experiments, flat_faces, runs=tmp_path / "runs", jobs=2)
    killer.join()
    assert same_weights(runs["long"], alone["long"])
    assert [note[:28] for note in notes(progress_file)] == ["a worker died; going on with"]


def test_workers_that_die_again_and_again_are_reported_in_a_line(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    tried: list[list[str]] = []

    def train_once(left: Experiments) -> list[Outcome]:
        tried.append(list(left))
        return [("second", FloatingPointError())] if len(tried) == 1 else []

    setup = Setup(tmp_path, Execution(), tmp_path / "progress")
    with pytest.raises(InputError, match="died 4 times while training first, long, perhaps"):
        processes.retry_when_workers_die(SOME, flat_faces, setup, train_once)
    assert tried == [["first", "second", "long"], *[["first", "long"]] * 3]


def test_success_at_the_last_retry_is_success(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[list[str]] = []

    def train_once(left: Experiments) -> list[Outcome]:
        tried.append(list(left))
        return []

    setup = Setup(tmp_path, Execution(), tmp_path / "progress")
    monkeypatch.setattr(processes, "is_finished", lambda *_: len(tried) == 1 + processes.RETRIES)
    assert processes.retry_when_workers_die({"first": SHORT}, flat_faces, setup, train_once) == {}
    assert tried == [["first"]] * (1 + processes.RETRIES)


@pytest.mark.slow
def test_a_model_that_fails_names_itself_and_stops_no_other(
    flat_faces: FaceSet, tmp_path: Path, progress_file: Path
) -> None:
    experiments = {"wild": replace(SHORT, learning_rate=1e30), "tame": SHORT}
    with pytest.raises(FloatingPointError, match=r"wild: the loss is not finite") as caught:
        launch.run(experiments, flat_faces, runs=tmp_path / "runs", jobs=2)
    assert "\n" not in str(caught.value)
    (note,) = notes(progress_file)
    assert note.startswith("wild failed: FloatingPointError: the loss is not finite")
    assert is_finished(SHORT, flat_faces, tmp_path / "runs")


def started_with_two_workers(faces: FaceSet, runs: Path, other: str) -> subprocess.Popen[str]:
    """A process with two workers, returned when one trains for hours.

    other: what is different in the experiment of the other worker.
    """
    code = f"""
from dataclasses import replace
from pathlib import Path
from vaelib import data
from vaelib.config import Experiment
from vaelib.training import launch
endless = Experiment(latent=4, budget=10**6, batch_size=16)
experiments = {{"endless": endless, "other": replace(endless, {other})}}
faces = data.open_prepared(Path({str(faces.folder)!r}))
launch.run(experiments, faces, runs=Path({str(runs)!r}), jobs=2)
"""
    running = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(list(runs.glob("flat/lam*"))) == 2 and list(runs.rglob("checkpoint-*")))
    return running


@pytest.mark.slow
def test_ctrl_c_leaves_checkpoints_and_no_process(flat_faces: FaceSet, tmp_path: Path) -> None:
    with started_with_two_workers(flat_faces, tmp_path, other="seed=1") as running:
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)  # ends when no process writes there any more
    assert "KeyboardInterrupt: stopped; the same command goes on from there" in errors
    assert len({file.parent for file in tmp_path.rglob("checkpoint-*")}) == 2


@pytest.mark.slow
def test_no_process_outlives_a_killed_caller_at_work_or_idle(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    fails_at_once = "learning_rate=1e30"
    with started_with_two_workers(flat_faces, tmp_path, other=fails_at_once) as running:
        running.kill()
        running.communicate(timeout=30)  # ends when no process writes there any more
    assert len({file.parent for file in tmp_path.rglob("checkpoint-*")}) == 1


@pytest.mark.slow
def test_no_process_that_waits_for_another_one_outlives_a_killed_caller(
    flat_faces: FaceSet, tmp_path: Path
) -> None:
    other = Experiment(latent=4, budget=10**6, batch_size=16, seed=1)
    folder = run_folder(other, flat_faces, tmp_path)
    with (
        FileLock(folder.with_name(f".{folder.name}.lock")),  # as if it were trained elsewhere
        started_with_two_workers(flat_faces, tmp_path, other="seed=1") as running,
    ):
        running.kill()
        running.communicate(timeout=processes.STOP_SECONDS + 5)  # ends when no process is left


@pytest.mark.parametrize(
    ("budgets", "at_once", "expected"),
    [
        ([5], 2, [["0"]]),
        ([5, 5, 5], 2, [["0", "1"], ["2"]]),
        ([5, 5, 5, 5], 2, [["0", "1", "2", "3"]]),
        ([5, 5, 5], 8, [["0", "1", "2"]]),
        ([40, 40, 40, 1, 1], 2, [["3", "4", "0", "1"], ["2"]]),
        ([5, 5, 5], 1, [["0", "1", "2"]]),
    ],
)
def test_models_too_few_for_the_cores_come_last(
    budgets: list[int], at_once: int, expected: list[list[str]]
) -> None:
    experiments = {str(i): replace(SHORT, budget=budget) for i, budget in enumerate(budgets)}
    assert processes.rounds(experiments, at_once) == expected


def test_processes_of_one_caller_have_different_numbers() -> None:
    numbers = [processes._worker_number.__wrapped__() for _ in range(2)]  # as in two processes
    assert [number for number, _ in numbers] == [0, 1]
    for _, lock in numbers:
        lock.release()
