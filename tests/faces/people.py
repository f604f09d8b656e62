"""Faces for tests: some factors set, the others sampled or anywhere in their ranges."""

from dataclasses import replace

import torch

from vaelib.faces.factors import CODES, RANGES, Factors
from vaelib.faces.sampling import sample

STILL = (
    "yaw", "pitch", "roll", "shift_x", "shift_y", "light_azimuth", "glasses", "hat", "parting",
    "earrings", "noise", "gaze", "back_slope", "back_clutter",
)  # fmt: skip


def with_factors(factors: Factors, **values: float) -> Factors:
    """The same faces but for these factors."""
    n = len(factors)
    return replace(factors, **{name: torch.full((n,), float(v)) for name, v in values.items()})


def facing(n: int, **values: float) -> Factors:
    """People who look at us, bareheaded and lit from the front, before a plain wall."""
    plain = {**dict.fromkeys(STILL, 0.0), "size": 1.0}
    return with_factors(sample(n, seed=1), **{**plain, **values})


def anywhere(n: int) -> Factors:
    """Factors from all over their ranges, as sliders may set them, with all that can be worn."""
    generator = torch.Generator().manual_seed(0)
    values = {}
    for name, (low, high) in RANGES.items():
        value = torch.rand(n, generator=generator) * (high - low) + low
        values[name] = value.round() if name in CODES else value
    return Factors(**values)
