"""What every model is compared with: held-out faces, their classifier and their detectors."""

import functools

import torch

from vaelib.data import FaceSet, evenly_spaced, to_float
from vaelib.evaluation import bootstrap, distribution_metrics, image_metrics
from vaelib.evaluation.attributes import AttributeClassifier, Prediction, classifier_for
from vaelib.evaluation.bootstrap import Measures
from vaelib.evaluation.detector import Detectors, detectors_for

MAX_FACES = 500  # held-out faces behind errors
MAX_COMPARED = 1_000  # held-out and generated faces behind distances
MAX_PAIRS = 64  # interpolations


class HeldOutFaces:
    """The held-out faces that every model is compared with, and the instruments that compare."""

    def __init__(
        self, faces: FaceSet, classifier: AttributeClassifier, detectors: Detectors
    ) -> None:
        self.classifier, self.detectors = classifier, detectors
        pairs = min(MAX_PAIRS, len(faces.test) // 2)
        self.test_images = faces.images[evenly_spaced(faces.test, MAX_FACES)]
        self.interpolation_ends = faces.images[evenly_spaced(faces.test, 2 * pairs)]
        compared = evenly_spaced(torch.cat([faces.validation, faces.test]), MAX_COMPARED)
        images = to_float(faces.images[compared])
        self.prediction = classifier.predict(images)
        self.appearance = image_metrics.appearance(images)
        self.attributes = None if faces.attributes is None else faces.attributes[compared].double()

    def true_frequencies(self) -> dict[str, float]:
        """Frequency of each attribute that the classifier can predict; none without attributes."""
        if self.attributes is None:
            return {}
        means = self.attributes.mean(dim=0)
        return {
            name: float(means[self.classifier.index_of(name)]) for name in self.classifier.reliable
        }

    def frequencies(self, prediction: Prediction) -> Measures:
        """The same of the faces that were predicted, (1 + REPLICATES,) each.

        The mean of the predicted probabilities, corrected by the ratio of the true frequency to the
        mean prediction on held-out faces.
        """
        if self.attributes is None:
            return {}
        weights = bootstrap.bootstrap_weights(len(self.attributes))
        predicted = self.prediction.probabilities.double()
        correction = (weights @ self.attributes) / (weights @ predicted)
        probabilities = prediction.probabilities.double()
        means = bootstrap.bootstrap_weights(len(probabilities)) @ probabilities
        frequencies = (means * correction).clamp(0, 1)
        return {
            name: frequencies[:, self.classifier.index_of(name)]
            for name in self.classifier.reliable
        }

    def real_distance_floor(self) -> float:
        """The kernel distance between two halves of the held-out faces."""
        features = self.prediction.features
        return float(distribution_metrics.kernel_distance(features[::2], features[1::2])[0])


@functools.lru_cache(maxsize=1)
def held_out_faces(faces: FaceSet) -> HeldOutFaces:
    """The held-out faces, with a classifier and detectors made ready on the first call."""
    return HeldOutFaces(faces, classifier_for(faces), detectors_for(faces))
