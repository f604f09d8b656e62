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
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from vaelib import data
from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.support import progress
from vaelib.support.caller import end_with, is_gone
from vaelib.support.errors import InputError
from vaelib.support.interrupts import on_first_interrupt
from vaelib.support.progress_bars import Message
from vaelib.training import hardware
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import is_finished
from vaelib.training.step import Execution

RETRIES = 3  # with the models that are left when a worker has died
STOP_SECONDS = 3  # for a last checkpoint where the caller was killed; then the process ends anyway
IDLE_SECONDS = 5  # after which a process without work ends, and gives back its memory

Experiments = Mapping[str, Experiment]  # by label
Failures = dict[str, Exception]  # by label
Outcome = tuple[str, Exception | None]  # the label of a model, and its error if it failed

open_faces = functools.lru_cache(maxsize=1)(data.open_prepared)  # checked once in each process


@dataclass(frozen=True)
class Setup:
    """What all trainings of one call of `launch.run` share besides the faces."""

    runs: Path  # the folder that they are written to
    execution: Execution
    progress_file: Path  # see `progress.shown`

    @property
    def stop_file(self) -> Path:
        """Once it exists, processes end their training with a checkpoint, as on Ctrl-C."""
        return self.progress_file.with_name("stop")

    def with_threads(self, threads: int) -> "Setup":
        """The same with so many cores for each training; 0: all."""
        return replace(self, execution=replace(self.execution, threads=threads))

    def note(self, line: str) -> None:
        """Show the line."""
        progress.append(self.progress_file, line)


def train(experiments: Experiments, faces: FaceSet, setup: Setup, jobs: int | None) -> Failures:
    """Train these models; returns those that failed, each with its error.

    jobs: how many at once, else one per GPU, or one per core.
    Raises InputError when workers die again and again, and KeyboardInterrupt on Ctrl-C, after
    which no process is left.
    """
    import joblib

    gpus = torch.accelerator.device_count() if hardware.pick_device().type != "cpu" else 0
    at_once = jobs or gpus or joblib.cpu_count()
    failures: Failures = {}
    for labels in [list(experiments)] if gpus else rounds(experiments, at_once):
        chosen = {label: experiments[label] for label in labels}
        workers = min(at_once, len(chosen))
        if workers == 1:
            train_once = partial(_train_here, faces=faces, setup=setup.with_threads(0))
        else:
            shared = setup.with_threads(max(1, joblib.cpu_count() // workers))
            train_once = partial(_train_in_processes, faces=faces, setup=shared, workers=workers)
        failures |= retry_when_workers_die(chosen, faces, setup, train_once)
    return failures


def rounds(experiments: Experiments, at_once: int) -> list[list[str]]:
    """Labels in the order of training, the shortest first, in one round or two.

    The second has the models that are too few to keep all cores busy with one thread each; there,
    each gets more of them.
    """
    budgets = {label: experiment.budget for label, experiment in experiments.items()}
    order = sorted(experiments, key=lambda label: budgets[label])
    too_few = sum(budgets.values()) // max(budgets.values()) % at_once
    first = len(order) - too_few
    return [labels for labels in (order[:first], order[first:]) if labels]


def attempt(
    label: str, experiment: Experiment, faces: FaceSet, setup: Setup, report: progress.Report
) -> Exception | None:
    """Train one model unless it was trained before; returns the error, if there was one.

    It carries its traceback as a note, because it may leave this process.
    """
    try:
        with progress.reporting_to(report):
            train_or_load(experiment, faces, label, setup.runs, setup.execution)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return error
    return None


def retry_when_workers_die(
    experiments: Experiments,
    faces: FaceSet,
    setup: Setup,
    train_once: Callable[[Experiments], Iterable[Outcome]],
) -> Failures:
    """Call `train_once` with these models, and again with those left because a worker died.

    Shows at once that a model failed; its error is to be raised when the others are trained.
    Raises InputError when that does not help.
    """
    failures: Failures = {}
    left = dict(experiments)
    for retry in range(1 + RETRIES):
        if retry:
            names = ", ".join(left)
            setup.note(f"a worker died; going on with {names} (retry {retry} of {RETRIES})")
        for label, error in train_once(left):
            if error:
                failures[label] = error
                setup.note(f"{label} failed: {type(error).__name__}: {error}")
        left = {
            label: experiment
            for label, experiment in left.items()
            if label not in failures and not is_finished(experiment, faces, setup.runs)
        }
        if not left:
            return failures
    raise InputError(
        f"workers died {1 + RETRIES} times while training {', '.join(left)}, perhaps for want of "
        "memory; train fewer at once, or give them more"
    )


def _train_here(experiments: Experiments, faces: FaceSet, setup: Setup) -> Iterator[Outcome]:
    """One after another in this process, on all cores or the first GPU."""
    report = partial(progress.append, setup.progress_file)
    for label, experiment in experiments.items():
        yield label, attempt(label, experiment, faces, setup, report)


def _train_in_processes(
    experiments: Experiments, faces: FaceSet, setup: Setup, workers: int
) -> Iterator[Outcome]:
    import joblib

    pool = joblib.Parallel(
        workers,
        backend="loky",
        batch_size=1,
        return_as="generator_unordered",
        idle_worker_timeout=IDLE_SECONDS,
    )
    train_in_worker = joblib.delayed(_train_in_worker)
    jobs = (
        # The faces do not travel: each process maps them itself.
        train_in_worker(label, experiment, faces.folder, faces.name, setup, os.getpid())
        for label, experiment in experiments.items()
    )
    with on_first_interrupt(setup.stop_file.touch), suppress(BrokenProcessPool):
        yield from pool(jobs)
    if setup.stop_file.exists():
        raise KeyboardInterrupt("stopped; the same command goes on from there")


_working = threading.Lock()  # held in a worker while it does a job


def _train_in_worker(
    label: str,
    experiment: Experiment,
    faces_folder: Path,
    faces_name: str,
    setup: Setup,
    caller: int,
) -> Outcome:
    """Train one model in this process.

    caller: the id of the process that waits for the answer.
    """
    # A terminal sends Ctrl-C to this process too. Idle, it would die of it, and all others with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(caller, _let_job_end)

    def is_stopped() -> bool:
        return setup.stop_file.exists() or is_gone(caller)

    def report(message: Message) -> None:
        if is_stopped():
            signal.raise_signal(signal.SIGINT)  # training ends after its step, with a checkpoint
        else:
            progress.append(setup.progress_file, message)

    with _working:
        try:
            if is_stopped():
                return label, None
            if hardware.pick_device().type != "cpu":
                gpus = torch.accelerator.device_count()
                torch.accelerator.set_device_index(_worker_number()[0] % gpus)
            faces = open_faces(faces_folder, faces_name)
            return label, attempt(label, experiment, faces, setup, report)
        except KeyboardInterrupt:
            return label, None
        except Exception as error:
            return label, error


def _let_job_end() -> None:
    """Wait until this process has no job, or for as long as a job takes to stop by itself."""
    _working.acquire(timeout=STOP_SECONDS)


@functools.cache
def _worker_number() -> tuple[int, FileLock]:
    """The first number that no other process of the same caller has, and the lock that keeps it."""
    number = 0
    while True:
        lock = FileLock(Path(tempfile.gettempdir()) / f"vaelib-{os.getppid()}-{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            number += 1
        else:
            return number, lock
