"""Functions of the latent space leave the model as it is; directions lead where they say."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from tests.conftest import refusal
from vaelib import latent
from vaelib.config import IMAGE_SHAPE, LATENTS, Experiment
from vaelib.data import to_float
from vaelib.model import VAE, new_model

LATENT = 4
COUNT = 7

Function = Callable[[VAE, Tensor], object]

FUNCTIONS: dict[str, Function] = {
    "decode": lambda model, _: latent.decode(model, latent.noise(COUNT, LATENT)),
    "posterior": lambda model, images: torch.cat(latent.encode(model, images), dim=1),
    "latent_means": latent.latent_means,
    "nats_per_latent": latent.nats_per_latent,
    "reconstruct": latent.reconstruct,
    "sample": lambda model, _: latent.sample(model, COUNT),
    "interpolate": lambda model, images: latent.interpolate(model, images[:2], images[2:4], 3),
}


@pytest.fixture
def model() -> VAE:
    return new_model(Experiment(latent=LATENT))


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (COUNT, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator)


@pytest.fixture
def modes(model: VAE) -> Iterator[list[bool]]:
    """Whether encoder and decoder were in training mode, for each time they were used."""
    seen: list[bool] = []

    def look(module: nn.Module, _: object) -> None:
        seen.append(module.training)

    hooks = [part.register_forward_pre_hook(look) for part in (model.encoder, model.decoder)]
    yield seen
    for hook in hooks:
        hook.remove()


# --- noise


@pytest.mark.parametrize("size", [1, 32, 64, 128])
def test_rows_of_a_smaller_latent_begin_those_of_a_larger(size: int) -> None:
    assert torch.equal(latent.noise(5, size), latent.noise(5, 1024)[:, :size])


def test_noise_is_as_wide_as_the_widest_latent() -> None:
    assert latent.noise(2, LATENTS[-1]).shape == (2, LATENTS[-1])


def test_noise_is_the_same_for_the_same_seed_only() -> None:
    assert torch.equal(latent.noise(5, 64, seed=3), latent.noise(5, 64, seed=3))
    assert not torch.equal(latent.noise(5, 64, seed=3), latent.noise(5, 64, seed=4))


def test_noise_is_drawn_from_the_prior() -> None:
    drawn = latent.noise(2_000, 64)
    assert drawn.mean().item() == pytest.approx(0, abs=0.02)
    assert drawn.std().item() == pytest.approx(1, abs=0.02)


def test_sampling_leaves_the_global_generator_alone(model: VAE) -> None:
    before = torch.get_rng_state()
    latent.sample(model, 2)
    assert torch.equal(torch.get_rng_state(), before)


# --- answers


def test_decoded_faces_are_those_of_the_decoder(model: VAE) -> None:
    z = latent.noise(COUNT, LATENT)
    decoded = latent.decode(model, z)
    assert decoded.shape == (COUNT, *IMAGE_SHAPE)
    torch.testing.assert_close(decoded, model.decode(z))


def test_latent_means_are_those_of_the_encoder(model: VAE, images: Tensor) -> None:
    means = latent.latent_means(model, images)
    assert means.shape == (COUNT, LATENT)
    torch.testing.assert_close(means, model.encode(to_float(images))[0])


def test_latent_means_are_the_same_at_every_call(model: VAE, images: Tensor) -> None:
    first = latent.latent_means(model, images)
    torch.manual_seed(1)
    assert torch.equal(latent.latent_means(model, images), first)


def test_posteriors_are_those_of_the_encoder(model: VAE, images: Tensor) -> None:
    found = latent.encode(model, images)
    mu, logvar = model.encode(to_float(images))
    torch.testing.assert_close(found.mu, mu)
    torch.testing.assert_close(found.logvar, logvar)


def test_nats_of_a_latent_are_its_mean_divergence_from_the_prior(
    model: VAE, images: Tensor
) -> None:
    mu, logvar = model.encode(to_float(images))
    divergence = kl_divergence(Normal(mu, torch.exp(logvar / 2)), Normal(0.0, 1.0))
    torch.testing.assert_close(latent.nats_per_latent(model, images), divergence.mean(dim=0))


def test_a_latent_that_says_nothing_takes_no_nats(model: VAE, images: Tensor) -> None:
    with torch.no_grad():
        for layer in (model.encoder.mu, model.encoder.logvar):
            layer.weight[2] = layer.bias[2] = 0
    taken = latent.nats_per_latent(model, images) > 0
    assert taken.tolist() == [True, True, False, True]


def test_a_reconstruction_is_what_the_model_makes_without_noise(model: VAE, images: Tensor) -> None:
    without_noise, _, _ = model(to_float(images), torch.zeros(COUNT, LATENT))
    torch.testing.assert_close(
        latent.reconstruct(model, images), without_noise, rtol=1e-4, atol=1e-5
    )


def test_samples_are_the_decoded_noise_of_their_seed(model: VAE) -> None:
    expected = model.decode(latent.noise(3, LATENT, seed=5))
    torch.testing.assert_close(latent.sample(model, 3, seed=5), expected)


def test_interpolations_begin_and_end_with_reconstructions(model: VAE, images: Tensor) -> None:
    path = latent.interpolate(model, images[:3], images[3:6], steps=5)
    assert path.shape == (3, 5, *IMAGE_SHAPE)
    ends = latent.reconstruct(model, images)
    torch.testing.assert_close(path[:, 0], ends[:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(path[:, -1], ends[3:6], rtol=1e-4, atol=1e-5)


def test_interpolations_take_equal_steps_in_latent_space(model: VAE, images: Tensor) -> None:
    path = latent.interpolate(model, images[:1], images[1:2], steps=5)
    start, end = latent.latent_means(model, images[:2])
    expected = model.decode(torch.stack([start + share * (end - start) for share in (0.25, 0.5)]))
    torch.testing.assert_close(path[0, 1:3], expected, rtol=1e-4, atol=1e-4)


# --- how they are asked


def test_results_do_not_depend_on_the_batch_size(
    model: VAE, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    for part in (model.encoder, model.decoder):
        part.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    for name, function in FUNCTIONS.items():
        monkeypatch.setattr(latent, "BATCH", 256)
        whole = function(model, images)
        sizes.clear()
        monkeypatch.setattr(latent, "BATCH", 3)
        torch.testing.assert_close(function(model, images), whole, rtol=1e-4, atol=1e-5)
        assert max(sizes) == 3, name


def test_results_come_from_evaluation_mode_without_gradient_and_change_nothing(
    model: VAE, images: Tensor, modes: list[bool]
) -> None:
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images_before = images.clone()
    for name, function in FUNCTIONS.items():
        model.train()
        modes.clear()
        result = function(model, images)
        assert isinstance(result, Tensor)
        assert not result.requires_grad, name
        assert modes, name
        assert not any(modes), name
    changed = [name for name, w in model.state_dict().items() if not torch.equal(w, weights[name])]
    assert not changed
    assert torch.equal(images, images_before)


# --- directions

FRACTIONS = torch.linspace(0, 1, 5)


def gaussian(n: int, latent: int, seed: int = 0) -> Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("spherical", [False, True])
def test_a_path_begins_and_ends_at_its_ends(spherical: bool) -> None:
    start, end = gaussian(3, 8), gaussian(3, 8, seed=1)
    path = latent.interpolate_latents(start, end, FRACTIONS, spherical)
    assert path.shape == (3, 5, 8)
    torch.testing.assert_close(path[:, 0], start)
    torch.testing.assert_close(path[:, -1], end)


def test_a_straight_path_is_in_equal_steps() -> None:
    path = latent.interpolate_latents(gaussian(1, 8), gaussian(1, 8, seed=1), FRACTIONS)
    steps = path.diff(dim=1).norm(dim=2)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps))


def test_a_great_circle_keeps_the_length_of_its_ends() -> None:
    start, end = (4 * torch.nn.functional.normalize(gaussian(2, 16, seed)) for seed in (0, 1))
    lengths = latent.interpolate_latents(start, end, FRACTIONS, spherical=True).norm(dim=2)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 4.0))


def test_the_middle_of_a_quarter_circle_is_at_45_degrees() -> None:
    start, end = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    middle = latent.interpolate_latents(start, end, torch.tensor([0.5]), spherical=True)
    torch.testing.assert_close(middle[0, 0], torch.full((2,), math.sqrt(0.5)))


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 0.0])
def test_parallel_latents_have_a_straight_path(factor: float) -> None:
    start = gaussian(1, 8)
    path = latent.interpolate_latents(start, factor * start, FRACTIONS, spherical=True)
    torch.testing.assert_close(path, latent.interpolate_latents(start, factor * start, FRACTIONS))


def test_latents_are_ordered_by_their_kl() -> None:
    mu = gaussian(100, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0])
    directions = latent.most_used_latents(mu, torch.tensor([0.1, 0.4, 0.2, 0.3]), 3)
    assert [name.split(",")[0] for name in directions.names] == ["latent 1", "latent 3", "latent 2"]
    assert directions.steps.ne(0).nonzero().tolist() == [[0, 1], [1, 3], [2, 2]]


def test_a_step_along_a_latent_is_one_standard_deviation() -> None:
    mu = gaussian(500, 3) * torch.tensor([0.5, 1.0, 2.0])
    directions = latent.most_used_latents(mu, torch.tensor([3.0, 2.0, 1.0]), 3)
    torch.testing.assert_close(directions.steps.diagonal(), mu.std(dim=0))


def test_the_first_principal_direction_is_the_longest_axis() -> None:
    mu = gaussian(2_000, 3) * torch.tensor([0.1, 5.0, 0.1])
    first = latent.principal_directions(mu, 1).steps[0]
    assert abs(float(first[1])) == pytest.approx(5.0, rel=0.05)
    assert abs(float(first[0])) < 0.1


def test_principal_directions_are_no_more_than_the_latents() -> None:
    directions = latent.principal_directions(gaussian(50, 3), 8)
    assert len(directions.steps) == len(directions.names) == 3


def test_the_difference_of_means_leads_from_one_mean_to_the_other() -> None:
    mu, has = gaussian(40, 6), torch.arange(40) < 15
    step = latent.mean_difference(mu, has)
    torch.testing.assert_close(mu[~has].mean(dim=0) + step, mu[has].mean(dim=0))


def test_a_classifiers_normal_ignores_what_only_correlates_with_an_attribute() -> None:
    # The first latent has the attribute; the second varies much and only correlates with it.
    noise = gaussian(4_000, 2)
    has = torch.arange(4_000) % 2 == 0
    mu = noise * torch.tensor([0.3, 3.0]) + has[:, None] * torch.tensor([1.0, 1.0])
    means, normal = latent.mean_difference(mu, has), latent.classifier_normal(mu, has)
    assert abs(float(normal[1] / normal[0])) < 0.1 < float(means[1] / means[0])


def test_a_step_along_a_classifiers_normal_is_as_far_as_the_means_are_apart() -> None:
    mu, has = gaussian(200, 5), torch.arange(200) < 80
    mu[has] += 1
    difference = latent.mean_difference(mu, has)
    normal = latent.classifier_normal(mu, has)
    torch.testing.assert_close(normal @ difference, difference @ difference)


@pytest.mark.parametrize("count", [0, 4, 37, 40])
def test_too_few_faces_with_or_without_an_attribute_are_refused(count: int) -> None:
    message = refusal(lambda: latent.mean_difference(gaussian(40, 3), torch.arange(40) < count))
    assert f"{count} of 40 faces" in message
