"""Many experiments at once: on this machine's cores or GPUs, or on a cluster."""

from collections.abc import Mapping
from pathlib import Path

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.support import paths, progress
from vaelib.support.errors import InputError
from vaelib.training import cluster as clusters
from vaelib.training import processes
from vaelib.training.runs import FINISHED, Run, load_if_finished, run_folder
from vaelib.training.runs import load as load_run
from vaelib.training.step import Execution


def run(
    experiments: Mapping[str, Experiment],
    faces: FaceSet,
    *,
    runs: Path | None = None,
    jobs: int | None = None,
    cluster: str = "",
    execution: Execution | None = None,
) -> dict[str, Run]:
    """The finished run of every experiment, by label; those not there yet are trained now.

    Several are trained at once: on this machine, `jobs` at a time, else one per core or GPU; or on
    the dask cluster whose scheduler has the address `cluster`, or which was chosen with
    `joblib.parallel_config(backend="dask")`. Where changes nothing in the runs, which come to
    <runs>/<faces.name>/<key> on this machine. execution: how their steps are executed; the number of
    threads is decided here.
    Raises InputError for what cannot be done, and the error of a model that failed, which begins
    with its label, after the others are trained.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs is {jobs}; at least 1 model must be trained at a time")
    runs = runs or paths.RUNS
    found: dict[Experiment, Run] = {}
    todo: dict[str, Experiment] = {}
    for label, experiment in experiments.items():
        if experiment in found or experiment in todo.values():
            continue
        folder = run_folder(experiment, faces, runs)
        finished = load_if_finished(folder)
        if finished:
            found[experiment] = finished
            continue
        todo[label] = experiment
        if (folder / FINISHED).exists():  # of a damaged run
            (folder / FINISHED).unlink()
    if todo:
        _train(todo, faces, runs, jobs, cluster, execution or Execution())
    found |= {one: load_run(run_folder(one, faces, runs)) for one in todo.values()}
    return {label: found[experiment] for label, experiment in experiments.items()}


def _train(
    todo: Mapping[str, Experiment],
    faces: FaceSet,
    runs: Path,
    jobs: int | None,
    cluster: str,
    execution: Execution,
) -> None:
    images = {label: experiment.budget for label, experiment in todo.items()}
    with clusters.chosen(cluster) as client, progress.shown(images) as told:
        if client:
            failures = clusters.train(todo, faces, runs, client, told, execution)
        else:
            failures = processes.train(todo, faces, runs, jobs, told, execution)
    for label, error in failures.items():
        if len(error.args) == 1:
            error.args = (f"{label}: {error}",)
        raise error
