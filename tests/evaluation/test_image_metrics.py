"""Each measure agrees with a value that is known without it, and its replicates with theory."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, Uniform

from vaelib.config import IMAGE_SHAPE
from vaelib.evaluation import image_metrics
from vaelib.evaluation.bootstrap import bootstrap_weights
from vaelib.evaluation.image_metrics import path_metrics

COLOURS = {  # sRGB to CIE L*a*b* under D65
    (1.0, 1.0, 1.0): (100, 0, 0),
    (0.0, 0.0, 0.0): (0, 0, 0),
    (0.01, 0.01, 0.01): ((29 / 3) ** 3 * 0.01 / 12.92, 0, 0),  # where both curves are straight
    (0.2, 0.2, 0.2): (21.247, 0, 0),
    (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
    (0.0, 1.0, 0.0): (87.73, -86.18, 83.18),
    (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
}


def random_images(n: int, seed: int = 0) -> Tensor:
    """Images (n, 3, 64, 48) in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, *IMAGE_SHAPE, generator=generator) * 2 - 1


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def coloured(red: float, green: float, blue: float) -> Tensor:
    """An image of one colour, given in [0, 1] as sRGB is written."""
    colour = torch.tensor([red, green, blue], dtype=torch.float32) * 2 - 1
    return colour[None, :, None, None].repeat(1, 1, 64, 48)


def white_in(rows: slice, columns: slice) -> Tensor:
    """A black image with a white rectangle."""
    images = coloured(0, 0, 0)
    images[..., rows, columns] = 1
    return images


EVERYWHERE, BLACK, WHITE = slice(None), coloured(0, 0, 0), coloured(1, 1, 1)
WHITE_RIGHT = white_in(EVERYWHERE, slice(24, 48))
WHITE_CORE = white_in(slice(24, 52), slice(12, 36))


def flat(*greys: float) -> Tensor:
    """One interpolation of images of one grey each: (1, steps, 3, 64, 48)."""
    return torch.tensor(greys)[None, :, None, None, None].expand(1, -1, *IMAGE_SHAPE)


# --- errors


def test_squared_error_is_the_written_out_mean_of_each_image() -> None:
    x, reconstruction = random_images(3), random_images(3, seed=1)
    difference = x.double().numpy() - reconstruction.double().numpy()
    expected = [float(np.sum(one**2)) / (3 * 64 * 48) for one in difference]
    assert image_metrics.squared_error(x, reconstruction).tolist() == pytest.approx(
        expected, rel=1e-5
    )


def test_ten_decibels_are_a_tenth_of_the_squared_range() -> None:
    found = image_metrics.psnr(torch.tensor([4.0, 0.4, 0.004]))
    assert found.tolist() == pytest.approx([0, 10, 30], abs=1e-4)


# --- latents


def test_latents_are_active_from_a_variance_of_a_hundredth_on() -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(500)[:, None]
    deviations = torch.tensor([0.0, 0.09, 0.11, 1.0])  # the limit is 0.1
    assert image_metrics.active_units(5 + signs * deviations)[0] == 2  # however far from the centre


def test_mean_square_is_over_faces_and_latents() -> None:
    assert image_metrics.mean_square(torch.tensor([[1.0, 2.0], [0.0, -3.0]]))[0] == (1 + 4 + 9) / 4


def test_aggregate_variance_is_that_of_the_means_and_the_posteriors_together() -> None:
    means, logvar = normal(40, 3), normal(40, 3, seed=1)
    expected = np.var(means.numpy(), axis=0, ddof=1).mean() + np.exp(logvar.numpy()).mean()
    found = image_metrics.aggregate_variance(means, logvar)[0].item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_aggregate_kurtosis_is_that_of_the_distribution() -> None:
    shares = (torch.arange(5_000, dtype=torch.float64) + 0.5) / 5_000
    for distribution, expected in ((Normal(5.0, 2.0), 3), (Uniform(-3.0, 4.0), 1.8)):
        quantiles = distribution.icdf(shares)
        found = image_metrics.aggregate_kurtosis(quantiles[:, None])[0].item()
        assert found == pytest.approx(expected, abs=0.02), distribution


def test_replicates_of_the_kurtosis_spread_as_theory_says_of_normal_latents() -> None:
    expected = math.sqrt(24 / 1_000 / 50)  # of the mean over 50 independent latents
    found = image_metrics.aggregate_kurtosis(normal(1_000, 50))[1:].std().item()
    assert found == pytest.approx(expected, rel=0.2)


# --- asymmetry and variety


def test_asymmetry_is_two_where_halves_are_opposite_and_zero_where_they_mirror() -> None:
    half = random_images(1)[..., :24]
    mirrored = torch.cat([half, half.flip(-1)], dim=-1)
    upside_down = white_in(slice(32, 64), EVERYWHERE)
    assert image_metrics.asymmetry(torch.cat([WHITE_RIGHT, mirrored, upside_down])).tolist() == [
        2,
        0,
        0,
    ]


def test_variety_is_half_the_mean_squared_difference_of_different_images() -> None:
    pairs = itertools.combinations(random_images(5).double(), 2)
    squares = [float((one - other).pow(2).mean()) for one, other in pairs]
    expected = sum(squares) / len(squares) / 2
    assert image_metrics.variety(random_images(5))[0].item() == pytest.approx(expected, rel=1e-6)


def test_a_replicate_of_variety_is_that_of_the_images_drawn() -> None:
    images = random_images(5)
    for row, found in zip(
        bootstrap_weights(5)[1:6], image_metrics.variety(images)[1:6], strict=True
    ):
        drawn = np.repeat(images.double().numpy(), (row * 5).round().int().numpy(), axis=0)
        assert found.item() == pytest.approx(np.var(drawn, axis=0, ddof=1).mean(), rel=1e-6)


# --- colours


def test_known_colours_are_converted() -> None:
    for rgb, lab in COLOURS.items():
        found = image_metrics.rgb_to_lab(coloured(*rgb))[0, :, 40, 10]
        assert found.tolist() == pytest.approx(lab, abs=0.01), rgb


def test_the_background_is_the_upper_corners() -> None:
    corners = white_in(slice(16), slice(8)) + white_in(slice(16), slice(40, 48)) - BLACK
    found = image_metrics.colour_errors(torch.cat([corners, WHITE]), torch.cat([BLACK, BLACK]))
    share = 2 * 16 * 8 / (64 * 48)
    assert found["background"].tolist() == pytest.approx([100, 100], abs=0.01)
    assert found["whole"].tolist() == pytest.approx([100 * share, 100], abs=0.01)


def test_colours_that_change_places_are_no_error_of_the_whole() -> None:
    found = image_metrics.colour_errors(WHITE_RIGHT, WHITE_RIGHT.flip(-1))
    assert found["whole"].item() == pytest.approx(0, abs=1e-9)


# --- eyes, nose and mouth


def test_sharpness_is_the_mean_square_of_a_written_out_laplacian() -> None:
    grey, squares = random_images(1).double().mean(dim=1)[0].numpy(), 0.0
    for row, column in itertools.product(range(24, 52), range(12, 36)):
        around = grey[row - 1, column] + grey[row + 1, column]
        around += grey[row, column - 1] + grey[row, column + 1]
        squares += (around - 4 * grey[row, column]) ** 2
    found = image_metrics.sharpness(random_images(1)).item()
    assert found == pytest.approx(squares / (28 * 24), rel=1e-4)


def test_skin_tone_is_the_lightness_of_the_core_alone() -> None:
    found = image_metrics.skin_tone(torch.cat([WHITE_CORE, -WHITE_CORE]))
    assert found.tolist() == pytest.approx([100, 0], abs=0.01)


def test_side_lighting_is_positive_where_the_right_of_the_core_is_brighter() -> None:
    hat = white_in(slice(24), slice(24, 48))
    images = torch.cat([WHITE_RIGHT, WHITE_RIGHT.flip(-1), WHITE, hat])
    assert image_metrics.side_lighting(images).tolist() == [1, -1, 0, 0]


# --- interpolations


def test_a_straight_line_in_pixels_is_even_and_has_no_detour() -> None:
    first, last = random_images(3, seed=1), random_images(3, seed=2)
    share = torch.linspace(0, 1, 6)[None, :, None, None, None]
    path = path_metrics(first[:, None] + share * (last - first)[:, None])
    apart = (last - first).double().pow(2).mean(dim=(1, 2, 3)).sqrt()
    assert path["evenness"].tolist() == pytest.approx([1] * 3, rel=1e-4)
    assert path["detour"].tolist() == pytest.approx([1] * 3, rel=1e-4)
    assert path["travel"].tolist() == pytest.approx(apart.tolist(), rel=1e-5)


def test_a_jump_is_as_uneven_as_there_are_steps() -> None:
    for steps in (2, 5, 9):
        path = path_metrics(flat(-0.5, *[0.5] * steps))
        assert [value.item() for value in path.values()] == pytest.approx([1, steps, 1])


def test_going_too_far_and_back_is_a_detour() -> None:
    path = path_metrics(flat(0.0, 0.8, 0.4))
    assert [value.item() for value in path.values()] == pytest.approx([0.4, 0.8 / 0.6, 1.2 / 0.4])


def test_each_interpolation_has_its_own_values() -> None:
    even, jump = flat(0.0, 0.1, 0.2, 0.3), flat(0.0, 0.9, 0.9, 0.9)
    path = path_metrics(torch.cat([even, jump]))
    assert path["evenness"].tolist() == pytest.approx([1, 3])


def test_a_path_that_never_moves_is_even_and_straight() -> None:
    assert [value.item() for value in path_metrics(flat(0.2, 0.2, 0.2)).values()] == [0, 1, 1]
