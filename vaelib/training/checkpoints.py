"""A training in progress, kept on disk: after a kill at any moment it goes on from there.

A checkpoint is one safetensors file: the state dicts of the model and of the optimiser, and as JSON
in its metadata the history and how many images were seen. These determine all that follows, see
`vaelib.data.batches`: a resumed run ends in the same bits as one that was never stopped.
"""

import hashlib
import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from vaelib.config import Experiment
from vaelib.model import VAE, new_model
from vaelib.support import files
from vaelib.training.fast_layers import accelerate
from vaelib.training.runs import HistoryRow

KEPT = 2  # the last ones: should the newest be damaged, the one before it is used


class MeanLoss(NamedTuple):
    """The loss and its two parts, each a mean over so many images."""

    n: int  # images
    loss: float  # what is minimised
    reconstruction: float  # mean squared error
    kl: float  # nats


def mean_over(parts: Sequence[MeanLoss]) -> MeanLoss:
    """The mean over the images of all the parts."""
    n = sum(part.n for part in parts)
    return MeanLoss(
        n,
        math.fsum(part.loss * part.n for part in parts) / n,
        math.fsum(part.reconstruction * part.n for part in parts) / n,
        math.fsum(part.kl * part.n for part in parts) / n,
    )


@dataclass
class TrainingState:
    """All that changes while a run trains."""

    model: VAE
    optimizer: torch.optim.Adam
    images_seen: int = 0
    steps: int = 0
    seconds: float = 0.0  # of training, evaluations left out
    stage_losses: list[MeanLoss] = field(default_factory=list)  # of each step since the last row
    history: list[HistoryRow] = field(default_factory=list)


# What a checkpoint holds of a state beside its tensors.
PROGRESS = ("images_seen", "steps", "seconds", "stage_losses", "history")


class Snapshot(NamedTuple):
    """A copy of a training state in main memory, in the form that a checkpoint has on disk."""

    images_seen: int
    tensors: dict[str, Tensor]
    progress: str  # the values of PROGRESS, as JSON


def initial_state(experiment: Experiment, device: torch.device) -> TrainingState:
    """The state before the first step."""
    model = accelerate(new_model(experiment)).to(device)
    on_gpu = device.type == "cuda"  # where a step may be captured as a graph
    optimizer = torch.optim.Adam(
        model.parameters(), lr=experiment.learning_rate, fused=True, capturable=on_gpu
    )
    return TrainingState(model, optimizer)


def snapshot(state: TrainingState) -> Snapshot:
    """A copy of the state, which later steps do not change."""
    tensors = {f"model/{name}": tensor for name, tensor in state.model.state_dict().items()}
    weight_names = [name for name, _ in state.model.named_parameters()]
    for index, values in state.optimizer.state_dict()["state"].items():
        for value_name, tensor in values.items():
            tensors[f"optimizer/{weight_names[index]}/{value_name}"] = tensor
    progress = {name: getattr(state, name) for name in PROGRESS}
    copies = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    return Snapshot(state.images_seen, copies, json.dumps(progress))


def save(folder: Path, snapshot: Snapshot) -> None:
    """Write a checkpoint and remove all but the last two. Raises OSError."""
    path = folder / f"checkpoint-{snapshot.images_seen:012}.safetensors"
    metadata = {
        "format": "pt",  # by which other tools know torch's tensors
        "progress": snapshot.progress,
        "sha256": _checksum(snapshot.tensors, snapshot.progress),
    }
    with files.atomic_write(path) as aside:
        aside.write_bytes(safetensors.torch.save(snapshot.tensors, metadata))
    present = _newest_first(folder)
    position = present.index(path)  # any before it were damaged when training was resumed
    for other in [*present[:position], *present[position + KEPT :]]:
        other.unlink()


def restore(folder: Path, state: TrainingState) -> None:
    """Bring a new state to where the newest whole checkpoint is; no checkpoint changes nothing.

    A line on stderr names each one that is damaged.
    """
    for path in _newest_first(folder):
        try:
            found = _read(path)
        except Exception as error:  # what a reader raises depends on where the damage is
            reason = " ".join(str(error).split())
            print(f"{path} is damaged: {reason}; training goes on from before it", file=sys.stderr)
        else:
            _apply(found, state)
            return


def remove(folder: Path) -> None:
    """Remove all checkpoints, and what a kill left of one: the run is finished."""
    for path in [*_newest_first(folder), *folder.glob(".checkpoint-*.part")]:
        path.unlink()


def describe_last(folder: Path) -> str:
    """Which checkpoint there is to go on from, in words."""
    for path in _newest_first(folder):
        images_seen = int(path.stem.removeprefix("checkpoint-"))
        return f"the last checkpoint, after {images_seen:,} images, is kept in {folder}"
    return "no checkpoint is kept"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.safetensors"), reverse=True)


def _checksum(tensors: dict[str, Tensor], progress: str) -> str:
    """Hash (hex) of all that a checkpoint holds, because safetensors itself has no checksum."""
    digest = hashlib.sha256(progress.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> Snapshot:
    """The content of a checkpoint. Raises some kind of exception where a bit is not as it was."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        # Copies, because the file's own tensors are mapped to it and it will be removed.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    if metadata["sha256"] != _checksum(tensors, metadata["progress"]):
        raise ValueError("its content does not have its checksum")
    return Snapshot(json.loads(metadata["progress"])["images_seen"], tensors, metadata["progress"])


def _apply(snapshot: Snapshot, state: TrainingState) -> None:
    weight_indices = {name: i for i, (name, _) in enumerate(state.model.named_parameters())}
    weights: dict[str, Tensor] = {}
    optimizer_state: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, tensor in snapshot.tensors.items():
        part, name, *value_name = key.split("/")
        if part == "model":
            weights[name] = tensor
        else:
            optimizer_state[weight_indices[name]][value_name[0]] = tensor
    state.model.load_state_dict(weights)
    # With the settings of this optimiser: some depend on the device, which may be another one.
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": optimizer_state})
    for name, value in json.loads(snapshot.progress).items():
        setattr(state, name, value)
    state.stage_losses = [MeanLoss(*values) for values in state.stage_losses]
    state.history = [HistoryRow(*values) for values in state.history]
