"""A cluster trains what one process would have trained, on workers that share no disk with it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import distributed
import joblib
import pytest

from tests.conftest import LONG, SMALL, SOME, refusal
from vaelib.data import FaceSet
from vaelib.sources import cache
from vaelib.support import progress
from vaelib.training import cluster, launch
from vaelib.training.runs import Run, same_weights


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
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that progress goes to."""
    monkeypatch.setenv(progress.FILE_VARIABLE, str(tmp_path / "told"))
    return tmp_path / "told"


def test_two_workers_without_the_faces_train_the_same_weights_as_this_process(
    client: distributed.Client,
    machines: list[Path],
    alone: dict[str, Run],
    flat_faces: FaceSet,
    tmp_path: Path,
    told: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "_has", lambda folder, fingerprint: False)
    address = client.scheduler_info()["address"]
    runs = launch.run(SOME, flat_faces, runs=tmp_path / "runs", cluster=address)
    assert list(runs) == list(SOME)
    assert all(same_weights(runs[label], alone[label]) for label in SOME)
    assert all(run.folder.is_relative_to(tmp_path / "runs") for run in runs.values())
    assert not list((tmp_path / "runs").rglob("*.part"))
    for machine in machines:
        assert list(machine.glob(f"cache/flat-*/{cache.IMAGES}"))
        assert list(machine.glob("runs/flat/lam*"))
    assert all(f'"label": "{label}"' in told.read_text() for label in SOME)
    assert '"rate"' in told.read_text()


def test_a_killed_worker_costs_nothing_but_time(
    client: distributed.Client,
    alone: dict[str, Run],
    flat_faces: FaceSet,
    tmp_path: Path,
    told: Path,
) -> None:
    some = {"long": LONG, "as long": replace(LONG, lam=1e-3)}
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            time.sleep(0.02)
            if told.exists() and "epoch" in told.read_text():
                killed.extend(list(client.run(os.getpid).values())[:1])
                os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with joblib.parallel_config(backend="dask"):
        runs = launch.run(some, flat_faces, runs=tmp_path / "runs")
    killer.join()
    assert killed
    assert same_weights(runs["long"], alone["long"])
    assert not set(killed) & set(client.run(os.getpid).values())


def test_a_model_that_fails_names_itself(
    client: distributed.Client, flat_faces: FaceSet, tmp_path: Path, told: Path
) -> None:
    some = {"wild": replace(SMALL, learning_rate=1e30), "tame": SMALL}
    with (
        joblib.parallel_config(backend="dask"),
        pytest.raises(FloatingPointError, match=r"^wild: the loss is not finite"),
    ):
        launch.run(some, flat_faces, runs=tmp_path / "runs")
    assert launch.run({"tame": SMALL}, flat_faces, runs=tmp_path / "runs", jobs=1)
    assert "wild failed: FloatingPointError" in told.read_text()


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
    told = refusal(lambda: launch.run(SOME, flat_faces, runs=tmp_path, cluster=address))
    assert words in told


def test_without_distributed_a_line_says_what_to_install(
    flat_faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    told = refusal(lambda: launch.run(SOME, flat_faces, runs=tmp_path, cluster="tcp://host:8786"))
    assert told.endswith("run pip install '.[cluster]' in the project's folder")
