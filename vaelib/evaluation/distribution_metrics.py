"""Distances between two sets of faces, computed on features (n, d) of both. Pure functions.

The features may come from any network; here they are those of `vaelib.evaluation.attributes`.
Measures of shape (1 + REPLICATES,) are an estimate and its bootstrap replicates, see
`vaelib.evaluation.bootstrap`.
"""

import torch
from torch import Tensor

from vaelib.evaluation.bootstrap import bootstrap_weights

NEIGHBOURS = 5  # that make a face's neighbourhood: Naeem et al. (2020), section 4.1


def kernel_distance(x: Tensor, y: Tensor) -> Tensor:
    """Squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, (1 + REPLICATES,).

    Unbiased: 0 on average for two samples of one distribution, so it may be negative. Pairs of a
    face with itself are left out, in replicates as well. Binkowski et al. (2018), section 4.
    """
    x, y = x.double(), y.double()
    # Rolled, so that replicates of two sets of equal size are drawn independently of each other.
    weights_x = bootstrap_weights(len(x))
    weights_y = bootstrap_weights(len(y)).roll(len(y) // 2, dims=1)
    between = ((weights_x @ _kernel(x, y)) * weights_y).sum(dim=1)
    return _mean_within(x, weights_x) + _mean_within(y, weights_y) - 2 * between


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_within(x: Tensor, weights: Tensor) -> Tensor:
    """Mean of the kernel over pairs of different faces of one set; weights: (replicates, n)."""
    products = _kernel(x, x).fill_diagonal_(0)
    return ((weights @ products) * weights).sum(dim=1) / (1 - weights.square().sum(dim=1))


def group_distance(x: Tensor, membership_x: Tensor, y: Tensor, membership_y: Tensor) -> float:
    """The kernel distance between two groups of faces; memberships: (n,), at least 0."""
    x, y = x.double(), y.double()
    weights_x = membership_x.double()[None] / membership_x.sum()
    weights_y = membership_y.double()[None] / membership_y.sum()
    between = (weights_x @ _kernel(x, y) @ weights_y.T)[0, 0]
    return float(_mean_within(x, weights_x)[0] + _mean_within(y, weights_y)[0] - 2 * between)


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Squared Frechet distance of the Gaussians that fit both sets; at least 0, biased upwards.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): Heusel et al. (2017), section 3.
    """
    x, y = x.double(), y.double()
    c1, c2 = torch.cov(x.T), torch.cov(y.T)
    means = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    # The eigenvalues of a product of two covariances are real and not negative, but for rounding.
    roots = torch.linalg.eigvals(c1 @ c2).real.clamp_min(0).sqrt().sum()
    return max(0.0, float(means + c1.trace() + c2.trace() - 2 * roots))


def manifold_metrics(real: Tensor, generated: Tensor) -> dict[str, Tensor]:
    """Precision, recall, density and coverage of generated faces against real ones.

    Each (1 + REPLICATES,), about 1 for two halves of one set; all but density are at most 1.
    Kynkaanniemi et al. (2019), section 2; Naeem et al. (2020), section 3. Replicates redraw the
    faces that are counted, not the neighbourhoods.
    """
    real, generated = real.double(), generated.double()
    distances = torch.cdist(real, generated)
    in_real = (distances < neighbourhood_radii(real)[:, None]).double()
    in_generated = distances < neighbourhood_radii(generated)[None]
    real_weights = bootstrap_weights(len(real))
    generated_weights = bootstrap_weights(len(generated))
    return {
        "precision": generated_weights @ in_real.max(dim=0).values,
        "recall": real_weights @ in_generated.any(dim=1).double(),
        "density": generated_weights @ in_real.sum(dim=0) / NEIGHBOURS,
        "coverage": real_weights @ in_real.max(dim=1).values,
    }


def neighbourhood_radii(features: Tensor) -> Tensor:
    """Distance of each face to its fifth nearest neighbour among the others, (n,)."""
    distances = torch.cdist(features.double(), features.double())
    return distances.kthvalue(NEIGHBOURS + 1, dim=1).values  # the first is the face itself


def realism(real: Tensor, generated: Tensor) -> Tensor:
    """How deep each generated face lies within the real ones, (n,): 1 at a neighbourhood's edge.

    The largest ratio of a real face's radius to its distance. The half of the real faces with the
    largest radii is left out. Kynkaanniemi et al. (2019), equation 3.
    """
    radii = neighbourhood_radii(real)
    kept = radii <= radii.median()
    distances = torch.cdist(real[kept].double(), generated.double())
    return (radii[kept][:, None] / distances).max(dim=0).values
