"""What the boxes of 01_data promise happens."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import ExifTags, Image

from tests.notebooks.try_it import Tried, boxes

NOTEBOOK = "01_data"
pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder of the notebook, with a photo in it that its camera says how to turn."""
    folder = tmp_path_factory.mktemp("out")
    photo = Image.new("RGB", (500, 300), "red")
    photo.paste("blue", (100, 0, 400, 300))
    orientation = Image.Exif()
    orientation[ExifTags.Base.Orientation] = 6  # upright it is 300 wide and 500 high
    photo.save(folder / "me.jpg", quality=95, exif=orientation)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        yield folder


def test_all_the_chosen_faces_smile(tried: dict[str, Tried]) -> None:
    _, after, *_ = tried["Finding the faces"]
    assert after["faces"].where("Smiling")[after["positions"]].all()
    assert len(after["positions"]) == 32


def test_another_factor_changes_other_pixels(tried: dict[str, Tried]) -> None:
    before, after, printed, _ = tried["Faces drawn by a program"]
    assert printed.startswith("smile, from ")
    mouth = (slice(None), slice(None), slice(40, 56))
    assert not torch.equal(after["row"][0], after["row"][-1])
    assert torch.equal(after["row"][0, :, :16], after["row"][-1, :, :16])  # hair and forehead
    assert not torch.equal(after["row"][mouth][0], after["row"][mouth][-1])
    assert not torch.equal(before["row"], after["row"])


def test_the_parts_have_about_as_many_faces_with_glasses(tried: dict[str, Tried]) -> None:
    lines = tried["Three parts that never mix"].printed.splitlines()
    shares = [float(line.split("Eyeglasses ")[1].rstrip("%")) for line in lines if "faces" in line]
    assert len(shares) == 3
    assert max(shares) - min(shares) < 6  # percent; 150 faces in each of the smaller parts


def test_a_face_at_the_side_of_a_photo_is_framed_as_it_was(tried: dict[str, Tried]) -> None:
    before, *_ = tried["From a photo to 64 x 48"]
    around_face, middle = before["framed"].astype(float)
    face = before["eight"][0].numpy().astype(float)
    assert before["crop"] == "face"
    assert abs(around_face - face).mean() < 0.5 * abs(middle - face).mean()


def test_a_photo_of_ones_own_without_a_face_is_turned_and_framed_in_its_middle(
    tried: dict[str, Tried],
) -> None:
    _, after, *_ = tried["From a photo to 64 x 48"]
    assert after["upright"].size == (300, 500)
    assert after["crop"] == "middle"
    for red, _, blue in after["framed"]:
        for row in (0, 63):  # of the 100 red pixels above and below, two thirds are cut off
            assert red[row].min() > 200
        assert blue[10:54].min() > 200


def test_without_mirroring_the_faces_stay_as_they_are(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["From bytes to numbers, and mirrored"]
    assert torch.equal(after["mirrored"], after["eight"])
    assert not torch.equal(before["mirrored"], before["eight"])


def test_no_single_picture_does_better_than_the_mean(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["What the average face leaves out"]
    assert before["error"] == pytest.approx(before["pixel_variance"], rel=0.01)
    assert after["error"] > 1.2 * before["error"]
    difference = (after["images"][0] - after["mean"]).square().mean().item()
    assert after["error"] == pytest.approx(before["error"] + difference, rel=1e-3)
    assert after["pixel_variance"] == before["pixel_variance"]  # it is recorded below


def test_the_rarest_attributes_are_shown(tried: dict[str, Tried]) -> None:
    before, after, _, pictures = tried["What is known about each face"]
    assert max(after["listed"].values()) < max(before["listed"].values())
    assert min(after["listed"].values()) == min(after["shares"].values())
    assert pictures


def test_every_box_is_tried_above(tried: dict[str, Tried]) -> None:
    assert list(tried) == [box.section for box in boxes(NOTEBOOK)]
    assert len(tried) == 7
