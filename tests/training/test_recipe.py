"""Training ends in the same weights as when its RECIPE was last raised, up to rounding."""

import copy
import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.training import checkpoints, loop
from vaelib.training.step import Execution

# Two epochs of 20 faces in batches of 8, and the beginning of a third. With a group norm, because
# the others multiply rounding: so that this one shows a change of a setting, such as Adam's eps.
EXPERIMENT = Experiment(latent=8, lam=1e-3, norm="group", budget=44, batch_size=8, seed=3)
CASES = {
    "group": EXPERIMENT,
    "centre_pull": replace(EXPERIMENT, kl_reading="centre_pull"),
    "calibrated": replace(EXPERIMENT, weighting="calibrated"),
    "instance": replace(EXPERIMENT, norm="instance"),
    "batch": replace(EXPERIMENT, norm="batch"),
}
# Relative; at least three times what changed when convolutions were computed without oneDNN.
TOLERANCE = {"group": 0.005, "instance": 0.05, "batch": 0.05}
MODULES = ("encoder.convolutions", "encoder.mu", "encoder.logvar", "decoder.linear", "decoder.conv")


class Outcome(NamedTuple):
    """What a short training comes to."""

    losses: list[float]  # of each step
    held_out: float  # the loss on validation faces after the last
    moved: list[float]  # how far the weights of each of MODULES are from where they began
    moments: list[float]  # norms of Adam's running means of gradients and of their squares


# "plus_one" has the weights of the standard reading: tests/training/test_run_one.py compares them.
EXPECTED = {
    "group": Outcome(
        losses=[0.51212, 0.5074, 0.45167, 0.39745, 0.37292, 0.34696, 0.38092],
        held_out=0.36939,
        moved=[4.0832, 0.37903, 0.3922, 0.57713, 4.1502],
        moments=[0.16838, 6.1072e-05],
    ),
    "centre_pull": Outcome(
        losses=[0.51258, 0.52566, 0.45373, 0.39835, 0.37334, 0.34624, 0.38007],
        held_out=0.36951,
        moved=[4.0538, 0.3819, 0.39217, 0.57383, 4.144],
        moments=[0.17076, 6.1753e-05],
    ),
    "calibrated": Outcome(
        losses=[0.51153, 0.48321, 0.44718, 0.39517, 0.37233, 0.34946, 0.38209],
        held_out=0.37021,
        moved=[4.1833, 0.43452, 0.45618, 0.58222, 4.1665],
        moments=[0.16153, 5.7351e-05],
    ),
    "instance": Outcome(
        losses=[0.52165, 0.49186, 0.46029, 0.42038, 0.39555, 0.36163, 0.39345],
        held_out=0.37788,
        moved=[3.9754, 0.41789, 0.40828, 0.56197, 4.0941],
        moments=[0.12649, 1.5375e-05],
    ),
    "batch": Outcome(
        losses=[0.5119, 0.45804, 0.45547, 3.8338, 0.38147, 0.35327, 0.39091],
        held_out=0.34544,
        moved=[3.274, 0.45704, 0.45801, 0.56545, 4.164],
        moments=[19.828, 1.6805],
    ),
}


def drawn_faces() -> FaceSet:
    """Twenty-eight images of random squares, eight pixels wide."""
    generator = torch.Generator().manual_seed(0)
    squares = torch.randint(0, 256, (28, 3, 8, 6), generator=generator, dtype=torch.uint8)
    images = squares.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    split = torch.tensor([0] * 20 + [1] * 8, dtype=torch.uint8)
    return FaceSet("drawn", images, None, (), split, "drawn", "photos", Path())


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
    tensors = checkpoints.snapshot(state).tensors
    moments = [
        torch.cat([tensors[name].flatten() for name in tensors if name.endswith(moment)])
        for moment in ("/exp_avg", "/exp_avg_sq")
    ]
    return Outcome(
        losses=[row.loss for row in state.history if row.split == "train"],
        held_out=state.history[-1].loss,
        moved=[math.sqrt(square) for square in squares.values()],
        moments=[float(moment.norm()) for moment in moments],
    )


@pytest.mark.parametrize(
    "name", ["group", *(pytest.param(name, marks=pytest.mark.slow) for name in list(CASES)[1:])]
)
def test_training_ends_as_it_did(name: str, tmp_path: Path) -> None:
    experiment, expected = CASES[name], EXPECTED[name]
    found = outcome(experiment, tmp_path)
    for part in Outcome._fields:
        tolerance = TOLERANCE[experiment.norm]
        assert getattr(found, part) == pytest.approx(getattr(expected, part), rel=tolerance), (
            f"results changed: raise RECIPE in vaelib/training/runs.py, with a line on what "
            f"changed, and renew these numbers: {found}"
        )
