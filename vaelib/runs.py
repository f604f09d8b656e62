"""What a training run leaves: a folder that explains itself, complete and portable.

experiment.json, history.csv, environment.json, model.npz (the weights, without pickle), and last
of all finished.json, the marker that also holds the checksums of the others. A folder trained on
another machine is accepted where its name, the run's key, is the one that is asked for.
"""

import csv
import functools
import hashlib
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vaelib import device as hardware
from vaelib import files, paths
from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.model import VAE

FINISHED = "finished.json"
EXPERIMENT, ENVIRONMENT, HISTORY, MODEL = (
    "experiment.json",
    "environment.json",
    "history.csv",
    "model.npz",
)

# The modules that decide what an experiment ends in. A change in one of them is another run.
CODE = ("convolution", "model", "loss", "batches", "steps")


class Row(NamedTuple):
    """One line of history.csv: the mean over the images of a stage, or over validation faces."""

    epoch: int
    split: str  # "train" or "validation"
    images_seen: int
    reconstruction: float  # mean squared error
    kl: float  # nats
    seconds: float  # of training so far, evaluations left out
    images_per_second: float  # while training, in this stage


@dataclass(frozen=True)
class Run:
    """A finished training run: its folder and what lies there."""

    folder: Path
    experiment: Experiment
    history: list[Row] = field(repr=False)

    @property
    def key(self) -> str:
        return self.folder.name

    @cached_property
    def model(self) -> VAE:
        """The trained network in evaluation mode, on the device at hand, without gradients."""
        model = VAE(self.experiment.latent, self.experiment.norm)
        arrays = files.read_arrays(self.folder / MODEL)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return model.to(hardware.pick_device()).eval().requires_grad_(False)

    def curve(self, split: str) -> list[Row]:
        """The history of one split, in the order of training."""
        return [row for row in self.history if row.split == split]


@functools.cache
def code() -> str:
    """Hash (sha256, hex) of the text of the modules that decide what an experiment ends in."""
    texts = [Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8") for name in CODE]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def run_folder(experiment: Experiment, faces: FaceSet, runs: Path | None = None) -> Path:
    """Where the run of this experiment on these faces lies, trained or not.

    <runs>/<faces.name>/<key>, where the key covers the experiment, the faces and the code, and
    nothing else: neither the machine, nor how many cores or which device it trains on.
    """
    return (runs or paths.RUNS) / faces.name / experiment.key(faces.fingerprint, code())


def is_finished(experiment: Experiment, faces: FaceSet, runs: Path | None = None) -> bool:
    """Whether this run can be loaded."""
    return (run_folder(experiment, faces, runs) / FINISHED).exists()


def same_weights(one: Run, other: Run) -> bool:
    """Whether two runs ended in the same weights, bit for bit."""
    first, second = one.model.state_dict(), other.model.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def finish(
    folder: Path,
    experiment: Experiment,
    history: list[Row],
    environment: Mapping[str, object],
    weights: Mapping[str, Tensor],
) -> None:
    """Write a finished run, the marker last."""
    files.write_json(folder / EXPERIMENT, asdict(experiment))
    files.write_json(folder / ENVIRONMENT, dict(environment))
    files.write_text(folder / HISTORY, _as_csv(history))
    arrays = {name: weight.contiguous().cpu().numpy() for name, weight in weights.items()}
    files.write_arrays(folder / MODEL, arrays)
    names = (EXPERIMENT, ENVIRONMENT, HISTORY, MODEL)
    checksums = {name: files.checksum(folder / name) for name in names}
    files.write_json(folder / FINISHED, {"images_seen": experiment.images, "sha256": checksums})


def load(folder: Path) -> Run:
    """The finished run in this folder.

    Raises ValueError, with the file's name, where one is missing or not as it was written.
    """
    try:
        told = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
        for name, checksum in told["sha256"].items():
            if files.checksum(folder / name) != checksum:
                raise ValueError(f"{folder / name} is not as it was written")
        kept = json.loads((folder / EXPERIMENT).read_text(encoding="utf-8"))
        history = _from_csv((folder / HISTORY).read_text(encoding="utf-8"))
        return Run(folder, Experiment(**kept), history)
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder} is not a whole run: {error}") from error


def load_if_finished(folder: Path) -> Run | None:
    """The run in this folder; None, said in a line where it is damaged, if it must be trained."""
    if not (folder / FINISHED).exists():
        return None
    try:
        return load(folder)
    except ValueError as error:
        print(f"{error}; it is trained again", file=sys.stderr)
        return None


def _as_csv(history: list[Row]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(history)
    return text.getvalue()


def _from_csv(text: str) -> list[Row]:
    kinds = Row.__annotations__
    return [
        Row(**{name: kinds[name](value) for name, value in line.items()})
        for line in csv.DictReader(io.StringIO(text))
    ]
