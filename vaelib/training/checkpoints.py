"""A training in progress, kept on disk: after a kill at any moment it goes on from there.

A checkpoint holds the weights, Adam's moments, the history and how many images were seen. From
these everything that follows is determined, see vaelib.batches: a resumed run ends in the same bits
as one that was never stopped.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelib.config import Experiment
from vaelib.model import VAE, new_model
from vaelib.support import files
from vaelib.training.fast_layers import accelerate
from vaelib.training.runs import HistoryRow

Arrays = dict[str, NDArray[Any]]

KEPT = 2  # the last ones: should the newest be damaged, the one before it is used
TOLD = "told"  # the name of the array that holds the rest, as JSON


@dataclass
class TrainingState:
    """All that changes while a run trains."""

    model: VAE
    optimizer: torch.optim.Adam
    seen: int = 0  # images
    steps: int = 0
    seconds: float = 0.0  # of training, evaluations left out
    stage: int = 0  # images seen when the present stage of the history began
    losses: list[list[float]] = field(default_factory=list)  # error, KL, faces of each step since
    history: list[HistoryRow] = field(default_factory=list)


def initial_state(experiment: Experiment, device: torch.device) -> TrainingState:
    """The state before the first step."""
    model = accelerate(new_model(experiment)).to(device)
    on_gpu = device.type == "cuda"  # where a step may be captured as a graph
    optimizer = torch.optim.Adam(
        model.parameters(), lr=experiment.learning_rate, fused=True, capturable=on_gpu
    )
    return TrainingState(model, optimizer)


def frozen(state: TrainingState) -> Arrays:
    """A copy of the state as arrays, from which `restore` makes it again."""
    told = {
        name: getattr(state, name)
        for name in ("seen", "steps", "seconds", "stage", "losses", "history")
    }
    arrays = {name: _copy(tensor) for name, tensor in _tensors(state)}
    return {**arrays, TOLD: np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)}


def save(folder: Path, arrays: Arrays, seen: int) -> None:
    """Write a checkpoint, then remove those before the last two. Raises OSError."""
    files.write_arrays(folder / f"checkpoint-{seen:012}.npz", arrays)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink()


def restore(folder: Path, state: TrainingState) -> None:
    """Bring a new state to where the newest whole checkpoint is; no checkpoint changes nothing."""
    for file in _newest_first(folder):
        try:
            _thaw(files.read_arrays(file), state)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{error}; training goes on from the checkpoint before it", file=sys.stderr)
        else:
            return


def remove(folder: Path) -> None:
    """Remove all checkpoints: the run is finished."""
    for file in _newest_first(folder):
        file.unlink()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.npz"), reverse=True)


def _tensors(state: TrainingState) -> Iterator[tuple[str, Tensor]]:
    """Weights, running averages, and Adam's moments: none of a weight without gradient."""
    for name, weight in state.model.named_parameters():
        yield f"weight/{name}", weight
        for moment, tensor in state.optimizer.state.get(weight, {}).items():
            yield f"{moment}/{name}", tensor
    for name, tensor in state.model.named_buffers():
        yield f"buffer/{name}", tensor


def _copy(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().contiguous().numpy().copy()
    return array


def _thaw(arrays: Arrays, state: TrainingState) -> None:
    told = json.loads(arrays.pop(TOLD).tobytes())
    weights = dict(state.model.named_parameters())
    own: dict[str, Mapping[str, Tensor]] = {
        "weight": weights,
        "buffer": dict(state.model.named_buffers()),
    }
    device = next(iter(weights.values())).device
    moments: dict[str, dict[str, Tensor]] = {}
    for place, array in arrays.items():
        kind, name = place.split("/", 1)
        tensor = torch.from_numpy(array).to(device)
        if kind in own:
            with torch.no_grad():
                own[kind][name].copy_(tensor)
        else:
            moments.setdefault(name, {})[kind] = tensor
    for name, kept in moments.items():
        state.optimizer.state[weights[name]] = kept
    state.history = [HistoryRow(*row) for row in told.pop("history")]
    for name, value in told.items():
        setattr(state, name, value)
