"""Attribute classifiers that several tests share, each trained once per session."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from vaelib.data import FaceSet
from vaelib.evaluation.attributes import AttributeClassifier, Prediction, classifier_for
from vaelib.evaluation.detector import Calibration, Detectors
from vaelib.faces import render, sampling
from vaelib.faces.attributes import ATTRIBUTE_NAMES, attributes_of
from vaelib.faces.factors import Factors
from vaelib.sources import annotations

SMALL, LARGE = 1_500, 4_000  # procedural faces

# Detectors that tell faces from other images well enough.
SEEING: Detectors = {
    "haar": Calibration("haar", 3, {"held out": 0.9}, {"noise": 0.1}, {}),
    "hog": Calibration("hog", -1, {"held out": 0.9}, {"noise": 0.1}, {}),
}


class Trained(NamedTuple):
    """A classifier, its faces, and its prediction for those that it did not learn from."""

    factors: Factors
    faces: FaceSet
    classifier: AttributeClassifier
    held_out: Tensor  # positions
    prediction: Prediction


def face_set(images: Tensor, attributes: Tensor | None) -> FaceSet:
    """Faces split as prepared ones are; without attributes they pass for photos."""
    return FaceSet(
        name="classified",
        images=images,
        attributes=attributes,
        attribute_names=() if attributes is None else ATTRIBUTE_NAMES,
        split=torch.from_numpy(annotations.split_by_hash([str(n) for n in range(len(images))])),
        fingerprint=f"{len(images)} faces {'without' if attributes is None else 'with'} attributes",
        kind="photos" if attributes is None else "synthetic",
        folder=Path("nowhere"),
    )


def train(count: int) -> Trained:
    factors = sampling.sample(count, 0)
    faces = face_set(render.render(factors), attributes_of(factors))
    classifier, held_out = classifier_for(faces), torch.cat([faces.validation, faces.test])
    return Trained(factors, faces, classifier, held_out, classifier.predict(faces.images[held_out]))


@pytest.fixture(scope="session")
def small() -> Trained:
    """Trained in a quarter of a minute: it has learnt something of most things."""
    return train(SMALL)


@pytest.fixture(scope="session")
def large() -> Trained:
    """Trained for most of a minute: as good as these faces are ever measured with in tests."""
    return train(LARGE)
