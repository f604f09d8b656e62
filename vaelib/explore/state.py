"""What the explorer's panels share: faces, models, and the faces that were kept on the way."""

from collections.abc import Callable

import torch
from torch import Tensor

from vaelib import data, latent
from vaelib.config import BASE, SEVEN, at_preset
from vaelib.data import FaceSet, evenly_spaced
from vaelib.evaluation.prior_gap import Gaussian, fit_gaussian
from vaelib.explore.run_index import RunIndex, find_runs
from vaelib.latent import Posterior
from vaelib.sources import layouts
from vaelib.support import paths
from vaelib.training import hardware
from vaelib.training.run_one import train_or_load

HELD_OUT = 12  # faces to choose from
TRAIN_SAMPLE = 2_000  # training faces that directions are estimated from
FITTED_FACES = 500  # of these, behind where a model encodes faces
MOST_KEPT = 40  # then the oldest is dropped

PRIOR, ENCODED = "the prior", "where faces are encoded"  # places that z is drawn from


class ExplorerState:
    """Faces and models. Kept faces are images, so that every model can encode them."""

    def __init__(self, faces: FaceSet, models: RunIndex, summary: str = "") -> None:
        self.faces, self.models, self.summary = faces, models, summary
        test_faces = evenly_spaced(faces.test, HELD_OUT)
        self.held_out = {f"held-out {i + 1}": faces.images[at] for i, at in enumerate(test_faces)}
        self.kept: dict[str, Tensor] = {}
        self.kept_listeners: list[Callable[[], None]] = []  # called when a face was kept
        self.train_sample = evenly_spaced(faces.train, TRAIN_SAMPLE)
        self._encoded: dict[tuple[str, int], Posterior] = {}
        self._fitted: dict[str, Gaussian] = {}
        self._kept_count = 0

    @property
    def gallery(self) -> dict[str, Tensor]:
        """The faces that panels offer, uint8 (3, 64, 48) by name: kept ones, then held-out ones."""
        return self.kept | self.held_out

    def keep(self, image: Tensor, origin: str) -> str:
        """Add a face (3, 64, 48), uint8 or in [-1, 1], to the gallery; returns its name there."""
        self._kept_count += 1
        name = f"kept {self._kept_count}, {origin}"
        pixels = image if image.dtype == torch.uint8 else data.to_uint8(image)
        self.kept = dict([(name, pixels), *self.kept.items()][:MOST_KEPT])
        for listener in self.kept_listeners:
            listener()
        return name

    def latent_mean(self, model: str, face: str) -> Tensor:
        """The latent mean (1, latent) of a face of the gallery.

        Raises InputError for a model that cannot be loaded.
        """
        return latent.latent_means(self.models.model(model), self.gallery[face][None])

    def encoded(self, model: str, count: int) -> Posterior:
        """This many faces of `train_sample`, encoded by this model; cached, as it takes seconds."""
        if (model, count) not in self._encoded:
            images = self.faces.images[evenly_spaced(self.train_sample, count)]
            self._encoded[model, count] = latent.encode(self.models.model(model), images)
        return self._encoded[model, count]

    def latents(self, model: str, noise: Tensor, place: str) -> Tensor:
        """z (n, latent) for standard normal noise (n, latent), drawn from PRIOR or from ENCODED.

        ENCODED is the Gaussian with the mean and covariance of z over training faces.
        """
        if place == PRIOR:
            return noise
        if model not in self._fitted:
            self._fitted[model] = fit_gaussian(*self.encoded(model, FITTED_FACES))
        return self._fitted[model].draw(noise)


def open_state(source: str = "auto", preset: str = "auto", name: str = "") -> ExplorerState:
    """Faces and finished runs; without a run, the base model in the smoke preset, trained now.

    source, preset, name: as `vaelib.data.load` takes them; the preset is chosen by the machine
    where it is "auto" and there are runs. Raises InputError for what cannot be used.
    """
    folder = paths.RUNS / (name or layouts.find(source).name)
    if preset != "auto" or find_runs(folder, "").names:
        preset = hardware.choose_preset(preset)
    else:
        preset = "smoke"
    faces = data.load(source, preset, name)
    models = find_runs(paths.RUNS / faces.name, faces.fingerprint)
    if models.names:
        return ExplorerState(faces, models, _summary(faces, models))
    precision = hardware.best_precision(hardware.pick_device())
    experiment = at_preset(SEVEN[BASE], "smoke", 0, precision)
    train_or_load(experiment, faces, BASE)
    summary = (
        f"There was no trained model of {faces.name}, so {BASE} was trained just now on "
        f"{experiment.budget:,} images: its faces are blurs. For all seven, run make report, then "
        "open this page again."
    )
    return ExplorerState(faces, find_runs(paths.RUNS / faces.name, faces.fingerprint), summary)


def _summary(faces: FaceSet, models: RunIndex) -> str:
    """Which models are here, and how to make the missing ones."""
    here = [name for name in SEVEN if name in models.entries]
    missing = [name for name in SEVEN if name not in here]
    others = len(models.names) - len(here)
    summary = f"{len(here)} of the seven models and {others} others, trained on {faces.name}."
    if missing:
        summary += f" To make {', '.join(missing)}, run make report."
    if models.unreadable:
        summary += f" {len(models.unreadable)} runs cannot be read: {'; '.join(models.unreadable)}."
    return summary
