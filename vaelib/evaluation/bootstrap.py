"""What chance makes of a measure: bootstrap replicates and 95% intervals.

A measure is a tensor (1 + REPLICATES,): first the estimate, then bootstrap replicates of it, each
from faces drawn anew with replacement. Every model gets the same draws. Differences and ratios of
two models' measures are therefore paired, element by element.
"""

import functools
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import torch
from scipy.special import stdtrit  # scipy.stats takes ten times as long to import
from torch import Tensor

REPLICATES = 400
CONFIDENCE = 0.95
SMALLEST_EXPONENT, BISECTIONS = 12.0, 40  # of p-values: none below 1e-12, to 11 digits

Measures = dict[str, Tensor]  # of a model, (1 + REPLICATES,) each, by name of the measure


@functools.lru_cache(maxsize=8)  # each model needs dozens of means over the same number of faces
def bootstrap_weights(n: int) -> Tensor:
    """Weights of n faces in the estimate and in each replicate, (1 + REPLICATES, n); rows sum to 1.

    Efron and Tibshirani (1993), chapter 6.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(n, (REPLICATES, n), generator=generator)
    counts = torch.zeros(REPLICATES, n, dtype=torch.float64)
    counts.scatter_add_(1, drawn, torch.ones_like(counts))
    return torch.cat([torch.full((1, n), 1 / n, dtype=torch.float64), counts / n])


def mean(values: Tensor, membership: Tensor | None = None) -> Tensor:
    """The mean of a value per face, (n,), or of the faces of a group, weighted by `membership`.

    membership: (n,), at least 0. nan in a replicate where no face of the group was drawn.
    """
    weights = bootstrap_weights(len(values))
    if membership is None:
        return weights @ values.double()
    return (weights @ (values * membership).double()) / (weights @ membership.double())


def constant(value: float) -> Tensor:
    """A measure without replicates of its own: the same value in each."""
    return torch.full((1 + REPLICATES,), value, dtype=torch.float64)


class Interval(NamedTuple):
    """An estimate and the bounds of its 95% interval."""

    value: float
    low: float
    high: float


def interval(seeds: Sequence[Tensor]) -> Interval:
    """The mean and interval of a measure over the models of one or several seeds.

    seeds: one measure (1 + REPLICATES,) per training seed. Of one seed, the interval is where 95%
    of the replicates lie, and covers chance in the faces alone. Of several, it is Student's: chance
    in training, and in the faces that each seed draws for itself, is measured by how far the seeds'
    estimates are apart; chance in faces that all seeds share, such as the held-out ones, does not
    show there and is added from how the replicates of two seeds vary together. The critical value
    is the mean of Student's and the normal one, weighted by the two variances (Cochran, 1964).
    """
    stacked = torch.stack(list(seeds)).double()
    value = float(stacked[:, 0].mean())
    if len(stacked) == 1:
        tails = torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], dtype=torch.float64)
        low, high = stacked[0, 1:].quantile(tails).tolist()
        return Interval(value, low, high)
    half = _half_width(_variances(stacked), len(stacked), 1 - CONFIDENCE)
    return Interval(value, value - half, value + half)


def p_value(seeds: Sequence[Tensor], reference: float) -> float:
    """How often chance alone takes a measure so far from the reference; two-sided, in [0, 1].

    It is below 0.05 where the interval of several seeds does not hold the reference. Of one seed,
    the replicates are taken for normal, since 400 of them cannot say what is rarer.
    """
    stacked = torch.stack(list(seeds)).double()
    distance = abs(float(stacked[:, 0].mean()) - reference)
    variances = _variances(stacked)
    if math.isnan(sum(variances)):
        return math.nan
    low, high = -SMALLEST_EXPONENT, 0.0
    for _ in range(BISECTIONS):  # the narrower the interval, the larger the share outside it
        middle = (low + high) / 2
        half = _half_width(variances, len(stacked), 10**middle)
        low, high = (low, middle) if half < distance else (middle, high)
    return float(10**high)


def _variances(stacked: Tensor) -> tuple[float, float]:
    """Of the mean over seeds: from chance that each seed has for itself, and that all share.

    stacked: (seeds, 1 + REPLICATES). Of one seed, all that is known of is in its replicates.
    """
    estimates, replicates = stacked[:, 0], stacked[:, 1:]
    n = len(stacked)
    if n == 1:
        return 0.0, float(replicates[0].var())
    covariance = torch.cov(replicates)
    pairs = float(covariance.sum() - covariance.trace()) / (n * (n - 1))
    return float(estimates.var()) / n, pairs if math.isnan(pairs) else max(pairs, 0.0)


def _half_width(variances: tuple[float, float], n: int, outside: float) -> float:
    """Half of the interval over n seeds that this share of chance lies outside of."""
    between, shared = variances
    variance = between + shared
    if not variance:
        return 0.0
    normal = NormalDist().inv_cdf(1 - outside / 2)
    student = -float(stdtrit(n - 1, outside / 2)) if n > 1 else 0.0
    return (student * between + normal * shared) / variance * math.sqrt(variance)
