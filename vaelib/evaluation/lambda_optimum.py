"""The best lambda, in two ways: as a calibrated decoder predicts it and as a curve shows it.

Pure functions of a curve: lambdas in falling or rising order, and a number at each.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from vaelib.config import FACE_BYTES
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


def does_or_does_not(predicted: float, actual: float) -> str:
    """For prose, "does" or "does not": whether two lambdas lie within half a decade."""
    return "does" if abs(math.log10(predicted / actual)) <= 0.5 else "does not"
