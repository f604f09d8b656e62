"""The trained models that are at hand, by name, whatever code and budget they were trained with."""

import json
from collections.abc import Iterator
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
        """The larger, the sooner it is taken: same faces, then images seen, then the newest."""
        changed = (self.folder / runs.FINISHED).stat().st_mtime
        return self.same_faces, self.experiment.budget, changed


@dataclass
class RunIndex:
    """Finished runs by name; each is loaded when it is first asked for."""

    found: dict[str, RunEntry]
    unread: tuple[str, ...] = ()  # folders that look finished and cannot be read, and why
    loaded: dict[str, VAE] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.found)

    @property
    def seven(self) -> tuple[str, ...]:
        """The report's models, as far as they are here; without any of them, all that are."""
        return tuple(name for name in SEVEN if name in self.found) or self.names

    def label(self, name: str) -> str:
        """The name with the images that the model has seen."""
        return f"{name}, {self.found[name].experiment.budget:,} images seen"

    def model(self, name: str) -> VAE:
        """The model of this name, in evaluation mode.

        Raises InputError where its run was deleted or damaged since, or is of another size.
        """
        if name not in self.loaded:
            self.loaded[name] = _load(name, self.found[name].folder)
        return self.loaded[name]


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


def look(folder: Path, fingerprint: str) -> RunIndex:
    """All finished runs in a folder such as runs/synthetic, the report's seven first.

    fingerprint: of the faces that are shown; of several runs of one name, one that was trained on
    them is taken, then the one that has seen most images. Other seeds have names of their own.
    """
    unread: list[str] = []
    best: dict[tuple[Experiment, int], RunEntry] = {}
    for found in _finished(folder, fingerprint, unread):
        known = best.get(_kind(found))
        if known is None or found.rank > known.rank:
            best[_kind(found)] = found
    named: dict[str, RunEntry] = {}
    for found in sorted(best.values(), key=lambda one: (one.rank[:2], -one.experiment.seed))[::-1]:
        name = _name(found.experiment)
        if name in named:
            name = f"{name}, seed {found.experiment.seed}"
        named.setdefault(name, found)
    order = [name for name in ALL_EXPERIMENTS if name in named]
    order += [name for name in named if name not in order]
    return RunIndex({name: named[name] for name in order}, tuple(unread))


def _finished(folder: Path, fingerprint: str, unread: list[str]) -> Iterator[RunEntry]:
    for marker in sorted(folder.glob(f"*/{runs.FINISHED}")):
        run = marker.parent
        try:
            told = json.loads((run / runs.EXPERIMENT).read_text(encoding="utf-8"))
            where = json.loads((run / runs.ENVIRONMENT).read_text(encoding="utf-8"))
            yield RunEntry(run, Experiment(**told), where.get("fingerprint") == fingerprint)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            unread.append(f"{run.name}: {error}")


def _kind(found: RunEntry) -> tuple[Experiment, int]:
    """What two runs have in common that differ only in how long and how they were trained."""
    return _plain(found.experiment), found.experiment.seed


def _plain(experiment: Experiment) -> Experiment:
    plain = Experiment()
    return replace(
        experiment,
        budget=plain.budget,
        batch_size=plain.batch_size,
        learning_rate=plain.learning_rate,
        precision=plain.precision,
        seed=plain.seed,
    )


def _name(experiment: Experiment) -> str:
    """The report's name of an experiment, or the nearest one and what is different."""
    plain = _plain(experiment)
    for name, known in ALL_EXPERIMENTS.items():
        if plain == known:
            return name
    name = f"lam-{plain.lam:.0e}".replace("e-0", "e-")
    told = [name, f"latent {plain.latent}", plain.kl_reading, plain.weighting, f"{plain.norm} norm"]
    usual = ["", "latent 64", "standard", "fixed", "instance norm"]
    different = [
        word for word, without_compile in zip(told, usual, strict=True) if word != without_compile
    ]
    return ", ".join(different).replace("_", " ")
