"""Distances between sets of features agree with naive loops, closed forms and chance."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vaelib.evaluation.bootstrap import REPLICATES
from vaelib.evaluation.distribution_metrics import (
    NEIGHBOURS,
    frechet_distance,
    group_distance,
    kernel_distance,
    manifold_metrics,
    neighbourhood_radii,
    realism,
)

MANY = 150  # samples behind what is true on average


def features(n: int, size: int, seed: int, shift: float = 0.0) -> Tensor:
    """Normally distributed features (n, size)."""
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed)) + shift


def memberships(n: int, seed: int) -> Tensor:
    return torch.rand(n, generator=torch.Generator().manual_seed(seed))


# --- kernel distance


def naive_discrepancy(one: Tensor, weights: Tensor, other: Tensor, weights_other: Tensor) -> float:
    """The mean kernel within each set, over ordered pairs of different faces, less that between."""

    def mean_kernel(x: Tensor, wx: Tensor, y: Tensor, wy: Tensor, different: bool) -> float:
        total = weight = 0.0
        for i, j in itertools.product(range(len(x)), range(len(y))):
            if different and i == j:
                continue
            dot = sum(a * b for a, b in zip(x[i].tolist(), y[j].tolist(), strict=True))
            total += float(wx[i] * wy[j]) * (dot / x.shape[1] + 1) ** 3
            weight += float(wx[i] * wy[j])
        return total / weight

    within = mean_kernel(one, weights, one, weights, True)
    within += mean_kernel(other, weights_other, other, weights_other, True)
    return within - 2 * mean_kernel(one, weights, other, weights_other, False)


def test_the_kernel_distance_is_that_of_a_naive_loop_over_pairs() -> None:
    one, other = features(9, 3, seed=0), features(7, 3, seed=1, shift=0.5)
    expected = naive_discrepancy(one, torch.ones(9), other, torch.ones(7))
    assert kernel_distance(one, other)[0].item() == pytest.approx(expected, rel=1e-5)


def kernel_distances(shift: float) -> Tensor:
    """Of many pairs of sets of 40 faces, (MANY, 1 + REPLICATES)."""
    ones = [features(40, 4, seed) for seed in range(MANY)]
    others = [features(40, 4, 1000 + seed, shift) for seed in range(MANY)]
    return torch.stack([kernel_distance(*pair) for pair in zip(ones, others, strict=True)])


@pytest.fixture(scope="module")
def of_one_distribution() -> Tensor:
    return kernel_distances(shift=0.0)


@pytest.fixture(scope="module")
def of_two_distributions() -> Tensor:
    return kernel_distances(shift=2.0)


def test_sets_of_one_distribution_are_at_a_distance_of_0_on_average(
    of_one_distribution: Tensor,
) -> None:
    estimates = of_one_distribution[:, 0]
    assert abs(estimates.mean()) < 3 * estimates.std() / math.sqrt(MANY)


def test_a_kernel_distance_may_be_negative(of_one_distribution: Tensor) -> None:
    assert 0.3 < (of_one_distribution[:, 0] < 0).double().mean() < 0.8


def test_replicates_of_the_kernel_distance_are_on_average_their_estimate(
    of_one_distribution: Tensor, of_two_distributions: Tensor
) -> None:
    for distances in (of_one_distribution, of_two_distributions):
        bias = distances[:, 1:].mean(dim=1) - distances[:, 0]
        assert abs(bias.mean()) < 3 * bias.std() / math.sqrt(MANY)


def test_replicates_of_the_kernel_distance_spread_as_other_faces_would(
    of_two_distributions: Tensor,
) -> None:
    expected = of_two_distributions[:, 0].std().item()
    found = of_two_distributions[:, 1:].std(dim=1).mean().item()
    assert found == pytest.approx(expected, rel=0.2)


def test_replicates_of_the_kernel_distance_never_spread_too_little(
    of_one_distribution: Tensor,
) -> None:
    # Here the statistic is degenerate, for which a bootstrap is too wide: up to sqrt(3) times.
    ratio = of_one_distribution[:, 1:].std(dim=1).mean() / of_one_distribution[:, 0].std()
    assert 1 < ratio < 2


def test_replicates_draw_both_sets_independently_even_where_their_faces_are_pairs() -> None:
    one, other = features(200, 4, seed=0), features(200, 4, seed=0, shift=0.3)
    shuffled = other[torch.randperm(200, generator=torch.Generator().manual_seed(1))]
    expected = kernel_distance(one, shuffled)[1:].std().item()
    assert kernel_distance(one, other)[1:].std().item() == pytest.approx(expected, rel=0.2)


# --- groups


def test_a_group_of_whole_faces_is_as_far_as_these_faces_alone() -> None:
    one, other = features(12, 3, seed=0), features(10, 3, seed=1)
    member, member_other = memberships(12, seed=2) < 0.5, memberships(10, seed=3) < 0.7
    expected = kernel_distance(one[member], other[member_other])[0].item()
    found = group_distance(one, member.float(), other, member_other.float())
    assert found == pytest.approx(expected, rel=1e-5)


def test_faces_count_in_the_group_distance_by_their_membership() -> None:
    one, other = features(9, 3, seed=0), features(7, 3, seed=1)
    weights, weights_other = memberships(9, seed=2), memberships(7, seed=3)
    expected = naive_discrepancy(one, weights, other, weights_other)
    found = group_distance(one, weights, other, weights_other)
    assert found == pytest.approx(expected, rel=1e-5)


# --- Frechet distance


def box(*sides: float) -> Tensor:
    """The corners of a box about 0: covariance diag(sides^2) 8/7, as there are 8 of them."""
    corners = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)), dtype=torch.float64)
    return corners * torch.tensor(sides, dtype=torch.float64)


def test_the_frechet_distance_of_diagonal_gaussians_is_the_closed_form() -> None:
    moved = box(2, 2, 0.5) + torch.tensor([1.0, 0.0, -2.0])
    expected = (1 + 0 + 4) + 8 / 7 * ((1 - 2) ** 2 + (2 - 2) ** 2 + (3 - 0.5) ** 2)
    assert frechet_distance(box(1, 2, 3), moved) == pytest.approx(expected)


def test_the_frechet_distance_is_that_of_symmetric_roots_of_correlated_gaussians() -> None:
    mix, mix_other = features(4, 4, seed=0), features(4, 4, seed=1)
    one, other = features(50, 4, seed=2) @ mix, features(40, 4, seed=3) @ mix_other
    first, second = (np.cov(x.double().numpy().T) for x in (one, other))
    values, vectors = np.linalg.eigh(first)
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root)).sum()
    means = (one.double().mean(dim=0) - other.double().mean(dim=0)).numpy()
    expected = np.sum(means**2) + np.trace(first) + np.trace(second) - 2 * cross
    assert frechet_distance(one, other) == pytest.approx(expected)


def test_a_set_is_at_a_frechet_distance_of_0_from_itself() -> None:
    for n in (20, 300):  # fewer faces than features, and more
        faces = features(n, 100, seed=0)
        assert 0 <= frechet_distance(faces, faces) < 1e-4, n


# --- precision, recall, density and coverage


def naive_radius(faces: Tensor, i: int) -> float:
    others = [math.dist(faces[i].tolist(), faces[j].tolist()) for j in range(len(faces)) if j != i]
    return sorted(others)[NEIGHBOURS - 1]


def naive_manifold_metrics(real: Tensor, generated: Tensor) -> list[float]:
    """Precision, recall, density and coverage."""
    real_radii = [naive_radius(real, i) for i in range(len(real))]
    generated_radii = [naive_radius(generated, j) for j in range(len(generated))]
    apart = [[math.dist(x, y) for y in generated.tolist()] for x in real.tolist()]
    inside, covered = [0] * len(generated), [0] * len(real)
    recalled = set()
    for i, j in itertools.product(range(len(real)), range(len(generated))):
        if apart[i][j] < real_radii[i]:
            inside[j] += 1
            covered[i] += 1
        if apart[i][j] < generated_radii[j]:
            recalled.add(i)
    return [
        sum(count > 0 for count in inside) / len(generated),
        len(recalled) / len(real),
        sum(inside) / len(generated) / NEIGHBOURS,
        sum(count > 0 for count in covered) / len(real),
    ]


def estimates(real: Tensor, generated: Tensor) -> list[float]:
    return [measure[0].item() for measure in manifold_metrics(real, generated).values()]


def test_manifold_metrics_are_those_of_a_naive_loop() -> None:
    real = features(40, 3, seed=0)
    for shift in (0.0, 1.0, 2.0):
        generated = 0.7 * features(30, 3, seed=1, shift=shift)
        expected = naive_manifold_metrics(real, generated)
        assert estimates(real, generated) == pytest.approx(expected), shift


def test_two_halves_of_one_distribution_cover_each_other() -> None:
    found = estimates(features(300, 2, seed=0), features(300, 2, seed=1))
    assert found == pytest.approx([1, 1, 1, 1], abs=0.1)


def test_a_collapsed_set_is_precise_and_covers_little() -> None:
    found = manifold_metrics(features(300, 2, seed=0), 0.01 * features(300, 2, seed=1))
    assert found["precision"][0].item() == pytest.approx(1)
    assert found["recall"][0] < 0.05
    assert found["coverage"][0] < 0.1


def test_sets_far_away_from_each_other_cover_nothing() -> None:
    assert estimates(features(30, 3, seed=0), features(30, 3, seed=1, shift=50)) == [0, 0, 0, 0]


def test_replicates_of_a_share_spread_as_those_of_a_binomial_distribution() -> None:
    estimate, *replicates = manifold_metrics(features(200, 3, 0), features(60, 3, 1))[
        "coverage"
    ].tolist()
    assert len(replicates) == REPLICATES
    expected = math.sqrt(estimate * (1 - estimate) / 200)
    assert np.std(replicates) == pytest.approx(expected, rel=0.15)


# --- neighbourhoods and realism


def line(*places: float) -> Tensor:
    """Faces of a single feature."""
    return torch.tensor(places)[:, None]


def test_a_radius_reaches_to_the_fifth_other_face() -> None:
    assert neighbourhood_radii(line(*range(10))).tolist() == [5, 4, 3, 3, 3, 3, 3, 3, 4, 5]


def test_radii_are_those_of_a_naive_loop() -> None:
    faces = features(40, 6, seed=0)  # more than 25, from where on torch.cdist multiplies matrices
    expected = [naive_radius(faces, i) for i in range(40)]
    assert neighbourhood_radii(faces).tolist() == pytest.approx(expected, rel=1e-5)


def test_realism_is_the_inverse_of_the_distance_in_radii() -> None:
    real = line(*range(20))  # radii of 3 from place 2 to 17, and larger ones, which are left out
    assert realism(real, line(20, 23, 17.5, -4)).tolist() == pytest.approx([1, 1 / 2, 6, 1 / 2])
