"""Train one experiment, or load it if it was trained before.

Needs torch, numpy, safetensors and msgspec alone, for a GPU machine or a cluster job.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.support import files, progress, provenance
from vaelib.support.checked import is_finite
from vaelib.support.errors import InputError
from vaelib.training import checkpoints, hardware
from vaelib.training.fast_layers import plain_state_dict
from vaelib.training.loop import CheckpointWriter, fit
from vaelib.training.runs import FINISHED, Run, finish, load, load_if_finished, run_folder
from vaelib.training.step import Execution


def train_or_load(
    experiment: Experiment,
    faces: FaceSet,
    label: str = "",
    runs: Path | None = None,
    execution: Execution | None = None,
) -> Run:
    """The finished run of this experiment on these faces; trained now if it is not there yet.

    Its folder is that of `vaelib.training.runs.run_folder`. An interrupted training is resumed;
    where another process trains the same run, this one waits for its end and loads it. `label`
    names the model in the progress display.
    Raises InputError where the folder cannot be written to.
    """
    folder = run_folder(experiment, faces, runs)
    label = label or folder.name
    finished = load_finished(folder)
    if finished:
        return finished
    with _writing_alone(folder, label):
        finished = load_if_finished(folder)
        if finished:
            return finished
        (folder / FINISHED).unlink(missing_ok=True)  # of a damaged run
        _train_into(folder, experiment, faces, label, execution or Execution())
    return load(folder)


def load_finished(folder: Path) -> Run | None:
    """The run in this folder; None where it must be trained, with a line if it is damaged.

    Checkpoints that a kill left in a finished run are removed, unless a process is writing there.
    """
    finished = load_if_finished(folder)
    if finished and checkpoints.are_left(folder):
        with suppress(OSError, Timeout), FileLock(_lock_file(folder), timeout=0):
            checkpoints.remove(folder)
    return finished


def _lock_file(folder: Path) -> Path:
    """The lock that a process holds while it writes to the folder of a run."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def _writing_alone(folder: Path, label: str) -> Iterator[None]:
    """No other process trains this run meanwhile; whatever cannot be written is an InputError."""
    waiting = f"another process trains {label}; waiting for its end"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(files.locked(_lock_file(folder), waiting))
            yield
        except OSError as error:
            raise InputError(
                f"cannot write to {error.filename or folder}: {error.strerror}; make room there, "
                "or choose another folder (VAELIB_RUNS); what is trained so far is kept"
            ) from error


def _train_into(
    folder: Path, experiment: Experiment, faces: FaceSet, label: str, execution: Execution
) -> None:
    device = hardware.pick_device()
    execution = execution.resolved(device)
    state = checkpoints.initial_state(experiment, device)
    checkpoints.restore(folder, state, experiment.budget)
    with (
        closing(CheckpointWriter(folder)) as checkpoint_writer,
        progress.watching(label, experiment.budget) as watch,
    ):
        fit(state, experiment, faces, execution, watch, checkpoint_writer)
    weights = plain_state_dict(state.model)
    if not all(map(is_finite, weights.values())):
        raise FloatingPointError(
            "the weights are not finite after the last step (learning rate "
            f"{experiment.learning_rate:g}); a lower learning rate may help"
        )
    data = {"faces": faces.name, "kind": faces.kind, "fingerprint": faces.fingerprint}
    environment = {**provenance.environment(device), **data, **asdict(execution)}
    finish(folder, experiment, state.history, environment, weights)
    checkpoints.remove(folder)
