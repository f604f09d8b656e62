"""The best lambda: as a calibrated decoder predicts it, as a curve shows it, as others write it.

Pure functions. A curve is lambdas in falling or rising order, and a number at each.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from vaelib.config import ALL_EXPERIMENTS, FACE_BYTES
from vaelib.evaluation.bootstrap import Interval, Measures, interval
from vaelib.loss import optimal_lam


def predicted_lambda(lams: Sequence[float], errors: Sequence[float]) -> float:
    """The lambda that is optimal for the error reached with it: lam = 2 MSE(lam) / D.

    errors: held-out mean squared errors. Between two lambdas, log error is interpolated linearly
    in log lambda. If the solution lies beyond the curve, the optimum for the error at the nearer
    end of the curve is returned. Rybkin, Daniilidis and Levine (2021).
    """
    points = sorted(zip(lams, errors, strict=True))
    # log lambda, and the log of the optimal lambda over it: positive where a larger one is better.
    logs = [
        (math.log(lam), math.log(optimal_lam(error, FACE_BYTES) / lam)) for lam, error in points
    ]
    for (low, before), (high, after) in pairwise(logs):
        if before >= 0 >= after:
            share = before / (before - after) if before > after else 0.0
            return math.exp(low + share * (high - low))
    _, error = points[-1] if logs[-1][1] > 0 else points[0]
    return optimal_lam(error, FACE_BYTES)


def measured_lambda(lams: Sequence[float], bits: Sequence[float]) -> float:
    """The lambda of the shortest code: the lowest point of a parabola in log lambda.

    bits: code lengths at the calibrated variance. The parabola goes through the lowest point and
    its two neighbours. If the lowest point is the first or last, its own lambda is returned.
    """
    points = sorted(zip(lams, bits, strict=True))
    lowest = min(range(len(points)), key=lambda index: points[index][1])
    if not 0 < lowest < len(points) - 1:
        return points[lowest][0]
    nearest = points[lowest - 1 : lowest + 2]
    parabola = np.polynomial.Polynomial.fit(
        [math.log(lam) for lam, _ in nearest], [bit for _, bit in nearest], deg=2
    )
    (vertex,) = parabola.deriv().roots().real
    return math.exp(vertex)


def over_seeds(
    optimum: Callable[[Sequence[float], Sequence[float]], float],
    measure: str,
    seeds: Sequence[Mapping[str, Measures]],
) -> Interval:
    """One of the two optima with its interval, from a measure of the models of each seed.

    seeds: for each, measures by the name of a model in `config.ALL_EXPERIMENTS`.
    """
    logs = []
    for models in seeds:
        lams = [ALL_EXPERIMENTS[name].lam for name in models]
        by_replicate = torch.stack([of[measure] for of in models.values()], dim=1).tolist()
        optima = [optimum(lams, values) for values in by_replicate]
        logs.append(torch.tensor(optima, dtype=torch.float64).log())
    return Interval(*(math.exp(bound) for bound in interval(logs)))


def does_or_does_not(predicted: float, actual: float) -> str:
    """For prose, "does" or "does not": whether two lambdas lie within half a decade."""
    return "does" if abs(math.log10(predicted / actual)) <= 0.5 else "does not"


class Program(NamedTuple):
    """The loss of another program: error_weight * squared error + kl_weight * KL.

    Its pixels lie in [0, 1], and its KL is summed over latents, as ours is.
    """

    name: str
    loss: str  # as it is written there
    error_weight: float
    is_mean: bool  # the squared error is averaged over the values of an image, or else summed
    kl_weight: float  # as the program has it
    dimensions: int = FACE_BYTES  # of its images; matters where the error is a mean

    @property
    def beta(self) -> float:
        """Its weight on the common scale, see `beta_of_lambda`."""
        values = self.dimensions if self.is_mean else 1
        return self.kl_weight * values / (2 * self.error_weight)

    def loss_with(self, beta: float, dimensions: int) -> str:
        """The loss as one would write it there for this beta and images of so many values."""
        error = self.loss.partition(" + ")[0]
        kl_weight = 2 * self.error_weight * beta / (dimensions if self.is_mean else 1)
        return f"{error} + {kl_weight:.2g} KL"


PROGRAMS = (
    Program("pythae", "SSE/2 + KL", 0.5, False, 1.0),
    Program("stat453, L17", "SSE + KL", 1.0, False, 1.0),
    Program("handson-ml3", "mean MSE + KL/784", 1.0, True, 1 / 784, 784),
    Program("GDL, 2nd edition", "2000 mean MSE + KL", 2_000.0, True, 1.0, 3_072),
    Program("PyTorch-VAE", "mean MSE + 0.00025 KL", 1.0, True, 0.00025, 12_288),
    Program("disentangling-vae", "255 SSE + KL", 255.0, False, 1.0),
)


def beta_of_lambda(lam: float, dimensions: int = FACE_BYTES) -> float:
    """Our lambda on the common scale: the weight of the KL beside half the squared error.

    There, squares are summed over pixels in [0, 1], the KL over latents, and beta = 1 is a decoder
    of variance 1. Our pixels lie twice as far apart and our error is a mean over `dimensions`.
    """
    return lam * dimensions / 8


def lambda_of_beta(beta: float, dimensions: int = FACE_BYTES) -> float:
    """The other way round."""
    return 8 * beta / dimensions


# --- the lambda of given images, from the training of a calibrated model


class LambdaEstimate(NamedTuple):
    """Where models that set lambda from their error end."""

    error: float  # mean squared error on validation faces, averaged over seeds
    per_seed: list[float]  # lambda of each seed
    change: float  # share by which lambda changed over the second half of training

    @property
    def lam(self) -> float:
        """The mean over seeds."""
        return optimal_lam(self.error, FACE_BYTES)


def estimate_lambda(curves: Sequence[dict[int, float]]) -> LambdaEstimate:
    """From the validation errors of each seed's model, by how many images it had seen."""
    ends, halves = [], []
    for curve in curves:
        last = max(curve)
        ends.append(curve[last])
        halves.append(curve[min(curve, key=lambda seen: abs(seen - last / 2))])
    return LambdaEstimate(
        error=sum(ends) / len(ends),
        per_seed=[optimal_lam(error, FACE_BYTES) for error in ends],
        change=sum(ends) / sum(halves) - 1,
    )
