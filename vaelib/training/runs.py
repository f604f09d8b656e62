"""What a training run leaves: a folder that explains itself, complete and portable.

experiment.json, history.csv, environment.json, model.safetensors (the weights), and last of all
finished.json, the marker that also holds the checksums of the others. A folder trained on another
machine is accepted where its name, the run's key, is the same.
"""

import csv
import io
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from vaelib.config import Experiment, Norm
from vaelib.data import FaceSet
from vaelib.model import VAE
from vaelib.support import checked, files, paths
from vaelib.support.checked import Amount, Count
from vaelib.support.errors import DamagedError
from vaelib.training import hardware
from vaelib.training.fast_layers import accelerate

FINISHED = "finished.json"
EXPERIMENT = "experiment.json"
ENVIRONMENT = "environment.json"
HISTORY = "history.csv"
MODEL = "model.safetensors"
CHECKED = (EXPERIMENT, ENVIRONMENT, HISTORY, MODEL)  # what the marker has checksums of

Split = Literal["train", "validation"]

# Part of each run's key, beside its experiment and its faces. Raise it, with a line on what
# changed, whenever training ends in other weights; tests/training/test_recipe.py notices that.
RECIPE = 1  # the first that is numbered


class HistoryRow(NamedTuple):
    """One line of history.csv: the mean over the images of a stage, or over validation faces."""

    epoch: Count
    split: Split
    images_seen: Count
    loss: float  # what is minimised; of a model that has diverged perhaps not finite
    reconstruction: float  # mean squared error
    kl: float  # nats
    seconds: Amount  # of training so far, evaluations left out
    images_per_second: Amount  # while training, in this stage


@dataclass(frozen=True)
class Run:
    """A finished training run: its folder and what lies there."""

    folder: Path
    experiment: Experiment
    history: list[HistoryRow] = field(repr=False)
    environment: Mapping[str, checked.Value] = field(repr=False, default_factory=dict)

    @property
    def key(self) -> str:
        return self.folder.name

    @cached_property
    def model(self) -> VAE:
        """The trained network in evaluation mode, on the device at hand, without gradients.

        Raises DamagedError where its file is no longer as it was when the run was loaded.
        """
        weights = _weights(self.folder / MODEL, self.experiment)
        model = VAE(self.experiment.latent, self.experiment.norm)
        model.load_state_dict(weights)
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
    last = max((run.folder / FINISHED).stat().st_mtime for run in runs)

    def each_once(kind: str) -> list[str]:
        return sorted({str(run.environment.get(kind, "unknown")) for run in runs})

    return {
        "models": len(runs),
        "images": sum(run.experiment.budget for run in runs),
        "seconds": round(sum(run.history[-1].seconds for run in runs)),
        "diverged": [label for label, run in runs_by_label.items() if run.has_diverged],
        "date": datetime.fromtimestamp(last, UTC).date().isoformat(),
        **{kind: each_once(kind) for kind in ("device", "python", "torch", "system", "commit")},
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
    checksums = {name: files.checksum(folder / name) for name in CHECKED}
    files.write_json(folder / FINISHED, {"images_seen": experiment.budget, "sha256": checksums})


class _Marker(msgspec.Struct):
    """What finished.json holds."""

    images_seen: Count
    sha256: dict[str, str]  # of each file of CHECKED, by name


def load(folder: Path) -> Run:
    """The finished run in this folder, whoever made it; all of its files are checked.

    Raises DamagedError, with the file's name, where one is missing or not as training writes it.
    """
    try:
        marker = checked.read_json(folder / FINISHED, _Marker)
        for name in CHECKED:
            if name not in marker.sha256:
                raise DamagedError(f"{folder / FINISHED} has no checksum of {name}")
            checked.check_size(folder / name, checked.LARGEST_BINARY)
            if files.checksum(folder / name) != marker.sha256[name]:
                raise DamagedError(f"{folder / name} is not as it was written")
        experiment = _read_experiment(folder / EXPERIMENT)
        environment = checked.read_json(folder / ENVIRONMENT, dict[str, checked.Value])
        history = _read_history(folder / HISTORY)
        _weights(folder / MODEL, experiment)
        if marker.images_seen != experiment.budget:
            raise DamagedError(f"{folder / FINISHED} is that of another run")
    except OSError as error:
        raise DamagedError(f"{folder} is not a whole run: {error}") from error
    return Run(folder, experiment, history, environment)


class Description(NamedTuple):
    """What a finished run says of itself."""

    experiment: Experiment
    environment: dict[str, checked.Value]


def describe(folder: Path) -> Description:
    """What the finished run in this folder says of itself, in a thousandth of a second.

    Of its weights names and shapes are checked, not their values. Raises DamagedError.
    """
    try:
        experiment = _read_experiment(folder / EXPERIMENT)
        environment = checked.read_json(folder / ENVIRONMENT, dict[str, checked.Value])
        with checked.damage_in(folder / MODEL), safe_open(folder / MODEL, "pt") as file:
            found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            for name, weight in _shapes(experiment.latent, experiment.norm).items():
                if found.get(name) != list(weight.shape):
                    raise ValueError(f"{name} is {found.get(name)}, not {list(weight.shape)}")
    except OSError as error:
        raise DamagedError(f"{folder} is not a whole run: {error}") from error
    return Description(experiment, environment)


def load_if_finished(folder: Path) -> Run | None:
    """The run in this folder; None where it must be trained, with a line if it is damaged."""
    if not (folder / FINISHED).exists():
        return None
    try:
        run = load(folder)
        _check_is_its_own(run)
    except DamagedError as error:
        print(f"{error}; it is trained again", file=sys.stderr)
        return None
    return run


def _check_is_its_own(run: Run) -> None:
    """Raise DamagedError unless a run is the one that its folder is named after, to its end."""
    key = run.experiment.key(str(run.environment.get("fingerprint")), RECIPE)
    if run.key != key:
        raise DamagedError(f"{run.folder} holds another run, {key}")
    if not run.history or run.history[-1].images_seen != run.experiment.budget:
        raise DamagedError(f"{run.folder / HISTORY} ends before {run.experiment.budget:,} images")


def _read_experiment(path: Path) -> Experiment:
    settings = checked.read_json(path, dict[str, checked.Value])
    with checked.damage_in(path):
        if unknown := settings.keys() - {field.name for field in fields(Experiment)}:
            raise ValueError(f"it has an unknown setting, {min(unknown)}")
        return msgspec.convert(settings, Experiment)


def _read_history(path: Path) -> list[HistoryRow]:
    text = checked.read_text(path)
    with checked.damage_in(path):
        header, *lines = csv.reader(io.StringIO(text))
        if header != list(HistoryRow._fields):
            raise ValueError(f"its columns are {', '.join(header)}")
        return msgspec.convert(lines, list[HistoryRow], strict=False)  # numbers are text there


def _weights(path: Path, experiment: Experiment) -> dict[str, Tensor]:
    """The weights of an experiment's network, in single precision where half of it was kept."""
    tensors = checked.read_tensors(path).tensors
    weights = {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
    }
    checked.check_tensors(path, weights, _shapes(experiment.latent, experiment.norm))
    return weights


@cache
def _shapes(latent: int, norm: Norm) -> dict[str, Tensor]:
    """The state dict of such a network on the device "meta": names, shapes and dtypes alone."""
    with torch.device("meta"):
        return VAE(latent, norm).state_dict()


def _as_csv(history: list[HistoryRow]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HistoryRow._fields)
    writer.writerows(history)
    return text.getvalue()
