"""What a training run leaves: a folder that explains itself, complete and portable.

experiment.json, history.csv, environment.json, model.safetensors (the weights), and last of all
finished.json, the marker that also holds the checksums of the others. A folder trained on another
machine is accepted where its name, the run's key, is the same.
"""

import csv
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.model import VAE
from vaelib.support import files, paths
from vaelib.training import hardware
from vaelib.training.fast_layers import accelerate

FINISHED = "finished.json"
EXPERIMENT = "experiment.json"
ENVIRONMENT = "environment.json"
HISTORY = "history.csv"
MODEL = "model.safetensors"

# Part of each run's key, beside its experiment and its faces. Raise it, with a line on what
# changed, whenever training ends in other weights; tests/training/test_recipe.py notices that.
RECIPE = 1  # the first that is numbered


class HistoryRow(NamedTuple):
    """One line of history.csv: the mean over the images of a stage, or over validation faces."""

    epoch: int
    split: str  # "train" or "validation"
    images_seen: int
    loss: float  # what is minimised
    reconstruction: float  # mean squared error
    kl: float  # nats
    seconds: float  # of training so far, evaluations left out
    images_per_second: float  # while training, in this stage


@dataclass(frozen=True)
class Run:
    """A finished training run: its folder and what lies there."""

    folder: Path
    experiment: Experiment
    history: list[HistoryRow] = field(repr=False)

    @property
    def key(self) -> str:
        return self.folder.name

    @cached_property
    def model(self) -> VAE:
        """The trained network in evaluation mode, on the device at hand, without gradients."""
        model = VAE(self.experiment.latent, self.experiment.norm)
        model.load_state_dict(safetensors.torch.load_file(self.folder / MODEL))
        return accelerate(model).to(hardware.pick_device()).eval().requires_grad_(False)

    @property
    def has_diverged(self) -> bool:
        """Whether validation faces have a larger loss at the end than before the first step."""
        losses = [row.loss for row in self.curve("validation")]
        return len(losses) > 1 and losses[-1] > losses[0]

    def curve(self, split: str) -> list[HistoryRow]:
        """The history of one split, in the order of training."""
        return [row for row in self.history if row.split == split]


def run_folder(experiment: Experiment, faces: FaceSet, runs: Path | None = None) -> Path:
    """Where the run of this experiment on these faces lies, trained or not.

    <runs>/<faces.name>/<key>, where the key covers the experiment, the faces and RECIPE, and
    nothing else: neither the machine, nor how many cores or which device it trains on.
    """
    return (runs or paths.RUNS) / faces.name / experiment.key(faces.fingerprint, RECIPE)


def is_finished(experiment: Experiment, faces: FaceSet, runs: Path | None = None) -> bool:
    """Whether this run can be loaded."""
    return (run_folder(experiment, faces, runs) / FINISHED).exists()


def same_weights(first: Run, second: Run) -> bool:
    """Whether two runs ended in the same weights, bit for bit."""
    weights, others = first.model.state_dict(), second.model.state_dict()
    return weights.keys() == others.keys() and all(
        torch.equal(weights[name], others[name]) for name in weights
    )


def training_record(runs_by_label: Mapping[str, Run]) -> dict[str, Any]:
    """What it took to train these runs, as numbers.json keeps it.

    models, images and seconds, all together; the labels of those that diverged; the date of the
    last; the processors, versions and commits, each once.
    """
    runs = list(runs_by_label.values())
    environments = [json.loads((run.folder / ENVIRONMENT).read_text("utf-8")) for run in runs]
    last = max((run.folder / FINISHED).stat().st_mtime for run in runs)
    kinds = ("device", "python", "torch", "system", "commit")
    return {
        "models": len(runs),
        "images": sum(run.experiment.budget for run in runs),
        "seconds": round(sum(run.history[-1].seconds for run in runs)),
        "diverged": [label for label, run in runs_by_label.items() if run.has_diverged],
        "date": datetime.fromtimestamp(last, UTC).date().isoformat(),
        **{kind: sorted({environment[kind] for environment in environments}) for kind in kinds},
    }


def finish(
    folder: Path,
    experiment: Experiment,
    history: list[HistoryRow],
    environment: Mapping[str, object],
    weights: Mapping[str, Tensor],
) -> None:
    """Write a finished run, the marker last."""
    files.write_json(folder / EXPERIMENT, asdict(experiment))
    files.write_json(folder / ENVIRONMENT, dict(environment))
    files.write_text(folder / HISTORY, _as_csv(history))
    plain = {name: weight.contiguous().cpu() for name, weight in weights.items()}
    with files.atomic_write(folder / MODEL) as aside:
        aside.write_bytes(safetensors.torch.save(plain, {"format": "pt"}))
    names = (EXPERIMENT, ENVIRONMENT, HISTORY, MODEL)
    checksums = {name: files.checksum(folder / name) for name in names}
    files.write_json(folder / FINISHED, {"images_seen": experiment.budget, "sha256": checksums})


def load(folder: Path) -> Run:
    """The finished run in this folder.

    Raises ValueError, with the file's name, where one is missing or not as it was written.
    """
    try:
        marker = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
        for name, checksum in marker["sha256"].items():
            if files.checksum(folder / name) != checksum:
                raise ValueError(f"{folder / name} is not as it was written")
        settings = json.loads((folder / EXPERIMENT).read_text(encoding="utf-8"))
        history = _from_csv((folder / HISTORY).read_text(encoding="utf-8"))
        return Run(folder, Experiment(**settings), history)
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder} is not a whole run: {error}") from error


def load_if_finished(folder: Path) -> Run | None:
    """The run in this folder; None where it must be trained, with a line if it is damaged."""
    if not (folder / FINISHED).exists():
        return None
    try:
        return load(folder)
    except ValueError as error:
        print(f"{error}; it is trained again", file=sys.stderr)
        return None


def _as_csv(history: list[HistoryRow]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HistoryRow._fields)
    writer.writerows(history)
    return text.getvalue()


def _from_csv(text: str) -> list[HistoryRow]:
    types = HistoryRow.__annotations__
    return [
        HistoryRow(**{name: types[name](value) for name, value in line.items()})
        for line in csv.DictReader(io.StringIO(text))
    ]
