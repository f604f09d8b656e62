"""A face is drawn the same everywhere; a factor changes what it names; nothing is cut off."""

import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.faces.people import anywhere, facing, with_factors
from vaelib.config import IMAGE_SHAPE
from vaelib.faces import body, hair_and_hats, render
from vaelib.faces.attributes import ATTRIBUTE_NAMES, attributes_of
from vaelib.faces.factors import RANGES, Factors
from vaelib.faces.sampling import sample

# In a process of its own: what is drawn, and how much memory 3,000 faces need at the worst.
ELSEWHERE = """
import resource
from hashlib import sha256
from vaelib.faces import factors, render, sampling
faces = sampling.sample(300, seed=3)
values = b"".join(getattr(faces, name).numpy().tobytes() for name in factors.RANGES)
print(sha256(values).hexdigest(), sha256(render.render(faces).numpy().tobytes()).hexdigest())
many = sampling.sample(3_000, seed=3)
render.render(many[:600])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
render.render(many)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.fixture(scope="module")
def whole() -> Tensor:
    return render.render(sample(300, seed=3))


# --- the same everywhere


def test_a_face_is_the_same_in_any_part_of_all(whole: Tensor) -> None:
    for part in (slice(0, 1), slice(40, 77), slice(100, 293), slice(299, 300)):
        assert torch.equal(render.render(sample(300, seed=3)[part]), whole[part])


def test_a_face_is_the_same_in_a_batch_of_any_size(
    whole: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for batch in (1, 7, 299, 1000):
        n = min(300, 20 * batch)
        monkeypatch.setattr(render, "BATCH", batch)
        assert torch.equal(render.render(sample(n, seed=3)), whole[:n])


def test_a_face_is_the_same_on_any_number_of_threads(whole: Tensor) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(render.render(sample(300, seed=3)), whole)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_another_process_draws_the_same_and_needs_little_memory(whole: Tensor) -> None:
    command = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    factors_digest, pixels_digest, kibibytes = done.stdout.split()
    factors = sample(300, seed=3)
    values = b"".join(getattr(factors, name).numpy().tobytes() for name in RANGES)
    assert factors_digest == sha256(values).hexdigest()
    assert pixels_digest == sha256(whole.numpy().tobytes()).hexdigest()
    pictures = 3_000 * int(np.prod(IMAGE_SHAPE)) / 1024
    assert int(kibibytes) < 2.5 * pictures  # as float32 they would be 4 times as large


def test_another_seed_gives_other_faces(whole: Tensor) -> None:
    other = render.render(sample(300, seed=4))
    assert (whole != other).flatten(1).any(dim=1).all()


def test_no_two_faces_of_a_seed_are_alike(whole: Tensor) -> None:
    assert len(whole.flatten(1).unique(dim=0)) == len(whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_draws_the_same_within_one_grey_level(whole: Tensor) -> None:
    drawn = render.render(sample(300, seed=3).to("cuda"))
    assert drawn.device.type == "cuda"
    assert (drawn.cpu().int() - whole.int()).abs().max() <= 1


def test_generate_gives_pixels_and_attributes_of_the_same_faces() -> None:
    pixels, attributes = render.generate(70, seed=2)
    factors = sample(70, seed=2)
    assert pixels.dtype == np.uint8
    assert attributes.dtype == np.bool_
    assert np.array_equal(pixels, render.render(factors).numpy())
    assert np.array_equal(attributes, attributes_of(factors).numpy())


def test_no_faces_can_be_generated() -> None:
    pixels, attributes = render.generate(0, seed=0)
    assert pixels.shape == (0, *IMAGE_SHAPE)
    assert attributes.shape == (0, len(ATTRIBUTE_NAMES))


# --- pixels on the whole


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    """Faces as a network sees them, in [-1, 1]."""
    return render.render(sample(1024, seed=0)).float() / 127.5 - 1


def test_pixels_vary_about_as_much_as_in_celeba(pixels: Tensor) -> None:
    assert 0.2 < pixels.var(dim=0).mean() < 0.4  # CelebA: 0.32


def test_faces_are_neither_dark_nor_bright_on_the_whole(pixels: Tensor) -> None:
    assert -0.4 < pixels.mean() < 0.4


def test_the_mean_face_is_redder_than_what_is_around_it(pixels: Tensor) -> None:
    mean = pixels.mean(dim=0)
    red = mean[0] - mean[2]
    corners = torch.stack([red[:8, :8].mean(), red[:8, -8:].mean()])
    assert red[30:46, 18:30].mean() > corners.max() + 0.2


def test_the_mean_face_has_dark_eyes_in_bright_skin(pixels: Tensor) -> None:
    grey = pixels.mean(dim=(0, 1))
    eyes, cheeks = grey[31:34, 15:33].mean(), grey[37:42, 15:33].mean()
    assert eyes < cheeks - 0.1


# --- a factor changes what it names, and nothing else

# Name, two values, and the rows of the picture that may differ between them.
OWN_ROWS = (
    ("glasses", 0, 1, (28, 39)),
    ("glasses", 0, 2, (28, 39)),
    ("eye_open", 0.1, 1, (28, 36)),
    ("gaze", -1, 1, (30, 35)),
    ("iris", 0, 1, (30, 35)),
    ("brow_weight", 0, 1, (27, 33)),
    ("nose_length", 6, 8.5, (34, 48)),
    ("smile", -0.3, 1, (28, 52)),
    ("mouth_open", 0, 1, (41, 53)),
    ("lipstick", 0, 1, (41, 51)),
    ("rouge", 0, 1, (34, 46)),
    ("moustache", 0, 1, (38, 47)),
    ("beard", 0, 1, (39, 57)),
    ("earrings", 0, 1, (38, 44)),
    ("hat", 0, 1, (0, 36)),
    ("hat", 0, 2, (0, 36)),
    ("hat", 0, 3, (0, 36)),
    ("jaw_length", -2, 2, (32, 61)),
    ("jaw_width", -0.25, 0.25, (32, 58)),
    ("cloth_hue", 0, 0.5, (53, 64)),
    ("cloth_value", 0, 1, (53, 64)),
    ("neckline", 0, 1, (53, 64)),
    ("tie", 0, 1, (53, 64)),
)


def change(people: Factors, **values: float) -> Tensor:
    """How far each pixel (64, 48) changes at most, over faces and colours, in levels of grey."""
    before = render.render(people).int()
    after = render.render(with_factors(people, **values)).int()
    return (before - after).abs().amax(dim=(0, 1))


@pytest.mark.slow
def test_a_factor_changes_its_own_rows_alone() -> None:
    unchanged, spread = [], []
    for name, low, high, rows in OWN_ROWS:
        short_hair = {"hair_length": 0.0} if name in ("earrings", "tie") else {}
        people = facing(64, **{"cloth_saturation": 0.8, **short_hair, name: low})
        changed = change(people, **{name: high}).amax(dim=1)
        if changed[slice(*rows)].max() <= 20:
            unchanged.append((name, high))
        changed[slice(*rows)] = 0
        if changed.max() > 0:
            spread.append((name, high))
    assert not unchanged
    assert not spread


def test_the_background_changes_nothing_in_the_face() -> None:
    for name in (name for name in RANGES if name.startswith("back_")):
        values = {"back_saturation": 0.6, "back_slope": 1.0, "back_clutter": 1.0, name: 0.0}
        changed = change(facing(64, **values), **{name: 0.6})
        assert changed[:8].max() > 20, name
        assert changed[26:46, 18:30].max() == 0, name


def test_noise_changes_no_mean() -> None:
    without = facing(64, back_value=0.5)
    noisy = with_factors(without, noise=0.02)
    drawn = render.render(noisy).float() - render.render(without).float()
    assert drawn.std() > 3
    assert drawn.mean().abs() < 0.1


def test_darker_skin_is_darker() -> None:
    people = facing(8)
    tones = [with_factors(people, skin_tone=float(tone)) for tone in torch.linspace(0, 1, 9)]
    brightness = [float(render.render(p)[:, :, 22:52, 18:30].float().mean()) for p in tones]
    assert brightness == sorted(brightness, reverse=True)


# --- a head that turns, in light from a side


def centre_of_change(people: Factors, columns: slice, **values: float) -> Tensor:
    """The column about which each face changes, within these columns."""
    before = render.render(people).float()
    after = render.render(with_factors(people, **values)).float()
    weight = (before - after).abs().sum(dim=(1, 2))[:, columns]
    return (weight * torch.arange(48.0)[columns]).sum(dim=1) / weight.sum(dim=1)


def test_the_far_half_of_a_turned_face_is_narrower() -> None:
    for yaw in (-35.0, -20.0, 20.0, 35.0):
        people = facing(32, hair_length=0, fringe=0, eye_open=0.1, yaw=yaw, nose_width=0.8)
        nose = centre_of_change(people, slice(0, 48), nose_width=1.4)
        middle = int(nose.mean())
        left = nose - centre_of_change(people, slice(0, middle), eye_open=1.0)
        right = centre_of_change(people, slice(middle, 48), eye_open=1.0) - nose
        near, far = (left, right) if yaw > 0 else (right, left)
        assert (far < 0.8 * near).all(), yaw


def test_a_turned_head_is_the_mirror_of_one_turned_the_other_way() -> None:
    for yaw in (15.0, 30.0, 45.0):
        right = render.render(facing(16, yaw=yaw)).float()
        left = render.render(facing(16, yaw=-yaw)).float()
        assert (right - left.flip(-1)).abs().mean() < 0.25 * (right - left).abs().mean(), yaw


def test_faces_are_less_symmetrical_the_further_they_turn() -> None:
    asymmetry = []
    for yaw in (0.0, 15.0, 30.0, 45.0):
        mean = render.render(facing(32, yaw=yaw)).float().mean(dim=0)
        asymmetry.append(float((mean - mean.flip(-1)).abs().mean()))
    assert asymmetry == sorted(asymmetry)
    assert asymmetry[-1] > 3 * asymmetry[0]


def test_the_side_towards_the_light_is_brighter() -> None:
    for strength in (0.25, 0.75):
        slope = []
        for azimuth in (-60, -30, 0, 30, 60):
            people = facing(32, light_azimuth=azimuth, light_strength=strength)
            face = render.render(people)[:, :, 34:46].float().mean(dim=(0, 1, 2))
            slope.append(float(face[25:33].mean() - face[15:23].mean()))
        assert slope == sorted(slope)
        assert slope[-1] > 10 * strength > -10 * strength > slope[0]


# --- nothing is cut off


@pytest.mark.slow
def test_nothing_is_cut_off_by_the_rows_it_is_drawn_in(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = anywhere(576)
    drawn = render.render(factors).int()
    offenders = []
    for module, rows in (
        (body, "EAR_ROWS"),
        (body, "BODY_ROWS"),
        (hair_and_hats, "LONG_HAIR_ROWS"),
        (hair_and_hats, "BUN_ROWS"),
        (hair_and_hats, "HAT_ROWS"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, rows, slice(0, IMAGE_SHAPE[1]))
            if (render.render(factors).int() - drawn).abs().max() > 2:
                offenders.append(rows)
    assert not offenders
