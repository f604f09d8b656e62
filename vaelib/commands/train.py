"""`python -m vaelib train`: one experiment, for a GPU machine or a cluster job."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from vaelib.commands.common import add_align_and_device
from vaelib.config import (
    PRESETS,
    Experiment,
    KLReading,
    Norm,
    Precision,
    Weighting,
    at_preset,
)
from vaelib.support import paths
from vaelib.support.command_line import OneLineParser, exit_interrupted
from vaelib.support.errors import InputError

SUMMARY = "Train one experiment and print the folder of the finished run"
DETAILS = """\
A run that is finished is not trained again, an interrupted one goes on. Needs only torch, numpy,
safetensors and msgspec if --data is a folder of prepared faces."""
EXAMPLE = "train --data PATH --lam 1e-5 --latent 64 --seed 0 --budget 400000 --runs DIR"

# What describes an experiment besides the preset's budget and batch size, and the precision.
EXPERIMENT_OPTIONS: dict[str, dict[str, Any]] = {
    "lam": {"type": float, "help": "weight of KL against the squared error"},
    "latent": {"type": int, "help": "size of z"},
    "kl_reading": {"choices": get_args(KLReading), "help": "which KL term is minimised"},
    "weighting": {"choices": get_args(Weighting), "help": "calibrated: the error sets lambda"},
    "norm": {"choices": get_args(Norm), "help": "over what features are normalised"},
    "learning_rate": {"type": float, "help": "of Adam"},
}
# How steps are executed, see `vaelib.training.step.Execution`.
EXECUTION_OPTIONS = {
    "compile": "compile the convolutions",
    "graphs": "take a step as one CUDA graph",
    "channels_last": "keep the channels of a feature together in memory",
    "keep_memory": "let freed memory serve the next step",
}


def add_options(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("--data", default="auto", help="auto, synthetic, photos or prepared faces (default: auto)")
    add("--name", default="", help="name of the data set (default: that of its folder)")
    add("--preset", default="auto", help=f"auto, {', '.join(PRESETS)} (default: auto)")
    for name, settings in EXPERIMENT_OPTIONS.items():
        default = getattr(Experiment(), name)
        meaning = f"{settings['help']} (default: {default})"
        add(_option(name), default=default, **{**settings, "help": meaning})
    add("--seed", type=int, default=0, help="of weights, batches and noise (default: 0)")
    add("--budget", type=int, help="images seen in training (default: the preset's)")
    add("--batch-size", type=int, help="images per step (default: the preset's)")
    precisions = ("auto", *get_args(Precision))
    meaning = "auto: bfloat16 where the processor has it"
    add("--precision", choices=precisions, default="auto", help=f"{meaning} (default: auto)")
    add("--runs", type=Path, help=f"where runs are kept (default: {paths.RUNS})")
    for name, meaning in EXECUTION_OPTIONS.items():
        choices = ("auto", "on", "off")
        add(_option(name), choices=choices, default="auto", help=f"{meaning} (default: auto)")
    add("--deterministic", action="store_true", help="the same bits again on a GPU, more slowly")
    add("--threads", type=int, default=0, help="cores to use (default: all)")
    add_align_and_device(parser)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def run(**options: Any) -> None:
    from vaelib import data
    from vaelib.training import hardware, speed
    from vaelib.training.run_one import train_or_load
    from vaelib.training.step import Execution

    execution_names = (*EXECUTION_OPTIONS, "deterministic", "threads")
    execution = Execution(**{name: options[name] for name in execution_names})
    try:
        device = hardware.pick_device()
        preset = speed.choose_preset(options["preset"])
        precision = options["precision"]
        if precision == "auto":
            precision = hardware.best_precision(device)
        experiment = Experiment(**{name: options[name] for name in EXPERIMENT_OPTIONS})
        experiment = at_preset(experiment, preset, options["seed"], precision)
        for name in ("budget", "batch_size"):
            if options[name] is not None:
                experiment = replace(experiment, **{name: options[name]})
        execution.resolved(device)  # refused before any faces are prepared
        faces = data.load(options["data"], preset, options["name"])
        finished = train_or_load(experiment, faces, runs=options["runs"], execution=execution)
    except FloatingPointError as error:
        raise InputError(str(error)) from error
    except KeyboardInterrupt as stop:
        exit_interrupted(str(stop) or "stopped; the same command goes on")
    print(finished.folder)
