"""Several trainings at once on this machine: in processes with a share of the cores, or a GPU each.

joblib starts the processes and hands out the models. A model that cannot be trained does not stop
the others.
"""

import functools
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from vaelib import data
from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.support import progress
from vaelib.support.display import Told
from vaelib.support.errors import InputError
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import is_finished
from vaelib.training.step import Execution

RETRIES = 3  # of what was left when a worker died
IDLE_SECONDS = 5  # after which a process without work ends, and gives back its memory

Todo = Mapping[str, Experiment]  # by label
Failures = dict[str, Exception]  # by label

open_faces = functools.lru_cache(maxsize=1)(data.open_prepared)  # checked once in each process


def train(
    todo: Todo, faces: FaceSet, runs: Path, jobs: int | None, told: Path, execution: Execution
) -> Failures:
    """Train these models into the folder `runs`; those that failed, each with its error.

    jobs: how many at once, else one per GPU, or one per core. told: the file of their progress.
    Raises InputError when workers die again and again, and KeyboardInterrupt on Ctrl-C, after
    which no process is left.
    """
    import joblib

    gpus = torch.cuda.device_count()
    at_once = jobs or gpus or joblib.cpu_count()
    failures: Failures = {}
    for labels in [list(todo)] if gpus else rounds(todo, at_once):
        some = {label: todo[label] for label in labels}
        workers = min(at_once, len(some))
        if workers == 1:
            failures |= _train_here(some, faces, runs, told, execution)
        else:
            failures |= _train_in_processes(some, faces, runs, workers, told, execution)
    return failures


def rounds(todo: Todo, at_once: int) -> list[list[str]]:
    """Labels in the order of training, the shortest first, in one round or two.

    The second has the models that are too few to keep all cores busy with one thread each; there,
    each gets more of them.
    """
    images = {label: experiment.budget for label, experiment in todo.items()}
    order = sorted(todo, key=lambda label: images[label])
    few = sum(images.values()) // max(images.values()) % at_once
    first = len(order) - few
    return [some for some in (order[:first], order[first:]) if some]


def attempt(
    experiment: Experiment, faces: FaceSet, label: str, runs: Path, execution: Execution
) -> Exception | None:
    """Train one model unless it was trained before; what went wrong.

    The error carries its traceback as a note: it is going to leave this process.
    """
    try:
        train_or_load(experiment, faces, label, runs, execution)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return error
    return None


def until_finished(
    todo: Todo, finished: Callable[[str], bool], told: Path, once: Callable[[Todo], Failures]
) -> Failures:
    """Call `once` with these models, and again with those that are left when workers died.

    Raises InputError when that does not help.
    """
    failures: Failures = {}
    for again in range(1 + RETRIES):
        left = {label: todo[label] for label in todo if not finished(label)}
        left = {label: experiment for label, experiment in left.items() if label not in failures}
        if not left:
            return failures
        if again:
            note = f"a worker died; going on with {', '.join(left)} (retry {again} of {RETRIES})"
            progress.append(told, {"note": note})
        failures |= once(left)
    raise InputError(
        f"workers died {1 + RETRIES} times while training {', '.join(left)}, perhaps for want of "
        "memory; train fewer at once, or give them more"
    )


def note_failure(label: str, error: Exception, told: Path) -> None:
    """Say at once that a model failed: the error itself is raised when the others are trained."""
    note = f"{label} failed: {type(error).__name__}: {error}"
    progress.append(told, {"note": note})


def _train_here(
    todo: Todo, faces: FaceSet, runs: Path, told: Path, execution: Execution
) -> Failures:
    """One after another in this process, on all cores or the first GPU."""
    failures: Failures = {}
    with progress.telling(partial(progress.append, told)):
        for label, experiment in todo.items():
            error = attempt(experiment, faces, label, runs, replace(execution, threads=0))
            if error:
                failures[label] = error
                note_failure(label, error, told)
    return failures


@dataclass(frozen=True)
class Job:
    """What a process needs to train a model. The faces do not travel: it maps them itself."""

    label: str
    experiment: Experiment
    faces: Path
    name: str  # of the faces
    runs: Path
    workers: int  # processes that train at the same time
    execution: Execution  # with its share of the cores
    told: Path  # the file of its progress
    stop: Path  # once this file is there, the job ends as on Ctrl-C
    caller: int  # process id


def _train_in_processes(
    todo: Todo, faces: FaceSet, runs: Path, workers: int, told: Path, execution: Execution
) -> Failures:
    import joblib

    execution = replace(execution, threads=max(1, joblib.cpu_count() // workers))

    def once(left: Todo) -> Failures:
        failures: Failures = {}
        pool = joblib.Parallel(
            workers,
            backend="loky",
            batch_size=1,
            return_as="generator_unordered",
            idle_worker_timeout=IDLE_SECONDS,
        )
        with tempfile.TemporaryDirectory() as folder:
            stop = Path(folder) / "stop"
            place = (faces.folder, faces.name, runs, workers, execution, told, stop, os.getpid())
            jobs = [Job(label, experiment, *place) for label, experiment in left.items()]
            with _stopping_at_ctrl_c(stop), suppress(BrokenProcessPool):
                for label, error in pool(joblib.delayed(_in_process)(job) for job in jobs):
                    if error:
                        failures[label] = error
                        note_failure(label, error, told)
            if stop.exists():
                raise KeyboardInterrupt("stopped; the same command goes on from there")
        return failures

    return until_finished(todo, lambda label: is_finished(todo[label], faces, runs), told, once)


@contextmanager
def _stopping_at_ctrl_c(stop: Path) -> Iterator[None]:
    """The first Ctrl-C makes the file `stop`, so that workers can save; a second one is as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        stop.touch()

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _in_process(job: Job) -> tuple[str, Exception | None]:
    """Do a job in this process: the label, and what went wrong."""
    # A terminal sends Ctrl-C to this process too. Idle, it would die of it, and all others with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def stopped() -> bool:
        return job.stop.exists() or os.getppid() != job.caller  # which may have been killed

    def tell(told: Told) -> None:
        if stopped():
            signal.raise_signal(signal.SIGINT)  # training ends after its step, with a checkpoint
        else:
            progress.append(job.told, told)

    try:
        if stopped():
            return job.label, None
        if torch.cuda.is_available():
            torch.cuda.set_device(_place(job.workers)[0] % torch.cuda.device_count())
        faces = open_faces(job.faces, job.name)
        with progress.telling(tell):
            return job.label, attempt(job.experiment, faces, job.label, job.runs, job.execution)
    except KeyboardInterrupt:
        return job.label, None
    except Exception as error:
        return job.label, error
    finally:
        if os.getppid() != job.caller:
            os._exit(1)  # nobody is left to wait for an answer


@functools.cache
def _place(workers: int) -> tuple[int, FileLock | None]:
    """A number that no other process of the same caller has while this one lives, and its lock."""
    for number in range(workers):
        lock = FileLock(Path(tempfile.gettempdir()) / f"vaelib-{os.getppid()}-{number}.lock")
        with suppress(Timeout):
            lock.acquire(timeout=0)
            return number, lock
    return os.getpid(), None
