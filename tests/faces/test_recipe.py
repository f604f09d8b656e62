"""Golden test: the faces of a seed are those that they were when the numbers here were taken.

Caches of procedural faces are named by RECIPE of vaelib.sources.prepare, not by this code. To renew
the picture after a change that is meant: python -m tests.faces.test_recipe
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tests.faces.people import anywhere
from vaelib.faces.factors import RANGES
from vaelib.faces.render import render
from vaelib.faces.sampling import sample

PICTURE = Path(__file__).with_name("golden_faces.png")
FACTORS_DIGEST = "426693e2a5a63bb97eed42d87dde8e759611f67c45742829cc2128a9e0b7aee9"
CHANGED = (
    "procedural faces changed: raise RECIPE in vaelib/sources/prepare.py, with a line on what"
    " changed, and renew the numbers of tests/faces/test_recipe.py"
)


def golden_faces() -> Tensor:
    """uint8 (24, 3, 64, 48): sampled faces, and others with factors from all over their ranges."""
    return torch.cat([render(sample(12, seed=0)), render(anywhere(12))])


def as_picture(faces: Tensor) -> np.ndarray:
    """uint8 (4 * 64, 6 * 48, 3): the faces in four rows."""
    return faces.view(4, 6, 3, 64, 48).permute(0, 3, 1, 4, 2).reshape(256, 288, 3).numpy()


def test_factors_are_the_same_to_the_last_bit() -> None:
    factors = sample(256, seed=0)
    values = b"".join(getattr(factors, name).numpy().tobytes() for name in RANGES)
    assert sha256(values).hexdigest() == FACTORS_DIGEST, CHANGED


def test_pixels_are_the_same_within_a_grey_level() -> None:
    """Processors differ by one level in one of six million values."""
    golden = np.asarray(Image.open(PICTURE), dtype=np.int16)
    difference = np.abs(as_picture(golden_faces()).astype(np.int16) - golden)
    assert difference.max() <= 1, CHANGED
    assert difference.sum() <= 10, CHANGED


if __name__ == "__main__":
    Image.fromarray(as_picture(golden_faces())).save(PICTURE, optimize=True)
