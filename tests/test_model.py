"""The network is the one of Tables 1 and 2."""

from typing import get_args

import pytest
import torch
from torch import nn

from vaelib.config import IMAGE_SHAPE, NORMS_OVER_BATCH, Experiment, Norm
from vaelib.model import (
    TABLE_1,
    TABLE_2,
    TABLE_2_AS_PRINTED,
    VAE,
    Decoder,
    Encoder,
    encoded_shape,
    new_model,
    norm_layer,
    parameters,
    reparametrise,
)
from vaelib.train import train_step


@pytest.mark.parametrize(
    ("latent", "encoder", "total"),
    [(32, 1_670_656, 3_245_763), (64, 1_867_328, 3_540_739), (128, 2_260_672, 4_130_691)],
)
def test_parameter_totals_are_those_of_the_tables(latent: int, encoder: int, total: int) -> None:
    model = VAE(latent)
    assert parameters(model.encoder) == encoder
    assert parameters(model) == total


def test_encoder_reaches_the_shape_that_the_linear_layers_expect() -> None:
    features = Encoder(8).convolutions(torch.zeros(2, *IMAGE_SHAPE))
    assert tuple(features.shape) == (2, *encoded_shape()) == (2, 256, 4, 3)


def test_images_come_out_as_tall_and_wide_as_they_went_in() -> None:
    reconstruction, mu, logvar = VAE(64)(torch.zeros(2, 3, 64, 48), torch.zeros(2, 64))
    assert reconstruction.shape == (2, 3, 64, 48)
    assert mu.shape == logvar.shape == (2, 64)


def test_decoded_images_stay_between_minus_one_and_one() -> None:
    images = VAE(4).decode(100 * torch.randn(8, 4))
    assert images.min() >= -1
    assert images.max() <= 1


def test_decoder_mirrors_the_encoder() -> None:
    channels = [row.channels_in for row in TABLE_1] + [TABLE_1[-1].channels_out]
    mirrored = [row.channels_in for row in TABLE_2] + [TABLE_2[-1].channels_out]
    assert sorted(channels) == sorted(mirrored)


def test_stride_one_as_printed_gives_forty_by_thirty_two() -> None:
    images = Decoder(64, table=TABLE_2_AS_PRINTED)(torch.zeros(1, 64))
    assert images.shape == (1, 3, 40, 32)


def test_stride_two_gives_sixty_four_by_forty_eight() -> None:
    assert Decoder(64, table=TABLE_2)(torch.zeros(1, 64)).shape == (1, 3, 64, 48)


def test_each_image_is_normalised_by_itself() -> None:
    model = VAE(8)
    x = torch.rand(4, *IMAGE_SHAPE) * 2 - 1
    alone = model.encode(x[:1])[0]
    among_others = model.encode(x)[0][:1]
    torch.testing.assert_close(alone, among_others, rtol=1e-4, atol=1e-4)


def test_every_norm_is_over_what_it_says() -> None:
    x = torch.rand(4, 16, 8, 6)
    normalised_over = {
        "instance": lambda y: y.flatten(2),
        "batch": lambda y: y.transpose(0, 1).flatten(1),
        "group": lambda y: y.view(4, 8, -1),
    }
    assert set(normalised_over) == set(get_args(Norm))
    for norm, groups in normalised_over.items():
        values = groups(norm_layer(norm, 16)(x))  # type: ignore[arg-type]
        mean, variance = values.mean(dim=-1), values.var(dim=-1, correction=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-5)
        torch.testing.assert_close(variance, torch.ones_like(mean), rtol=0, atol=0.01)


def test_norms_over_a_batch_are_those_that_mix_its_images() -> None:
    x = torch.rand(4, 16, 8, 6)
    layers = {norm: norm_layer(norm, 16) for norm in get_args(Norm)}
    mixing = [n for n, layer in layers.items() if not torch.allclose(layer(x)[:1], layer(x[:1]))]
    assert mixing == list(NORMS_OVER_BATCH)


def test_the_layers_are_torchs_own() -> None:
    layers = [*Encoder(8).convolutions, *Decoder(8).convolutions]
    assert {type(layer) for layer in layers} == {
        nn.Conv2d,
        nn.ConvTranspose2d,
        nn.InstanceNorm2d,
        nn.ReLU,
        nn.Tanh,
    }


def test_z_is_the_mean_plus_sigma_times_the_noise() -> None:
    mu, logvar, noise = torch.tensor([[1.0]]), torch.tensor([[4.0]]).log(), torch.tensor([[3.0]])
    assert reparametrise(mu, logvar, noise).item() == pytest.approx(1 + 2 * 3)


def test_the_gradient_reaches_mu_and_logvar_through_z() -> None:
    mu, logvar = torch.zeros(2, 4, requires_grad=True), torch.zeros(2, 4, requires_grad=True)
    noise = torch.randn(2, 4)
    reparametrise(mu, logvar, noise).sum().backward()
    torch.testing.assert_close(mu.grad, torch.ones(2, 4))
    torch.testing.assert_close(logvar.grad, 0.5 * noise)


@pytest.mark.parametrize("norm", get_args(Norm))
def test_no_norm_adds_a_parameter(norm: Norm) -> None:
    assert parameters(VAE(64, norm)) == parameters(VAE(64))


def test_no_noise_means_the_reconstruction_of_the_latent_mean() -> None:
    model = VAE(8)
    x = torch.rand(2, *IMAGE_SHAPE) * 2 - 1
    reconstruction, mu, _ = model(x, torch.zeros(2, 8))
    torch.testing.assert_close(reconstruction, model.decode(mu))


def test_same_seed_gives_the_same_initial_weights() -> None:
    first, second, other = (new_model(Experiment(seed=seed)).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.long
def test_eight_faces_can_be_learnt_by_heart() -> None:
    torch.manual_seed(0)
    coarse = torch.rand(8, 3, 8, 6) * 1.6 - 0.8
    x = torch.nn.functional.interpolate(coarse, size=IMAGE_SHAPE[1:], mode="bilinear")
    model = VAE(16)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    errors = []
    for _ in range(150):
        loss = train_step(model, optimizer, x, torch.randn(8, 16), lam=1e-6)
        errors.append(loss.reconstruction.item())
    assert errors[-1] < 0.1 * errors[0]
