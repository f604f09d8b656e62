"""What a norm costs is measured right of models that are built so that the cost is known."""

import math

import pytest
import torch
from torch import Tensor, nn

from vaelib import latent
from vaelib.config import IMAGE_SHAPE, Experiment
from vaelib.evaluation import bootstrap, norm_study
from vaelib.evaluation.bootstrap import REPLICATES
from vaelib.model import VAE, new_model

LATENT, COUNT, SEED = 6, 40, 3
CORNERS = 2 * 16 * 8 / (64 * 48)  # the share of an image that counts as background


class Copying(VAE):
    """A model that reconstructs `scale` times the image plus `shift`, with 9216 latents."""

    def __init__(self, scale: float, shift: Tensor | float) -> None:
        super().__init__(1)
        self.scale, self.shift = scale, shift

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.flatten(1), torch.zeros_like(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        images: Tensor = self.scale * z.unflatten(1, IMAGE_SHAPE) + self.shift
        return images


def uint8_images(n: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator)


def black(n: int) -> Tensor:
    return torch.zeros(n, *IMAGE_SHAPE, dtype=torch.uint8)


def batch_norms(model: VAE) -> list[nn.BatchNorm2d]:
    return [layer for layer in model.decoder.modules() if isinstance(layer, nn.BatchNorm2d)]


def state(model: VAE) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def by_hand(model: VAE, z: Tensor) -> Tensor:
    """What the decoder does where each norm is taken over the batch, written out."""
    x: Tensor = model.decoder.linear(z).unflatten(1, model.decoder.shape)
    for layer in model.decoder.convolutions:
        if isinstance(layer, nn.BatchNorm2d):
            centred = x - x.mean(dim=(0, 2, 3), keepdim=True)
            x = centred / (centred.square().mean(dim=(0, 2, 3), keepdim=True) + 1e-5).sqrt()
        else:
            x = layer(x)
    return x.detach()


@pytest.fixture
def model() -> VAE:
    return new_model(Experiment(latent=LATENT, norm="batch")).eval()


@pytest.fixture
def wide() -> VAE:
    """Encodes any face as N(0, 4); its running averages are those of such latents."""
    model = new_model(Experiment(latent=LATENT, norm="batch"))
    with torch.no_grad():
        for layer in (model.encoder.mu, model.encoder.logvar):
            layer.weight.zero_()
            layer.bias.zero_()
        model.encoder.logvar.bias.fill_(math.log(4))
        model.decoder.linear.bias.zero_()  # so that the first features scale with the latents
        for norm in batch_norms(model):
            norm.momentum = 1.0  # the averages are then those of the last batch
        model.train().decode(2 * latent.noise(COUNT, LATENT, SEED))
    return model.eval()


# --- errors of reconstructions


def test_a_perfect_reconstruction_has_the_right_colours() -> None:
    for error in norm_study.reconstruction_errors(Copying(1, 0), uint8_images(3)).values():
        assert error.tolist() == [0] * (1 + REPLICATES)


def test_black_that_comes_back_white_is_off_by_the_whole_range() -> None:
    error, *colours = norm_study.reconstruction_errors(Copying(1, 2), black(3)).values()
    assert error[0] == 4
    assert [colour[0].item() for colour in colours] == pytest.approx([100, 100], abs=0.01)


def test_white_corners_are_an_error_of_the_background() -> None:
    shift = torch.zeros(64, 48)
    shift[:16, :8] = shift[:16, -8:] = 2
    errors = norm_study.reconstruction_errors(Copying(1, shift), black(2))
    assert errors["background"][0].item() == pytest.approx(100, abs=0.01)
    assert errors["whole"][0].item() == pytest.approx(100 * CORNERS, abs=0.01)


def test_a_colour_cast_is_off_by_its_distance_in_lab() -> None:
    red_to_blue = torch.tensor([-2.0, 0.0, 2.0])[:, None, None]
    red = black(2)
    red[:, 0] = 255
    found = norm_study.reconstruction_errors(Copying(1, red_to_blue), red)["whole"][0].item()
    expected = math.dist((53.24, 80.09, 67.20), (32.30, 79.19, -107.86))  # as CIE has them
    assert found == pytest.approx(expected, abs=0.02)


def test_colours_are_averaged_over_faces_in_each_replicate() -> None:
    images = torch.cat([black(3), 255 - black(1)])
    errors = norm_study.reconstruction_errors(
        Copying(0, 1), images
    )  # all white: three of four faces are off
    blacks = bootstrap.bootstrap_weights(4)[:, :3].sum(dim=1)
    assert errors["reconstruction"].tolist() == pytest.approx((4 * blacks).tolist())
    assert errors["whole"].tolist() == pytest.approx((100 * blacks).tolist(), abs=0.01)


# --- ratios of variances


def test_latents_that_made_the_running_variances_have_a_ratio_of_one(wide: VAE) -> None:
    ratios = norm_study.variance_ratios(wide, uint8_images(COUNT), SEED)
    assert ratios["encoded"] == pytest.approx([1] * 7, rel=0.01)


def test_samples_of_a_quarter_of_the_variance_have_a_ratio_of_a_quarter(wide: VAE) -> None:
    ratios = norm_study.variance_ratios(wide, uint8_images(COUNT), SEED)
    assert ratios["prior"][0] == pytest.approx(0.25, rel=1e-4)


def test_samples_of_smaller_variance_have_smaller_ratios_in_every_layer(wide: VAE) -> None:
    assert max(norm_study.variance_ratios(wide, uint8_images(COUNT), SEED)["prior"]) < 0.9


def test_the_ratio_of_a_layer_is_the_median_over_its_channels(wide: VAE) -> None:
    first = batch_norms(wide)[0]
    assert first.running_var is not None
    first.running_var[:100] *= 1e6  # fewer than half of 256
    assert norm_study.variance_ratios(wide, uint8_images(COUNT), SEED)["encoded"][
        0
    ] == pytest.approx(1, rel=0.1)


def test_ratios_follow_the_posteriors_of_the_faces(wide: VAE) -> None:
    with torch.no_grad():
        wide.encoder.logvar.bias.fill_(math.log(36))
    ratios = norm_study.variance_ratios(wide, uint8_images(COUNT), SEED)
    assert ratios["encoded"][0] == pytest.approx(9, rel=1e-4)


def test_a_model_without_batch_norm_has_no_ratios() -> None:
    ratios = norm_study.variance_ratios(new_model(Experiment(latent=LATENT)), uint8_images(2))
    assert ratios == {"encoded": [], "prior": []}


def test_taking_ratios_leaves_the_model_as_it_was(wide: VAE) -> None:
    before = state(wide)
    norm_study.variance_ratios(wide, uint8_images(4))
    assert same(state(wide), before)


def test_no_hook_stays_on_the_model(wide: VAE) -> None:
    norm_study.variance_ratios(wide, uint8_images(4))
    assert not any(norm._forward_pre_hooks for norm in batch_norms(wide))


# --- sampling with the statistics of the batch


def test_each_batch_is_normalised_by_its_own_mean_and_variance(model: VAE) -> None:
    expected = by_hand(model, latent.noise(5, LATENT, SEED))
    found = norm_study.sample_with_batch_statistics(model, 5, SEED)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_batches_do_not_mix(model: VAE, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent, "BATCH", 4)
    parts = latent.noise(7, LATENT, SEED).split([4, 3])
    expected = torch.cat([by_hand(model, part) for part in parts])
    found = norm_study.sample_with_batch_statistics(model, 7, SEED)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_without_batch_norm_the_faces_are_those_of_any_sample() -> None:
    model = new_model(Experiment(latent=LATENT))
    found = norm_study.sample_with_batch_statistics(model, 3, SEED)
    torch.testing.assert_close(found, latent.sample(model, 3, SEED))


def test_sampling_with_batch_statistics_is_the_same_at_every_call(model: VAE) -> None:
    first = norm_study.sample_with_batch_statistics(model, 4, SEED)
    torch.manual_seed(1)
    assert torch.equal(norm_study.sample_with_batch_statistics(model, 4, SEED), first)


def test_another_seed_draws_other_faces(model: VAE) -> None:
    one, other = (
        norm_study.sample_with_batch_statistics(model, 4, seed) for seed in (SEED, SEED + 1)
    )
    assert not torch.equal(one, other)


def test_faces_sampled_so_carry_no_gradient(model: VAE) -> None:
    assert not norm_study.sample_with_batch_statistics(model, 2).requires_grad


def test_sampling_with_batch_statistics_leaves_the_running_averages(model: VAE) -> None:
    before = state(model)
    norm_study.sample_with_batch_statistics(model, 4)
    assert same(state(model), before)


def test_sampling_with_batch_statistics_leaves_the_mode(model: VAE) -> None:
    for training in (True, False):
        model.train(training)
        norm_study.sample_with_batch_statistics(model, 4)
        assert {module.training for module in model.modules()} == {training}


def test_a_failed_sampling_leaves_the_model_as_it_was(model: VAE) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    before = state(model)
    model.decoder.convolutions[-1].register_forward_hook(fail)  # after every norm
    with pytest.raises(MemoryError):
        norm_study.sample_with_batch_statistics(model, 4)
    assert same(state(model), before)
    assert not any(module.training for module in model.modules())
