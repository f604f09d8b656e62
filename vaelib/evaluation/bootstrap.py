"""What chance makes of a measure: bootstrap replicates, intervals.

A measure is a tensor (1 + REPLICATES,): the estimate, then bootstrap replicates of it, for which
the faces were drawn anew with replacement. The same draws serve every model, so differences and
ratios of measures are paired, element by element.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

REPLICATES = 400


CONFIDENCE = 0.95


@functools.lru_cache(maxsize=8)  # a model is measured in dozens of means over as many faces
def draws(n: int) -> Tensor:
    """Weights of n faces in the estimate and in each replicate, (1 + REPLICATES, n); rows sum to 1.

    Efron and Tibshirani (1993), chapter 6.
    """
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(n, (REPLICATES, n), generator=generator)
    counts = torch.zeros(REPLICATES, n, dtype=torch.float64)
    counts.scatter_add_(1, chosen, torch.ones_like(counts))
    return torch.cat([torch.full((1, n), 1 / n, dtype=torch.float64), counts / n])


def mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean of a value per face, (n,); of faces that belong to a group as far as `weights` say.

    weights: (n,), at least 0. nan where a replicate has nobody of the group.
    """
    rows = draws(len(values))
    if weights is None:
        return rows @ values.double()
    return (rows @ (values * weights).double()) / (rows @ weights.double())


def known(value: float) -> Tensor:
    """A measure that no draw of faces changes."""
    return torch.full((1 + REPLICATES,), value, dtype=torch.float64)


class Interval(NamedTuple):
    """An estimate, and within which bounds chance leaves it at 95 %."""

    value: float
    low: float
    high: float


def interval(seeds: Sequence[Tensor]) -> Interval:
    """Of a measure taken on the models of one or several seeds, each (1 + REPLICATES,).

    The mean over seeds. Of its replicates, each draws as many seeds as there are, with replacement,
    and of each the same replicate of its measure: chance in faces and in training together.
    """
    stacked = torch.stack(list(seeds)).double()
    replicates = stacked[:, 1:]
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(stacked), replicates.shape, generator=generator)
    drawn = replicates.gather(0, chosen).mean(dim=0)
    tails = torch.tensor([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], dtype=torch.float64)
    low, high = drawn.quantile(tails).tolist()
    return Interval(float(stacked[:, 0].mean()), low, high)
