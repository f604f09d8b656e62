"""Procedural faces: the same everywhere, as frequent as in CelebA, refused where they are wrong."""

import subprocess
import sys
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import refusal
from vaelib.config import IMAGE_SHAPE
from vaelib.faces import render
from vaelib.faces.factors import CODES
from vaelib.faces.render import ATTRIBUTES, RANGES, Factors
from vaelib.faces.sampling import Streams

# In a process of its own: what is drawn, and how much memory 5,000 faces need at the worst.
ELSEWHERE = """
import resource, torch
from hashlib import sha256
from vaelib import faces
factors = faces.sample(300, seed=3)
told = b"".join(getattr(factors, name).numpy().tobytes() for name in faces.RANGES)
print(sha256(told).hexdigest(), sha256(faces.render(factors).numpy().tobytes()).hexdigest())
many = faces.sample(5_000, seed=3)
faces.render(many[:600])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
faces.render(many)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.fixture(scope="module")
def many() -> Factors:
    return render.sample(50_000, seed=0)


@pytest.fixture(scope="module")
def whole() -> Tensor:
    return render.render(render.sample(300, seed=3))


@pytest.fixture(scope="module")
def elsewhere() -> list[str]:
    """What another process prints: checksums of factors and pixels, then KiB of memory."""
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, check=True)
    return done.stdout.decode().split()


# --- the same everywhere


@pytest.mark.parametrize(("start", "n"), [(0, 1), (40, 37), (100, 193), (299, 1)])
def test_a_face_is_the_same_wherever_its_part_starts(whole: Tensor, start: int, n: int) -> None:
    part = render.render(render.sample(n, seed=3, start=start))
    assert torch.equal(part, whole[start : start + n])


@pytest.mark.parametrize("batch", [1, 7, 299, 1000])
def test_a_face_is_the_same_in_a_batch_of_any_size(
    whole: Tensor, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = min(300, 20 * batch)
    monkeypatch.setattr(render, "BATCH", batch)
    assert torch.equal(render.render(render.sample(n, seed=3)), whole[:n])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_face_is_the_same_on_any_number_of_threads(whole: Tensor, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        drawn = render.render(render.sample(300, seed=3))
        left = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    assert torch.equal(drawn, whole)
    assert left == threads


def test_factors_are_the_same_in_another_process(elsewhere: list[str]) -> None:
    factors = render.sample(300, seed=3)
    told = b"".join(getattr(factors, name).numpy().tobytes() for name in RANGES)
    assert sha256(told).hexdigest() == elsewhere[0]


def test_pixels_are_the_same_in_another_process(whole: Tensor, elsewhere: list[str]) -> None:
    assert sha256(whole.numpy().tobytes()).hexdigest() == elsewhere[1]


def test_drawing_needs_little_memory_beyond_the_pictures(elsewhere: list[str]) -> None:
    pictures = 5_000 * int(np.prod(IMAGE_SHAPE)) / 1024
    assert int(elsewhere[2]) < 2.5 * pictures  # as float32 they would be 4 times as large


def test_the_first_uniforms_are_those_of_every_machine() -> None:
    exact = (render.sample(3, seed=5).age * 2**24).long()  # computed in Python integers as well
    assert exact.tolist() == [733350, 4969662, 6693046]


def test_a_stream_goes_on_where_it_was_left() -> None:
    late = Streams(3, seed=9, start=2**40).uniform("any")
    assert torch.equal(Streams(1, seed=9, start=2**40 + 2).uniform("any"), late[2:])


def test_another_seed_gives_other_faces(whole: Tensor) -> None:
    other = render.render(render.sample(300, seed=4))
    assert (whole != other).flatten(1).any(dim=1).all()


def test_no_two_faces_of_a_seed_are_alike(whole: Tensor) -> None:
    assert len(whole.flatten(1).unique(dim=0)) == len(whole)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_draws_the_same_within_one_grey_level(whole: Tensor) -> None:
    drawn = render.render(render.sample(300, seed=3).to("cuda"))
    assert drawn.device.type == "cuda"
    assert (drawn.cpu().int() - whole.int()).abs().max() <= 1


def test_generate_gives_pixels_and_attributes_of_the_same_faces() -> None:
    pixels, told = render.generate(70, seed=2)
    factors = render.sample(70, seed=2)
    assert pixels.dtype == np.uint8
    assert told.dtype == np.bool_
    assert np.array_equal(pixels, render.render(factors).numpy())
    assert np.array_equal(told, render.attributes(factors).numpy())


def test_no_faces_can_be_asked_for() -> None:
    pixels, told = render.generate(0, seed=0)
    assert pixels.shape == (0, *IMAGE_SHAPE)
    assert told.shape == (0, len(ATTRIBUTES))


# --- as frequent as in CelebA


@pytest.mark.parametrize(
    ("name", "percent", "within"),
    [
        ("5_o_Clock_Shadow", 11.1, 2),
        ("Arched_Eyebrows", 26.7, 3),
        ("Bald", 2.24, 1),
        ("Bangs", 15.2, 2),
        ("Big_Lips", 24.1, 3),
        ("Big_Nose", 23.5, 3),
        ("Black_Hair", 23.9, 2),
        ("Blond_Hair", 14.8, 1),
        ("Brown_Hair", 20.5, 2),
        ("Bushy_Eyebrows", 14.2, 2),
        ("Chubby", 5.8, 2),
        ("Eyeglasses", 6.5, 1),
        ("Gray_Hair", 4.2, 1),
        ("Male", 41.7, 2),
        ("Mouth_Slightly_Open", 48.3, 3),
        ("Mustache", 4.15, 2),
        ("Narrow_Eyes", 11.5, 2),
        ("No_Beard", 83.5, 2),
        ("Oval_Face", 28.4, 4),
        ("Pale_Skin", 4.3, 1),
        ("Receding_Hairline", 8.0, 2),
        ("Rosy_Cheeks", 6.6, 2),
        ("Smiling", 48.2, 1),
        ("Straight_Hair", 20.8, 3),
        ("Wavy_Hair", 32.0, 9),  # ours is tied as well
        ("Wearing_Earrings", 18.9, 2),
        ("Wearing_Hat", 4.85, 1),
        ("Wearing_Lipstick", 47.2, 3),
        ("Wearing_Necktie", 7.3, 2),
        ("Young", 77.4, 2),
    ],
)
def test_an_attribute_is_as_frequent_as_in_celeba(
    many: Factors, name: str, percent: float, within: float
) -> None:
    share = 100 * render.attributes(many)[:, ATTRIBUTES.index(name)].float().mean()
    assert share == pytest.approx(percent, abs=within)


def test_nobody_has_two_colours_of_hair(many: Factors) -> None:
    hair = [ATTRIBUTES.index(f"{name}_Hair") for name in ("Black", "Blond", "Brown", "Gray")]
    told = render.attributes(many)[:, [*hair, ATTRIBUTES.index("Bald")]]
    assert told.sum(dim=1).max() == 1


# --- pixels


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    """Faces as a network sees them, in [-1, 1]."""
    return render.render(render.sample(1024, seed=0)).float() / 127.5 - 1


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


# --- wrong factors


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("yaw", torch.tensor([0.0, 90.0]), "yaw is 90; it must lie between -45 and 45"),
        ("yaw", torch.tensor([-46.0, 0.0]), "yaw is -46; it must lie between -45 and 45"),
        ("smile", torch.tensor([0.0, torch.nan]), "smile is nan; it must lie"),
        ("gray", torch.tensor([0.0, torch.inf]), "gray is inf; it must lie"),
        ("age", torch.zeros(3), "age is torch.float32 of shape (3,); it must be"),
        ("age", torch.zeros(2, 1), "age is torch.float32 of shape (2, 1); it must be"),
        ("age", torch.tensor(0.0), "age is torch.float32 of shape (); it must be"),
        ("age", torch.zeros(2, dtype=torch.int64), "age is torch.int64 of shape (2,)"),
        ("age", torch.zeros(2, dtype=torch.float64), "age is torch.float64 of shape (2,)"),
        ("yaw", torch.zeros(2, 1), "yaw is torch.float32 of shape (2, 1); it must be"),
        ("hat", torch.tensor([1.0, 1.5]), "hat is 1.5; it is a code, a whole number"),
        ("hat", torch.tensor([1.0, 4.0]), "hat is 4; it must lie between 0 and 3"),
        ("glasses", torch.tensor([0.5, 0.0]), "glasses is 0.5; it is a code"),
        ("hair_style", torch.tensor([2.0, 2.1]), "hair_style is 2.1; it is a code"),
    ],
)
def test_a_wrong_factor_is_refused_by_name_and_value(name: str, value: Tensor, says: str) -> None:
    assert says in refusal(lambda: replace(render.sample(2, seed=0), **{name: value}))


@pytest.mark.parametrize("name", RANGES)
def test_the_ends_of_a_range_are_within_it(name: str) -> None:
    ends = torch.tensor(RANGES[name])
    assert getattr(replace(render.sample(2, seed=0), **{name: ends}), name) is ends


@pytest.mark.parametrize("name", RANGES)
def test_a_value_beyond_the_range_is_refused(name: str) -> None:
    value = torch.tensor([RANGES[name][1] + 1.0])
    said = refusal(lambda: replace(render.sample(1, seed=0), **{name: value}))
    assert said.startswith(f"{name} is {float(value):g}; it must lie between")


@pytest.mark.parametrize("value", [-1, 2**62])
@pytest.mark.parametrize("wrong", ["n", "seed", "start"])
def test_a_number_out_of_range_is_refused(wrong: str, value: int) -> None:
    asked = {"n": 1, "seed": 0, "start": 0, wrong: value}
    said = refusal(lambda: render.sample(**asked))
    assert f"{wrong} is {value}; it must lie between 0 and 2^62 - 1" in said


@pytest.mark.parametrize("name", RANGES)
def test_what_is_sampled_lies_within_its_range_and_uses_it(many: Factors, name: str) -> None:
    value, (low, high) = getattr(many, name), RANGES[name]
    assert low <= value.min() < value.max() <= high
    room = 0.3 if name == "noise" else 0.45  # sliders go further than photographs do
    assert value.max() - value.min() > room * (high - low)


@pytest.mark.parametrize("name", sorted(CODES))
def test_every_whole_number_of_a_code_is_sampled(many: Factors, name: str) -> None:
    assert getattr(many, name).unique().tolist() == list(range(int(RANGES[name][1]) + 1))
