"""A classifier of face attributes, trained on the same faces as the models it helps to measure.

Its probabilities say which attributes a generated face has. Its features say how far faces are from
each other. What it learns depends on the data:

- its attributes, if there are any;
- of procedural faces also the factors that they were drawn from;
- of faces without attributes, self-supervised tasks: to which corner an image was cropped, whether
  it is upside down, whether its colours were made warmer.

Whether an image shows a face at all is not its business: see `vaelib.evaluation.detector`.
"""

import functools
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import torch
from safetensors.torch import save_file
from torch import Tensor

from vaelib.data import FaceSet, to_float
from vaelib.evaluation.classifier_data import (
    BATCH_SIZE,
    FACTORS,
    PRETEXT_TASKS,
    held_out_set,
)
from vaelib.evaluation.classifier_training import (
    MAX_EPOCHS,
    ClassifierNetwork,
    autocast,
    train_network,
)
from vaelib.sources import annotations
from vaelib.support import checked, files, paths
from vaelib.support.errors import DamagedError
from vaelib.training import hardware

# Part of a classifier's key, besides the faces. Raise it, with a line on what changed, whenever
# training gives another classifier.
RECIPE = 2  # no longer learns which faces are deformed, and blurs none that it predicts

RELIABLE = 0.80  # area under the ROC curve; an attribute below it is not used for any measure
MAX_IMAGES = 60_000  # of training, or MAX_EPOCHS, whichever is less

Area = Annotated[float, msgspec.Meta(ge=0, le=1)]

WEIGHTS, RECORD = "classifier.safetensors", "classifier.json"  # files; the record is written last


class Prediction(NamedTuple):
    """The classifier's output for n faces, on the CPU."""

    features: Tensor  # (n, 256)
    probabilities: Tensor  # (n, targets), of each attribute in [0, 1]
    factors: Tensor  # (n, factors), in standard deviations of the training faces, whose mean is 0


@dataclass(frozen=True)
class AttributeClassifier:
    """A trained network, what it predicts, and how reliably."""

    network: ClassifierNetwork
    key: str  # other faces or another recipe make another classifier
    targets: tuple[str, ...]  # the data's attributes, or PRETEXT_TASKS
    auc: tuple[float, ...]  # area under the ROC curve on held-out faces; nan if all are alike
    predicts_attributes: bool  # whether the targets are the data's attributes
    factors: tuple[str, ...]  # FACTORS of procedural faces, else none

    @property
    def reliable(self) -> tuple[str, ...]:
        """The attributes that are predicted well enough to be used in measures."""
        if not self.predicts_attributes:
            return ()
        scored = zip(self.targets, self.auc, strict=True)
        return tuple(name for name, auc in scored if auc >= RELIABLE)

    def index_of(self, name: str) -> int:
        """Position of an attribute among the targets. Raises ValueError for an unknown one."""
        normalised = [annotations.normalise_name(target) for target in self.targets]
        return normalised.index(annotations.normalise_name(name))

    def can_predict(self, *names: str) -> bool:
        """Whether all these attributes are predicted well enough."""
        reliable = {annotations.normalise_name(name) for name in self.reliable}
        return {annotations.normalise_name(name) for name in names} <= reliable

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Predictions for images (n, 3, 64, 48), uint8 or in [-1, 1]."""
        device = next(self.network.parameters()).device
        parts = []
        for part in images.split(2 * BATCH_SIZE):
            x = to_float(part) if part.dtype == torch.uint8 else part
            with autocast(device):
                x = x.to(device, memory_format=torch.channels_last)
                parts.append(self.network.features(x))
        features = torch.cat(parts)
        logits = self.network.last(features).cpu()
        n = len(self.targets)
        return Prediction(features.cpu(), torch.sigmoid(logits[:, :n]), logits[:, n:])


@functools.lru_cache(maxsize=1)
def classifier_for(faces: FaceSet) -> AttributeClassifier:
    """The classifier of these faces: trained on the first call, loaded afterwards.

    It lies in <runs>/<faces.name>/classifier-<key>, whatever the preset. A damaged one is trained
    again, with a line on stderr.
    """
    folder = _folder(faces)
    lock = folder.with_name(f".{folder.name}.lock")
    with files.locked(lock, "another process trains the classifier"):
        if is_trained(faces):
            try:
                return _load(faces)
            except (DamagedError, OSError) as error:
                print(f"{error}; the classifier is trained again", file=sys.stderr)
        _train(faces)
        return _load(faces)


def is_trained(faces: FaceSet) -> bool:
    """Whether the classifier of these faces can be loaded at once."""
    return (_folder(faces) / RECORD).exists()


def _folder(faces: FaceSet) -> Path:
    return paths.RUNS / faces.name / f"classifier-{_key(faces)}"


def _key(faces: FaceSet) -> str:
    return hashlib.sha256(f"{faces.fingerprint} {RECIPE}".encode()).hexdigest()[:10]


class _Record(msgspec.Struct):
    """What classifier.json holds of a trained network, as far as it is needed here."""

    targets: tuple[str, ...]
    auc: tuple[Area | None, ...]  # None: all held-out faces are alike
    factors: tuple[str, ...]
    predicts_attributes: bool
    sha256: str  # of the weights


def _load(faces: FaceSet) -> AttributeClassifier:
    """The trained classifier, in evaluation mode, on the device at hand.

    Raises DamagedError where it is not whole, or of other faces; OSError where a file is missing.
    """
    folder = _folder(faces)
    record = checked.read_json(folder / RECORD, _Record)
    targets, factors = _outputs(faces)
    with checked.damage_in(folder / RECORD):
        outputs = (record.targets, record.factors, record.predicts_attributes)
        if outputs != (targets, factors, bool(faces.attribute_names)):
            raise ValueError("it predicts something else")
        if len(record.auc) != len(targets):
            raise ValueError(f"it has {len(record.auc)} areas of {len(targets)} targets")
    tensors = checked.read_tensors(folder / WEIGHTS).tensors
    network = ClassifierNetwork(len(targets) + len(factors))
    checked.check_tensors(folder / WEIGHTS, tensors, network.state_dict())
    if files.checksum(folder / WEIGHTS) != record.sha256:
        raise DamagedError(f"{folder / WEIGHTS} is not as it was written")
    network.load_state_dict(tensors)
    return AttributeClassifier(
        network=network.to(hardware.pick_device()).eval().requires_grad_(False),
        key=_key(faces),
        targets=targets,
        auc=tuple(float("nan") if auc is None else auc for auc in record.auc),
        predicts_attributes=record.predicts_attributes,
        factors=factors,
    )


def _outputs(faces: FaceSet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the classifier of these faces predicts: targets, and factors."""
    factors = tuple(FACTORS) if faces.kind == "synthetic" else ()
    return faces.attribute_names or PRETEXT_TASKS, factors


def _train(faces: FaceSet) -> None:
    """Train a classifier and write it: the weights, and last what they predict and how well."""
    folder = _folder(faces)
    targets, factors = _outputs(faces)
    budget = min(MAX_IMAGES, MAX_EPOCHS * len(faces.train))
    network = train_network(faces, len(targets) + len(factors), budget)
    classifier = AttributeClassifier(
        network.eval(), "", targets, (), bool(faces.attribute_names), factors
    )
    held_out = held_out_set(faces)
    prediction = classifier.predict(held_out.images)
    auc = [
        roc_auc(prediction.probabilities[:, i], held_out.targets[:, i]) for i in range(len(targets))
    ]
    weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    with files.atomic_write(folder / WEIGHTS) as aside:
        save_file(weights, aside)
    record = {
        "targets": targets,
        "auc": [value if value == value else None for value in auc],
        "factors": factors,
        "predicts_attributes": classifier.predicts_attributes,
        "budget": budget,
        "sha256": files.checksum(folder / WEIGHTS),
    }
    files.write_json(folder / RECORD, record)


def roc_auc(scores: Tensor, truth: Tensor) -> float:
    """Area under the ROC curve; nan if `truth`, bool (n,), is the same for all.

    The chance that a face for which `truth` holds scores above one for which it does not. The
    rank-sum statistic, ties counted half: Hanley and McNeil (1982).
    """
    _, index, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[index].double()
    positive = int(truth.sum())
    negative = len(truth) - positive
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))
