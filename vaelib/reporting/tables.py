"""Measures and verdicts as tables for readers: each a header and rows of text."""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from vaelib.config import IMAGE_SHAPE
from vaelib.evaluation.bootstrap import interval
from vaelib.evaluation.lambda_optimum import PROGRAMS, beta_of_lambda, lambda_of_beta
from vaelib.evaluation.verdicts import MeasuresByModel
from vaelib.model import VAE, parameters
from vaelib.reporting.columns import ARROWS, NORMS, Column, Columns, best
from vaelib.reporting.notation import model_formula, with_formulas

Table = tuple[list[str], list[list[str]]]

# A value with the low and high end of its 95% interval; None where there is no number.
RecordedInterval = Sequence[float | None]

# Every measure of every model, as numbers.json keeps it: by model, then by measure.
Numbers = Mapping[str, Mapping[str, RecordedInterval]]

NOT_MEASURED: RecordedInterval = (None, None, None)

# How measures of groups and of attributes are named: "found Wearing_Hat" and so on.
WITHIN_GROUP, OUTSIDE_GROUP, FREQUENCY = "found ", "found not ", "frequency "


def summarise(seeds: Sequence[MeasuresByModel]) -> Numbers:
    """Every measure of every model over these seeds: its value and 95% interval, six digits."""
    return {
        model: {
            measure: [_rounded(x) for x in interval([models[model][measure] for models in seeds])]
            for measure in seeds[0][model]
        }
        for model in seeds[0]
    }


def values(numbers: Numbers) -> dict[str, dict[str, float | None]]:
    """The same numbers without their intervals."""
    return {
        model: {name: bounds[0] for name, bounds in measures.items()}
        for model, measures in numbers.items()
    }


def frequencies(measures: Mapping[str, RecordedInterval]) -> dict[str, list[float]]:
    """From the measures of one model: the frequency of each attribute, with its bounds."""
    return {
        name.removeprefix(FREQUENCY): [x for x in bounds if x is not None]
        for name, bounds in measures.items()
        if name.startswith(FREQUENCY)
    }


def layers_of_model(latent: int) -> tuple[Table, Table]:
    """The layers of the encoder and of the decoder, as they run."""
    network = VAE(latent)
    encoder = layer_table(network.encoder, torch.zeros(1, *IMAGE_SHAPE))
    return encoder, layer_table(network.decoder, torch.zeros(1, latent))


def layer_table(network: nn.Module, example: Tensor) -> Table:
    """The layers with weights of a network, in the order in which they run on an example.

    example: an input of one image or latent, (1, ...).
    """
    rows: list[list[str]] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        shape = " × ".join(str(size) for size in output.shape[1:])
        if isinstance(layer, nn.Linear):
            kind, sizes, kernel, stride = "linear", (layer.in_features, layer.out_features), "", ""
        else:
            assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
            kind = "convolution" if isinstance(layer, nn.Conv2d) else "transposed convolution"
            sizes = (layer.in_channels, layer.out_channels)
            kernel, stride = (str(size[0]) for size in (layer.kernel_size, layer.stride))
        features = f"{sizes[0]} → {sizes[1]}"
        rows.append([kind, features, kernel, stride, shape, f"{parameters(layer):,}"])

    with ExitStack() as hooks, torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                hooks.enter_context(layer.register_forward_hook(note))
        network(example)
    return ["layer", "features", "kernel", "stride", "output", "parameters"], rows


def measure_table(
    numbers: Numbers, columns: Columns, real: Mapping[str, RecordedInterval] | None = None
) -> Table:
    """A row for each model, a column for each measure that every model has.

    The best value of a column is bold, where one is better than another. real: those measures that
    real faces have too, as a first row that competes with none.
    """
    shared = {
        heading: column
        for heading, column in columns.items()
        if all(column.measure in measures for measures in numbers.values())
    }
    rows = []
    if real is not None:
        cells = [
            _plus_minus(real.get(column.measure, NOT_MEASURED), column.style)
            for column in shared.values()
        ]
        rows.append(["real faces", *cells])
    best_values = {heading: _best(numbers, column) for heading, column in shared.items()}
    for model, measures in numbers.items():
        cells = []
        for heading, column in shared.items():
            cell = _plus_minus(measures[column.measure], column.style)
            value = measures[column.measure][0]
            is_best = value is not None and value == best_values[heading]
            cells.append(f"**{cell}**" if is_best else cell)
        rows.append([model_formula(model), *cells])
    headings = [f"{heading}{ARROWS[column.better]}" for heading, column in shared.items()]
    return ["model", *headings], rows


def _best(numbers: Numbers, column: Column) -> float | None:
    """The best value of a measure over all models; None where none is better than another."""
    found = [measures[column.measure][0] for measures in numbers.values()]
    known = [value for value in found if value is not None]
    if not column.better or len(set(known)) < 2:
        return None
    return best(column, known)


def group_table(numbers: Numbers) -> Table:
    """In which share of each model's draws a face is found, within each group and outside it."""
    some_model = next(iter(numbers.values()))
    groups = [
        measure.removeprefix(OUTSIDE_GROUP)
        for measure in some_model
        if measure.startswith(OUTSIDE_GROUP)
    ]
    rows = [
        [
            f"{group.replace('_', ' ')}, {who}",
            *(_plus_minus(measures[prefix + group], ".2f") for measures in numbers.values()),
        ]
        for group in groups
        for who, prefix in (("within", WITHIN_GROUP), ("others", OUTSIDE_GROUP))
    ]
    return ["group", *map(model_formula, numbers)], rows


def norm_table(
    numbers: Numbers, colours: Numbers, real: Mapping[str, RecordedInterval] | None = None
) -> Table:
    """Errors and colours of reconstructions, and distance and variety of draws, by norm."""
    both = {norm: {**colours[norm], **measures} for norm, measures in numbers.items()}
    header, rows = measure_table(both, NORMS, real)
    return ["", *header[1:]], rows


def verdict_table(claims: Mapping[str, Mapping[str, Any]]) -> Table:
    """What is claimed, how many parts of it hold, and the verdict."""
    rows = []
    for name, claim in claims.items():
        holding = sum(part["verdict"] == "holds" for part in claim["parts"])
        parts = f"{holding} of {len(claim['parts'])}"
        claimed = with_formulas(claim["claim"])
        rows.append([name, claimed, parts, _in_short(claim["verdict"])])
    return ["", "claim", "parts that hold", "verdict"], rows


def part_table(claims: Mapping[str, Mapping[str, Any]]) -> Table:
    """Of each part of a claim: its effect with its interval, the rule, and what came of it.

    An asterisk stands where it is undecided because the detectors disagree.
    """
    rows = []
    for name, claim in claims.items():
        for part in claim["parts"]:
            effect = _from_to([part["effect"], *part["interval"]])
            verdict = _in_short(part["verdict"])
            if part.get("detectors_disagree"):
                verdict += "*"
            rows.append([name, with_formulas(part["measure"]), effect, part["limit"], verdict])
    return ["", "what is measured", "effect", "holds if", "verdict"], rows


def second_opinions(claims: Mapping[str, Mapping[str, Any]]) -> Table:
    """Of each part that is decided by shares of faces found: the effect by both detectors."""
    rows = [
        [
            name,
            with_formulas(part["measure"]),
            _from_to([part["effect"], *part["interval"]]),
            _from_to([part["second_effect"], *part["second_interval"]]),
        ]
        for name, claim in claims.items()
        for part in claim["parts"]
        if "second_effect" in part
    ]
    return ["", "what is measured", "first detector", "second"], rows


def detector_table(calibrations: Mapping[str, Mapping[str, Any]]) -> Table:
    """In which share of images without a model's hand in them each detector finds a face."""
    first = next(iter(calibrations.values()))
    kinds = [("faces", kind) for kind in first["faces"]]
    kinds += [("degrees", degree) for degree in first["degrees"]]
    kinds += [("others", kind) for kind in first["others"]]
    rows = []
    for group, kind in kinds:
        words = f"deformed by {kind} px" if group == "degrees" else kind
        if kind != "deformed beyond recognition":  # the last of the degrees
            rows.append([words, *(f"{made[group][kind]:.2f}" for made in calibrations.values())])
    return ["images", *calibrations], rows


def kl_weight_table(lams: Sequence[float]) -> Table:
    """The weight of the KL in other programs, on our scale, and ours on the common one."""
    rows = []
    for program in PROGRAMS:
        loss = f"{program.loss}, D = {program.dimensions}" if program.is_mean else program.loss
        our_lambda = lambda_of_beta(program.beta)
        rows.append([program.name, loss, f"{program.beta:.2g}", f"{our_lambda:.2g}"])
    for lam in lams:
        rows.append(["here", f"mean MSE + {lam:g} KL", f"{beta_of_lambda(lam):.2g}", f"{lam:.2g}"])
    return ["program", "loss as written", "beta", "our lambda"], rows


def _rounded(value: float) -> float | None:
    """Six digits; None for what JSON cannot hold."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _plus_minus(interval: RecordedInterval, style: str) -> str:
    """The value with half the width of its interval; the value alone where that has no width."""
    value, low, high = interval
    if value is None:
        return "-"
    if low is None or high is None or low == high:
        return f"{value:z{style}}"
    return f"{value:z{style}} ± {(high - low) / 2:{style}}"


def _in_short(verdict: str) -> str:
    return verdict.removesuffix(" on this data")


def _from_to(interval: RecordedInterval) -> str:
    """The value, then its interval in brackets."""
    value, low, high = interval
    if value is None or low is None or high is None:
        return "-"
    return f"{value:z.2f} ({low:z.2f} to {high:z.2f})"
