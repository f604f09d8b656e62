"""One run of the notebooks: its faces and budgets, the models it trains, and their measures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from vaelib.config import (
    ALL_EXPERIMENTS,
    BASE,
    PRESETS,
    SEVEN,
    Experiment,
    Norm,
    at_preset,
)
from vaelib.data import FaceSet, evenly_spaced, load
from vaelib.evaluation import evaluate
from vaelib.evaluation.bootstrap import Measures
from vaelib.evaluation.claims import RULES
from vaelib.evaluation.held_out import MAX_COMPARED, HeldOutFaces, held_out_faces
from vaelib.evaluation.verdicts import ClaimGroup, MeasuresByModel, decide
from vaelib.reporting.results import Origin, Results
from vaelib.support import paths
from vaelib.support.errors import InputError
from vaelib.training import hardware, launch, speed
from vaelib.training.runs import Run, is_finished, training_record

EARLY_SHARES = (64, 16)  # the base model is also shown after 1/64 and 1/16 of its budget
INTERPOLATIONS = 4  # rows of a figure


# Studies of the base model beside those of the report.
SideStudy = Literal["early", "collapse", "norms", "calibrated", "seeds"]


@dataclass(frozen=True)
class Study:
    """The faces at hand, and how each model is trained on them.

    Models of the report are trained once per seed, with the budget of that seed. Models of side
    studies are trained for the first seed; all but the early ones see `side_budget` images.
    """

    faces: FaceSet
    preset: str
    seed: int  # the first; the others follow it
    budgets: tuple[int, ...]  # images seen per model, for each seed
    side_budget: int  # images seen per model of a side study
    results: Results

    def experiment(self, name: str, repeat: int = 0) -> Experiment:
        """A model of ALL_EXPERIMENTS by name; repeat: 0 for the first seed, 1 for the next."""
        precision = hardware.best_precision(hardware.pick_device())
        chosen = at_preset(ALL_EXPERIMENTS[name], self.preset, self.seed + repeat, precision)
        return replace(chosen, budget=self.budgets[repeat])

    def all_experiments(self) -> dict[str, Experiment]:
        """Everything that the engine trains for the notebooks, by label; each model once."""
        experiments = {name: self.experiment(name) for name in (*SEVEN, *self.lambda_models)}
        for repeat in range(1, len(self.budgets)):
            for name in SEVEN:
                label = f"{name} seed {self.seed + repeat}"
                experiments[label] = self.experiment(name, repeat)
        for side_study in get_args(SideStudy):
            for label, experiment in self._side_experiments(side_study).items():
                if experiment not in experiments.values():
                    experiments[label] = experiment
        return experiments

    def untrained(self) -> dict[str, Experiment]:
        """Those of them that have still to be trained."""
        experiments = self.all_experiments().items()
        return {label: each for label, each in experiments if not is_finished(each, self.faces)}

    def train_all(self, cluster: str = "") -> None:
        """Train everything that the notebooks use, unless it was trained before.

        cluster: the address of a dask scheduler whose workers train, else this machine.
        """
        launch.run(self.all_experiments(), self.faces, cluster=cluster)

    @property
    def lambda_models(self) -> tuple[str, ...]:
        """Names of the models on the curve over lambda, from the largest lambda down."""
        experiments = ALL_EXPERIMENTS if PRESETS[self.preset].half_decades else SEVEN
        names = [name for name in experiments if name.startswith("lam-")]
        return tuple(sorted(names, key=lambda name: -experiments[name].lam))

    @property
    def generated(self) -> int:
        """How many faces each model draws to be measured."""
        return PRESETS[self.preset].generated

    # --- trained models; each is trained now unless it was before

    def runs(self, names: Iterable[str], repeat: int = 0) -> dict[str, Run]:
        """Models of the report by name, in this order."""
        experiments = {name: self.experiment(name, repeat) for name in names}
        return launch.run(experiments, self.faces)

    def side_runs(self, side_study: SideStudy) -> dict[str, Run]:
        """The models of a side study by label: the base model, and what differs in one thing.

        "early": after a small share of its budget; "collapse": with its lambda, then with lambda 1;
        "norms": with each norm; "calibrated": first the base model, then the one that finds its own
        lambda; "seeds": from several seeds, then the one with the centre pull.
        """
        return launch.run(self._side_experiments(side_study), self.faces)

    def side_run(self, **changes: Any) -> Run:
        """The base model with some fields of its `Experiment` changed, on `side_budget` images."""
        experiment = replace(self.experiment(BASE), **{"budget": self.side_budget, **changes})
        label = ", ".join(f"{name} {value}" for name, value in changes.items()) or BASE
        return launch.run({label: experiment}, self.faces)[label]

    def training_record(self) -> dict[str, Any]:
        """What it took to train everything that the notebooks use, see `runs.training_record`."""
        return training_record(launch.run(self.all_experiments(), self.faces))

    # --- measures and verdicts

    def measures(self, names: Iterable[str], repeat: int = 0) -> MeasuresByModel:
        """Measures of models of the report, see `evaluate.MEASURES`."""
        return self._measure(self.runs(names, repeat), self.generated, self.seed + repeat)

    def measures_per_seed(self, names: Sequence[str]) -> list[MeasuresByModel]:
        """The same for each seed."""
        return [self.measures(names, repeat) for repeat in range(len(self.budgets))]

    def real_measures(self) -> Measures:
        """The measures of draws, of as many training faces."""
        return evaluate.measure_real(self.faces, self.generated)

    def side_study_measures(self, runs: Mapping[str, Run]) -> MeasuresByModel:
        """Measures of the models of a side study, on fewer generated faces."""
        return self._measure(runs, min(MAX_COMPARED, self.generated), self.seed)

    def verdicts(
        self, group: ClaimGroup, seeds: Sequence[MeasuresByModel]
    ) -> dict[str, dict[str, Any]]:
        """Verdicts on a group of claims from all seeds' measures, as numbers.json keeps them."""
        return {
            name: decide(rule, seeds, self.held_out.classifier, self.held_out.detectors)
            for name, rule in RULES.items()
            if rule.group == group
        }

    def seed_note(self) -> str:
        """What has to stand beside every verdict: how many seeds it is based on."""
        if len(self.budgets) == 1:
            only = f"Each model was trained from one seed, {self.seed}"
            return f"{only}, so verdicts are only indicative."
        last = self.seed + len(self.budgets) - 1
        return f"Each model was trained from {len(self.budgets)} seeds, {self.seed} to {last}."

    @property
    def held_out(self) -> HeldOutFaces:
        """What models are compared with; its instruments are made ready on the first call."""
        return held_out_faces(self.faces)

    def interpolation_ends(self) -> tuple[Tensor, Tensor]:
        """First and last faces, uint8 (rows, 3, 64, 48): held out, the same for every model."""
        rows = min(INTERPOLATIONS, len(self.faces.test) // 2)
        ends = self.faces.images[evenly_spaced(self.faces.test, 2 * rows)]
        return ends[:rows], ends[rows:]

    def _measure(self, runs: Mapping[str, Run], generated: int, seed: int) -> MeasuresByModel:
        return {
            name: evaluate.measure(run, self.faces, generated, seed) for name, run in runs.items()
        }

    def _side_experiments(self, side_study: SideStudy) -> dict[str, Experiment]:
        full = self.experiment(BASE)
        base = replace(full, budget=self.side_budget)
        match side_study:
            case "early":
                return {
                    f"{BASE} first 1/{share}": replace(full, budget=max(1, full.budget // share))
                    for share in EARLY_SHARES
                }
            case "collapse":
                return {f"lambda {lam:g}": replace(base, lam=lam) for lam in (base.lam, 1.0)}
            case "norms":
                return {f"{norm} norm": replace(base, norm=norm) for norm in get_args(Norm)}
            case "calibrated":
                calibrated = replace(base, weighting="calibrated")
                return {f"lam {base.lam:g}": base, "calibrated": calibrated}
            case "seeds":
                # At least two: what differs between them is chance alone.
                seeds = range(self.seed, self.seed + max(2, len(self.budgets)))
                of_seeds = {f"seed {seed}": replace(base, seed=seed) for seed in seeds}
                return {**of_seeds, "pulled": replace(base, kl_reading="centre_pull")}


def open_study(
    data: str | int = "auto",
    preset: str = "auto",
    name: str | int = "",
    out: str | int = "",
    seed: str | int = 0,
    budget: str | int = "",
    side_budget: str | int = 0,
) -> Study:
    """Find and prepare the faces; nothing is trained yet.

    A number may come as a string and a string of digits as a number: papermill reads `-p name 2024`
    so.

    data: "auto", "synthetic" or a path; preset: "auto" or one of config.PRESETS; name: of the data
    set, else that of its folder; out: folder for figures, see `results_root`; budget: images seen
    per model, a number, or one per seed, separated by commas, else the preset's; side_budget:
    images seen per model of a side study, else the preset's.
    Raises InputError when one of them cannot be used.
    """
    data, preset, name, out = str(data), str(preset), str(name), str(out)
    seed = _whole_number("seed", seed)
    chosen = speed.choose_preset(preset)
    budgets = _parse_budgets(budget) or PRESETS[chosen].budgets
    side_budget = _whole_number("side_budget", side_budget) or PRESETS[chosen].side_budget
    for repeat, images_seen in enumerate((*budgets, side_budget)):
        Experiment(seed=seed + repeat, budget=images_seen)  # refused before faces are prepared
    faces = load(data, chosen, name)
    all_budgets = f"{','.join(map(str, budgets))};{side_budget}"
    origin = Origin(faces.name, faces.fingerprint, chosen, seed, all_budgets)
    results = Results(results_root(out, chosen), origin)
    _check_name(faces, results)
    return Study(faces, chosen, seed, budgets, side_budget, results)


def _check_name(faces: FaceSet, results: Results) -> None:
    """Raise InputError where results would take the place of another data set's.

    Procedural faces keep their name whatever the preset, which decides how many are drawn.
    """
    is_theirs = faces.name == "synthetic"
    if is_theirs and faces.kind != "synthetic":
        raise InputError(
            "'synthetic' is the name of procedural faces; give these photos another --name"
        )
    if not is_theirs:
        results.check_owner()


def results_root(out: str, preset: str) -> Path:
    """The folder that figures, numbers and the report go to: `out`, or else the project.

    Without `out`, results of the smoke preset go to build/smoke: its faces are blurs, which should
    not take the place of figures.
    """
    if out:
        return Path(out)
    return paths.ROOT / "build" / "smoke" if preset == "smoke" else paths.ROOT


def _whole_number(name: str, value: str | int) -> int:
    try:
        return int(str(value))  # not of 1.5, which would become 1
    except ValueError:
        raise InputError(f"{name} is {value!r}; it must be a whole number") from None


def _parse_budgets(budget: str | int) -> tuple[int, ...]:
    try:
        return tuple(int(images_seen) for images_seen in str(budget).split(",")) if budget else ()
    except ValueError:
        raise InputError(
            f"budget is {budget!r}; give a number for each seed, such as 40000 or 40000,40000"
        ) from None
