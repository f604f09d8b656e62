"""Several trainings at once on the machines of a cluster, which dask.distributed hands them to.

Workers share no disk with this machine: the faces travel to them, once to each, and finished runs
travel back. joblib's own way to dask is not taken, because it waits for ever for a model whose
workers have died (joblib 1.6).
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.sources import cache
from vaelib.support import files, paths, progress
from vaelib.support.display import Told
from vaelib.support.errors import InputError
from vaelib.training.processes import (
    Failures,
    Todo,
    attempt,
    note_failure,
    open_faces,
    until_finished,
)
from vaelib.training.runs import FINISHED, is_finished, run_folder
from vaelib.training.step import Execution

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10
ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^\s/]+:\d+")

Contents = dict[str, bytes]  # of the files of a finished run, by name
Packed = dict[str, NDArray[np.uint8]]  # the files of prepared faces, by name


@contextmanager
def chosen(address: str) -> Iterator["Client | None"]:
    """A client of the scheduler at this address, or else that of an enclosing
    `joblib.parallel_config(backend="dask")`, or None where neither is given.

    Raises InputError where there is no scheduler at the address.
    """
    if not address:
        from joblib.parallel import get_active_backend

        backend, _ = get_active_backend()
        yield getattr(backend, "client", None)
        return
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise InputError(
            f"a cluster needs {error.name}, which is not installed; "
            "run pip install '.[cluster]' in the project's folder"
        ) from None
    if not ADDRESS.fullmatch(address):
        raise InputError(f"cluster is {address!r}; it must be an address like tcp://host:8786")
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no dask scheduler answers at {address}; start one with: dask scheduler"
        ) from error
    with client:
        yield client


def train(
    todo: Todo, faces: FaceSet, runs: Path, client: "Client", told: Path, execution: Execution
) -> Failures:
    """Train these models on the cluster and bring them into the folder `runs`.

    Returns those that failed, each with its error. A model whose worker dies is trained on another.
    told: the file of their progress. Raises InputError when workers die again and again.
    """
    if not client.nthreads():
        progress.append(told, {"note": "the cluster has no worker yet; waiting for one"})
    topic = f"vaelib-{uuid4().hex}"
    client.subscribe_topic(topic, lambda event: progress.append(told, event[1]))
    try:
        return until_finished(
            todo,
            lambda label: is_finished(todo[label], faces, runs),
            told,
            lambda left: _train_once(left, faces, runs, client, topic, told, execution),
        )
    finally:
        client.unsubscribe_topic(topic)


def _train_once(
    todo: Todo,
    faces: FaceSet,
    runs: Path,
    client: "Client",
    topic: str,
    told: Path,
    execution: Execution,
) -> Failures:
    from distributed import Event, KilledWorker, as_completed

    failures: Failures = {}
    packed = _sent(faces, client)
    stop = Event(topic, client)
    place = (
        packed,
        faces.folder,
        faces.name,
        faces.fingerprint,
        topic,
        replace(execution, threads=1),
    )
    futures = {}
    for label in sorted(todo, key=lambda label: -todo[label].budget):
        key = run_folder(todo[label], faces, runs).name
        job = client.submit(_on_worker, label, todo[label], key, *place, pure=False)
        futures[job] = label
    try:
        for future in as_completed(futures):
            label = futures[future]
            error: Exception | None
            try:
                contents, error = future.result()
                if not error:
                    _keep(contents, run_folder(todo[label], faces, runs))
            except CancelledError:  # the faces were lost with a worker, and are sent again
                continue
            except KilledWorker:
                error = InputError("its workers died, perhaps for want of memory; give them more")
            except Exception as raised:
                error = raised
            if error:
                failures[label] = error
                note_failure(label, error, told)
    except BaseException:
        stop.set()  # workers end what they do with a checkpoint
        raise
    return failures


def _sent(faces: FaceSet, client: "Client") -> Any:
    """A future of the packed faces, which lie on every worker; None where all have their folder.

    Waits until there is a worker.
    """
    try:
        client.submit(_has, faces.folder, faces.fingerprint, pure=False).result()
        if all(client.run(_has, faces.folder, faces.fingerprint).values()):
            return None
    except ModuleNotFoundError as error:
        raise InputError(_missing(error)) from None
    found = [file for file in faces.folder.iterdir() if file.is_file()]
    packed = {file.name: np.asarray(np.memmap(file, np.uint8, "r")) for file in found}
    return client.scatter([packed], broadcast=True, hash=False)[0]


def _missing(error: ModuleNotFoundError) -> str:
    return f"the workers of the cluster cannot import {error.name}; install the same as here there"


def _has(folder: Path, fingerprint: str) -> bool:
    """Whether these faces lie prepared in this folder of the machine that is asked."""
    try:
        told = json.loads((folder / cache.FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(told["fingerprint"] == fingerprint)


def _on_worker(
    label: str,
    experiment: Experiment,
    key: str,
    packed: Packed | None,
    folder: Path,
    name: str,
    fingerprint: str,
    topic: str,
    execution: Execution,
) -> tuple[Contents, Exception | None]:
    """Train one model on this worker, one core or its GPU: the finished run, or what went wrong."""
    from distributed import Event, get_worker

    worker, stop = get_worker(), Event(topic)

    def tell(told: Told) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        worker.log_event(topic, told)

    runs = _own("VAELIB_RUNS", paths.RUNS)
    try:
        if packed is not None:
            folder = _unpacked(packed, name, fingerprint)
        faces = open_faces(folder, name)
        trained = run_folder(experiment, faces, runs)
        if trained.name != key:
            raise InputError(f"the worker {worker.address} has another version of vaelib")
        with progress.telling(tell):
            error = attempt(experiment, faces, label, runs, execution)
    except KeyboardInterrupt:  # would end the worker
        return {}, InterruptedError("stopped")
    except Exception as raised:
        return {}, raised
    return ({} if error else {file.name: file.read_bytes() for file in trained.iterdir()}), error


def _own(variable: str, folder: Path) -> Path:
    """The folder, where the worker's variable names one, else one that outlives this process."""
    if os.environ.get(variable):
        return folder
    return Path(tempfile.gettempdir()) / "vaelib-worker" / folder.name


def _unpacked(packed: Packed, name: str, fingerprint: str) -> Path:
    """The folder of this machine with the faces, written now unless another process did it."""
    folder = _own("VAELIB_CACHE", paths.CACHE) / f"{name}-{fingerprint[:12]}"
    with files.locked(folder.with_name(f".{folder.name}.lock"), "another process receives faces"):
        if not _has(folder, fingerprint):
            folder.mkdir(exist_ok=True)
            for file in sorted(packed, key=cache.FACTS.__eq__):  # the facts last
                packed[file].tofile(folder / file)
    return folder


def _keep(contents: Contents, folder: Path) -> None:
    """Write a finished run that has come from a worker, whole or not at all."""
    aside = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.part")
    waiting = f"another process trains {folder.name}; waiting for its end"
    try:
        with files.locked(folder.with_name(f".{folder.name}.lock"), waiting):
            aside.mkdir()
            for name in sorted(contents, key=FINISHED.__eq__):  # the marker last
                (aside / name).write_bytes(contents[name])
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted training left
            aside.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write to {folder.parent}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
