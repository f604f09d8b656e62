"""One run of the notebooks: its faces, its preset and seed, its trained models, its results."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from vaelib import device as hardware
from vaelib import paths
from vaelib.config import BASE, SEVEN, Experiment, KLReading, at_preset
from vaelib.data import FaceSet, evenly, load
from vaelib.results import Origin, Results
from vaelib.train import Run, train_or_load

# Enough to show that two readings of the loss end in the same weights or in others.
PROOF_IMAGES = 640

INTERPOLATIONS = 4  # rows of an interpolation figure


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

    def run(self, name: str) -> Run:
        """One of the seven models, trained now unless it was before."""
        return train_or_load(self.experiment(name), self.faces, label=name)

    def runs(self, names: Iterable[str]) -> dict[str, Run]:
        """Several of the seven models by name, in this order."""
        return {name: self.run(name) for name in names}

    def interpolation_ends(self) -> tuple[Tensor, Tensor]:
        """First and last faces, uint8 (rows, 3, 64, 48): held out, the same for every model."""
        rows = min(INTERPOLATIONS, len(self.faces.test) // 2)
        chosen = self.faces.images[evenly(self.faces.test, 2 * rows)]
        return chosen[:rows], chosen[rows:]

    def proof(self, kl_reading: KLReading) -> Run:
        """The base model under a reading of its loss, trained just long enough to be compared."""
        budget = min(PROOF_IMAGES, self.experiment(BASE).images)
        experiment = replace(self.experiment(BASE), kl_reading=kl_reading, images=budget)
        return train_or_load(experiment, self.faces, label=f"proof {kl_reading}")


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
