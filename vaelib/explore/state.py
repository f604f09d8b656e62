"""What the explorer's panels share: faces, models, and the faces that were kept on the way."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vaelib import data, latent
from vaelib.config import BASE, PRESETS, SEVEN, at_preset
from vaelib.data import FaceSet, evenly_spaced
from vaelib.evaluation import attributes
from vaelib.evaluation.attributes import AttributeClassifier
from vaelib.explore.run_index import RunIndex, find_runs
from vaelib.latent import Directions
from vaelib.loss import kl_per_latent
from vaelib.sources import annotations, layouts
from vaelib.support import paths
from vaelib.support.errors import InputError
from vaelib.training import hardware

HELD_OUT = 12  # faces to choose from
ATTRIBUTE_FACES = 2_000  # training faces that an attribute's direction is estimated from
DIRECTION_FACES = 500  # of them, for the order of directions: needed when the page opens
MOST_KEPT = 40  # then the oldest is dropped

# Attributes that the explorer offers, if the faces have them, by CelebA's names.
ATTRIBUTES = (
    "Smiling",
    "Eyeglasses",
    "Male",
    "Young",
    "Black_Hair",
    "Blond_Hair",
    "Brown_Hair",
    "Gray_Hair",
)

DIRECTION_KINDS = ("single latents, by KL", "principal directions")
ATTRIBUTE_METHODS = {
    "difference of means": latent.mean_difference,
    "normal of a linear classifier": latent.classifier_normal,
}


class Encoded(NamedTuple):
    """Training faces as one model encodes them."""

    mu: Tensor  # (n, latent)
    nats: Tensor  # (latent,): KL of each latent


class ExplorerState:
    """Faces and models. Kept faces are images, so that every model can encode them."""

    def __init__(self, faces: FaceSet, models: RunIndex, summary: str = "") -> None:
        self.faces, self.models, self.summary = faces, models, summary
        test_faces = evenly_spaced(faces.test, HELD_OUT)
        self.held_out = {f"held-out {i + 1}": faces.images[at] for i, at in enumerate(test_faces)}
        self.kept: dict[str, Tensor] = {}
        self.kept_listeners: list[Callable[[], None]] = []  # called when a face was kept
        self.train_sample = evenly_spaced(faces.train, ATTRIBUTE_FACES)
        self.classifier: AttributeClassifier | None = None
        self._encoded: dict[tuple[str, int], Encoded] = {}
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

    def encoded(self, model: str, count: int) -> Encoded:
        """This many training faces, encoded by this model; cached, as it takes seconds."""
        if (model, count) not in self._encoded:
            images = self.faces.images[evenly_spaced(self.train_sample, count)]
            posterior = latent.encode(self.models.model(model), images)
            nats = kl_per_latent(*posterior).mean(dim=0)
            self._encoded[model, count] = Encoded(posterior.mu, nats)
        return self._encoded[model, count]

    def directions(self, model: str, kind: str, count: int) -> Directions:
        """The directions that this model uses most; kind: one of DIRECTION_KINDS."""
        encoded = self.encoded(model, DIRECTION_FACES)
        if kind == DIRECTION_KINDS[0]:
            return latent.most_used_latents(encoded.mu, encoded.nats, count)
        return latent.principal_directions(encoded.mu, count)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Those of ATTRIBUTES that these faces have, by the data's own names."""
        names = {annotations.normalise_name(name): name for name in self.faces.attribute_names}
        offered = [annotations.normalise_name(name) for name in ATTRIBUTES]
        return tuple(names[name] for name in offered if name in names)

    def direction_of(self, attribute: str, model: str, method: str) -> Tensor:
        """The direction (latent,) of an attribute; method: a key of ATTRIBUTE_METHODS.

        Raises InputError where too few faces have the attribute.
        """
        has_attribute = self.faces.where(attribute)[self.train_sample]
        return ATTRIBUTE_METHODS[method](self.encoded(model, ATTRIBUTE_FACES).mu, has_attribute)

    def load_classifier(self) -> None:
        """Load the attribute classifier of these faces; trains it if there is none yet."""
        self.classifier = attributes.classifier_for(self.faces)


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
    summary = _train_base_model(faces)
    models = find_runs(paths.RUNS / faces.name, faces.fingerprint)
    if not models.names:
        raise InputError(f"no run of {faces.name} can be read; train the models with make report")
    return ExplorerState(faces, models, summary)


def _train_base_model(faces: FaceSet) -> str:
    """Train the smoke base model; returns what to tell the user about it."""
    from vaelib.training.run_one import train_or_load  # only here: with a run, nothing is trained

    device = hardware.pick_device()
    experiment = at_preset(SEVEN[BASE], "smoke", 0, hardware.best_precision(device))
    train_or_load(experiment, faces, BASE)
    images_seen = PRESETS["smoke"].budgets[0]
    return (
        f"There was no trained model of {faces.name}, so {BASE} was trained just now on "
        f"{images_seen:,} images: its faces are blurs. For all seven, run make report, then open "
        "this page again."
    )


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
