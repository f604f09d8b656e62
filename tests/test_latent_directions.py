"""Directions through the latent space lead where their names say."""

import math

import pytest
import torch
from torch import Tensor

from tests.conftest import refusal
from vaelib import latent

SHARES = torch.linspace(0, 1, 5)


def draws(n: int, latent: int, seed: int = 0) -> Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("spherical", [False, True])
def test_a_way_begins_and_ends_at_its_ends(spherical: bool) -> None:
    start, end = draws(3, 8), draws(3, 8, seed=1)
    way = latent.interpolate_latents(start, end, SHARES, spherical)
    assert way.shape == (3, 5, 8)
    torch.testing.assert_close(way[:, 0], start)
    torch.testing.assert_close(way[:, -1], end)


def test_a_straight_way_is_in_equal_steps() -> None:
    way = latent.interpolate_latents(draws(1, 8), draws(1, 8, seed=1), SHARES)
    steps = way.diff(dim=1).norm(dim=2)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps))


def test_a_great_circle_keeps_the_length_of_its_ends() -> None:
    start, end = (4 * torch.nn.functional.normalize(draws(2, 16, seed)) for seed in (0, 1))
    lengths = latent.interpolate_latents(start, end, SHARES, spherical=True).norm(dim=2)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 4.0))


def test_the_middle_of_a_quarter_circle_is_at_45_degrees() -> None:
    start, end = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    middle = latent.interpolate_latents(start, end, torch.tensor([0.5]), spherical=True)
    torch.testing.assert_close(middle[0, 0], torch.full((2,), math.sqrt(0.5)))


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 0.0])
def test_parallel_latents_have_a_straight_way(factor: float) -> None:
    start = draws(1, 8)
    way = latent.interpolate_latents(start, factor * start, SHARES, spherical=True)
    torch.testing.assert_close(way, latent.interpolate_latents(start, factor * start, SHARES))


def test_latents_are_ordered_by_their_kl() -> None:
    mu = draws(100, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0])
    ways = latent.most_used_latents(mu, torch.tensor([0.1, 0.4, 0.2, 0.3]), 3)
    assert [name.split(",")[0] for name in ways.names] == ["latent 1", "latent 3", "latent 2"]
    assert ways.steps.ne(0).nonzero().tolist() == [[0, 1], [1, 3], [2, 2]]


def test_a_step_along_a_latent_is_one_deviation() -> None:
    mu = draws(500, 3) * torch.tensor([0.5, 1.0, 2.0])
    ways = latent.most_used_latents(mu, torch.tensor([3.0, 2.0, 1.0]), 3)
    torch.testing.assert_close(ways.steps.diagonal(), mu.std(dim=0))


def test_the_first_principal_direction_is_the_longest_axis() -> None:
    mu = draws(2_000, 3) * torch.tensor([0.1, 5.0, 0.1])
    first = latent.principal_directions(mu, 1).steps[0]
    assert abs(float(first[1])) == pytest.approx(5.0, rel=0.05)
    assert abs(float(first[0])) < 0.1


def test_principal_directions_are_no_more_than_the_latents() -> None:
    ways = latent.principal_directions(draws(50, 3), 8)
    assert len(ways.steps) == len(ways.names) == 3


def test_the_difference_of_means_leads_from_one_mean_to_the_other() -> None:
    mu, has = draws(40, 6), torch.arange(40) < 15
    way = latent.mean_difference(mu, has)
    torch.testing.assert_close(mu[~has].mean(dim=0) + way, mu[has].mean(dim=0))


def test_a_classifiers_normal_is_no_longer_drawn_aside_by_what_goes_with_an_attribute() -> None:
    # The first latent has the attribute; the second varies much and only leans with it.
    noise = draws(4_000, 2)
    has = torch.arange(4_000) % 2 == 0
    mu = noise * torch.tensor([0.3, 3.0]) + has[:, None] * torch.tensor([1.0, 1.0])
    means, normal = latent.mean_difference(mu, has), latent.classifier_normal(mu, has)
    assert abs(float(normal[1] / normal[0])) < 0.1 < float(means[1] / means[0])


def test_a_step_along_a_classifiers_normal_is_as_far_as_the_means_are_apart() -> None:
    mu, has = draws(200, 5), torch.arange(200) < 80
    mu[has] += 1
    difference = latent.mean_difference(mu, has)
    normal = latent.classifier_normal(mu, has)
    torch.testing.assert_close(normal.norm(), difference.norm())
    assert normal @ difference > 0


@pytest.mark.parametrize("many", [0, 4, 37, 40])
def test_too_few_faces_with_or_without_an_attribute_are_refused(many: int) -> None:
    told = refusal(lambda: latent.mean_difference(draws(40, 3), torch.arange(40) < many))
    assert f"{many} of 40 faces" in told
