"""How far one set of faces is from another, on features (n, d) of both. Pure functions.

The features may be anybody's; those of `vaelib.evaluation.attributes` are used here. What chance makes of them is
told as in `vaelib.evaluation.image_metrics`: the estimate, then replicates for which faces were drawn anew.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vaelib.evaluation.bootstrap import draws

NEAREST = 5  # neighbours that make a face's neighbourhood: Naeem et al. (2020), section 4.1


def kernel_distance(one: Tensor, other: Tensor) -> Tensor:
    """Squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, (1 + REPLICATES,).

    Unbiased: 0 on average for two samples of one distribution, so it may be negative. Pairs of a
    face with itself are left out, in replicates as well. Binkowski et al. (2018), section 4.
    """
    one, other = one.double(), other.double()
    first, second = draws(len(one)), draws(len(other)).roll(len(other) // 2, dims=1)
    between = ((first @ _kernel(one, other)) * second).sum(dim=1)
    return _within(one, first) + _within(other, second) - 2 * between


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _within(x: Tensor, weights: Tensor) -> Tensor:
    """Mean of the kernel over pairs of different faces, each face by its weight."""
    products = _kernel(x, x).fill_diagonal_(0)
    return ((weights @ products) * weights).sum(dim=1) / (1 - weights.square().sum(dim=1))


def group_distance(one: Tensor, weights: Tensor, other: Tensor, weights_other: Tensor) -> float:
    """The kernel distance between two groups, to which faces belong as far as weights say, (n,)."""
    one, other = one.double(), other.double()
    first, second = (w.double()[None] / w.sum() for w in (weights, weights_other))
    between = (first @ _kernel(one, other) @ second.T)[0, 0]
    return float(_within(one, first)[0] + _within(other, second)[0] - 2 * between)


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """Squared Frechet distance of the Gaussians that fit both sets; at least 0, biased upwards.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): Heusel et al. (2017), section 3.
    """
    one, other = one.double(), other.double()
    first, second = torch.cov(one.T), torch.cov(other.T)
    means = (one.mean(dim=0) - other.mean(dim=0)).square().sum()
    # The eigenvalues of a product of two covariances are real and not negative, but for rounding.
    roots = torch.linalg.eigvals(first @ second).real.clamp_min(0).sqrt().sum()
    return max(0.0, float(means + first.trace() + second.trace() - 2 * roots))


class Support(NamedTuple):
    """How two sets cover each other, (1 + REPLICATES,); about 1 for two halves of one set."""

    precision: Tensor  # share of generated faces within real neighbourhoods; at most 1
    recall: Tensor  # share of real faces within generated neighbourhoods; at most 1
    density: Tensor  # real neighbourhoods that a generated face is in, in units of NEAREST
    coverage: Tensor  # share of real neighbourhoods with a generated face; at most 1


def support(real: Tensor, generated: Tensor) -> Support:
    """Precision, recall, density and coverage of generated faces against real ones.

    Kynkaanniemi et al. (2019), section 2; Naeem et al. (2020), section 3. Replicates draw the faces
    that are counted, not the neighbourhoods.
    """
    real, generated = real.double(), generated.double()
    between = torch.cdist(real, generated)
    real_radii, generated_radii = radii(real), radii(generated)
    inside = (between < real_radii[:, None]).double()
    of_real, of_generated = draws(len(real)), draws(len(generated))
    return Support(
        precision=of_generated @ inside.max(dim=0).values,
        recall=of_real @ (between < generated_radii[None]).any(dim=1).double(),
        density=of_generated @ inside.sum(dim=0) / NEAREST,
        coverage=of_real @ inside.max(dim=1).values,
    )


def radii(features: Tensor) -> Tensor:
    """Distance of each face to its NEAREST-th neighbour among the others, (n,)."""
    distances = torch.cdist(features.double(), features.double())
    return distances.kthvalue(NEAREST + 1, dim=1).values  # the first is the face itself


def realism(real: Tensor, generated: Tensor) -> Tensor:
    """How deep each generated face lies within the real ones, (n,): 1 at a neighbourhood's edge.

    The largest ratio of a real face's radius to its distance, where the half of the real faces
    with the largest radii is left out: Kynkaanniemi et al. (2019), equation 3.
    """
    sizes = radii(real)
    kept = sizes <= sizes.median()
    between = torch.cdist(real[kept].double(), generated.double())
    return (sizes[kept][:, None] / between).max(dim=0).values
