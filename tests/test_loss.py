"""The loss is what its formula says, compared with other ways to compute it."""

import math

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as kl_of

from vaelib.config import KLReading
from vaelib.loss import (
    calibrated_bits_per_dimension,
    kl_divergence,
    kl_per_latent,
    mean_squared_error,
    optimal_lam,
    vae_loss,
)


@pytest.fixture
def posterior() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return 2 * torch.randn(5, 7), torch.randn(5, 7)


def images(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(n, 3, 64, 48) * 2 - 1, torch.rand(n, 3, 64, 48) * 2 - 1


def test_kl_is_that_of_torch_distributions(posterior: tuple[torch.Tensor, torch.Tensor]) -> None:
    mu, logvar = posterior
    expected = kl_of(Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_per_latent(mu, logvar), expected)
    torch.testing.assert_close(kl_divergence(mu, logvar), expected.sum(dim=1).mean())


def test_kl_is_near_a_monte_carlo_estimate() -> None:
    torch.manual_seed(0)
    q = Normal(torch.tensor([0.5, -1.0]), torch.tensor([0.8, 1.3]))
    z = q.sample((400_000,))
    estimate = (q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(dim=1).mean()
    exact = kl_divergence(q.loc[None], 2 * q.scale.log()[None])
    assert float(exact) == pytest.approx(float(estimate), abs=0.01)


def test_kl_is_zero_for_the_prior_alone() -> None:
    assert float(kl_divergence(torch.zeros(3, 4), torch.zeros(3, 4))) == 0


def test_kl_is_summed_over_latents() -> None:
    mu = torch.ones(3, 4)
    wide = torch.ones(3, 8)
    narrow_kl = kl_divergence(mu, torch.zeros_like(mu))
    assert float(kl_divergence(wide, torch.zeros_like(wide))) == pytest.approx(2 * float(narrow_kl))


def test_loss_is_the_written_out_sum() -> None:
    x, reconstruction = images(2)
    mu, logvar = torch.tensor([[0.3], [-2.0]]), torch.tensor([[0.1], [-1.0]])
    squares = 0.0
    for a, b in zip(x.flatten().tolist(), reconstruction.flatten().tolist(), strict=True):
        squares += (a - b) ** 2
    mse = squares / (2 * 3 * 64 * 48)
    kl = 0.0
    for m, v in ((0.3, 0.1), (-2.0, -1.0)):
        kl += 0.5 * (m**2 + math.exp(v) - v - 1)
    kl /= 2
    losses = vae_loss(x, reconstruction, mu, logvar, lam=0.01)
    assert float(losses.reconstruction) == pytest.approx(mse, rel=1e-5)
    assert float(losses.kl) == pytest.approx(kl, rel=1e-5)
    assert float(losses.total) == pytest.approx(mse + 0.01 * kl, rel=1e-5)


def test_loss_does_not_depend_on_the_batch_size(
    posterior: tuple[torch.Tensor, torch.Tensor],
) -> None:
    mu, logvar = posterior
    x, reconstruction = images()
    whole = vae_loss(x, reconstruction, mu, logvar, 1e-3).total
    single = [
        vae_loss(x[i : i + 1], reconstruction[i : i + 1], mu[i : i + 1], logvar[i : i + 1], 1e-3)
        for i in range(len(x))
    ]
    torch.testing.assert_close(whole, torch.stack([losses.total for losses in single]).mean())


def gradients(reading: KLReading) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    mu, logvar = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    x, reconstruction = images(4)
    vae_loss(x, reconstruction, mu, logvar, 1e-2, reading).total.backward()
    assert mu.grad is not None
    assert logvar.grad is not None
    return mu.grad, logvar.grad


def test_adding_one_to_kl_has_no_gradient() -> None:
    for plain, shifted in zip(gradients("standard"), gradients("plus_one"), strict=True):
        assert torch.equal(plain, shifted)


def test_adding_one_to_kl_raises_the_loss_by_lam() -> None:
    x, reconstruction = images()
    mu, logvar = torch.zeros(5, 2), torch.zeros(5, 2)
    plain = vae_loss(x, reconstruction, mu, logvar, 0.25, "standard").total
    shifted = vae_loss(x, reconstruction, mu, logvar, 0.25, "plus_one").total
    assert float(shifted - plain) == pytest.approx(0.25)


def test_centre_pull_doubles_the_pull_on_the_means_and_leaves_the_variances() -> None:
    plain, pulled = gradients("standard"), gradients("centre_pull")
    torch.testing.assert_close(pulled[0], 2 * plain[0])
    torch.testing.assert_close(pulled[1], plain[1])


def test_kl_is_reported_plainly_under_every_reading() -> None:
    x, reconstruction = images()
    mu, logvar = torch.ones(5, 2), torch.zeros(5, 2)
    readings: tuple[KLReading, ...] = ("standard", "plus_one", "centre_pull")
    reported = {float(vae_loss(x, reconstruction, mu, logvar, 1.0, r).kl) for r in readings}
    assert reported == {1.0}


def test_loss_is_float32_for_half_precision_input() -> None:
    x, reconstruction = (t.bfloat16() for t in images())
    losses = vae_loss(x, reconstruction, torch.zeros(5, 2).bfloat16(), torch.zeros(5, 2), 1e-5)
    assert all(part.dtype == torch.float32 for part in losses)


def test_mean_squared_error_of_opposites_is_four() -> None:
    assert float(mean_squared_error(torch.ones(1, 3, 64, 48), -torch.ones(1, 3, 64, 48))) == 4


def test_optimal_lam_minimises_the_calibrated_code_length() -> None:
    # Along a straight trade of nats against error, d(mse) = -lam d(kl), the code length of the
    # calibrated decoder must be flat where lam is the optimal one.
    mse, kl, dimensions = 0.05, 200.0, 9216
    lam = optimal_lam(mse, dimensions)
    assert lam == pytest.approx(1.085e-5, rel=1e-3)
    lengths = [
        calibrated_bits_per_dimension(mse - lam * nats, kl + nats, dimensions)
        for nats in (-1.0, 0.0, 1.0)
    ]
    assert lengths[0] == pytest.approx(lengths[2], abs=1e-6)


def test_code_length_of_unit_noise_is_that_of_a_gaussian() -> None:
    expected = 0.5 * math.log2(2 * math.pi * math.e)
    assert calibrated_bits_per_dimension(1.0, 0.0, 9216) == pytest.approx(expected, rel=1e-6)


def test_a_calibrated_weight_has_the_direction_of_the_sigma_vaes_gradient() -> None:
    x, drawn = images()
    mu = torch.randn(5, 7, requires_grad=True)
    reconstruction = drawn.requires_grad_()
    losses = vae_loss(x, reconstruction, mu, torch.zeros(5, 7), 1.0, weighting="calibrated")
    ours = torch.autograd.grad(losses.total, (reconstruction, mu))
    error = mean_squared_error(x, reconstruction)
    sigma_vae = 9216 / 2 * torch.log(error) + kl_divergence(mu, torch.zeros(5, 7))
    theirs = torch.autograd.grad(sigma_vae, (reconstruction, mu))
    scale = 2 * error.item() / 9216
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other * scale, rtol=1e-4, atol=1e-9)
