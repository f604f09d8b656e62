"""Many experiments at once, and one run of the notebooks: its faces, preset, seed and results."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from torch import Tensor

from vaelib import cluster as clusters
from vaelib import device as hardware
from vaelib import paths, progress, workers
from vaelib.config import BASE, SEVEN, Experiment, KLReading, at_preset
from vaelib.data import FaceSet, evenly, load
from vaelib.errors import InputError
from vaelib.results import Origin, Results
from vaelib.runs import FINISHED, Run, load_if_finished, run_folder
from vaelib.runs import load as load_run
from vaelib.steps import Speed

# Enough to show that two readings of the loss end in the same weights or in others.
PROOF_IMAGES = 320
EXACTLY = Speed(deterministic=True)  # or a GPU's rounding would be taken for the reading's effect

EARLY = (64, 16)  # the base model is also shown after the first 1/64 and 1/16 of its budget

INTERPOLATIONS = 4  # rows of an interpolation figure


def run(
    experiments: Mapping[str, Experiment],
    faces: FaceSet,
    *,
    runs: Path | None = None,
    jobs: int | None = None,
    cluster: str = "",
    speed: Speed | None = None,
) -> dict[str, Run]:
    """The finished run of every experiment, by label; those not there yet are trained now.

    Several are trained at once: on this machine, `jobs` at a time, else one per core or GPU; or on
    the dask cluster whose scheduler has the address `cluster`, or which was chosen with
    `joblib.parallel_config(backend="dask")`. Where changes nothing in the runs, which come to
    <runs>/<faces.name>/<key> on this machine. speed: how their steps are executed; the number of
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
        _train(todo, faces, runs, jobs, cluster, speed or Speed())
    found |= {one: load_run(run_folder(one, faces, runs)) for one in todo.values()}
    return {label: found[experiment] for label, experiment in experiments.items()}


def _train(
    todo: Mapping[str, Experiment],
    faces: FaceSet,
    runs: Path,
    jobs: int | None,
    cluster: str,
    speed: Speed,
) -> None:
    images = {label: experiment.images for label, experiment in todo.items()}
    with clusters.chosen(cluster) as client, progress.shown(images) as told:
        if client:
            failures = clusters.train(todo, faces, runs, client, told, speed)
        else:
            failures = workers.train(todo, faces, runs, jobs, told, speed)
    for label, error in failures.items():
        if len(error.args) == 1:
            error.args = (f"{label}: {error}",)
        raise error


@dataclass(frozen=True)
class Study:
    """The faces at hand and how each of the seven models is trained on them."""

    faces: FaceSet
    preset: str
    seed: int
    results: Results

    def experiment(self, name: str) -> Experiment:
        """One of the seven by name, with this study's budget, seed and precision."""
        precision = hardware.best_precision(hardware.pick_device())
        return at_preset(SEVEN[name], self.preset, self.seed, precision)

    def train_all(self, cluster: str = "") -> None:
        """Train everything that the notebooks ask for, unless it was trained before; see `run`."""
        self._proofs(get_args(KLReading), cluster)
        self.again(cluster)
        every = {name: self.experiment(name) for name in SEVEN}
        every |= {f"{BASE} first 1/{share}": self._early(share) for share in EARLY}
        run(every, self.faces, cluster=cluster)

    def run(self, name: str) -> Run:
        """One of the seven models, trained now unless it was before."""
        return self.runs([name])[name]

    def runs(self, names: Iterable[str]) -> dict[str, Run]:
        """Several of the seven models by name, in this order."""
        return run({name: self.experiment(name) for name in names}, self.faces)

    def interpolation_ends(self) -> tuple[Tensor, Tensor]:
        """First and last faces, uint8 (rows, 3, 64, 48): held out, the same for every model."""
        rows = min(INTERPOLATIONS, len(self.faces.test) // 2)
        chosen = self.faces.images[evenly(self.faces.test, 2 * rows)]
        return chosen[:rows], chosen[rows:]

    def proof(self, kl_reading: KLReading) -> Run:
        """The base model under a reading of its loss, trained just long enough to be compared.

        Deterministic also on a GPU.
        """
        return self._proofs([kl_reading])[f"proof {kl_reading}"]

    def again(self, cluster: str = "") -> Run:
        """The standard proof once more from the start, as the seven models are trained."""
        label = "proof again"
        some = {label: self._proof("standard")}
        return run(some, self.faces, runs=paths.RUNS / "again", jobs=1, cluster=cluster)[label]

    def early(self, share: int) -> Run:
        """The base model trained for one part in `share` of its budget."""
        label = f"{BASE} first 1/{share}"
        return run({label: self._early(share)}, self.faces)[label]

    def _proofs(self, readings: Iterable[KLReading], cluster: str = "") -> dict[str, Run]:
        some = {f"proof {reading}": self._proof(reading) for reading in readings}
        # One after another, here: they end before a process would have started.
        return run(some, self.faces, jobs=1, cluster=cluster, speed=EXACTLY)

    def _proof(self, kl_reading: KLReading) -> Experiment:
        budget = min(PROOF_IMAGES, self.experiment(BASE).images)
        return replace(self.experiment(BASE), kl_reading=kl_reading, images=budget)

    def _early(self, share: int) -> Experiment:
        base = self.experiment(BASE)
        return replace(base, images=max(1, base.images // share))


def open_study(
    data: str = "auto", preset: str = "auto", name: str = "", out: str = "", seed: int = 0
) -> Study:
    """Find and prepare the faces; nothing is trained yet.

    data: "auto", "synthetic" or a path; preset: "auto" or one of config.PRESETS; name: of the data
    set, else that of its folder; out: where figures go, else the project.
    Raises InputError when one of them cannot be used.
    """
    chosen = hardware.choose_preset(preset)
    Experiment(seed=seed)  # refuses a seed that no run can have, before anything is prepared
    faces = load(data, chosen, name)
    origin = Origin(faces.name, faces.fingerprint, chosen, seed)
    return Study(faces, chosen, seed, Results(Path(out) if out else paths.ROOT, origin))
