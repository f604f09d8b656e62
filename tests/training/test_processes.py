"""Several processes train what one would have trained, whatever happens to them."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import LONG, SMALL, SOME
from vaelib.data import FaceSet
from vaelib.support import progress
from vaelib.support.errors import InputError
from vaelib.training import launch, processes
from vaelib.training.runs import Run, is_finished, same_weights


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that progress goes to."""
    monkeypatch.setenv(progress.FILE_VARIABLE, str(tmp_path / "told"))
    return tmp_path / "told"


def read(told: Path) -> str:
    return told.read_text(encoding="utf-8") if told.exists() else ""


def once_it_trains(told: Path, label: str, act: Callable[[], None]) -> threading.Thread:
    """Act, in a thread, when this model has seen its first images."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        started = False
        while not started and time.monotonic() < deadline:
            time.sleep(0.02)
            lines = [json.loads(line) for line in read(told).splitlines()]
            started = any(each.get("label") == label and each["done"] for each in lines)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_two_processes_train_the_same_weights_as_this_one(
    alone: dict[str, Run], flat_faces: FaceSet, tmp_path: Path, told: Path
) -> None:
    runs = launch.run(SOME, flat_faces, runs=tmp_path / "runs", jobs=2)
    assert list(runs) == list(SOME)
    assert all(same_weights(runs[label], alone[label]) for label in SOME)
    assert all(run.folder.is_relative_to(tmp_path / "runs") for run in runs.values())
    assert {json.loads(line)["label"] for line in read(told).splitlines()} == set(SOME)


def kill_a_worker() -> None:
    os.kill(int(multiprocessing.active_children()[0].pid or 0), signal.SIGKILL)


def test_a_killed_process_costs_nothing_but_time(
    alone: dict[str, Run], flat_faces: FaceSet, tmp_path: Path, told: Path
) -> None:
    some = {"long": LONG, "as long": replace(LONG, lam=1e-3)}
    killer = once_it_trains(told, "long", kill_a_worker)
    runs = launch.run(some, flat_faces, runs=tmp_path / "runs", jobs=2)
    killer.join()
    assert same_weights(runs["long"], alone["long"])
    assert read(told).count("a worker died; going on with") == 1


def test_when_workers_die_again_and_again_it_is_said_in_a_line(tmp_path: Path) -> None:
    tried: list[list[str]] = []

    def once(left: processes.Todo) -> processes.Failures:
        tried.append(list(left))
        return {"second": FloatingPointError()} if len(tried) == 1 else {}

    with pytest.raises(InputError, match="died 4 times while training first, long, perhaps"):
        processes.until_finished(SOME, lambda label: False, tmp_path / "told", once)
    assert tried == [["first", "second", "long"], *[["first", "long"]] * 3]


def test_a_model_that_fails_names_itself_and_stops_no_other(
    flat_faces: FaceSet, tmp_path: Path, told: Path
) -> None:
    some = {"wild": replace(SMALL, learning_rate=1e30), "tame": SMALL}
    with pytest.raises(FloatingPointError, match=r"wild: the loss is not finite") as caught:
        launch.run(some, flat_faces, runs=tmp_path / "runs", jobs=2)
    assert "\n" not in str(caught.value)
    assert "wild failed: FloatingPointError: the loss is not finite" in read(told)
    assert is_finished(SMALL, flat_faces, tmp_path / "runs")


def test_ctrl_c_leaves_checkpoints_and_no_process(flat_faces: FaceSet, tmp_path: Path) -> None:
    told, runs = tmp_path / "told", tmp_path / "runs"
    code = f"""
from pathlib import Path
from vaelib import data, study
from vaelib.config import Experiment
some = {{str(n): Experiment(latent=4, images=10**6, batch_size=16, seed=n) for n in (1, 2)}}
faces = data.open_prepared(Path({str(flat_faces.folder)!r}))
study.run(some, faces, runs=Path({str(runs)!r}), jobs=2)
"""
    environment = os.environ | {progress.FILE_VARIABLE: str(told)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        once_it_trains(told, "1", lambda: None).join()
        once_it_trains(told, "2", lambda: None).join()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=20)  # ends when no process writes there any more
    assert "KeyboardInterrupt: stopped; the same command goes on from there" in errors
    assert len({file.parent for file in runs.rglob("checkpoint-*")}) == 2


@pytest.mark.parametrize(
    ("budgets", "at_once", "wanted"),
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
    budgets: list[int], at_once: int, wanted: list[list[str]]
) -> None:
    todo = {str(i): replace(SMALL, budget=images) for i, images in enumerate(budgets)}
    assert processes.rounds(todo, at_once) == wanted


def test_processes_of_one_caller_take_different_places() -> None:
    code = "from vaelib.training.processes import _place; print(_place(2)[0], flush=True); input()"
    command = [sys.executable, "-c", code]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.stdout.readline() for process in running if process.stdout]
    for process in running:
        process.communicate("\n")
    assert sorted(outputs) == ["0\n", "1\n"]
