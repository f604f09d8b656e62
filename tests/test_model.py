"""The network is the one of Tables 1 and 2."""

from typing import get_args

import pytest
import torch

from vaelib.config import IMAGE_SHAPE, Experiment, Norm
from vaelib.loss import vae_loss
from vaelib.model import (
    TABLE_1,
    TABLE_2,
    TABLE_2_AS_PRINTED,
    VAE,
    Decoder,
    Encoder,
    InstanceNormReLU,
    LayerSpec,
    encoded_shape,
    new_model,
    normalised,
    parameters,
)


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


@pytest.mark.parametrize("size", [(4, 3), (8, 6), (32, 24)])
def test_an_instance_norm_is_torchs(size: tuple[int, int]) -> None:
    x = torch.randn(2, 16, *size, dtype=torch.float64) * 3 + 1
    wanted = torch.relu(torch.nn.functional.instance_norm(x))
    torch.testing.assert_close(InstanceNormReLU()(x).double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", get_args(Norm))
@pytest.mark.parametrize("transposed", [False, True])
def test_every_norm_is_over_what_it_says(norm: Norm, transposed: bool) -> None:
    layers = torch.nn.Sequential(*normalised(LayerSpec(3, 16, 3, 1), norm, transposed)[:2])
    if norm == "instance":
        assert isinstance(layers[1], InstanceNormReLU)
        return
    y = layers(torch.rand(4, 3, 8, 6))
    together = {"batch": y.transpose(0, 1).flatten(1), "group": y.view(4, 8, -1)}[norm]
    mean, variance = together.mean(dim=-1), together.var(dim=-1, correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-5)
    torch.testing.assert_close(variance, torch.ones_like(mean), rtol=0, atol=0.01)


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


def test_eight_faces_can_be_learnt_by_heart() -> None:
    torch.manual_seed(0)
    coarse = torch.rand(8, 3, 8, 6) * 1.6 - 0.8
    x = torch.nn.functional.interpolate(coarse, size=IMAGE_SHAPE[1:], mode="bilinear")
    model = VAE(16)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    errors = []
    for _ in range(150):
        reconstruction, mu, logvar = model(x, torch.randn(8, 16))
        losses = vae_loss(x, reconstruction, mu, logvar, lam=1e-6)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        errors.append(losses.reconstruction.item())
    assert errors[-1] < 0.1 * errors[0]
