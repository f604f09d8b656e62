"""Procedural faces: the same everywhere, as frequent as in CelebA, and moved by their factors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from vaelib import face_parts, faces
from vaelib.config import IMAGE_SHAPE
from vaelib.errors import InputError
from vaelib.faces import ATTRIBUTES, RANGES, Factors

EYE_ROWS, MOUTH_ROWS = slice(24, 42), slice(34, 60)


@pytest.fixture(scope="module")
def many() -> Factors:
    return faces.sample(20_000, seed=0)


def neutral(n: int) -> Factors:
    """Bareheaded, facing us, lit from the front: the background and the person are those of n."""
    still = dict.fromkeys(
        ("pitch", "roll", "shift_x", "shift_y", "light_azimuth", "glasses", "yaw", "parting"), 0.0
    )
    told = {name: torch.full((n,), value) for name, value in still.items()}
    return replace(faces.sample(n, seed=1), **told, size=torch.ones(n))


def differ(a: Tensor, b: Tensor) -> Tensor:
    """Largest difference of two renderings in each row and column, over faces and channels."""
    return (a.int() - b.int()).abs().amax(dim=(0, 1))


def anywhere(n: int) -> Factors:
    """Factors from all over their ranges, as a slider may set them."""
    dice = torch.Generator().manual_seed(0)
    return Factors(
        **{
            k: low + (high - low) * torch.rand(n, generator=dice)
            for k, (low, high) in RANGES.items()
        }
    )


def test_a_face_is_the_same_in_a_batch_of_any_size() -> None:
    whole = faces.render(faces.sample(150, seed=3))
    for start, n in ((0, 1), (70, 1), (40, 37), (149, 1)):
        part = faces.render(faces.sample(n, seed=3, start=start))
        assert torch.equal(part, whole[start : start + n])


def test_the_first_uniforms_are_those_of_every_machine() -> None:
    exact = (faces.sample(3, seed=5).age * 2**24).long()  # computed in Python integers as well
    assert exact.tolist() == [733350, 4969662, 6693046]


def test_another_seed_gives_other_faces() -> None:
    one, other = faces.render(faces.sample(4, seed=0)), faces.render(faces.sample(4, seed=1))
    assert (one != other).flatten(1).any(dim=1).all()


def test_two_streams_of_factors_are_independent(many: Factors) -> None:
    told = torch.stack([many.yaw, many.age, many.smile, many.back_hue, many.light_azimuth])
    correlation = torch.corrcoef(told) - torch.eye(5)
    assert correlation.abs().max() < 0.03


def test_generate_gives_pixels_and_attributes_of_the_same_faces() -> None:
    pixels, told = faces.generate(70, seed=2)
    factors = faces.sample(70, seed=2)
    assert pixels.shape == (70, *IMAGE_SHAPE)
    assert pixels.dtype == np.uint8
    assert told.shape == (70, len(ATTRIBUTES))
    assert told.dtype == np.bool_
    assert np.array_equal(pixels, faces.render(factors).numpy())
    assert np.array_equal(told, faces.attributes(factors).numpy())


def test_no_faces_can_be_asked_for() -> None:
    pixels, told = faces.generate(0, seed=0)
    assert pixels.shape == (0, *IMAGE_SHAPE)
    assert told.shape == (0, len(ATTRIBUTES))


@pytest.mark.parametrize(
    ("name", "percent"),
    [
        ("Bald", 2.2),
        ("Black_Hair", 23.9),
        ("Blond_Hair", 14.8),
        ("Brown_Hair", 20.5),
        ("Eyeglasses", 6.5),
        ("Gray_Hair", 4.2),
        ("Male", 41.7),
        ("Mouth_Slightly_Open", 48.3),
        ("No_Beard", 83.5),
        ("Pale_Skin", 4.3),
        ("Smiling", 48.2),
        ("Wearing_Lipstick", 47.2),
        ("Young", 77.4),
    ],
)
def test_attributes_are_as_frequent_as_in_celeba(many: Factors, name: str, percent: float) -> None:
    share = 100 * faces.attributes(many)[:, ATTRIBUTES.index(name)].float().mean()
    assert share == pytest.approx(percent, abs=0.5 + 0.05 * percent)


def test_nobody_has_two_colours_of_hair(many: Factors) -> None:
    hair = [i for i, name in enumerate(ATTRIBUTES) if name.endswith("_Hair") or name == "Bald"]
    assert len(hair) == 5
    assert faces.attributes(many)[:, hair].sum(dim=1).max() == 1


def test_pixels_vary_about_as_much_as_in_celeba() -> None:
    pixels = faces.render(faces.sample(512, seed=0)).float() / 127.5 - 1
    assert 0.2 < pixels.var(dim=0).mean() < 0.4  # CelebA: 0.32


def test_every_factor_can_be_seen() -> None:
    worn = ("glasses", "shirt", "neckline", "back_clutter", "back_saturation", "cloth_saturation")
    told = {name: torch.ones(6) for name in worn} | {"hair_length": torch.full((6,), 0.6)}
    dressed = replace(faces.sample(6, seed=4), **told)
    unseen = []
    for name, (low, high) in RANGES.items():
        two = low, low + 0.6 * (high - low)  # a hue is the same at both ends
        one, other = (replace(dressed, **{name: torch.full((6,), value)}) for value in two)
        if differ(faces.render(one), faces.render(other)).max() < 10:
            unseen.append(name)
    assert unseen == []


def test_nothing_is_cut_off_by_the_rows_it_is_drawn_in(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = anywhere(64)
    within = faces.render(factors)
    for window in ("EYES", "MOUTH", "BODY"):
        monkeypatch.setattr(face_parts, window, slice(0, IMAGE_SHAPE[1]))
    assert differ(within, faces.render(factors)).max() <= 2


@pytest.mark.parametrize("turn", [15.0, 30.0, 45.0])
def test_a_turned_head_is_the_mirror_of_one_turned_the_other_way(turn: float) -> None:
    factors = neutral(16)
    plain = {"back_slope": 0.0, "back_clutter": 0.0, "gaze": 0.0, "hair_wave": 0.0}
    factors = replace(factors, **{k: torch.full((16,), v) for k, v in plain.items()})
    right = faces.render(replace(factors, yaw=torch.full((16,), turn))).float()
    left = faces.render(replace(factors, yaw=torch.full((16,), -turn))).float()
    across = (right - left).abs().mean()
    assert (right - left.flip(-1)).abs().mean() < 0.25 * across


def test_faces_are_less_symmetrical_the_further_they_turn() -> None:
    factors = neutral(32)
    uneven = []
    for turn in (0.0, 15.0, 30.0, 45.0):
        mean = faces.render(replace(factors, yaw=torch.full((32,), turn))).float().mean(dim=0)
        uneven.append(float((mean - mean.flip(-1)).abs().mean()))
    assert uneven == sorted(uneven)
    assert uneven[-1] > 3 * uneven[0]


def test_glasses_change_the_eyes_alone() -> None:
    without = neutral(32)
    changed = differ(faces.render(without), faces.render(replace(without, glasses=torch.ones(32))))
    assert changed[EYE_ROWS].max() > 60
    changed[EYE_ROWS] = 0
    assert changed.max() == 0


def test_a_smile_changes_the_lower_face_alone() -> None:
    without = replace(neutral(32), smile=torch.zeros(32))
    changed = differ(faces.render(without), faces.render(replace(without, smile=torch.ones(32))))
    assert changed[MOUTH_ROWS].max() > 60
    changed[MOUTH_ROWS] = 0
    assert changed.max() <= 8  # cheeks rise, and that is seen faintly below the eyes


def test_darker_skin_is_darker() -> None:
    bright = []
    for tone in torch.linspace(0, 1, 9):
        pictures = faces.render(replace(neutral(8), skin_tone=tone.expand(8)))
        bright.append(float(pictures[:, :, 22:52, 18:30].float().mean()))
    assert bright == sorted(bright, reverse=True)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("yaw", torch.tensor([0.0, 90.0]), "yaw is 90; it must lie between -45 and 45"),
        ("smile", torch.tensor([0.0, float("nan")]), "smile is nan; it must lie"),
        ("gray", torch.tensor([0.0, float("inf")]), "gray is inf; it must lie"),
        ("age", torch.zeros(3), r"age is torch.float32 of shape \(3,\); it must be"),
        ("age", torch.zeros(2, dtype=torch.int64), "age is torch.int64"),
    ],
)
def test_a_wrong_factor_is_refused_in_one_line(name: str, value: Tensor, says: str) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        replace(faces.sample(2, seed=0), **{name: value})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("wrong", ["n", "seed", "start"])
def test_a_negative_number_is_refused(wrong: str) -> None:
    asked = {"n": 1, "seed": 0, "start": 0, wrong: -1}
    with pytest.raises(InputError, match=f"{wrong} is -1; it must lie between"):
        faces.sample(**asked)
