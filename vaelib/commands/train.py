"""`python -m vaelib train`: one experiment, for a GPU machine or a cluster job."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import get_args

from vaelib.config import PRESETS, Experiment, KLReading, Norm, Precision, Weighting, at_preset
from vaelib.support import paths
from vaelib.support.command_line import OneLineParser, exit_interrupted
from vaelib.support.errors import InputError

SUMMARY = "Train one experiment and print the folder of the finished run"
DETAILS = """\
A run that is finished is not trained again, an interrupted one goes on. Needs only torch, numpy and
safetensors if --data is a folder of prepared faces."""
EXAMPLE = "train --data PATH --lam 1e-5 --latent 64 --seed 0 --budget 400000 --runs DIR"


def add_options(parser: OneLineParser) -> None:
    default = Experiment()
    add = parser.add_argument
    add(
        "--data",
        default="auto",
        help="auto, synthetic, or a path: photos or prepared faces (default: %(default)s)",
    )
    add("--name", default="", help="name of the data set (default: that of its folder)")
    add(
        "--preset",
        default="auto",
        help=f"auto, {', '.join(PRESETS)}: sets the budget and the batch size"
        " (default: %(default)s)",
    )
    number = "(default: %(default)g)"
    choice = "(default: %(default)s)"
    add(
        "--lam",
        type=float,
        default=default.lam,
        help=f"weight of KL against the squared error {number}",
    )
    add("--latent", type=int, default=default.latent, help=f"size of z {number}")
    add(
        "--kl-reading",
        choices=get_args(KLReading),
        default=default.kl_reading,
        help=f"which KL term is minimised {choice}",
    )
    add(
        "--weighting",
        choices=get_args(Weighting),
        default=default.weighting,
        help=f"calibrated: the error itself sets lambda {choice}",
    )
    add(
        "--norm",
        choices=get_args(Norm),
        default=default.norm,
        help=f"over what features are normalised {choice}",
    )
    add(
        "--seed",
        type=int,
        default=default.seed,
        help=f"of weights, batches and noise {number}",
    )
    add("--budget", type=int, help="images seen in training (default: the preset's)")
    add("--batch-size", type=int, help="images per step (default: the preset's)")
    add(
        "--learning-rate",
        type=float,
        default=default.learning_rate,
        help=f"of Adam {number}",
    )
    add(
        "--precision",
        choices=("auto", *get_args(Precision)),
        default="auto",
        help="of the convolutions; auto: bfloat16 where the processor has it (default: auto)",
    )
    add("--runs", type=Path, help=f"where runs are kept (default: {paths.RUNS})")
    _add_execution_options(parser)


def _add_execution_options(parser: OneLineParser) -> None:
    """How steps are executed, as `vaelib.training.step.Execution` has it."""
    for name, meaning in (
        ("compile", "compile the convolutions"),
        ("graphs", "take a step as one CUDA graph"),
        ("channels-last", "keep the channels of a feature together in memory"),
        ("keep-memory", "let freed memory serve the next step"),
    ):
        parser.add_argument(
            f"--{name}",
            choices=("auto", "on", "off"),
            default="auto",
            help=f"{meaning} (default: %(default)s)",
        )
    parser.add_argument(
        "--deterministic", action="store_true", help="the same bits again on a GPU, more slowly"
    )
    parser.add_argument("--threads", type=int, default=0, help="cores to use (default: all)")


def run(options: Namespace) -> None:
    from vaelib import data
    from vaelib.training import hardware
    from vaelib.training.run_one import train_or_load
    from vaelib.training.step import Execution

    execution = Execution(
        compile=options.compile,
        graphs=options.graphs,
        channels_last=options.channels_last,
        keep_memory=options.keep_memory,
        deterministic=options.deterministic,
        threads=options.threads,
    )
    try:
        device = hardware.pick_device()
        preset = hardware.choose_preset(options.preset)
        precision = options.precision
        if precision == "auto":
            precision = hardware.best_precision(device)
        experiment = _experiment(options, preset, precision)
        execution.resolved(device)  # refused before any faces are prepared
        faces = data.load(options.data, preset, options.name)
        finished = train_or_load(experiment, faces, runs=options.runs, execution=execution)
    except FloatingPointError as error:
        raise InputError(str(error)) from error
    except KeyboardInterrupt as stop:
        exit_interrupted(str(stop) or "stopped; the same command goes on")
    print(finished.folder)


def _experiment(options: Namespace, preset: str, precision: Precision) -> Experiment:
    """The experiment that the options describe, at the preset's budget unless they say another."""
    described = Experiment(
        lam=options.lam,
        latent=options.latent,
        kl_reading=options.kl_reading,
        weighting=options.weighting,
        norm=options.norm,
        learning_rate=options.learning_rate,
    )
    experiment = at_preset(described, preset, options.seed, precision)
    if options.budget is not None:
        experiment = replace(experiment, budget=options.budget)
    if options.batch_size is not None:
        experiment = replace(experiment, batch_size=options.batch_size)
    return experiment
