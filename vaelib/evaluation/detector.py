"""Face detectors of two libraries, trained elsewhere on other photos: is there a face in an image?

- OpenCV's cascade of Haar features (Viola and Jones, 2001; Lienhart and Maydt, 2002) decides.
- dlib's histograms of oriented gradients before a linear classifier (Dalal and Triggs, 2005; King,
  2015), which works in another way and learnt from other photos, must not contradict it.

Both wheels carry their model, so nothing is downloaded and nothing was trained here. A detector
gives each image a score. From which score on a face counts as found is chosen on faces and on
images without one, for each data set anew, before any model is looked at: see `calibrate`.
"""

import functools
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Literal

import cv2
import dlib
import msgspec
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelib.data import FaceSet, evenly_spaced, to_float, to_uint8
from vaelib.evaluation import altered_faces
from vaelib.sources.alignment import CASCADE, SCALE_STEP
from vaelib.support import checked, files, paths, progress
from vaelib.support.errors import DamagedError

DetectorName = Literal["haar", "hog"]  # the one that decides, and the second opinion
Detectors = Mapping[DetectorName, "Calibration"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Shares = Annotated[dict[str, Share], msgspec.Meta(min_length=1)]

# Part of the calibrations' key, besides the faces. Raise it, with a line on what changed, whenever
# a score or a threshold comes to another value.
RECIPE = 2  # faces that were blurred are called that

# A detector looks for a face of at least 75 or 80 pixels with something around it. 64 x 48 pixels
# become 240 x 240: enlarged, and the pixels at the edge repeated. Of the sizes and steps tried on
# faces and non-faces alone, these tell them apart as well as slower ones, or better.
ENLARGEMENT = 3
BORDER_ROWS, BORDER_COLUMNS = 24, 48

SMALLEST = 75  # pixels of the windows that the cascade looks at
LOWEST = -1.5  # score from which on dlib reports a window

DESCRIPTIONS: dict[DetectorName, str] = {
    "haar": f"OpenCV {cv2.__version__}, {CASCADE.stem}, scale step {SCALE_STEP:g}, faces from"
    f" {SMALLEST} pixels on in images enlarged {ENLARGEMENT} times",
    "hog": f"dlib {dlib.__version__}, frontal face detector, the same images",
}

MAX_CALIBRATED = 200  # held-out faces
BLUR = 1.5  # pixels, standard deviation of a blur: models draw softer faces than photos
USUAL_THRESHOLD = 3.0  # of the cascade, where there is no time to calibrate it
LEAST_GAP = 0.5  # between the shares of faces and of other images in which a face is found


def haar_scores(images: Tensor) -> Tensor:
    """How many windows agree on a face, float32 (n,): at least 1, or 0 where no window has one.

    images: (n, 3, 64, 48), uint8 or in [-1, 1]. Where several faces are found in an image, the one
    with most windows counts.
    """

    def score(enlarged: list[NDArray[Any]]) -> Iterator[float]:
        cascade = cv2.CascadeClassifier(str(CASCADE))
        for image in enlarged:
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            _, windows = cascade.detectMultiScale2(
                grey, SCALE_STEP, minNeighbors=1, minSize=(SMALLEST, SMALLEST)
            )
            yield max(windows, default=0)

    return _in_threads(score, images)


def hog_scores(images: Tensor) -> Tensor:
    """The best score of a window, float32 (n,): about 1 for a clear face, LOWEST where none is.

    images: (n, 3, 64, 48), uint8 or in [-1, 1].
    """

    def score(enlarged: list[NDArray[Any]]) -> Iterator[float]:
        if not hasattr(_of_this_thread, "hog"):
            _of_this_thread.hog = dlib.get_frontal_face_detector()
        for image in enlarged:
            _, windows, _ = _of_this_thread.hog.run(image, 0, LOWEST)
            yield max(windows, default=LOWEST)

    return _in_threads(score, images)


# dlib takes half a second to make a detector, which must not work in two threads at once.
_of_this_thread = threading.local()


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, "detector")


def _in_threads(score: Callable[[list[NDArray[Any]]], Iterator[float]], images: Tensor) -> Tensor:
    """Scores of images, a part in each thread: both libraries work outside Python's lock."""
    shares = images.tensor_split(os.cpu_count() or 1)
    parts = _threads().map(lambda part: list(score(_enlarged(part))), shares)
    return torch.tensor([value for part in parts for value in part], dtype=torch.float32)


def _enlarged(images: Tensor) -> list[NDArray[Any]]:
    """Images (n, 3, 64, 48) as a detector wants them: each uint8 (240, 240, 3)."""
    as_bytes = images if images.dtype == torch.uint8 else to_uint8(images)
    enlarged = []
    for image in as_bytes.permute(0, 2, 3, 1).contiguous().numpy():
        large = cv2.resize(
            image, None, fx=ENLARGEMENT, fy=ENLARGEMENT, interpolation=cv2.INTER_CUBIC
        )
        rows, columns = (BORDER_ROWS,) * 2, (BORDER_COLUMNS,) * 2
        enlarged.append(cv2.copyMakeBorder(large, *rows, *columns, cv2.BORDER_REPLICATE))
    return enlarged


SCORES: dict[DetectorName, Callable[[Tensor], Tensor]] = {"haar": haar_scores, "hog": hog_scores}


@dataclass(frozen=True)
class Calibration:
    """From which score on a detector finds a face, and what it finds then."""

    detector: DetectorName
    threshold: float
    faces: Shares  # of images in which a face is found, by kind of face
    others: Shares  # the same by kind of image without a whole face
    degrees: Shares  # the same of faces that were deformed, by pixels of deformation

    @property
    def gap(self) -> float:
        """How much more often a face is found where there is one; 1 is perfect, 0 is blind."""
        return mean(self.faces.values()) - mean(self.others.values())

    @property
    def can_tell(self) -> bool:
        """Whether faces of this data are told from other images well enough to judge models."""
        return self.gap >= LEAST_GAP

    def finds(self, images: Tensor) -> Tensor:
        """Whether a face is found, bool (n,); images (n, 3, 64, 48), uint8 or in [-1, 1]."""
        return SCORES[self.detector](images) >= self.threshold


def calibrate(faces: FaceSet, detector: DetectorName) -> Calibration:
    """Choose the threshold on held-out faces and on images without a face.

    It is the one with the largest gap: the share found among held-out faces and among the same
    faces blurred, less the share found among the kinds of `altered_faces.non_faces` and among
    faces deformed to the last degree, all kinds counted alike.
    """
    chosen = evenly_spaced(torch.cat([faces.validation, faces.test]), MAX_CALIBRATED)
    x = to_float(faces.images[chosen])
    score = SCORES[detector]
    of_faces = {"held out": score(x), "blurred": score(altered_faces.gaussian_blur(x, BLUR))}
    of_degrees = {
        f"{degree:g}": score(altered_faces.deformed(x, degree)) for degree in altered_faces.DEGREES
    }
    of_others = {kind: score(images) for kind, images in altered_faces.non_faces(x).items()}
    of_others["deformed beyond recognition"] = of_degrees[f"{max(altered_faces.DEGREES):g}"]
    threshold = best_threshold(of_faces, of_others)
    return Calibration(
        detector,
        threshold,
        faces={kind: _share(scores, threshold) for kind, scores in of_faces.items()},
        others={kind: _share(scores, threshold) for kind, scores in of_others.items()},
        degrees={degree: _share(scores, threshold) for degree, scores in of_degrees.items()},
    )


def best_threshold(of_faces: dict[str, Tensor], of_others: dict[str, Tensor]) -> float:
    """The lowest score with the largest gap between faces and other images, by kind of image."""
    candidates = torch.cat([*of_faces.values(), *of_others.values()]).unique().tolist()

    def gap(threshold: float) -> float:
        faces = [_share(scores, threshold) for scores in of_faces.values()]
        others = [_share(scores, threshold) for scores in of_others.values()]
        return mean(faces) - mean(others)

    return float(max(candidates, key=gap))


def _share(scores: Tensor, threshold: float) -> float:
    return float((scores >= threshold).double().mean())


def _read(file: Path) -> Detectors:
    """The calibrations in a file."""
    records = checked.read_json(file, dict[DetectorName, Calibration])
    with checked.damage_in(file):
        for name in SCORES:
            if name not in records or records[name].detector != name:
                raise ValueError(f"it has no calibration of {name}")
    return records


@functools.lru_cache(maxsize=1)
def detectors_for(faces: FaceSet) -> Detectors:
    """Both detectors, calibrated on these faces: on the first call, and loaded afterwards.

    They lie in <runs>/<faces.name>/detectors-<key>.json. A damaged file is made again, with a line
    on stderr.
    """
    digest = hashlib.sha256(f"{faces.fingerprint} {RECIPE}".encode()).hexdigest()[:10]
    file = paths.RUNS / faces.name / f"detectors-{digest}.json"
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    except DamagedError as error:
        print(f"{error}; it is made again", file=sys.stderr)
    detectors: dict[DetectorName, Calibration] = {}
    with progress.watching("calibrating face detectors", len(SCORES), "detectors") as watch:
        for name in SCORES:
            watch(len(detectors), name)
            detectors[name] = calibrate(faces, name)
        watch(len(detectors), "")
    files.write_json(file, {name: asdict(made) for name, made in detectors.items()})
    return detectors
