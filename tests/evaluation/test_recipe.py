"""Results that are kept between runs change only together with the RECIPE that they are named by.

If such a test fails, results changed: raise RECIPE in the module that it names, with a line on what
changed there, and renew the numbers in recipe.json by

    python -m tests.evaluation.test_recipe

The numbers were computed on a CPU in float32; the tolerances allow for the rounding of others.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from vaelib.config import Experiment
from vaelib.data import FaceSet, to_uint8
from vaelib.evaluation import classifier_data, classifier_training, detector, evaluate
from vaelib.evaluation.attributes import AttributeClassifier
from vaelib.evaluation.bootstrap import Measures
from vaelib.evaluation.classifier_data import TrainingBatch
from vaelib.evaluation.classifier_training import ClassifierNetwork
from vaelib.evaluation.detector import Calibration, Detectors
from vaelib.evaluation.held_out import HeldOutFaces
from vaelib.faces import render, sampling
from vaelib.faces.sampling import sample
from vaelib.model import VAE
from vaelib.sources.cache import Kind
from vaelib.support import paths
from vaelib.training import hardware
from vaelib.training.runs import HistoryRow, Run

FACES, LATENT = 48, 4
NUMBERS = Path(__file__).with_name("recipe.json")

ATTRIBUTES = ("Eyeglasses", "Wearing_Hat", "Pale_Skin", "Blond_Hair", "Gray_Hair", "Male")


def waves(n: int, phase: float) -> Tensor:
    """Smooth images (n, 3, 64, 48) in [-1, 1], each another one, drawn by a formula."""
    number = torch.arange(n).view(n, 1, 1, 1)
    channel = torch.arange(3).view(1, 3, 1, 1)
    row, column = torch.arange(64).view(1, 1, 64, 1), torch.arange(48).view(1, 1, 1, 48)
    across = torch.sin(0.11 * (1 + number % 5) * column + 0.7 * number + phase)
    return across * torch.cos(0.07 * (1 + number % 3) * row + channel - 0.3 * number)


def face_set(kind: Kind, *, with_attributes: bool) -> FaceSet:
    """Two thirds of the faces to train on, one sixth each to validate and to test."""
    number = torch.arange(FACES)
    bits = torch.stack([(number * (3 + i)) % 7 < 3 for i in range(len(ATTRIBUTES))], dim=1)
    return FaceSet(
        name="waves",
        images=to_uint8(waves(FACES, 0.0)),
        attributes=bits if with_attributes else None,
        attribute_names=ATTRIBUTES if with_attributes else (),
        split=(number % 6 - 3).clamp(min=0).to(torch.uint8),
        fingerprint="waves",
        kind=kind,
        folder=Path("nowhere"),
    )


@contextmanager
def fixed_surroundings() -> Iterator[pytest.MonkeyPatch]:
    """On a CPU in float32, and with factors that do not depend on how faces are drawn."""
    names = classifier_data.FACTORS
    drawn = {name: torch.sin(torch.arange(FACES) * 1.0 + len(name)) for name in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "pick_device", lambda: torch.device("cpu"))
        patch.setattr(hardware, "best_precision", lambda device: "float32")
        patch.setattr(sampling, "sample", lambda *_: SimpleNamespace(**drawn))
        yield patch


def moments(values: Tensor) -> list[float]:
    """Mean and standard deviation, and a weighted sum that depends on the order."""
    flat = values.double().flatten()
    weights = torch.cos(torch.arange(len(flat)) * 1.0) / len(flat) ** 0.5
    return [float(flat.mean()), float(flat.std()), float(flat @ weights.double())]


# --- what is computed


def data_numbers() -> dict[str, list[float]]:
    """Training batches and held-out sets of the classifier, with and without attributes."""
    numbers = {}
    for name, faces in (
        ("attributes", face_set("synthetic", with_attributes=True)),
        ("pretext", face_set("photos", with_attributes=False)),
    ):
        batches = list(classifier_data.training_batches(faces, FACES))
        numbers[f"{name} sizes"] = [float(len(batch.images)) for batch in batches]
        for part in TrainingBatch._fields:
            values = torch.cat([getattr(batch, part) for batch in batches])
            numbers[f"{name} {part}"] = moments(values)
        for part, values in classifier_data.held_out_set(faces)._asdict().items():
            numbers[f"{name} held-out {part}"] = moments(values)
    return numbers


@functools.cache
def trained_numbers() -> dict[str, list[float]]:
    """Losses of a few steps of the classifier, and each weight's norm and how far it moves."""
    faces = face_set("synthetic", with_attributes=True)
    outputs = len(ATTRIBUTES) + len(classifier_data.FACTORS)
    start = classifier_training.train_network(faces, outputs, budget=0).state_dict()
    losses: list[float] = []
    real_loss = classifier_training._loss

    def noted_loss(logits: Tensor, batch: TrainingBatch) -> Tensor:
        loss = real_loss(logits, batch)
        losses.append(float(loss.detach()))
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier_training, "_loss", noted_loss)
        end = classifier_training.train_network(
            faces, outputs, budget=3 * len(faces.train)
        ).state_dict()
    lengths = {
        name: [float(start[name].double().norm()), float((end[name] - start[name]).double().norm())]
        for name in start
    }
    return {"losses": losses, **lengths}


def losses() -> dict[str, list[float]]:
    return {"losses": trained_numbers()["losses"]}


def weights() -> dict[str, list[float]]:
    return {name: values for name, values in trained_numbers().items() if name != "losses"}


class Waves(VAE):
    """A model without a network: its latents are the amplitudes of a few waves."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.latent = LATENT
        self.empty = nn.Parameter(torch.zeros(0))  # whose device is that of the model
        self.directions = waves(LATENT, 0.5)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu = torch.einsum("nchw,lchw->nl", x, self.directions) / 1_000
        return mu, -2 - 0.1 * mu.square()

    def decode(self, z: Tensor) -> Tensor:
        return torch.tanh(torch.einsum("nl,lchw->nchw", z, self.directions))


def detector_numbers() -> dict[str, list[float]]:
    """Scores of a few faces by both detectors, and what they are calibrated to on them."""
    images = render.render(sample(8, 0))
    faces = replace(
        face_set("photos", with_attributes=False),
        images=images,
        split=torch.full((len(images),), 2, dtype=torch.uint8),
    )
    numbers = {}
    for name, score in detector.SCORES.items():
        calibration = detector.calibrate(faces, name)
        numbers[f"{name} scores"] = score(images).tolist()
        numbers[f"{name} threshold"] = [calibration.threshold]
        numbers[f"{name} degrees"] = list(calibration.degrees.values())
    return numbers


# In place of detectors, which find no face in waves: is an image light?
LIGHT: Detectors = {name: Calibration(name, 0, {}, {}, {}) for name in detector.SCORES}


def measure_numbers() -> dict[str, list[float]]:
    """Each measure of a fixed model by a fixed classifier: its estimate and its spread."""
    faces = face_set("photos", with_attributes=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ClassifierNetwork(len(ATTRIBUTES) + 1).eval().requires_grad_(False)
    areas = (0.9,) * len(ATTRIBUTES)
    classifier = AttributeClassifier(network, "key", ATTRIBUTES, areas, True, ())
    reference = HeldOutFaces(faces, classifier, LIGHT)
    numbers = {"distance floor": [reference.real_distance_floor()]}
    for name, values in measured(faces, classifier).items():
        replicates = values[1:][values[1:].isfinite()]
        numbers[name] = [float(values[0]), float(replicates.std())]
    with_yaw = measured(faces, replace(classifier, factors=("yaw",)))
    numbers["pose_travel by yaw"] = [float(with_yaw["pose_travel"][0])]
    return numbers


def measured(faces: FaceSet, classifier: AttributeClassifier) -> Measures:
    seen = (0, 10, 20)
    rows = [
        HistoryRow(1, "validation", images, 0.5, 0.4 - images / 100, 1, 0, 0) for images in seen
    ]
    run = Run(Path("run"), Experiment(latent=LATENT), rows)
    run.__dict__["model"] = Waves()  # in place of the one that would be loaded
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(paths, "RUNS", Path(folder))
        for name in detector.SCORES:
            patch.setitem(detector.SCORES, name, lambda images: images.mean(dim=(1, 2, 3)))
        reference = HeldOutFaces(faces, classifier, LIGHT)
        patch.setattr(evaluate, "held_out_faces", lambda faces: reference)
        return evaluate.measure(run, faces, generated=40, seed=1)


# --- what it is compared with


class Kept(NamedTuple):
    module: str  # whose RECIPE names these results
    compute: Callable[[], dict[str, list[float]]]
    relative: float  # tolerance


KEPT = {
    "classifier data": Kept("attributes", data_numbers, 1e-4),
    "classifier losses": Kept("attributes", losses, 5e-3),
    # Adam makes whole steps of gradients that are nothing but rounding.
    "classifier weights": Kept("attributes", weights, 0.05),
    # A cascade sums in whole numbers; a window more or less is a change.
    "detectors": Kept("detector", detector_numbers, 1e-3),
    # Rounding decides on which side of a neighbourhood's edge a face is.
    "measures": Kept("evaluate", measure_numbers, 0.02),
}


@pytest.mark.parametrize("what", KEPT)
def test_results_change_only_with_their_recipe(what: str) -> None:
    with fixed_surroundings():
        found = KEPT[what].compute()
    expected = json.loads(NUMBERS.read_text())[what]
    assert found.keys() == expected.keys()
    changed = {
        name: (values, expected[name])
        for name, values in found.items()
        if values != pytest.approx(expected[name], rel=KEPT[what].relative, abs=1e-5)
    }
    assert not changed, (
        f"results changed: raise RECIPE in vaelib/evaluation/{KEPT[what].module}.py, with a line"
        f" on what changed, and renew {NUMBERS.name}: {changed}"
    )


def test_every_measure_has_a_number_that_is_kept() -> None:
    assert set(evaluate.MEASURES) <= set(json.loads(NUMBERS.read_text())["measures"])


if __name__ == "__main__":
    with fixed_surroundings():
        numbers = {what: kept.compute() for what, kept in KEPT.items()}
    rounded = {
        what: {name: [float(f"{x:.7g}") for x in values] for name, values in of.items()}
        for what, of in numbers.items()
    }
    lines = json.dumps(rounded, indent=1)
    NUMBERS.write_text(re.sub(r"\n {3,}|\n  (?=\])", " ", lines) + "\n")
