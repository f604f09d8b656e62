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
from vaelib.latent import Directions
from vaelib.loss import kl_per_latent
from vaelib.sources import annotations, layouts
from vaelib.support import paths
from vaelib.support.errors import InputError
from vaelib.training import hardware, run_index
from vaelib.training.run_index import RunIndex

HELD_OUT = 12  # faces to choose from
STUDIED = 2_000  # training faces behind an attribute's direction
USED = 500  # of them behind the order of directions: these are drawn when the page opens
MOST_KEPT = 40  # then the oldest goes

# What directions are offered for, as far as the faces have them, by CelebA's names.
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

WAYS = ("single latents, by KL", "principal directions")
METHODS = ("difference of means", "normal of a linear classifier")


class Side(NamedTuple):
    """What a model makes of the studied faces."""

    mu: Tensor  # (n, latent)
    nats: Tensor  # (latent,): KL of each


class Desk:
    """The faces and models at hand. Kept faces are images, so that every model can encode them."""

    def __init__(self, faces: FaceSet, models: RunIndex, note: str = "") -> None:
        self.faces, self.models, self.note = faces, models, note
        chosen = evenly_spaced(faces.test, HELD_OUT)
        self.held_out = {f"held-out {i + 1}": faces.images[at] for i, at in enumerate(chosen)}
        self.kept: dict[str, Tensor] = {}
        self.watchers: list[Callable[[], None]] = []
        self.studied = evenly_spaced(faces.train, STUDIED)
        self.classifier: AttributeClassifier | None = None
        self._sides: dict[tuple[str, int], Side] = {}
        self._count = 0

    @property
    def ends(self) -> dict[str, Tensor]:
        """Faces by name that a way can begin or end at, uint8 (3, 64, 48); the kept ones first."""
        return self.kept | self.held_out

    def keep(self, image: Tensor, where: str) -> str:
        """Keep a face (3, 64, 48), uint8 or in [-1, 1], and tell all panels; its new name."""
        self._count += 1
        name = f"kept {self._count}, {where}"
        whole = image if image.dtype == torch.uint8 else data.to_uint8(image)
        self.kept = dict([(name, whole), *self.kept.items()][:MOST_KEPT])
        for told in self.watchers:
            told()
        return name

    def encoded(self, model: str, face: str) -> Tensor:
        """The latent mean (1, latent) of one of the ends. Raises InputError for a lost model."""
        return latent.latent_means(self.models.model(model), self.ends[face][None])

    def side(self, model: str, count: int) -> Side:
        """What this model makes of so many studied faces; kept, as it takes seconds."""
        if (model, count) not in self._sides:
            images = self.faces.images[evenly_spaced(self.studied, count)]
            found = latent.posterior(self.models.model(model), images)
            nats = kl_per_latent(*found).mean(dim=0)
            self._sides[model, count] = Side(found.mu, nats)
        return self._sides[model, count]

    def ways(self, model: str, kind: str, count: int) -> Directions:
        """Directions of this model in the order of their use; kind: one of WAYS."""
        side = self.side(model, USED)
        if kind == WAYS[0]:
            return latent.most_used_latents(side.mu, side.nats, count)
        return latent.principal(side.mu, count)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Which of ATTRIBUTES these faces have."""
        known = {annotations.normalise_name(name): name for name in self.faces.attribute_names}
        asked = [annotations.normalise_name(name) for name in ATTRIBUTES]
        return tuple(known[name] for name in asked if name in known)

    def towards(self, model: str, attribute: str, method: str) -> Tensor:
        """The direction (latent,) of an attribute; method: one of METHODS.

        Raises InputError where too few faces have it.
        """
        has = self.faces.where(attribute)[self.studied]
        learn = latent.mean_difference if method == METHODS[0] else latent.classifier_normal
        return learn(self.side(model, STUDIED).mu, has)

    def load_classifier(self) -> AttributeClassifier:
        """The classifier of these faces, trained now if it was not before."""
        self.classifier = attributes.classifier_for(self.faces)
        return self.classifier


def open_desk(source: str = "auto", preset: str = "auto", name: str = "") -> Desk:
    """Faces and finished runs; without a run, the base model in the smoke preset, trained now.

    source, preset, name: as `vaelib.data.load` takes them; the preset is chosen by the machine
    where it is "auto" and there are runs. Raises InputError for what cannot be used.
    """
    place = paths.RUNS / (name or layouts.find(source).name)
    some = run_index.look(place, "").names
    chosen = hardware.choose_preset(preset) if some or preset != "auto" else "smoke"
    faces = data.load(source, chosen, name)
    models = run_index.look(paths.RUNS / faces.name, faces.fingerprint)
    note = ""
    if not models.names:
        note = _trained(faces)
        models = run_index.look(paths.RUNS / faces.name, faces.fingerprint)
    if not models.names:
        raise InputError(f"no run of {faces.name} can be read; train the models with make report")
    return Desk(faces, models, note or _told(faces, models))


def _trained(faces: FaceSet) -> str:
    """Train the smoke base model, and say so."""
    from vaelib.training.run_one import train_or_load  # only here: with a run, nothing is trained

    device = hardware.pick_device()
    experiment = at_preset(SEVEN[BASE], "smoke", 0, hardware.best_precision(device))
    train_or_load(experiment, faces, BASE)
    seen = PRESETS["smoke"].budgets[0]
    return (
        f"There was no trained model of {faces.name}, so {BASE} was trained just now on {seen:,} "
        "images: its faces are blurs. For all seven, run make report, then open this page again."
    )


def _told(faces: FaceSet, models: RunIndex) -> str:
    """What is here, and how to make what is not."""
    here = [name for name in SEVEN if name in models.found]
    missing = [name for name in SEVEN if name not in here]
    told = f"{len(here)} of the seven models and {len(models.names) - len(here)} others"
    told = f"{told}, trained on {faces.name}."
    if missing:
        told += f" To make {', '.join(missing)}, run make report."
    if models.unread:
        told += f" {len(models.unread)} runs cannot be read: {'; '.join(models.unread)}."
    return told
