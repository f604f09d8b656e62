"""Asking the latent space changes nothing, and its answers do not depend on how it is asked."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from vaelib import latent
from vaelib.config import IMAGE_SHAPE, LATENTS, Experiment
from vaelib.data import to_float
from vaelib.model import VAE, new_model

LATENT = 4
COUNT = 7

Question = Callable[[VAE, Tensor], object]

QUESTIONS: dict[str, Question] = {
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


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_do_not_depend_on_the_batch_size(
    model: VAE, images: Tensor, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = QUESTIONS[question](model, images)
    monkeypatch.setattr(latent, "BATCH", 3)
    torch.testing.assert_close(QUESTIONS[question](model, images), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_more_images_than_a_batch_are_in_the_network_at_once(
    model: VAE, images: Tensor, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    for part in (model.encoder, model.decoder):
        part.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    monkeypatch.setattr(latent, "BATCH", 3)
    QUESTIONS[question](model, images)
    assert max(sizes) == 3


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_given_in_evaluation_mode(
    model: VAE, images: Tensor, modes: list[bool], question: str
) -> None:
    model.train()
    QUESTIONS[question](model, images)
    assert modes
    assert not any(modes)


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_carry_no_gradient(model: VAE, images: Tensor, question: str) -> None:
    answer = QUESTIONS[question](model, images)
    assert isinstance(answer, Tensor)
    assert not answer.requires_grad


@pytest.mark.parametrize("question", QUESTIONS)
def test_evaluation_changes_no_weight(model: VAE, images: Tensor, question: str) -> None:
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    QUESTIONS[question](model, images)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_questions_leave_the_images_alone(model: VAE, images: Tensor) -> None:
    kept = images.clone()
    latent.reconstruct(model, images)
    assert torch.equal(images, kept)
