"""Training ends in the same weights as when its RECIPE was last raised, up to rounding."""

import copy
import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.training import checkpoints, loop
from vaelib.training.step import Execution

# Two epochs of 20 faces in batches of 8, and the beginning of a third.
EXPERIMENT = Experiment(latent=8, lam=1e-3, budget=44, batch_size=8, seed=3)
MODULES = ("encoder.convolutions", "encoder.mu", "encoder.logvar", "decoder.linear", "decoder.conv")
TOLERANCE = 0.005  # relative; about ten times what another machine's rounding changes


class Outcome(NamedTuple):
    """What a short training comes to."""

    losses: list[float]  # of each step
    held_out: float  # the loss on validation faces after the last
    moved: list[float]  # how far the weights of each of MODULES are from where they began


# "plus_one" has the weights of "standard": tests/training/test_run_one.py compares them.
EXPECTED = {
    "standard": Outcome(
        [0.5421, 0.512816, 0.465766, 0.433586, 0.403461, 0.390873, 0.377577],
        0.369798,
        [4.02881, 0.429385, 0.415286, 0.560431, 4.093],
    ),
    "centre_pull": Outcome(
        [0.542646, 0.520291, 0.468755, 0.44348, 0.410105, 0.394471, 0.386756],
        0.376352,
        [3.91962, 0.389703, 0.40828, 0.560123, 4.09838],
    ),
    "calibrated": Outcome(
        [0.541346, 0.503498, 0.459386, 0.423873, 0.398377, 0.384602, 0.375384],
        0.369613,
        [4.1378, 0.489894, 0.473231, 0.564752, 4.09993],
    ),
    "batch": Outcome(
        [0.538058, 0.488871, 0.439126, 0.448409, 2.30394, 0.387225, 0.379594],
        0.341334,
        [3.1952, 0.438832, 0.445114, 0.560817, 4.15545],
    ),
    "group": Outcome(
        [0.531195, 0.526777, 0.440735, 0.400901, 0.382805, 0.370729, 0.363205],
        0.360994,
        [4.08841, 0.384393, 0.391459, 0.578975, 4.16638],
    ),
}
CHANGED: dict[str, dict[str, Any]] = {
    "standard": {},
    "centre_pull": {"kl_reading": "centre_pull"},
    "calibrated": {"weighting": "calibrated"},
    "batch": {"norm": "batch"},
    "group": {"norm": "group"},
}


def drawn_faces() -> FaceSet:
    """Twenty-eight striped images, none of which is its own mirror image."""
    n, channel, y, x = (torch.arange(size) for size in (28, 3, 64, 48))
    stripes = 5 * x + 3 * y[:, None] + 40 * channel[:, None, None]
    images = (stripes * (1 + n[:, None, None, None] % 5) + 9 * n[:, None, None, None]) % 256
    split = torch.tensor([0] * 20 + [1] * 8, dtype=torch.uint8)
    return FaceSet("drawn", images.byte(), None, (), split, "drawn", "photos", Path())


def outcome(experiment: Experiment, folder: Path) -> Outcome:
    cpu = torch.device("cpu")
    state = checkpoints.initial_state(experiment, cpu)
    before = copy.deepcopy(state.model)
    with closing(loop.CheckpointWriter(folder)) as writer:
        execution = Execution().resolved(cpu)
        loop.fit(state, experiment, drawn_faces(), execution, lambda *_: None, writer)
    squares = dict.fromkeys(MODULES, 0.0)
    pairs = zip(state.model.named_parameters(), before.parameters(), strict=True)
    for (name, weight), first in pairs:
        module = next(module for module in MODULES if name.startswith(module))
        squares[module] += float((weight - first).detach().square().sum())
    return Outcome(
        losses=[row.loss for row in state.history if row.split == "train"],
        held_out=state.history[-1].loss,
        moved=[math.sqrt(square) for square in squares.values()],
    )


@pytest.mark.parametrize(
    "name", ["standard", *(pytest.param(n, marks=pytest.mark.slow) for n in [*EXPECTED][1:])]
)
def test_training_ends_as_it_did(name: str, tmp_path: Path) -> None:
    found = outcome(replace(EXPERIMENT, **CHANGED[name]), tmp_path)
    expected = EXPECTED[name]
    for part in Outcome._fields:
        assert getattr(found, part) == pytest.approx(getattr(expected, part), rel=TOLERANCE), (
            f"results changed: raise RECIPE in vaelib/training/runs.py, with a line on what "
            f"changed, and renew these numbers: {found}"
        )
