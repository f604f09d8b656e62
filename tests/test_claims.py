"""Each measure agrees with a truth that is known without it."""

import itertools
import math
import pathlib

import pytest
import torch
from torch import Tensor

from vaelib import claims, latent
from vaelib.claims import Measures, Path, interpolation_path
from vaelib.config import IMAGE_SHAPE, Experiment
from vaelib.data import FaceSet, to_float
from vaelib.fit import evaluate
from vaelib.model import VAE, new_model

LATENT = 4
HELD_OUT = 8


def random_images(n: int, seed: int = 0) -> Tensor:
    """Images (n, 3, 64, 48) in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, *IMAGE_SHAPE, generator=generator) * 2 - 1


def flat(*greys: float) -> Tensor:
    """One interpolation of images of one grey each: (1, steps, 3, 64, 48)."""
    return torch.tensor(greys)[None, :, None, None, None].expand(1, -1, *IMAGE_SHAPE)


@pytest.fixture(scope="module")
def model() -> VAE:
    return new_model(Experiment(latent=LATENT))


@pytest.fixture
def faces() -> FaceSet:
    """20 faces of which every other one up to the sixteenth is held out."""
    generator = torch.Generator().manual_seed(0)
    count = 2 * HELD_OUT + 4
    split = torch.zeros(count, dtype=torch.uint8)
    split[0 : 2 * HELD_OUT : 2] = 2
    return FaceSet(
        name="noise",
        images=torch.randint(0, 256, (count, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator),
        attributes=None,
        attribute_names=(),
        split=split,
        fingerprint="noise",
        kind="photos",
        folder=pathlib.Path("nowhere"),
    )


# --- asymmetry


def test_symmetrical_faces_have_no_asymmetry() -> None:
    half = random_images(3)[..., :24]
    assert claims.asymmetry(torch.cat([half, half.flip(-1)], dim=-1)) == 0


def test_faces_half_black_and_half_white_have_asymmetry_two() -> None:
    images = torch.ones(3, *IMAGE_SHAPE)
    images[..., :24] = -1
    assert claims.asymmetry(images) == 2


def test_upside_down_halves_are_no_asymmetry() -> None:
    images = torch.ones(3, *IMAGE_SHAPE)
    images[..., :32, :] = -1
    assert claims.asymmetry(images) == 0


def test_asymmetry_is_the_root_mean_square_over_faces() -> None:
    images = torch.ones(2, *IMAGE_SHAPE)
    images[0, ..., :24] = -1  # 2, and the other face 0
    assert claims.asymmetry(images) == pytest.approx(math.sqrt((2**2 + 0**2) / 2))


# --- variety


def test_variety_is_how_far_two_faces_drawn_with_replacement_lie_apart() -> None:
    images = random_images(5)
    squares = []
    for one, other in itertools.product(images, repeat=2):
        difference = one.double() - other.double()
        squares.append(float((difference * difference).sum()) / difference.numel())
    apart = math.sqrt(sum(squares) / len(squares))
    assert math.sqrt(2) * claims.variety(images) == pytest.approx(apart, rel=1e-5)


def test_the_same_face_again_and_again_has_no_variety() -> None:
    assert claims.variety(random_images(1).expand(6, -1, -1, -1)) == pytest.approx(0, abs=1e-6)


# --- latents


def test_latents_are_active_from_a_variance_of_a_hundredth_on() -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(500)[:, None]
    spread = torch.tensor([0.0, 0.09, 0.11, 1.0])  # 0.1 is the standard deviation at the limit
    assert claims.active_units(signs * spread) == 2


def test_a_latent_far_from_the_centre_that_does_not_vary_is_not_active() -> None:
    assert claims.active_units(torch.full((100, 3), 5.0)) == 0


def test_nats_per_latent_add_up_to_the_kl_of_the_evaluation(
    model: VAE, faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent, "BATCH", 3)  # which does not divide the faces
    nats = claims.nats_per_latent(model, faces)
    assert nats.shape == (LATENT,)
    expected = evaluate(model, faces.images[faces.test]).kl
    assert float(nats.sum()) == pytest.approx(expected, rel=1e-5)


def test_nats_per_latent_tell_the_latents_apart(faces: FaceSet) -> None:
    model = new_model(Experiment(latent=LATENT))
    with torch.no_grad():  # the prior for every latent but the third, whose mean is 3
        for head in (model.encoder.mu, model.encoder.logvar):
            head.weight.zero_()
            head.bias.zero_()
        model.encoder.mu.bias[2] = 3
    assert claims.nats_per_latent(model, faces).tolist() == [0, 0, 4.5, 0]


# --- interpolations


def test_a_straight_line_in_pixels_is_even_and_has_no_detour() -> None:
    first, last = random_images(4, seed=1), random_images(4, seed=2)
    share = torch.linspace(0, 1, 6)[None, :, None, None, None]
    path = interpolation_path(first[:, None] + share * (last - first)[:, None])
    apart = [
        math.sqrt(float((a - b).double().pow(2).mean())) for a, b in zip(first, last, strict=True)
    ]
    assert path.evenness == pytest.approx(1, rel=1e-4)
    assert path.detour == pytest.approx(1, rel=1e-4)
    assert path.travel == pytest.approx(sum(apart) / 4, rel=1e-5)


@pytest.mark.parametrize("steps", [2, 5, 9])
def test_a_jump_is_as_uneven_as_there_are_steps(steps: int) -> None:
    path = interpolation_path(flat(-0.5, *[0.5] * steps))
    assert path.evenness == pytest.approx(steps)
    assert path.detour == pytest.approx(1)


def test_going_too_far_and_back_is_a_detour() -> None:
    path = interpolation_path(flat(0.0, 0.8, 0.4))
    assert path.travel == pytest.approx(0.4)
    assert path.detour == pytest.approx(1.2 / 0.4)
    assert path.evenness == pytest.approx(0.8 / 0.6)


def test_interpolations_are_averaged() -> None:
    even, jump = flat(0.0, 0.1, 0.2, 0.3), flat(0.0, 0.9, 0.9, 0.9)
    path = interpolation_path(torch.cat([even, jump]))
    assert path.evenness == pytest.approx((1 + 3) / 2)
    assert path.travel == pytest.approx((0.3 + 0.9) / 2)


# --- one model


@pytest.fixture
def few_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MOST_FACES", HELD_OUT)


@pytest.mark.usefixtures("few_faces")
def test_a_model_that_generates_the_held_out_faces_is_like_them(
    model: VAE, faces: FaceSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent, "sample", lambda *_: to_float(faces.images[faces.test]))
    measured = claims.measure(model, faces)
    assert (measured.asymmetry, measured.variety) == (1, 1)


@pytest.mark.usefixtures("few_faces")
def test_error_and_kl_are_those_of_the_evaluation(model: VAE, faces: FaceSet) -> None:
    measured = claims.measure(model, faces)
    expected = evaluate(model, faces.images[faces.test])
    assert (measured.reconstruction, measured.kl) == expected
    assert measured.optimal_lam == pytest.approx(2 * expected.reconstruction / (3 * 64 * 48))


@pytest.mark.usefixtures("few_faces")
def test_mean_square_mu_is_zero_at_the_centre_and_one_at_a_distance_of_one(
    faces: FaceSet,
) -> None:
    model = new_model(Experiment(latent=LATENT))
    measured = []
    for distance in (0.0, -1.0):
        torch.nn.init.zeros_(model.encoder.mu.weight)
        torch.nn.init.constant_(model.encoder.mu.bias, distance)
        measured.append(claims.measure(model, faces).mean_square_mu)
    assert measured == [0, 1]


@pytest.mark.usefixtures("few_faces")
def test_only_held_out_faces_are_measured(model: VAE, faces: FaceSet) -> None:
    before = claims.measure(model, faces)
    faces.images[faces.train] = 0
    assert claims.measure(model, faces) == before
    faces.images[faces.test[0]] = 0
    assert claims.measure(model, faces) != before


# --- the table

NUMBERS = {
    **Measures(0.05123, 98.6, -1.23456, 1.1e-5, 37, 0.987, 0.654, 0.321)._asdict(),
    **Path(travel=0.456, evenness=1.789, detour=1.5)._asdict(),
}


def test_the_table_has_a_row_for_each_model_in_order() -> None:
    _, rows = claims.table({"lam-1e-5": NUMBERS, "centred": NUMBERS})
    assert [row[0] for row in rows] == ["lam-1e-5", "centred"]


def test_the_table_has_a_cell_under_each_heading() -> None:
    header, rows = claims.table({"base": NUMBERS})
    assert dict(zip(header, rows[0], strict=True)) == {
        "model": "base",
        "error": "0.0512",
        "KL": "99",
        "bits": "-1.235",
        "in use": "37",
        "mean μ²": "0.99",
        "asymmetry": "0.65",
        "variety": "0.32",
        "travel": "0.46",
        "evenness": "1.79",
    }
