"""Where the best lambda lies: as a calibrated decoder predicts it, and as a curve shows it.

Pure functions of a curve, by lambda: lams in falling or rising order, and a number at each.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from vaelib.config import FACE_BYTES
from vaelib.loss import optimal_lam


def predicted(lams: Sequence[float], errors: Sequence[float]) -> float:
    """The lambda that the error made with it asks for: lam = 2 MSE(lam) / D.

    errors: held-out mean squared errors. Between two lambdas, the logarithm of the error is taken
    to be linear in that of lambda. Where all ask for more than the largest or less than the
    smallest, it is what the error made with that one asks for. Rybkin, Daniilidis and Levine
    (2021).
    """
    points = sorted(zip(lams, errors, strict=True))
    # Above 0 where the error asks for a larger lambda than the one it was made with.
    logs = [
        (math.log(lam), math.log(optimal_lam(error, FACE_BYTES) / lam)) for lam, error in points
    ]
    for (low, before), (high, after) in pairwise(logs):
        if before >= 0 >= after:
            share = before / (before - after) if before > after else 0.0
            return math.exp(low + share * (high - low))
    _, error = points[-1] if logs[-1][1] > 0 else points[0]
    return optimal_lam(error, FACE_BYTES)


def measured(lams: Sequence[float], bits: Sequence[float]) -> float:
    """The lambda of the shortest code: the lowest point of a parabola in the logarithm of lambda.

    bits: code lengths at the calibrated variance. The parabola goes through the lowest point and
    its two neighbours; where the lowest is the first or last, that lambda itself.
    """
    points = sorted(zip(lams, bits, strict=True))
    lowest = min(range(len(points)), key=lambda place: points[place][1])
    if not 0 < lowest < len(points) - 1:
        return points[lowest][0]
    some = points[lowest - 1 : lowest + 2]
    curve = np.polynomial.Polynomial.fit(
        [math.log(lam) for lam, _ in some], [bit for _, bit in some], deg=2
    )
    (place,) = curve.deriv().roots().real
    return math.exp(place)


def does_predict(lam: float, chosen: float) -> str:
    """ "does" or "does not": whether a predicted lambda lies within half a decade of another."""
    return "does" if abs(math.log10(lam / chosen)) <= 0.5 else "does not"
