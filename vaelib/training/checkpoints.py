"""A training in progress, kept on disk: after a kill at any moment it goes on from there.

A checkpoint is one safetensors file: the state dicts of the model and of the optimiser, and as JSON
in its metadata the history and how many images were seen. These determine all that follows, see
`vaelib.data.batches`: a resumed run ends in the same bits as one that was never stopped. The
metadata also has a checksum, and the key of the run. Files without these two are older; they are
used where all else is as it should be.
"""

import hashlib
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import safetensors.torch
import torch
from torch import Tensor

from vaelib.config import Experiment
from vaelib.model import VAE, new_model
from vaelib.support import checked, files
from vaelib.support.checked import Amount, Count
from vaelib.support.errors import DamagedError
from vaelib.training.fast_layers import accelerate
from vaelib.training.runs import HistoryRow

KEPT = 2  # the last ones: should the newest be damaged, the one before it is used
NAME = re.compile(r"checkpoint-(\d{12})\.safetensors")  # images seen


class MeanLoss(NamedTuple):
    """The loss and its two parts, each a mean over so many images."""

    n: Count  # images
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


class SavedProgress(msgspec.Struct):
    """What a checkpoint holds of a state beside its tensors."""

    images_seen: Count
    steps: Count
    seconds: Amount
    stage_losses: list[MeanLoss]
    history: Annotated[list[HistoryRow], msgspec.Meta(min_length=1)]


class Snapshot(NamedTuple):
    """A copy of a training state in main memory, in the form that a checkpoint has on disk."""

    images_seen: int
    tensors: dict[str, Tensor]
    progress: str  # the values of SavedProgress, as JSON


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
    progress = {name: getattr(state, name) for name in SavedProgress.__struct_fields__}
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
        "run": folder.name,
    }
    with files.atomic_write(path) as aside:
        aside.write_bytes(safetensors.torch.save(snapshot.tensors, metadata))
    present = _newest_first(folder)
    position = present.index(path)  # any before it were damaged when training was resumed
    for other in [*present[:position], *present[position + KEPT :]]:
        other.unlink()


def restore(folder: Path, state: TrainingState, budget: int) -> None:
    """Bring a new state to where the newest whole checkpoint is, and remove what a kill left.

    budget: images that the run is going to see. No checkpoint changes nothing. A line on stderr
    names each one that is damaged, and says from where training goes on.
    """
    _remove_parts(folder)
    damaged: list[DamagedError] = []
    origin = "training starts anew"
    for path in _newest_first(folder):
        try:
            found = _read(path, state, budget)
        except DamagedError as error:
            damaged.append(error)
        else:
            _apply(found, state)
            origin = f"training goes on after {state.images_seen:,} images"
            break
    for damage in damaged:
        print(f"{damage}; {origin}", file=sys.stderr)


def remove(folder: Path) -> None:
    """Remove all checkpoints, and what a kill left of one: the run is finished."""
    _remove_parts(folder)
    for path in _newest_first(folder):
        path.unlink()


def are_left(folder: Path) -> bool:
    """Whether there is anything for `remove` to remove."""
    return bool([*_newest_first(folder), *folder.glob(".*.part")])


def _remove_parts(folder: Path) -> None:
    """Remove the files that were being written here when a process was killed."""
    for path in folder.glob(".*.part"):
        path.unlink()


def describe_last(folder: Path) -> str:
    """Which checkpoint there is to go on from, in words."""
    for path in _newest_first(folder):
        images_seen = _images_seen(path)
        return f"the last checkpoint, after {images_seen:,} images, is kept in {folder}"
    return "no checkpoint is kept"


def _newest_first(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name)]
    return sorted(found, reverse=True)


def _images_seen(path: Path) -> int:
    return int(path.stem.removeprefix("checkpoint-"))


def _checksum(tensors: dict[str, Tensor], progress: str) -> str:
    """Hash (hex) of all that a checkpoint holds, because safetensors itself has no checksum."""
    digest = hashlib.sha256(progress.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, state: TrainingState, budget: int) -> Snapshot:
    """The content of a checkpoint, all of which fits this state and can be trained on from.

    Raises DamagedError.
    """
    tensors, metadata = checked.read_tensors(path)
    with checked.damage_in(path):
        text, checksum = metadata["progress"], _checksum(tensors, metadata["progress"])
        if metadata.get("sha256", checksum) != checksum:
            raise ValueError("its content does not have its checksum")
        if metadata.get("run", path.parent.name) != path.parent.name:
            raise ValueError(f"it is of another run, {metadata['run']}")
        progress = _progress(text)
        if progress.images_seen != _images_seen(path) or not 0 < progress.images_seen < budget:
            raise ValueError(f"it is of {progress.images_seen:,} images, of {budget:,} in all")
        images_since_row = sum(losses.n for losses in progress.stage_losses)
        if progress.history[-1].images_seen + images_since_row != progress.images_seen:
            raise ValueError("its history is not that of its images")
    checked.check_tensors(path, tensors, _expected(tensors, state))
    with checked.damage_in(path):
        for name, tensor in tensors.items():
            if name.endswith(("/exp_avg_sq", "/step")) and tensor.min() < 0:
                raise ValueError(f"{name} is negative")
    return Snapshot(progress.images_seen, tensors, text)


def _progress(text: str) -> SavedProgress:
    # By json, because msgspec's own reader has no nan: a loss of validation faces may be one.
    return msgspec.convert(json.loads(text), SavedProgress)


def _expected(tensors: Mapping[str, Tensor], state: TrainingState) -> dict[str, Tensor]:
    """Tensors like those that a checkpoint of this state has to hold.

    Weights that have no gradient, such as a bias before a norm, have no moments either: all are
    expected of those in `tensors` that have one.
    """
    expected = {f"model/{name}": tensor for name, tensor in state.model.state_dict().items()}
    for name, weight in state.model.named_parameters():
        like = {"exp_avg": weight, "exp_avg_sq": weight, "step": torch.zeros(())}
        keys = {f"optimizer/{name}/{moment}": each for moment, each in like.items()}
        if keys.keys() & tensors.keys():
            expected |= keys
    return expected


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
    progress = _progress(snapshot.progress)
    for field_name in SavedProgress.__struct_fields__:
        setattr(state, field_name, getattr(progress, field_name))
