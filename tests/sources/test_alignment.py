"""A frame around a face, as CelebA's photos have it around theirs."""

import numpy as np
import pytest
from PIL import Image

from vaelib.faces import render
from vaelib.sources import alignment
from vaelib.sources.alignment import CELEBA_ASPECT, FACE_MIDDLE, FACE_WIDTH, Box


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    """A procedural face, of CelebA's size."""
    return Image.fromarray(render.generate(1, 5)[0][0].transpose(1, 2, 0)).resize((178, 218))


def test_a_face_is_found_where_it_is(portrait: Image.Image) -> None:
    photo = Image.new("RGB", (1_500, 900), "gray")
    photo.paste(portrait.resize((356, 436)), (800, 300))
    face = alignment.find_face(np.asarray(photo))
    assert face is not None
    middle = (face.left + face.width / 2, face.top + face.height / 2)
    across, down = FACE_MIDDLE
    assert middle == pytest.approx((800 + across * 356, 300 + down * 436), abs=0.08 * 356)
    assert face.width == pytest.approx(FACE_WIDTH * 356, rel=0.2)


def test_in_a_photo_without_a_face_none_is_found() -> None:
    assert alignment.find_face(np.zeros((300, 400, 3), np.uint8)) is None


def test_the_frame_has_the_face_where_celebas_have_theirs() -> None:
    frame = alignment.frame_around(Box(400, 300, 116, 116), 2_000, 1_000)
    assert frame.width == pytest.approx(200)
    assert frame.width / frame.height == pytest.approx(CELEBA_ASPECT)
    assert frame.left + FACE_MIDDLE[0] * frame.width == pytest.approx(458)
    assert frame.top + FACE_MIDDLE[1] * frame.height == pytest.approx(358)


@pytest.mark.parametrize("face", [Box(0, 0, 50, 50), Box(250, 150, 50, 50), Box(10, 0, 200, 200)])
def test_the_frame_stays_within_the_photo(face: Box) -> None:
    frame = alignment.frame_around(face, 300, 200)
    assert 0 <= frame.left <= 300 - frame.width + 1e-9
    assert 0 <= frame.top <= 200 - frame.height + 1e-9
    assert frame.width / frame.height == pytest.approx(CELEBA_ASPECT)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (200, 300)])
def test_the_middle_frame_is_the_largest(width: int, height: int) -> None:
    frame = alignment.middle_frame(width, height)
    assert frame.width == width or frame.height == height
    assert frame.width / frame.height == pytest.approx(CELEBA_ASPECT)
    assert frame.left + frame.width / 2 == pytest.approx(width / 2)
    assert frame.top + frame.height / 2 == pytest.approx(height / 2)
