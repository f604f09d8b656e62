"""The trained models at hand, by name, whatever recipe and budget they were trained with."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from vaelib import latent
from vaelib.config import ALL_EXPERIMENTS, SEVEN, Experiment
from vaelib.model import VAE
from vaelib.support.errors import InputError
from vaelib.training import runs


@dataclass(frozen=True)
class RunEntry:
    """A finished run that may be loaded."""

    folder: Path
    experiment: Experiment
    same_faces: bool  # trained on the very faces that are shown, not on others of that name

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Of two runs the larger is preferred: same faces, then images seen, then the newest."""
        finished_at = (self.folder / runs.FINISHED).stat().st_mtime
        return self.same_faces, self.experiment.budget, finished_at


@dataclass
class RunIndex:
    """Finished runs by name; a model is loaded when it is first needed."""

    entries: dict[str, RunEntry]
    unreadable: tuple[str, ...] = ()  # folders that look finished, each with the reason
    loaded: dict[str, VAE] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.entries)

    @property
    def seven(self) -> tuple[str, ...]:
        """The report's models, as far as they are here; without any of them, all that are."""
        return tuple(name for name in SEVEN if name in self.entries) or self.names

    def label(self, name: str) -> str:
        """The name with the images that the model has seen."""
        return f"{name}, {self.entries[name].experiment.budget:,} images seen"

    def model(self, name: str) -> VAE:
        """The model of this name, in evaluation mode.

        Raises InputError where its run was deleted or damaged since, or is of another size.
        """
        if name not in self.loaded:
            self.loaded[name] = _load(name, self.entries[name].folder)
        return self.loaded[name]


def find_runs(folder: Path, fingerprint: str) -> RunIndex:
    """All finished runs in a folder such as runs/synthetic, the report's seven first.

    fingerprint: of the faces that are shown; of several runs of one name, one that was trained on
    them is preferred, then the one that has seen most images. Other seeds have names of their own.
    """
    unreadable: list[str] = []
    preferred: dict[Experiment, RunEntry] = {}
    for entry in _finished_runs(folder, fingerprint, unreadable):
        kind = _without_schedule(entry.experiment)
        if kind not in preferred or entry.rank > preferred[kind].rank:
            preferred[kind] = entry
    named = _by_name(preferred.values())
    order = [name for name in ALL_EXPERIMENTS if name in named]
    order += [name for name in named if name not in ALL_EXPERIMENTS]
    return RunIndex({name: named[name] for name in order}, tuple(unreadable))


def _finished_runs(folder: Path, fingerprint: str, unreadable: list[str]) -> Iterator[RunEntry]:
    for marker in sorted(folder.glob(f"*/{runs.FINISHED}")):
        run = marker.parent
        try:
            settings = json.loads((run / runs.EXPERIMENT).read_text(encoding="utf-8"))
            environment = json.loads((run / runs.ENVIRONMENT).read_text(encoding="utf-8"))
            same_faces = environment.get("fingerprint") == fingerprint
            entry = RunEntry(run, Experiment(**settings), same_faces)
            if not (run / runs.MODEL).exists():
                raise ValueError(f"there is no {runs.MODEL}")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            unreadable.append(f"{run.name}: {error}")
        else:
            yield entry


def _by_name(entries: Iterable[RunEntry]) -> dict[str, RunEntry]:
    """Of two seeds of one experiment, the preferred one has its plain name."""

    def preference(entry: RunEntry) -> tuple[bool, int, int]:
        return entry.same_faces, entry.experiment.budget, -entry.experiment.seed

    named: dict[str, RunEntry] = {}
    for entry in sorted(entries, key=preference, reverse=True):
        name = _name(entry.experiment)
        if name in named:
            name = f"{name}, seed {entry.experiment.seed}"
        named.setdefault(name, entry)
    return named


def _without_schedule(experiment: Experiment) -> Experiment:
    """The same for experiments that differ only in how long and how they are trained."""
    default = Experiment()
    return replace(
        experiment,
        budget=default.budget,
        batch_size=default.batch_size,
        learning_rate=default.learning_rate,
        precision=default.precision,
    )


def _name(experiment: Experiment) -> str:
    """The report's name of an experiment, or its lambda and whatever else is not the default."""
    kind = replace(_without_schedule(experiment), seed=0)
    for name, known in ALL_EXPERIMENTS.items():
        if kind == known:
            return name
    default = Experiment()
    words = [f"lam-{kind.lam:.0e}".replace("e-0", "e-")]
    if kind.latent != default.latent:
        words.append(f"latent {kind.latent}")
    if kind.kl_reading != default.kl_reading:
        words.append(kind.kl_reading.replace("_", " "))
    if kind.weighting != default.weighting:
        words.append(kind.weighting)
    if kind.norm != default.norm:
        words.append(f"{kind.norm} norm")
    return ", ".join(words)


def _load(name: str, folder: Path) -> VAE:
    if not (folder / runs.FINISHED).exists():
        raise InputError(
            f"the run {name} was deleted after this page was opened; choose another model, or "
            "train it again with make report"
        )
    try:
        model = runs.load(folder).model
        latent.decode(model, latent.noise(1, model.latent))
    except RuntimeError:  # of torch, where the weights do not fit the network
        raise InputError(
            f"the model {name} was trained for faces of another size; delete {folder.name} and "
            "train it again with make report"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"the run {name} cannot be read: {error}; train it again with make report"
        ) from None
    return model
