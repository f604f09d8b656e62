"""The divergence is split as it can be done on paper, and draws come from where faces are."""

import math

import pytest
import torch
from torch import Tensor

from vaelib.evaluation import prior_gap
from vaelib.evaluation.prior_gap import Encoded, Gaussian, Mixture
from vaelib.loss import kl_per_latent


def encoder_of_normal_data(n: int, slopes: list[float], sigmas: list[float]) -> Encoded:
    """Latent j of data x_j ~ N(0, 1) is N(slope_j x_j, sigma_j^2)."""
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, n, len(slopes), generator=generator, dtype=torch.float64)
    mu = x * torch.tensor(slopes)
    sigma = torch.tensor(sigmas, dtype=torch.float64).expand_as(mu)
    return Encoded(mu, 2 * sigma.log(), mu + sigma * noise)


# --- the split of the divergence


def test_a_gaussian_case_is_split_as_on_paper() -> None:
    slopes, sigmas = [0.9, 2.0], [0.5, 0.8]
    split = prior_gap.split_divergence(encoder_of_normal_data(4_000, slopes, sigmas))
    information = sum(
        0.5 * math.log(1 + (slope / sigma) ** 2)
        for slope, sigma in zip(slopes, sigmas, strict=True)
    )
    variances = [slope**2 + sigma**2 for slope, sigma in zip(slopes, sigmas, strict=True)]
    marginal = sum(0.5 * (variance - 1 - math.log(variance)) for variance in variances)
    assert split.information == pytest.approx(information, abs=0.05)
    assert split.marginal == pytest.approx(marginal, abs=0.1)
    assert split.gaussian == pytest.approx(marginal, abs=0.1)
    assert split.kl == pytest.approx(split.information + split.marginal)


def test_the_kl_is_that_of_the_loss() -> None:
    encoded = encoder_of_normal_data(50, [1.0, 3.0], [0.3, 0.6])
    expected = kl_per_latent(encoded.mu, encoded.logvar).sum(dim=1).mean()
    assert prior_gap.split_divergence(encoded).kl == pytest.approx(float(expected))


def test_a_collapsed_encoder_says_nothing_and_lies_on_the_prior() -> None:
    split = prior_gap.split_divergence(encoder_of_normal_data(2_000, [0.0, 0.0], [1.0, 1.0]))
    assert split == pytest.approx((0, 0, 0, 0), abs=0.01)


def test_codes_that_give_their_face_away_carry_the_logarithm_of_the_number_of_faces() -> None:
    split = prior_gap.split_divergence(encoder_of_normal_data(500, [30.0] * 8, [0.01] * 8))
    assert split.information == pytest.approx(math.log(500), abs=1e-6)
    assert split.marginal > 100


def test_the_gaussian_part_is_at_most_the_marginal_one() -> None:
    # Two tight groups of codes: a Gaussian of the same variance misses that there are two.
    centre = torch.tensor([[3.0], [-3.0]], dtype=torch.float64).repeat(500, 1)
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(centre.shape, generator=generator, dtype=torch.float64)
    encoded = Encoded(centre, torch.full_like(centre, 2 * math.log(0.1)), centre + noise)
    split = prior_gap.split_divergence(encoded)
    assert split.information == pytest.approx(math.log(2), abs=1e-6)
    assert split.gaussian < split.marginal - 0.5


# --- draws


def draws(n: int, size: int) -> Tensor:
    return torch.randn(n, size, generator=torch.Generator().manual_seed(1))


def test_draws_of_the_fitted_gaussian_have_the_known_mean_and_covariance() -> None:
    encoded = encoder_of_normal_data(20_000, [2.0, 0.5], [0.5, 1.0])
    shifted = encoded.mu + torch.tensor([1.0, -1.0])
    z = prior_gap.fit_gaussian(shifted, encoded.logvar).draw(draws(20_000, 2))
    torch.testing.assert_close(z.mean(dim=0), torch.tensor([1.0, -1.0]), rtol=0, atol=0.06)
    expected = torch.diag(torch.tensor([4.25, 1.25]))
    torch.testing.assert_close(torch.cov(z.T), expected, rtol=0, atol=0.15)


def test_where_faces_are_encoded_as_the_prior_draws_stay_as_they_are() -> None:
    noise = draws(10, 3)
    standard = Gaussian(torch.zeros(3).double(), torch.eye(3).double())
    torch.testing.assert_close(standard.draw(noise), noise)


def test_a_wider_gaussian_moves_noise_along_its_axes() -> None:
    wide = Gaussian(torch.zeros(2).double(), torch.diag(torch.tensor([4.0, 1.0]).double()))
    torch.testing.assert_close(wide.draw(torch.ones(1, 2)), torch.tensor([[2.0, 1.0]]))


def test_a_mixture_is_fitted_with_as_many_components_as_there_are_groups() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = torch.tensor([[-5.0, 0.0], [5.0, 0.0]]).double()
    of = torch.randint(2, (600,), generator=generator)
    z = groups[of] + 0.5 * torch.randn(600, 2, generator=generator, dtype=torch.float64)
    train, held_out = (Encoded(part, torch.zeros_like(part), part) for part in z.split(400))
    mixture = prior_gap.fit_mixture(train, held_out)
    assert len(mixture.weights) == 2
    drawn = mixture.draw(draws(400, 2), seed=3)
    assert (drawn[:, 0].abs() - 5).abs().max() < 3
    assert 0.3 < (drawn[:, 0] > 0).float().mean() < 0.7


def test_a_mixture_draws_the_same_from_the_same_noise_and_seed() -> None:
    covariances = torch.eye(2).double().expand(2, 2, 2)
    means = torch.tensor([[0.0, 0.0], [9.0, 9.0]]).double()
    mixture = Mixture(torch.tensor([0.5, 0.5]).double(), means, covariances)
    noise = draws(20, 2)
    assert torch.equal(mixture.draw(noise, 1), mixture.draw(noise, 1))
    assert not torch.equal(mixture.draw(noise, 1), mixture.draw(noise, 2))


def test_the_spectrum_falls_from_the_axis_that_reaches_farthest() -> None:
    encoded = encoder_of_normal_data(20_000, [0.1, 3.0], [1.0, 1.0])
    expected = torch.tensor([10.0, 1.01]).double()
    torch.testing.assert_close(prior_gap.spectrum(encoded), expected, rtol=0.05, atol=0)
