"""One run of the notebooks: its faces and budgets, the models it asks for, their measures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from vaelib.config import (
    ALL_EXPERIMENTS,
    BASE,
    HALF_DECADES,
    PRESETS,
    SEVEN,
    Experiment,
    KLReading,
    Norm,
    at_preset,
)
from vaelib.data import FaceSet, evenly_spaced, load
from vaelib.evaluation import evaluate
from vaelib.evaluation.attributes import AttributeClassifier
from vaelib.evaluation.claims import RULES, MeasuresByModel, as_record, decide
from vaelib.reporting.results import Origin, Results
from vaelib.support import paths
from vaelib.support.errors import InputError
from vaelib.training import hardware, launch
from vaelib.training.runs import Run
from vaelib.training.step import Execution

# Enough to show that two readings of the loss end in the same weights or in others.
PROOF_IMAGES = 320
EXACTLY = Execution(
    deterministic=True
)  # or a GPU's rounding would be taken for the reading's effect

EARLY = (64, 16)  # the base model is also shown after the first 1/64 and 1/16 of its budget

INTERPOLATIONS = 4  # rows of an interpolation figure

NORMS: tuple[Norm, ...] = get_args(Norm)


@dataclass(frozen=True)
class Study:
    """The faces at hand, and how each model is trained on them."""

    faces: FaceSet
    preset: str
    seed: int  # the first; the others follow it
    budgets: tuple[int, ...]  # images seen per model, for each seed
    side_budget: int  # seen per model that answers a side question
    results: Results

    def experiment(self, name: str, repeat: int = 0) -> Experiment:
        """A model of the report, or between its lambdas, by name, for the first seed or another."""
        precision = hardware.best_precision(hardware.pick_device())
        chosen = at_preset(ALL_EXPERIMENTS[name], self.preset, self.seed + repeat, precision)
        return replace(chosen, budget=self.budgets[repeat])

    def train_all(self, cluster: str = "") -> None:
        """Train everything that the notebooks ask for, unless it was trained before."""
        self._proofs(get_args(KLReading), cluster)
        self.again(cluster)
        launch.run(self.every(), self.faces, cluster=cluster)

    def every(self) -> dict[str, Experiment]:
        """All that is trained besides the short proofs, by label; some may be the same."""
        seven = {name: self.experiment(name) for name in SEVEN}
        seeds = {
            f"{name} seed {self.seed + repeat}": self.experiment(name, repeat)
            for repeat in range(1, len(self.budgets))
            for name in SEVEN
        }
        fine = {name: self.experiment(name) for name in self.lambdas if name in HALF_DECADES}
        early = {f"{BASE} first 1/{share}": self._early(share) for share in EARLY}
        return seven | seeds | fine | early | self._norms() | self._calibrated() | self._seeds()

    @property
    def lambdas(self) -> tuple[str, ...]:
        """The models that the curve over lambda is drawn through, from the largest down."""
        names = [*HALF_DECADES] if PRESETS[self.preset].fine else []
        names += [name for name in SEVEN if name.startswith("lam-")]
        return tuple(sorted(names, key=lambda name: -ALL_EXPERIMENTS[name].lam))

    def run(self, name: str) -> Run:
        """A model of the report, of the first seed, trained now unless it was before."""
        return self.runs([name])[name]

    def runs(self, names: Iterable[str], repeat: int = 0) -> dict[str, Run]:
        """Several models by name, in this order."""
        some = {name: self.experiment(name, repeat) for name in names}
        return launch.run(some, self.faces)

    def measures(self, names: Iterable[str], repeat: int = 0) -> MeasuresByModel:
        """What these models do, see `claims.MEASURES`."""
        count = PRESETS[self.preset].generated
        return self._measured(self.runs(names, repeat), count, self.seed + repeat)

    def all_measures(self, names: Iterable[str]) -> list[MeasuresByModel]:
        """The same for each seed."""
        names = list(names)
        return [self.measures(names, repeat) for repeat in range(len(self.budgets))]

    def side_measures(self, runs: Mapping[str, Run]) -> MeasuresByModel:
        """What models that answer a side question do, on fewer faces."""
        count = min(evaluate.COMPARED, PRESETS[self.preset].generated)
        return self._measured(runs, count, self.seed)

    def classifier(self) -> AttributeClassifier:
        """Who tells attributes on these faces; trained on the first call."""
        return evaluate.held_out(self.faces).classifier

    def floor(self) -> float:
        """The distance that two halves of the held-out faces have from each other."""
        return evaluate.held_out(self.faces).floor()

    def truth(self) -> dict[str, float]:
        """Frequency among held-out faces of each attribute that the classifier can tell."""
        classifier, truth = self.classifier(), evaluate.held_out(self.faces).truth
        if truth is None:
            return {}
        return {
            name: float(truth[:, classifier.index_of(name)].mean()) for name in classifier.reliable
        }

    def note(self) -> str:
        """What has to be verdict_for beside every verdict."""
        if len(self.budgets) == 1:
            return "One seed: indicative only."
        last = self.seed + len(self.budgets) - 1
        return f"Over {len(self.budgets)} seeds, {self.seed} to {last}."

    def verdicts(
        self, names: Iterable[str], seeds: Sequence[MeasuresByModel]
    ) -> dict[str, dict[str, Any]]:
        """Verdicts on these claims by models' measures of all seeds, as numbers.json keeps them."""
        classifier = self.classifier()
        return {
            name: as_record(RULES[name], decide(RULES[name], seeds, classifier)) for name in names
        }

    def interpolation_ends(self) -> tuple[Tensor, Tensor]:
        """First and last faces, uint8 (rows, 3, 64, 48): held out, the same for every model."""
        rows = min(INTERPOLATIONS, len(self.faces.test) // 2)
        chosen = self.faces.images[evenly_spaced(self.faces.test, 2 * rows)]
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
        folder = paths.RUNS / "again"
        return launch.run(some, self.faces, runs=folder, jobs=1, cluster=cluster)[label]

    def early(self, share: int) -> Run:
        """The base model trained for one part in `share` of its budget."""
        label = f"{BASE} first 1/{share}"
        return launch.run({label: self._early(share)}, self.faces)[label]

    def norms(self) -> dict[str, Run]:
        """The base model with each norm, at the budget of side questions."""
        return launch.run(self._norms(), self.faces)

    def calibrated(self) -> dict[str, Run]:
        """The base model beside the one that finds its own lambda, at the same budget."""
        base = self._base()
        return launch.run({f"lam {base.lam:g}": base, **self._calibrated()}, self.faces)

    def seeds(self) -> dict[str, Run]:
        """The base model from several seeds, then one pulled to the centre, at the same budget."""
        return launch.run(self._seeds(), self.faces)

    def _measured(self, runs: Mapping[str, Run], count: int, seed: int) -> MeasuresByModel:
        return {name: evaluate.measure(one, self.faces, count, seed) for name, one in runs.items()}

    def _base(self) -> Experiment:
        return replace(self.experiment(BASE), budget=self.side_budget)

    def _norms(self) -> dict[str, Experiment]:
        return {f"{norm} norm": replace(self._base(), norm=norm) for norm in NORMS}

    def _calibrated(self) -> dict[str, Experiment]:
        return {"calibrated": replace(self._base(), weighting="calibrated")}

    def _seeds(self) -> dict[str, Experiment]:
        # At least one more than the first: what chance alone does.
        seeds = range(self.seed, self.seed + max(2, len(self.budgets)))
        bases = {f"seed {seed}": replace(self._base(), seed=seed) for seed in seeds}
        return bases | {"pulled": replace(self._base(), kl_reading="centre_pull")}

    def _proofs(self, readings: Iterable[KLReading], cluster: str = "") -> dict[str, Run]:
        some = {f"proof {reading}": self._proof(reading) for reading in readings}
        # One after another, here: they end before a process would have started.
        return launch.run(some, self.faces, jobs=1, cluster=cluster, execution=EXACTLY)

    def _proof(self, kl_reading: KLReading) -> Experiment:
        budget = min(PROOF_IMAGES, self.experiment(BASE).budget)
        return replace(self.experiment(BASE), kl_reading=kl_reading, budget=budget)

    def _early(self, share: int) -> Experiment:
        base = self.experiment(BASE)
        return replace(base, budget=max(1, base.budget // share))


def open_study(
    data: str = "auto",
    preset: str = "auto",
    name: str = "",
    out: str = "",
    seed: int = 0,
    budget: str = "",
    side_budget: int = 0,
) -> Study:
    """Find and prepare the faces; nothing is trained yet.

    data: "auto", "synthetic" or a path; preset: "auto" or one of config.PRESETS; name: of the data
    set, else that of its folder; out: where figures go, else the project; budget: images seen per model,
    one number for each seed, separated by commas, else the preset's; side_budget: seen per model
    that answers a side question, else the preset's.
    Raises InputError when one of them cannot be used.
    """
    chosen = hardware.choose_preset(preset)
    budgets = _budgets(budget) or PRESETS[chosen].budgets
    side_budget = side_budget or PRESETS[chosen].side_budget
    for repeat, images in enumerate((*budgets, side_budget)):
        Experiment(seed=seed + repeat, budget=images)  # refused before anything is prepared
    faces = load(data, chosen, name)
    spent = ",".join(map(str, budgets))
    origin = Origin(faces.name, faces.fingerprint, chosen, seed, f"{spent};{side_budget}")
    results = Results(Path(out) if out else paths.ROOT, origin)
    return Study(faces, chosen, seed, budgets, side_budget, results)


def _budgets(budgets: str) -> tuple[int, ...]:
    try:
        return tuple(int(budget) for budget in budgets.split(",")) if budgets else ()
    except ValueError:
        raise InputError(
            f"budget is {budgets!r}; give a number for each seed, such as 40000 or 40000,40000"
        ) from None
