"""The trained models at hand, by name, whatever recipe and budget they were trained with."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaelib.config import ALL_EXPERIMENTS, SEVEN, Experiment
from vaelib.model import VAE
from vaelib.reporting.notation import as_text, model_text, scientific
from vaelib.support import paths
from vaelib.support.errors import DamagedError, InputError
from vaelib.training import runs


class RunEntry(NamedTuple):
    """A finished run that may be loaded."""

    folder: Path
    experiment: Experiment
    same_faces: bool  # trained on the very faces that are shown, not on others of that name
    finished_at: float  # seconds since 1970
    is_shipped: bool = False  # it came with the program

    @property
    def shown(self) -> bool:
        """Whether a reader has any use for it: "plus one" changes nothing, and only proves so."""
        return self.experiment.kl_reading != "plus_one"


class RunIndex(NamedTuple):
    """Finished runs by name; a model is loaded when it is first needed."""

    entries: dict[str, RunEntry]
    unreadable: tuple[str, ...] = ()  # what is wrong with folders that look finished, a line each

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.entries)

    @property
    def seven(self) -> tuple[str, ...]:
        """The report's models, as far as they are here; without any of them, all that are."""
        return tuple(name for name in SEVEN if name in self.entries) or self.names

    def label(self, name: str) -> str:
        """A model by what sets it apart, as it is shown: λ = 10⁻³, seed 1."""
        kind, *others = name.split(", ")
        if kind not in ALL_EXPERIMENTS and kind.startswith("lam-"):
            kind = as_text(rf"\lambda = {scientific(self.entries[name].experiment.lam)}")
        return ", ".join([model_text(kind), *others])

    def model(self, name: str) -> VAE:
        """The model of this name, in evaluation mode.

        Raises InputError where its run was deleted or damaged since.
        """
        return _load(name, self.entries[name].folder)


def find_runs(folder: Path, fingerprint: str, shipped: Path | None = None) -> RunIndex:
    """All finished runs in a folder such as runs/synthetic, the report's seven first.

    fingerprint: of the faces that are shown; of several runs of one name, one that was trained on
    them is preferred, then the one that has seen most images. Other seeds have names of their own.
    shipped: a folder of runs that came with the program, for names that no other run has.
    """
    entries, unreadable = _read(folder, fingerprint)
    named = _by_name(entries)
    if shipped:
        theirs, damaged = _read(shipped, fingerprint)
        theirs = [entry._replace(is_shipped=True) for entry in theirs]
        named = _by_name(theirs) | named
        unreadable += damaged
    order = [*ALL_EXPERIMENTS, *named]
    return RunIndex({name: named[name] for name in order if name in named}, tuple(unreadable))


def _read(folder: Path, fingerprint: str) -> tuple[list[RunEntry], list[str]]:
    """The runs in a folder that may be shown, and those that cannot be read, with the reason."""
    entries: list[RunEntry] = []
    unreadable: list[str] = []
    for marker in sorted(folder.glob(f"*/{runs.FINISHED}")):
        try:
            experiment, environment = runs.describe(marker.parent)
            finished_at = marker.stat().st_mtime
        except (DamagedError, OSError) as error:  # of a file that is deleted meanwhile
            unreadable.append(str(error))
            continue
        same_faces = environment.get("fingerprint") == fingerprint
        entries.append(RunEntry(marker.parent, experiment, same_faces, finished_at))
    return [entry for entry in entries if entry.shown], unreadable


def _by_name(entries: list[RunEntry]) -> dict[str, RunEntry]:
    """The preferred run of each name; of several seeds, the preferred one has the plain name."""

    def preference(entry: RunEntry) -> tuple[bool, int, int, float]:
        experiment = entry.experiment
        return entry.same_faces, experiment.budget, -experiment.seed, entry.finished_at

    named: dict[str, RunEntry] = {}
    for entry in sorted(entries, key=preference, reverse=True):
        name, seed = _name(entry.experiment), entry.experiment.seed
        if name in named and named[name].experiment.seed != seed:
            name = f"{name}, seed {seed}"
        named.setdefault(name, entry)
    return named


def _name(experiment: Experiment) -> str:
    """The report's name of an experiment, or its lambda and whatever else is not the default.

    The seed, and how long and how it is trained, make no other name.
    """
    default = Experiment()
    kind = replace(
        experiment,
        seed=default.seed,
        budget=default.budget,
        batch_size=default.batch_size,
        learning_rate=default.learning_rate,
        precision=default.precision,
    )
    for name, known in ALL_EXPERIMENTS.items():
        if kind == known:
            return name
    words = [f"lam-{np.format_float_scientific(kind.lam, trim='-', exp_digits=1)}"]
    if kind.weighting == "calibrated":  # lambda follows from the error
        words = ["calibrated lambda"]
    if kind.latent != default.latent:
        words.append(f"{kind.latent} latents")
    if kind.kl_reading == "centre_pull":
        words.append("centre pull")
    if kind.norm != default.norm:
        words.append(f"{kind.norm} norm")
    return ", ".join(words)


@cache  # errors are not kept: a run may be trained again
def _load(name: str, folder: Path) -> VAE:
    if not (folder / runs.FINISHED).exists():
        raise InputError(
            f"the run {name} was deleted after this page was opened; choose another model, or "
            f"train it again with {paths.report_command()}"
        )
    try:
        return runs.load(folder).model
    except DamagedError as error:
        raise InputError(
            f"the run {name} cannot be used: {error}; train it again with {paths.report_command()}"
        ) from None
