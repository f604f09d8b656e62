"""Many experiments at once: on this machine's cores or GPUs, or on a cluster."""

from pathlib import Path

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.support import paths, progress
from vaelib.support.errors import InputError
from vaelib.training import cluster as dask_cluster
from vaelib.training import processes
from vaelib.training.processes import Experiments, Setup
from vaelib.training.run_one import load_finished
from vaelib.training.runs import FINISHED, Run, load, run_folder
from vaelib.training.step import Execution


def run(
    experiments: Experiments,
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
    <runs>/<faces.name>/<key> on this machine. execution: how their steps are executed; the number
    of threads is decided here.
    Raises InputError for what cannot be done, and the error of a model that failed, which begins
    with its label, after the others are trained.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs is {jobs}; at least 1 model must be trained at a time")
    runs = runs or paths.RUNS
    finished: dict[Experiment, Run] = {}
    missing: dict[str, Experiment] = {}
    for label, experiment in experiments.items():
        if experiment in finished or experiment in missing.values():
            continue
        folder = run_folder(experiment, faces, runs)
        loaded = load_finished(folder)
        if loaded:
            finished[experiment] = loaded
            continue
        missing[label] = experiment
        (folder / FINISHED).unlink(missing_ok=True)  # of a damaged run
    if missing:
        budgets = {label: experiment.budget for label, experiment in missing.items()}
        with dask_cluster.connected(cluster) as client, progress.shown(budgets) as progress_file:
            setup = Setup(runs, execution or Execution(), progress_file)
            if client:
                failures = dask_cluster.train(missing, faces, setup, client)
            else:
                failures = processes.train(missing, faces, setup, jobs)
        if failures:
            label, error = next(iter(failures.items()))
            if len(error.args) == 1:
                error.args = (f"{label}: {error}",)
            raise error
    for experiment in missing.values():
        finished[experiment] = load(run_folder(experiment, faces, runs))
    return {label: finished[experiment] for label, experiment in experiments.items()}
