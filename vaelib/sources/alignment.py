"""A frame around a face, as CelebA's photos have it around theirs.

The face is looked for by OpenCV's cascade of Haar features (Viola and Jones, 2001; Lienhart and
Maydt, 2002), whose wheel carries it.
"""

import functools
import os
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
SCALE_STEP = 1.15  # of the windows that the cascade looks at
LEAST_WINDOWS = 3  # that must agree on a face

SEARCHED_SIDE = 640  # pixels of the longer side in which a face is looked for
CELEBA_ASPECT = 178 / 218  # width / height
# Where the cascade's window lies in CelebA's frames: its middle as shares of their width and
# height, its width as a share of theirs. Medians over 800 photos; of ten, eight are within 0.01,
# 0.01 and 0.05.
FACE_MIDDLE, FACE_WIDTH = (0.50, 0.57), 0.58

VARIABLE = "VAELIB_ALIGN"  # of the environment, so that kernels and workers follow the choice


class Box(NamedTuple):
    """A part of a photo in pixels; a frame has CelebA's aspect."""

    left: float
    top: float
    width: float
    height: float


def is_on() -> bool:
    """Whether photos that are cropped are cropped around the face in them."""
    return os.environ.get(VARIABLE, "auto") != "off"


@functools.cache
def _cascade() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(os.fspath(CASCADE))


def find_face(image: NDArray[np.uint8]) -> Box | None:
    """The window that most windows agree on, in a photo uint8 (height, width, 3); None for none.

    For one thread of a process: the cascade is shared.
    """
    height, width = image.shape[:2]
    scale = min(1.0, SEARCHED_SIDE / max(height, width))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    windows, counts = _cascade().detectMultiScale2(small, SCALE_STEP, minNeighbors=1)
    if max(counts, default=0) < LEAST_WINDOWS:
        return None
    left, top, side, _ = windows[int(np.argmax(counts))]
    return Box(*(float(value) / scale for value in (left, top, side, side)))


def frame_around(face: Box, width: float, height: float) -> Box:
    """The frame that has a face where CelebA's have theirs, within a photo of this size.

    It is smaller, or beside that place, where the photo ends.
    """
    frame_width = min(face.width / FACE_WIDTH, width, height * CELEBA_ASPECT)
    frame_height = min(frame_width / CELEBA_ASPECT, height)
    across, down = FACE_MIDDLE
    left = face.left + face.width / 2 - across * frame_width
    top = face.top + face.height / 2 - down * frame_height
    return Box(
        min(max(left, 0.0), width - frame_width),
        min(max(top, 0.0), height - frame_height),
        frame_width,
        frame_height,
    )


def middle_frame(width: float, height: float) -> Box:
    """The largest centred frame of a photo of this size."""
    frame_width, frame_height = (
        min(width, height * CELEBA_ASPECT),
        min(height, width / CELEBA_ASPECT),
    )
    return Box((width - frame_width) / 2, (height - frame_height) / 2, frame_width, frame_height)
