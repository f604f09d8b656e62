"""A judge of faces: a small network that learnt from the training faces what can be told of one.

Its probabilities say which attributes a generated face has, and its features how far faces are
from each other. What it learns depends on the faces:

- the data's attributes, where there are any;
- of procedural faces also the factors that they were drawn from;
- of faces without attributes, what can be asked of any picture: to which corner it was cropped,
  whether it is upside down, whether its colours were made warmer.
"""

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelib import device as hardware
from vaelib import faces as procedural
from vaelib import files, lists, paths
from vaelib.data import FaceSet, evenly, flip, to_float

FEATURES = 128
RELIABLE = 0.80  # area under the ROC curve; below it, an attribute decides nothing
MOST_IMAGES, MOST_EPOCHS = 40_000, 12  # of training, whichever is less
BATCH = 128
LEARNING_RATE = 3e-3  # of Adam, falling to 0
BLUR = 1.5  # pixels, at most: what is drawn shall be judged, not how sharply
MOST_HELD_OUT = 4_000  # faces behind each area
QUESTIONS = ("cropped to the left", "cropped to the top", "upside down", "warmer")

# Of procedural faces: pose, skin and hair; by how much the mirror image's is multiplied.
FACTORS = {"yaw": -1.0, "skin_tone": 1.0, "melanin": 1.0}


class Eye(nn.Module):
    """Images (n, 3, 64, 48) in [-1, 1] to features (n, 128) and, by the last layer, to answers."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 32), (32, 64), (64, 128), (128, FEATURES)):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.last = nn.Linear(FEATURES, answers)

    def features(self, images: Tensor) -> Tensor:
        """The mean of the last feature maps over their 4 x 3 places."""
        found: Tensor = self.convolutions(images).mean(dim=(2, 3))
        return found

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.last(self.features(images))
        return answers


class Told(NamedTuple):
    """What the judge says of n faces, on the CPU."""

    features: Tensor  # (n, 128)
    probabilities: Tensor  # (n, questions), of each attribute in [0, 1]
    factors: Tensor  # (n, factors), in deviations of the training faces, which have mean 0


@dataclass(frozen=True)
class Judge:
    """What was learnt, and how far it can be trusted."""

    eye: Eye
    key: str  # other faces or other code make another judge
    questions: tuple[str, ...]  # the data's attributes, or QUESTIONS
    areas: tuple[float, ...]  # under the ROC curve, on held-out faces; nan where all are alike
    attributes: bool  # whether the questions are the data's attributes
    factors: tuple[str, ...]  # FACTORS of procedural faces, else none

    @property
    def reliable(self) -> tuple[str, ...]:
        """The attributes that may decide something."""
        pairs = zip(self.questions, self.areas, strict=True)
        return tuple(name for name, area in pairs if self.attributes and area >= RELIABLE)

    def place(self, name: str) -> int:
        """Which of the questions this attribute is. Raises ValueError for none of them."""
        same = [lists.same_name(question) for question in self.questions]
        return same.index(lists.same_name(name))

    def can_tell(self, *names: str) -> bool:
        """Whether these attributes may decide something."""
        reliable = {lists.same_name(name) for name in self.reliable}
        return {lists.same_name(name) for name in names} <= reliable

    @torch.no_grad()
    def tell(self, images: Tensor) -> Told:
        """What it says of images (n, 3, 64, 48), uint8 or in [-1, 1]."""
        device = next(self.eye.parameters()).device
        parts = []
        for part in images.split(2 * BATCH):
            x = to_float(part) if part.dtype == torch.uint8 else part
            parts.append(self.eye.features(x.to(device)))
        features = torch.cat(parts)
        answers = self.eye.last(features).float().cpu()
        yes, factors = answers.tensor_split([len(self.questions)], dim=1)
        return Told(features.float().cpu(), torch.sigmoid(yes), factors)


@functools.lru_cache(maxsize=1)
def judge_of(faces: FaceSet) -> Judge:
    """The judge of these faces, trained on the first call and loaded on others.

    It lies in <runs>/<faces.name>/judge-<key>, whatever the preset.
    """
    told = f"{faces.fingerprint} {Path(__file__).read_text(encoding='utf-8')}"
    key = hashlib.sha256(told.encode()).hexdigest()[:10]
    folder = paths.RUNS / faces.name / f"judge-{key}"
    with files.alone(folder.with_name(f".{folder.name}.lock"), "another process trains the judge"):
        if not (folder / "judge.json").exists():
            _train_into(folder, faces)
    facts = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    questions, factors = tuple(facts["questions"]), tuple(facts["factors"])
    eye = Eye(len(questions) + len(factors))
    arrays = files.read_arrays(folder / "judge.npz")
    eye.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    eye = eye.to(hardware.pick_device()).eval().requires_grad_(False)
    areas = tuple(float("nan") if area is None else area for area in facts["areas"])
    return Judge(eye, key, questions, areas, facts["attributes"], factors)


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
    """Train a judge; its weights, and last of all what it learnt and how well."""
    device = hardware.pick_device()
    questions = faces.attribute_names or QUESTIONS
    factors = tuple(FACTORS) if faces.kind == "synthetic" else ()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        eye = Eye(len(questions) + len(factors)).to(device).to(memory_format=torch.channels_last)
    budget = min(MOST_IMAGES, MOST_EPOCHS * len(faces.train))
    optimizer = torch.optim.Adam(eye.parameters(), lr=LEARNING_RATE)
    steps = -(-budget // BATCH) + MOST_EPOCHS  # a batch may be short at the end of an epoch
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    half = hardware.best_precision(device) == "bfloat16"
    for x, *told in _lessons(faces, budget):
        yes, wanted = (one.to(device) for one in told)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            answers = eye(x.to(device, memory_format=torch.channels_last)).float()
        said, factors_said = answers.tensor_split([len(questions)], dim=1)
        loss = F.binary_cross_entropy_with_logits(said, yes)
        if factors:
            loss = loss + 0.1 * F.mse_loss(factors_said, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    judge = Judge(eye.eval(), "", questions, (), bool(faces.attribute_names), factors)
    x, truth = _examination(faces)
    told_of = judge.tell(x).probabilities
    areas = [area_under_curve(told_of[:, i], truth[:, i]) for i in range(len(questions))]
    weights = {name: tensor.cpu().contiguous().numpy() for name, tensor in eye.state_dict().items()}
    files.write_arrays(folder / "judge.npz", weights)
    facts = {
        "questions": questions,
        "areas": [area if area == area else None for area in areas],
        "factors": factors,
        "attributes": judge.attributes,
        "images": budget,
    }
    files.write_json(folder / "judge.json", facts)


def _lessons(faces: FaceSet, budget: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches of images in [-1, 1], mirrored and blurred at random, with answers and factors."""
    generator = torch.Generator().manual_seed(0)
    train, factors = faces.train, _factors(faces)
    signs = torch.tensor(list(FACTORS.values()))
    while budget > 0:
        order = train[torch.randperm(len(train), generator=generator)]
        for chosen in order[:budget].split(BATCH):
            mirrored = torch.rand(len(chosen), generator=generator) < 0.5
            images = flip(faces.images[chosen], mirrored)
            x, answers = _asked(faces, chosen, images, generator)
            wanted = torch.where(mirrored[:, None], signs * factors[chosen], factors[chosen])
            yield _blurred(x, BLUR * float(torch.rand(1, generator=generator))), answers, wanted
        budget -= len(train)


def _factors(faces: FaceSet) -> Tensor:
    """FACTORS of all faces in deviations of the training faces, (N, factors); else zeros."""
    if faces.kind != "synthetic":
        return torch.zeros(len(faces.images), len(FACTORS))
    drawn = procedural.sample(len(faces.images), 0)  # as `prepare` draws them
    factors = torch.stack([getattr(drawn, name) for name in FACTORS], dim=1)
    learnt = factors[faces.train]
    return (factors - learnt.mean(dim=0)) / learnt.std(dim=0)


def _examination(faces: FaceSet) -> tuple[Tensor, Tensor]:
    """Held-out faces, and the true answers, bool."""
    held_out = evenly(torch.cat([faces.validation, faces.test]), MOST_HELD_OUT)
    generator = torch.Generator().manual_seed(1)
    x, answers = _asked(faces, held_out, faces.images[held_out], generator)
    return x, answers.bool()


def _asked(
    faces: FaceSet, chosen: Tensor, images: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    if faces.attributes is not None:
        return to_float(images), faces.attributes[chosen].float()
    return _questioned(to_float(images), generator)


def _questioned(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image changed at random in the four ways of QUESTIONS, and which of them it was."""
    answers = torch.rand(len(x), len(QUESTIONS), generator=generator) < 0.5
    left, top, upside_down, warmer = answers.T
    height, width = x.shape[2:]
    rows = torch.arange(height) * 7 // 8 + (~top)[:, None] * (height // 8)
    columns = torch.arange(width) * 7 // 8 + (~left)[:, None] * (width // 8)
    number = torch.arange(len(x))[:, None, None]
    cropped = x.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]]
    cropped = torch.where(upside_down[:, None, None, None], cropped.flip(1), cropped)
    shift = torch.tensor([0.15, 0.0, -0.15]) * (2 * warmer.float() - 1)[:, None]
    changed = (cropped + shift[:, None, None]).clamp(-1, 1)
    return changed.permute(0, 3, 1, 2), answers.float()


def _blurred(x: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of so many pixels; of hardly any, the images themselves."""
    if sigma < 0.3:
        return x
    down, across = (_blur(size, sigma) for size in x.shape[2:])
    return down @ x @ across.T


def _blur(size: int, sigma: float) -> Tensor:
    """The matrix (size, size) that blurs along one side; the edge goes on for ever."""
    places = torch.arange(size)
    offsets = torch.arange(-4, 5)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    reached = (places[:, None] + offsets).clamp(0, size - 1)
    matrix = torch.zeros(size, size)
    return matrix.scatter_add_(1, reached, (weights / weights.sum()).expand(size, -1))
