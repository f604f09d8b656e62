"""A classifier of faces: a small network that learnt from the training faces what can be told of one.

Its probabilities say which attributes a generated face has, and its features how far faces are
from each other. What it learns depends on the faces:

- the data's attributes, where there are any;
- of procedural faces also the factors that they were drawn from;
- of faces without attributes, what can be asked of any picture: to which corner it was cropped,
  whether it is upside down, whether its colours were made warmer;
- of all faces, whether they were deformed: pulled out of shape, or patched together of two.

It sees every face gaussian_blur by the same blur. MeasuresByModel draw softer faces than photos are; a classifier who
sees that takes it for a fault, and so many deviations away from any photo tells little else.
"""

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelib.data import FaceSet, to_float
from vaelib.evaluation.classifier_data import (
    BATCH,
    FACTORS,
    QUESTIONS,
    gaussian_blur,
    held_out_set,
    training_batches,
)
from vaelib.sources import annotations
from vaelib.support import files, paths
from vaelib.training import hardware

FEATURES = 256
RELIABLE = 0.80  # area under the ROC curve; below it, an attribute decides nothing
MOST_IMAGES, MOST_EPOCHS = 60_000, 12  # of training, whichever is less
LEARNING_RATE = 3e-3  # of Adam, falling to 0
# What a classifier is named by besides the faces. Raise it, with a line on what changed, whenever a classifier
# is trained otherwise.
RECIPE = 1  # the first that is numbered
DEFORMED = "deformed"  # can be told, as an attribute can


class ClassifierNetwork(nn.Module):
    """Images (n, 3, 64, 48) in [-1, 1] to features (n, 256) and, by the last layer, to answers.

    Half of the features are averages over all places, which tell attributes. Half know the places:
    of a deformed face, every part may look right.
    """

    def __init__(self, answers: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 32), (32, 64), (64, 128), (128, 128)):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.placed = nn.Linear(128 * 4 * 3, FEATURES - 128)
        self.last = nn.Linear(FEATURES, answers)

    def features(self, images: Tensor) -> Tensor:
        """Of mean 0 and variance 1 over the 256, so that distances have a scale."""
        maps = self.convolutions(images)
        both = torch.cat([maps.mean(dim=(2, 3)), F.relu(self.placed(maps.flatten(1)))], dim=1)
        return F.layer_norm(both.float(), (FEATURES,))

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.last(self.features(images))
        return answers


class Prediction(NamedTuple):
    """What the classifier says of n faces, on the CPU."""

    features: Tensor  # (n, 256)
    probabilities: Tensor  # (n, questions), of each attribute in [0, 1]
    deformed: Tensor  # (n,), the probability that the face was deformed
    factors: Tensor  # (n, factors), in deviations of the training faces, which have mean 0


@dataclass(frozen=True)
class AttributeClassifier:
    """What was learnt, and how far it can be trusted."""

    eye: ClassifierNetwork
    key: str  # other faces or another recipe make another classifier
    questions: tuple[str, ...]  # the data's attributes, or QUESTIONS
    areas: tuple[float, ...]  # under the ROC curve, on held-out faces; nan where all are alike
    deformed_area: float  # the same for telling deformed faces
    attributes: bool  # whether the questions are the data's attributes
    factors: tuple[str, ...]  # FACTORS of procedural faces, else none

    @property
    def reliable(self) -> tuple[str, ...]:
        """The attributes that may decide something."""
        pairs = zip(self.questions, self.areas, strict=True)
        return tuple(name for name, area in pairs if self.attributes and area >= RELIABLE)

    def index_of(self, name: str) -> int:
        """Which of the questions this attribute is. Raises ValueError for none of them."""
        same = [annotations.normalise_name(question) for question in self.questions]
        return same.index(annotations.normalise_name(name))

    def can_predict(self, *names: str) -> bool:
        """Whether these attributes, or DEFORMED, may decide something."""
        known = (*self.reliable, *([DEFORMED] if self.deformed_area >= RELIABLE else []))
        return {annotations.normalise_name(name) for name in names} <= {
            annotations.normalise_name(one) for one in known
        }

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """What it says of images (n, 3, 64, 48), uint8 or in [-1, 1]."""
        device = next(self.eye.parameters()).device
        half = hardware.best_precision(device) == "bfloat16"  # as it was trained
        parts = []
        for part in images.split(2 * BATCH):
            x = gaussian_blur(to_float(part) if part.dtype == torch.uint8 else part)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
                seen = self.eye.features(x.to(device, memory_format=torch.channels_last))
            parts.append(seen)
        features = torch.cat(parts)
        answers = self.eye.last(features).cpu()
        n = len(self.questions)
        yes, factors = torch.sigmoid(answers[:, : n + 1]), answers[:, n + 1 :]
        return Prediction(features.cpu(), yes[:, :n], yes[:, n], factors)


@functools.lru_cache(maxsize=1)
def classifier_for(faces: FaceSet) -> AttributeClassifier:
    """The classifier of these faces, trained on the first call and loaded on others.

    It lies in <runs>/<faces.name>/classifier-<key>, whatever the preset.
    """
    key, folder = _key(faces), _folder(faces)
    with files.locked(
        folder.with_name(f".{folder.name}.lock"), "another process trains the classifier"
    ):
        if not is_trained(faces):
            _train_into(folder, faces)
    facts = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
    questions, factors = tuple(facts["questions"]), tuple(facts["factors"])
    eye = ClassifierNetwork(len(questions) + 1 + len(factors))
    arrays = files.read_arrays(folder / "classifier.npz")
    eye.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    eye = eye.to(hardware.pick_device()).eval().requires_grad_(False)
    areas = tuple(float("nan") if area is None else area for area in facts["areas"])
    deformed = facts["deformed_area"]
    return AttributeClassifier(eye, key, questions, areas, deformed, facts["attributes"], factors)


def is_trained(faces: FaceSet) -> bool:
    """Whether the classifier of these faces can be loaded at once."""
    return (_folder(faces) / "classifier.json").exists()


def _folder(faces: FaceSet) -> Path:
    return paths.RUNS / faces.name / f"classifier-{_key(faces)}"


def _key(faces: FaceSet) -> str:
    return hashlib.sha256(f"{faces.fingerprint} {RECIPE}".encode()).hexdigest()[:10]


def area_under_curve(scores: Tensor, truth: Tensor) -> float:
    """Chance that a face where `truth` holds scores above one where not; nan if all are alike.

    The rank-sum statistic, ties counted half: Hanley and McNeil (1982).
    """
    _, place, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[place].double()
    yes = int(truth.sum())
    no = len(truth) - yes
    if not yes or not no:
        return float("nan")
    return float((ranks[truth].sum() - yes * (yes + 1) / 2) / (yes * no))


def _train_into(folder: Path, faces: FaceSet) -> None:
    """Train a classifier; its weights, and last of all what it learnt and how well."""
    device = hardware.pick_device()
    questions = faces.attribute_names or QUESTIONS
    factors = tuple(FACTORS) if faces.kind == "synthetic" else ()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        eye = ClassifierNetwork(len(questions) + 1 + len(factors)).to(device)
    eye.to(memory_format=torch.channels_last)
    budget = min(MOST_IMAGES, MOST_EPOCHS * len(faces.train))
    optimizer = torch.optim.Adam(eye.parameters(), lr=LEARNING_RATE)
    steps = -(-budget // BATCH) + MOST_EPOCHS  # a batch may be short at the end of an epoch
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    half = hardware.best_precision(device) == "bfloat16"
    for x, *told in training_batches(faces, budget):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            answers = eye(x.to(device, memory_format=torch.channels_last)).float()
        loss = _loss(answers, *(one.to(device) for one in told))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    classifier = AttributeClassifier(
        eye.eval(), "", questions, (), 0.0, bool(faces.attribute_names), factors
    )
    x, truth, deformed = held_out_set(faces)
    said = classifier.predict(x)
    intact = ~deformed
    areas = [
        area_under_curve(said.probabilities[intact, i], truth[intact, i])
        for i in range(len(questions))
    ]
    weights = {name: tensor.cpu().contiguous().numpy() for name, tensor in eye.state_dict().items()}
    files.write_arrays(folder / "classifier.npz", weights)
    facts = {
        "questions": questions,
        "areas": [area if area == area else None for area in areas],
        "deformed_area": area_under_curve(said.deformed, deformed),
        "factors": factors,
        "attributes": classifier.attributes,
        "images": budget,
    }
    files.write_json(folder / "classifier.json", facts)


def _loss(answers: Tensor, yes: Tensor, deformed: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy of all answers and squared error of factors; of a deformed face, only that."""
    n, intact = yes.shape[1], (1 - deformed)[:, None]
    known = F.binary_cross_entropy_with_logits(answers[:, :n], yes, weight=intact.expand_as(yes))
    told = F.binary_cross_entropy_with_logits(answers[:, n], deformed)
    factors = answers[:, n + 1 :]
    if factors.shape[1]:
        known = known + 0.1 * (intact * (factors - wanted).square()).mean()
    return known + 0.3 * told
