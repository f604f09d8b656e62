"""Several trainings at once on the machines of a cluster, which dask.distributed hands them to.

Workers open the prepared faces where they share their folder with this machine; otherwise dask
sends the faces to each worker's memory. Finished runs travel back. joblib's own way to dask is not
taken, because it waits for ever for a model whose workers have died (joblib 1.6).
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.sources import cache
from vaelib.support import checked, files, paths, progress
from vaelib.support.errors import DamagedError, InputError
from vaelib.support.progress_bars import Message
from vaelib.training.processes import (
    Experiments,
    Failures,
    Outcome,
    Setup,
    attempt,
    open_faces,
    retry_when_workers_die,
)
from vaelib.training.runs import FINISHED, run_folder

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10
ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^\s/]+:\d+")

Contents = dict[str, bytes]  # of the files of a finished run, by name
Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # images (N, 3, 64, 48) and split (N,)


@contextmanager
def connected(address: str) -> Iterator["Client | None"]:
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


def train(experiments: Experiments, faces: FaceSet, setup: Setup, client: "Client") -> Failures:
    """Train these models on the cluster; returns those that failed, each with its error.

    A model whose worker dies is trained on another.
    Raises InputError when workers die again and again.
    """
    if not client.nthreads():
        setup.note("the cluster has no worker yet; waiting for one")
    topic = f"vaelib-{uuid4().hex}"

    shared = setup.with_threads(1)
    train_once = partial(_train_once, faces=faces, setup=shared, client=client, topic=topic)
    client.subscribe_topic(topic, lambda event: progress.append(setup.progress_file, event[1]))
    try:
        return retry_when_workers_die(experiments, faces, setup, train_once)
    finally:
        client.unsubscribe_topic(topic)


def _train_once(
    experiments: Experiments, faces: FaceSet, setup: Setup, client: "Client", topic: str
) -> Iterator[Outcome]:
    from distributed import Event, KilledWorker, as_completed

    facts, arrays = _send_faces(faces, client)
    stop = Event(topic, client)
    labels = {}
    for label in sorted(experiments, key=lambda label: -experiments[label].budget):
        experiment = experiments[label]
        folder = run_folder(experiment, faces, setup.runs)
        future = client.submit(
            _train_on_worker,
            label,
            experiment,
            facts,
            arrays,
            folder.name,
            setup,
            topic,
            pure=False,
        )
        labels[future] = label
    try:
        for future in as_completed(labels, loop=client.loop):
            label = labels[future]
            try:
                _write_whole(future.result(), run_folder(experiments[label], faces, setup.runs))
            except CancelledError:  # the faces were lost with a worker, and are sent again
                continue
            except KilledWorker:
                died = "its workers died, perhaps for want of memory; give them more"
                yield label, InputError(died)
            except Exception as error:
                yield label, error
    except BaseException:
        stop.set()  # workers end; the last checkpoint stays with them
        raise


def _send_faces(faces: FaceSet, client: "Client") -> tuple[FaceSet, Any]:
    """The faces without their arrays, and a future of these, which lie in every worker's memory.

    None in place of the future where all workers share the faces' folder. Waits until there is a
    worker.
    """
    try:
        client.submit(_has_faces, faces.folder, faces.fingerprint, pure=False).result()
    except ModuleNotFoundError as error:
        raise InputError(
            f"the workers of the cluster cannot import {error.name}; install the same as here there"
        ) from None
    empty = torch.empty(0, dtype=torch.uint8)
    facts = replace(faces, images=empty, split=empty, attributes=None, attribute_names=())
    if all(client.run(_has_faces, faces.folder, faces.fingerprint).values()):
        return facts, None
    arrays = (faces.images.numpy(), faces.split.numpy())
    return facts, client.scatter([arrays], broadcast=True, hash=False)[0]


class _Facts(msgspec.Struct):
    """What is asked here of the facts about prepared faces."""

    fingerprint: str


def _has_faces(folder: Path, fingerprint: str) -> bool:
    """Whether these faces lie prepared in this folder of the machine where this is called."""
    try:
        return checked.read_json(folder / cache.FACTS, _Facts).fingerprint == fingerprint
    except (OSError, DamagedError):
        return False


_last_received: list[FaceSet] = []


def _received(facts: FaceSet, arrays: Arrays) -> FaceSet:
    """The faces that were sent; the same object for all jobs, so that a GPU keeps its copy."""
    if not _last_received or _last_received[0].fingerprint != facts.fingerprint:
        images, split = arrays
        faces = replace(facts, images=torch.from_numpy(images), split=torch.from_numpy(split))
        _last_received[:] = [faces]
    return _last_received[0]


def _train_on_worker(
    label: str,
    experiment: Experiment,
    facts: FaceSet,
    arrays: Arrays | None,
    key: str,
    setup: Setup,
    topic: str,
) -> Contents:
    """Train one model on one core of this worker or its GPU: the finished run.

    facts, arrays: see `_send_faces`. key: of the run, which must be the same here. topic: of the
    events that report progress, and of the one that stops training.
    """
    from distributed import Event, get_worker

    worker, stop = get_worker(), Event(topic)
    task = worker.get_current_task()

    def is_wanted() -> bool:
        """Whether the client is still there: the scheduler takes back what a lost one asked for."""
        known = worker.state.tasks.get(task)
        return known is not None and known.state != "cancelled"

    def report(message: Message) -> None:
        if stop.is_set() or not is_wanted():
            raise KeyboardInterrupt
        worker.log_event(topic, message)

    runs = paths.RUNS
    if not os.environ.get("VAELIB_RUNS"):  # a folder that outlives this process, for a checkpoint
        runs = Path(tempfile.gettempdir()) / "vaelib-worker" / "runs"
    try:
        faces = _received(facts, arrays) if arrays else open_faces(facts.folder, facts.name)
        folder = run_folder(experiment, faces, runs)
        if folder.name != key:
            raise InputError(f"the worker {worker.address} has another version of vaelib")
        error = attempt(label, experiment, faces, replace(setup, runs=runs), report)
    except KeyboardInterrupt:  # would end the worker
        raise InterruptedError("stopped") from None
    if error:
        raise error
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def _write_whole(contents: Contents, folder: Path) -> None:
    """Write a finished run that has come from a worker, whole or not at all."""
    aside = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.part")
    waiting = f"another process trains {folder.name}; waiting for its end"
    try:
        with files.locked(folder.with_name(f".{folder.name}.lock"), waiting):
            for left in folder.parent.glob(f".{folder.name}.*.part"):  # by a killed process
                shutil.rmtree(left, ignore_errors=True)
            aside.mkdir()
            for name in sorted(contents, key=FINISHED.__eq__):  # the marker last
                (aside / name).write_bytes(contents[name])
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted training left
            aside.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write to {folder.parent}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
