"""What the explorer's panels share: faces, models, and the faces that were kept on the way."""

import re
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from vaelib import data, latent
from vaelib.config import BASE, SEVEN, at_preset
from vaelib.data import FaceSet, evenly_spaced, to_float
from vaelib.evaluation import image_metrics
from vaelib.evaluation.prior_gap import Gaussian, fit_gaussian
from vaelib.explore.run_index import RunIndex, find_runs
from vaelib.latent import Posterior
from vaelib.sources import layouts
from vaelib.support import paths
from vaelib.training import hardware, runs, shipped, speed
from vaelib.training.run_one import train_or_load

HELD_OUT = 12  # faces to choose from
TRAIN_SAMPLE = 2_000  # training faces that directions are estimated from
FITTED_FACES = 500  # of these, behind where a model encodes faces
JUDGED_FACES = 200  # held-out faces whose errors a photo's is compared with
MOST_KEPT = 40  # then the oldest is dropped
MOST_UNDONE = 20  # changes of the kept faces

PRIOR, ENCODED = "the prior", "where faces are encoded"  # places that z is drawn from
KINDS = {  # of the faces that models learnt from
    "celeba": "photographs of CelebA",
    "photos": "the photographs in this data set",
    "synthetic": "procedural portraits, and have never seen a photograph",
}

T = TypeVar("T")


class Face(NamedTuple):
    """A face that panels offer."""

    image: Tensor  # uint8 (3, 64, 48)
    model: str = ""  # the name of the model that drew it
    z: Tensor | None = None  # (latent,) that this model drew it from; else it has to be encoded


class ExplorerState:
    """Faces and models, and what takes seconds to compute, once it is computed."""

    def __init__(self, faces: FaceSet, models: RunIndex, summary: str = "") -> None:
        self.faces, self.models, self.summary = faces, models, summary
        test_faces = evenly_spaced(faces.test, HELD_OUT)
        self.held_out = {
            f"held-out {i + 1}": Face(faces.images[at]) for i, at in enumerate(test_faces)
        }
        self.kept: dict[str, Face] = {}
        self.kept_listeners: list[Callable[[], None]] = []  # called when the kept faces change
        self._kept_before: list[dict[str, Face]] = []  # for undo, the latest last
        self.train_sample = evenly_spaced(faces.train, TRAIN_SAMPLE)
        self._cache: dict[Hashable, Any] = {}
        self._locks: dict[Hashable, threading.Lock] = defaultdict(threading.Lock)
        self._kept_count = 0

    @property
    def gallery(self) -> dict[str, Face]:
        """The faces that panels offer, by name: kept ones, then held-out ones."""
        return self.kept | self.held_out

    def keep(self, image: Tensor, origin: str, model: str = "", z: Tensor | None = None) -> str:
        """Add a face (3, 64, 48), uint8 or in [-1, 1], to the gallery; returns its name there.

        model, z (latent,): the model that drew it, and from what.
        """
        self._kept_count += 1
        name = f"kept {self._kept_count}, {origin}"
        pixels = image if image.dtype == torch.uint8 else data.to_uint8(image)
        self._change(dict([(name, Face(pixels, model, z)), *self.kept.items()][:MOST_KEPT]))
        return name

    def restore(self, faces: Mapping[str, tuple[str, Tensor]]) -> None:
        """Keep faces again, by name: the model that drew each, and its z (latent,).

        A face of a model that is not here, or of another size, is left out.
        """
        restored = {}
        for name, (model, z) in faces.items():
            entry = self.models.entries.get(model)
            if entry is not None and len(z) == entry.experiment.latent:
                drawn = latent.decode(self.models.model(model), z[None])[0]
                restored[name] = Face(data.to_uint8(drawn), model, z)
        self._kept_count = max([self._kept_count, *map(_number, restored)])
        self._change(dict([*(restored | self.kept).items()][:MOST_KEPT]))

    def remove(self, name: str) -> None:
        """Take a kept face out of the gallery."""
        self._change({other: face for other, face in self.kept.items() if other != name})

    @property
    def can_undo(self) -> bool:
        """Whether there is a change of the kept faces to take back."""
        return bool(self._kept_before)

    def undo(self) -> None:
        """Take the last change of the kept faces back."""
        if self._kept_before:
            self._set_kept(self._kept_before.pop())

    def _change(self, kept: dict[str, Face]) -> None:
        self._kept_before = [*self._kept_before, self.kept][-MOST_UNDONE:]
        self._set_kept(kept)

    def _set_kept(self, kept: dict[str, Face]) -> None:
        self.kept = kept
        for listener in self.kept_listeners:
            listener()

    def latent_of(self, model: str, name: str) -> Tensor:
        """z (1, latent) of a face of the gallery: what this model drew it from, where it did.

        Else the mean that it encodes the picture as. Raises InputError for a model that cannot be
        loaded.
        """
        face = self.gallery[name]
        if face.model == model and face.z is not None:
            return face.z[None]
        return latent.latent_means(self.models.model(model), face.image[None])

    def origin_of(self, name: str) -> str:
        """How the panels' models come by z of a face of the gallery, where it is worth saying."""
        face = self.gallery[name]
        if face.z is None:
            return ""
        drawn_by, short_name = self.models.label(face.model), name.split(",")[0]
        return f"{drawn_by} drew {short_name} and uses its z; other models encode its picture."

    def encoded(self, model: str, count: int) -> Posterior:
        """This many faces of `train_sample`, encoded by this model; cached, as it takes seconds."""

        def encode() -> Posterior:
            return latent.encode(self.models.model(model), self.faces.images[self.sample(count)])

        return self._cached(("encoded", model, count), encode)

    def sample(self, count: int) -> Tensor:
        """The indices of this many faces of `train_sample`."""
        return evenly_spaced(self.train_sample, count)

    def errors(self, model: str, faces: Tensor) -> Tensor:
        """The MSE (n,) with which a model reconstructs faces, by their indices (n,); cached."""

        def compute() -> Tensor:
            images = self.faces.images[faces]
            reconstructed = latent.reconstruct(self.models.model(model), images)
            return image_metrics.squared_error(to_float(images), reconstructed)

        return self._cached(("errors", model, *faces[[0, -1]].tolist(), len(faces)), compute)

    def is_encoded(self, model: str, count: int) -> bool:
        """Whether `encoded` has its answer at hand."""
        return ("encoded", model, count) in self._cache

    def latents(self, model: str, noise: Tensor, place: str) -> Tensor:
        """z (n, latent) for standard normal noise (n, latent), drawn from PRIOR or from ENCODED.

        ENCODED is the Gaussian with the mean and covariance of z over training faces.
        """
        if place == PRIOR:
            return noise

        def fit() -> Gaussian:
            return fit_gaussian(*self.encoded(model, FITTED_FACES))

        return self._cached(("fitted", model), fit).draw(noise)

    def share_with_less_error(self, model: str, error: float) -> float:
        """The share of held-out faces that this model reconstructs better than with this MSE."""
        held_out = evenly_spaced(self.faces.test, JUDGED_FACES)
        return float((self.errors(model, held_out) < error).double().mean())

    def warm_up(self) -> None:
        """Compute beforehand what panels will need: for a thread beside the page."""
        base_first = sorted(self.models.seven, key=lambda name: name != BASE)
        for name in base_first:
            self.encoded(name, FITTED_FACES)
        self.encoded(base_first[0], len(self.train_sample))
        for name in base_first:
            self.share_with_less_error(name, 0.0)
        self.errors(base_first[0], self.sample(FITTED_FACES))

    def _cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Computed once; who asks for it meanwhile, from another thread, waits."""
        with self._locks[key]:
            if key not in self._cache:
                self._cache[key] = compute()
        found: T = self._cache[key]
        return found


def _number(name: str) -> int:
    """The number in the name of a kept face, such as 3 in "kept 3, drawn", or 0."""
    found = re.match(r"kept (\d{1,6})\b", name)
    return int(found[1]) if found else 0


def open_state(source: str = "auto", preset: str = "auto", name: str = "") -> ExplorerState:
    """Faces and finished runs; without a run, the models that came with the program.

    Of photographs none come with it: there the base model is trained now, in the smoke preset.
    source, preset, name: as `vaelib.data.load` takes them; the preset is chosen by the machine
    where it is "auto" and there are runs. Raises InputError for what cannot be used.
    """
    folder = paths.RUNS / (name or layouts.find(source).name)
    if preset != "auto" or any(folder.glob(f"*/{runs.FINISHED}")):
        preset = speed.choose_preset(preset)
    else:
        preset = "smoke"
    faces = data.load(source, preset, name)
    models = _find_models(faces)
    if models.names:
        return ExplorerState(faces, models, _summary(faces, models))
    precision = hardware.best_precision(hardware.pick_device())
    experiment = at_preset(SEVEN[BASE], "smoke", 0, precision)
    train_or_load(experiment, faces, BASE)
    models = _find_models(faces)
    summary = (
        f"There was no trained model of {faces.name}, so {models.label(BASE)} was trained just now"
        f" on {experiment.budget:,} images: its faces are blurs. For all seven, run"
        f" {paths.report_command()}, then open this page again."
    )
    return ExplorerState(faces, models, summary)


def _find_models(faces: FaceSet) -> RunIndex:
    """The runs on these faces, and for procedural ones what came with the program."""
    theirs = shipped.FOLDER if faces.kind == "synthetic" else None
    return find_runs(paths.RUNS / faces.name, faces.fingerprint, theirs)


def _summary(faces: FaceSet, models: RunIndex) -> str:
    """Which models are here, and how to make the missing ones."""
    here = [name for name in SEVEN if name in models.entries]
    missing = [models.label(name) for name in SEVEN if name not in here]
    others = len(models.names) - len(here)
    count = "The" if not missing else f"{len(here)} of the"
    more = f" and {others} others" if others else ""
    learnt_from = "procedural faces" if faces.kind == "synthetic" else faces.name
    summary = f"{count} seven models{more}, trained on {learnt_from}."
    came = [models.label(name) for name, entry in models.entries.items() if entry.is_shipped]
    if came:
        summary += f" {', '.join(came)} came with the program."
    if missing:
        summary += f" To make {', '.join(missing)}, run {paths.report_command()}."
    if models.unreadable:
        summary += f" {len(models.unreadable)} runs cannot be read: {'; '.join(models.unreadable)}."
    return summary
