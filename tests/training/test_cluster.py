"""A cluster trains what one process would have trained, on workers that share no disk with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import distributed
import joblib
import pytest

from tests.conftest import SHORT, SMALL, SOME, refusal
from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.sources import cache
from vaelib.support import progress
from vaelib.training import cluster, launch, processes
from vaelib.training.runs import Run, is_finished, run_folder, same_weights
from vaelib.training.step import Execution


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders, each all that a worker has."""
    return [tmp_path_factory.mktemp(f"machine{number}") for number in (0, 1)]


@pytest.fixture(scope="module")
def client(machines: list[Path]) -> Iterator[distributed.Client]:
    """A cluster of two processes with a folder each; a process that dies is started again."""
    workers = {
        number: {
            "cls": distributed.Nanny,
            "options": {
                "nthreads": 1,
                "local_directory": str(machine),
                "env": {
                    "VAELIB_RUNS": str(machine / "runs"),
                    "VAELIB_CACHE": str(machine / "cache"),
                },
            },
        }
        for number, machine in enumerate(machines)
    }
    options = {"dashboard": False, "port": 0}
    scheduler = {"cls": distributed.Scheduler, "options": options}
    with (
        distributed.SpecCluster(workers=workers, scheduler=scheduler, silence_logs=50) as two,
        distributed.Client(two) as client,
    ):
        yield client


@pytest.fixture
def progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that progress goes to; it is not shown."""
    file = tmp_path / "progress"
    file.touch()
    monkeypatch.setattr(progress, "shown", lambda budgets: nullcontext(file))
    return file


@pytest.mark.cluster
def test_two_workers_without_the_faces_train_the_same_weights_as_this_process(
    client: distributed.Client,
    machines: list[Path],
    alone: dict[str, Run],
    flat_faces: FaceSet,
    tmp_path: Path,
    progress_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "_has_faces", lambda folder, fingerprint: False)
    monkeypatch.setattr(cluster, "open_faces", None)
    address = client.scheduler_info()["address"]
    runs = launch.run(SOME, flat_faces, runs=tmp_path / "runs", cluster=address)
    assert list(runs) == list(SOME)
    assert all(same_weights(runs[label], alone[label]) for label in SOME)
    assert all(run.folder.is_relative_to(tmp_path / "runs") for run in runs.values())
    assert not list((tmp_path / "runs").rglob("*.part"))
    for machine in machines:
        assert list(machine.glob("runs/flat/lam*"))
        assert not list(machine.rglob(cache.IMAGES))  # they were in memory
    reports = [progress.decode(line) for line in progress_file.read_text().splitlines()]
    assert {report.label for report in reports if not isinstance(report, str)} == set(SOME)


@pytest.mark.cluster
def test_workers_stop_soon_after_their_caller_was_killed(
    client: distributed.Client, machines: list[Path], flat_faces: FaceSet, tmp_path: Path
) -> None:
    def jobs(dask_worker: distributed.Worker) -> int:
        return len(dask_worker.active_threads)

    def wait_until(condition: Callable[[], bool], seconds: int) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.1)

    endless = Experiment(latent=5, budget=10**6, batch_size=16)
    folder = run_folder(endless, flat_faces, machines[0] / "runs")
    code = f"""
from pathlib import Path
from vaelib import data
from vaelib.config import Experiment
from vaelib.training import launch
faces = data.open_prepared(Path({str(flat_faces.folder)!r}))
cluster = {client.scheduler_info()["address"]!r}
launch.run({{"endless": {endless!r}}}, faces, runs=Path({str(tmp_path)!r}), cluster=cluster)
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as running:
        checkpoints = f"*/runs/flat/{folder.name}/checkpoint-*"
        wait_until(lambda: bool(list(machines[0].parent.glob(checkpoints))), seconds=60)
        assert any(client.run(jobs).values())
        running.kill()
    wait_until(lambda: not any(client.run(jobs).values()), seconds=10)
    assert not any(client.run(jobs).values())


@pytest.mark.cluster
def test_a_killed_worker_costs_nothing_but_time(
    client: distributed.Client,
    alone: dict[str, Run],
    flat_faces: FaceSet,
    tmp_path: Path,
    progress_file: Path,
) -> None:
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            time.sleep(0.02)
            if "epoch" in progress_file.read_text():
                killed.extend(list(client.run(os.getpid).values())[:1])
                os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    experiments = {"long": SMALL, "as long": replace(SMALL, lam=1e-3)}
    with joblib.parallel_config(backend="dask"):
        runs = launch.run(experiments, flat_faces, runs=tmp_path / "runs")
    killer.join()
    assert killed
    assert same_weights(runs["long"], alone["long"])
    assert not set(killed) & set(client.run(os.getpid).values())


@pytest.mark.cluster
def test_a_model_that_fails_names_itself(
    client: distributed.Client, flat_faces: FaceSet, tmp_path: Path, progress_file: Path
) -> None:
    experiments = {"wild": replace(SHORT, learning_rate=1e30), "tame": SHORT}
    with (
        joblib.parallel_config(backend="dask"),
        pytest.raises(FloatingPointError, match=r"^wild: the loss is not finite"),
    ):
        launch.run(experiments, flat_faces, runs=tmp_path / "runs")
    assert is_finished(SHORT, flat_faces, tmp_path / "runs")
    assert "wild failed: FloatingPointError" in progress_file.read_text()


@pytest.mark.cluster
def test_workers_with_another_version_are_refused(
    client: distributed.Client,
    flat_faces: FaceSet,
    tmp_path: Path,
    progress_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def folder_of_another_version(*_: object) -> Path:
        return tmp_path / "runs" / "flat" / "another key"

    monkeypatch.setattr(cluster, "run_folder", folder_of_another_version)  # here, not in workers
    setup = processes.Setup(tmp_path / "runs", Execution(), progress_file)
    failures = cluster.train({"first": SHORT}, flat_faces, setup, client)
    assert "has another version of vaelib" in str(failures["first"])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("somewhere", "cluster is 'somewhere'; it must be an address like tcp://host:8786"),
        ("http://host", "must be an address like"),
        ("tcp://127.0.0.1:1", "no dask scheduler answers at tcp://127.0.0.1:1; start one"),
    ],
)
def test_a_wrong_address_is_refused_in_a_line(
    address: str, words: str, flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    message = refusal(lambda: launch.run(SOME, flat_faces, runs=tmp_path, cluster=address))
    assert words in message


def test_without_distributed_a_line_says_what_to_install(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    message = refusal(
        lambda: launch.run(SOME, flat_faces, runs=tmp_path, cluster="tcp://host:8786")
    )
    assert message.endswith("run pip install '.[cluster]' in the project's folder")
