"""Train one experiment, or load it if it was trained before: `python -m vaelib.training.run_one`.

Needs torch and numpy alone, for a GPU machine or a cluster job; prints where the finished run lies.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

from vaelib import data
from vaelib.config import PRESETS, Experiment, KLReading, Norm, Precision, Weighting, at_preset
from vaelib.data import FaceSet
from vaelib.support import files, paths, progress, provenance
from vaelib.support.errors import INTERRUPTED, InputError, OneLineParser, exit_with
from vaelib.training import checkpoints, hardware
from vaelib.training.loop import CheckpointWriter, fit
from vaelib.training.runs import FINISHED, Run, finish, load, load_if_finished, run_folder
from vaelib.training.step import Choice, Execution


def train_or_load(
    experiment: Experiment,
    faces: FaceSet,
    label: str = "",
    runs: Path | None = None,
    execution: Execution | None = None,
) -> Run:
    """The finished run of this experiment on these faces; trained now if it is not there yet.

    It lies in <runs>/<faces.name>/<key>, see `vaelib.training.runs.run_folder`. What an interruption left is
    gone on with; where another process trains the same run, this one waits for it and loads.
    Raises InputError where the folder cannot be written to.
    """
    folder = run_folder(experiment, faces, runs)
    finished = load_if_finished(folder)
    if finished:
        return finished
    with _writing(folder, label or folder.name):
        finished = load_if_finished(folder)
        if finished:
            return finished
        (folder / FINISHED).unlink(missing_ok=True)  # of a damaged run
        _train_into(folder, experiment, faces, label or folder.name, execution or Execution())
    return load(folder)


@contextmanager
def _writing(folder: Path, label: str) -> Iterator[None]:
    """Nobody else trains this run meanwhile; whatever cannot be written is an InputError."""
    waiting = f"another process trains {label}; waiting for its end"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(files.locked(folder.with_name(f".{folder.name}.lock"), waiting))
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
    checkpoints.restore(folder, state)
    checkpoint_writer = CheckpointWriter(folder)
    try:
        with progress.watching(label, experiment.budget) as watch:
            fit(state, experiment, faces, execution, watch, checkpoint_writer)
    finally:
        checkpoint_writer.wait()
    told = {"faces": faces.name, "kind": faces.kind, "fingerprint": faces.fingerprint}
    environment = {**provenance.environment(device), **told, **asdict(execution)}
    finish(folder, experiment, state.history, environment, state.model.state_dict())
    checkpoints.remove(folder)


def _arguments() -> argparse.Namespace:
    default = Experiment()
    parser = OneLineParser(
        "vaelib.training.run_one", "Train one experiment and say where the run lies."
    )
    add = parser.add_argument
    add("--data", default="auto", help="auto, synthetic, or a path: photos or prepared faces")
    add("--name", default="", help="of the data, else that of its folder")
    add("--preset", default="auto", help=f"budget: auto, {', '.join(PRESETS)}")
    add("--lam", type=float, default=default.lam, help="weight of KL against the squared error")
    add("--latent", type=int, default=default.latent, help="size of z")
    add("--kl-reading", choices=get_args(KLReading), default=default.kl_reading)
    add("--weighting", choices=get_args(Weighting), default=default.weighting)
    add("--norm", choices=get_args(Norm), default=default.norm)
    add("--seed", type=int, default=default.seed)
    add("--images", type=int, help="images seen, else the preset's")
    add("--batch-size", type=int, help="else the preset's")
    add("--learning-rate", type=float, default=default.learning_rate, help="of Adam")
    add("--precision", choices=("auto", *get_args(Precision)), default="auto")
    add("--runs", type=Path, help=f"where runs are kept, else {paths.RUNS}")
    for choice in ("compile", "graphs", "channels-last", "keep-memory"):
        add(f"--{choice}", choices=get_args(Choice), default="auto")
    add("--deterministic", action="store_true", help="the same bits again on a GPU")
    add("--threads", type=int, default=0, help="cores, else all")
    return parser.parse_args()


def _experiment(asked: argparse.Namespace, preset: str) -> Experiment:
    precision = asked.precision
    if precision == "auto":
        precision = hardware.best_precision(hardware.pick_device())
    plain = Experiment(
        lam=asked.lam,
        latent=asked.latent,
        kl_reading=asked.kl_reading,
        weighting=asked.weighting,
        norm=asked.norm,
        learning_rate=asked.learning_rate,
    )
    experiment = at_preset(plain, preset, asked.seed, precision)
    given = {name: getattr(asked, name) for name in ("images", "batch_size")}
    return replace(experiment, **{name: n for name, n in given.items() if n is not None})


def main() -> None:
    """Train as the command line asks."""
    asked = _arguments()
    execution = Execution(
        asked.compile,
        asked.graphs,
        asked.channels_last,
        asked.keep_memory,
        asked.deterministic,
        asked.threads,
    )
    try:
        preset = hardware.choose_preset(asked.preset)
        experiment = _experiment(asked, preset)
        execution.resolved(hardware.pick_device())  # refused before any faces are prepared
        faces = data.load(asked.data, preset, asked.name)
        run = train_or_load(experiment, faces, runs=asked.runs, execution=execution)
    except InputError as error:
        exit_with(error)
    except FloatingPointError as error:
        exit_with(InputError(str(error)))
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped; the same command goes on", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    print(run.folder)


if __name__ == "__main__":
    main()
