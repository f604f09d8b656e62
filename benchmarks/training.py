"""How fast training is, against the loops that others train with and what this machine can do.

    python -m benchmarks.training [--json] [--rounds N] [--budget N] [--batch-size N] [--faces N]
                                  [--batch-sizes N ...]

Ours: the base model by the engine of `vaelib.training`, once alone on all cores and once as many
models side by side as there are cores; the better of the two is this machine's throughput. The
plain loop: the same model by `vaelib.train.train`, on the same faces. Theirs: the loop of every
tutorial over torchvision's CelebA, and pythae's trainer (see `benchmarks.peers`): the same network
and batch size, on the same procedural faces. The ceiling: this machine's fastest convolution (see
`benchmarks.ceiling`). All take turns in this one process; a ratio is the median over the rounds of
the ratio within each. A peer that is not installed is "missing".

On a GPU no models run side by side; ours is measured at several batch sizes too (--batch-sizes),
with the bandwidth of its memory, the kernels of a step and the time that they keep it busy.

With --json one object on stdout, else a table. Writes benchmarks/results/<machine>.json.
"""

import argparse
import contextlib
import json
import math
import re
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import torch

if __name__ == "__main__":  # as a file it is found without its package
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import ceiling, outcome, peers
from benchmarks.outcome import Round
from vaelib import data
from vaelib.config import BASE, PRESETS, SEVEN, Experiment
from vaelib.sources import layouts, prepare
from vaelib.support import paths, provenance
from vaelib.support.files import write_json
from vaelib.train import train
from vaelib.training import hardware, launch
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import Run

RESULTS = paths.ROOT / "benchmarks" / "results"
PEERS = {"tutorial": "torchvision", "pythae": "pythae"}  # and the package that each needs
CUDA_BATCH_SIZES = (64, 256, 1024, 4096)
CUDA_STEPS = 400  # trained at each of them
CPU_BUDGET = 4_096

Contenders = dict[str, peers.Measure]


def base(budget: int, batch_size: int) -> Experiment:
    """The base model, with this budget."""
    precision = hardware.best_precision(hardware.pick_device())
    return replace(SEVEN[BASE], budget=budget, batch_size=batch_size, precision=precision)


def one_model(faces: data.FaceSet, batch_size: int, budget: int) -> float:
    """Images per second of one model on all cores or the GPU."""
    with tempfile.TemporaryDirectory() as runs:
        run = train_or_load(base(budget, batch_size), faces, "benchmark", Path(runs))
        return steady_rate(run)


def side_by_side(faces: data.FaceSet, batch_size: int, budget: int, models: int) -> float:
    """Images per second of several models together that train at once, each with this budget."""
    experiments = {
        f"model {seed}": replace(base(budget, batch_size), seed=seed) for seed in range(models)
    }
    with tempfile.TemporaryDirectory() as runs:
        trained = launch.run(experiments, faces, runs=Path(runs))
        return models * min(steady_rate(run) for run in trained.values())


def plain_loop(faces: data.FaceSet, batch_size: int, budget: int) -> float:
    """Images per second of `vaelib.train.train`, which computes in float32 on the CPU."""
    experiment = base(budget, batch_size)
    started = time.perf_counter()
    train(experiment, faces)
    return budget / (time.perf_counter() - started)


def steady_rate(run: Run) -> float:
    """Images per second after the first stage, in which kernels are chosen and compiled."""
    first, last = run.curve("train")[0], run.curve("train")[-1]
    return (last.images_seen - first.images_seen) / (last.seconds - first.seconds)


def draw(count: int, folder: Path) -> data.FaceSet:
    """Procedural faces, prepared as for any training."""
    folder.mkdir()
    prepare.prepare(layouts.find("synthetic"), count, folder)
    return data.open_prepared(folder)


def contenders(options: argparse.Namespace, faces: data.FaceSet, folder: Path) -> Contenders:
    """Everything that takes turns, by name."""
    budget, batch_size = options.budget, options.batch_size
    steps = math.ceil(budget / batch_size)
    result: Contenders = {"one_model": partial(one_model, faces, batch_size, budget)}
    if options.models > 1:
        result["side_by_side"] = partial(side_by_side, faces, batch_size, budget, options.models)
    if hardware.pick_device().type == "cpu":
        result["plain_loop"] = partial(plain_loop, faces, batch_size, budget)
    if peers.version(PEERS["tutorial"]) != peers.MISSING:
        result["tutorial"] = peers.tutorial(folder, options.faces, batch_size, steps)
    if peers.version(PEERS["pythae"]) != peers.MISSING:
        result["pythae"] = peers.pythae(folder, faces, batch_size, steps)
    return result


def take_turns(options: argparse.Namespace, participants: Contenders) -> list[Round]:
    """Images per second of each in every round, and the ceiling of that round."""
    threads = torch.get_num_threads()
    rounds: list[Round] = []
    for number in range(options.rounds):
        rates: Round = {}
        for name, measure in participants.items():
            torch.set_num_threads(threads)  # whatever the one before has set
            rates[name] = measure()
            log(f"round {number + 1}: {name.replace('_', ' ')} {rates[name]:.1f} images/s")
        limit = ceiling.measure(options.batch_size)
        log(f"round {number + 1}: {limit.gflops:.1f} GFLOP/s, {limit.where}")
        rates["ceiling"] = limit.images_per_second
        rates["ceiling_of_pixels"] = limit.images_per_second_of_pixels
        rates["ceiling_by_layer"] = limit.images_per_second_by_layer
        rounds.append(rates | {"gflops": limit.gflops, "fastest": limit.where})
    return rounds


def on_gpu(options: argparse.Namespace, faces: data.FaceSet, limit: float) -> dict[str, Any]:
    """What is measured on a GPU alone; limit: the ceiling in images per second."""
    device = hardware.pick_device()
    sizes = {}
    for size in options.batch_sizes:
        rate = statistics.median(
            one_model(faces, size, CUDA_STEPS * size) for _ in range(options.rounds)
        )
        kernels, busy = ceiling.launches(partial(one_model, faces, size), size)
        log(f"batches of {size}: {rate:.0f} images/s, {kernels:.0f} kernels in a step")
        sizes[str(size)] = {
            "images_per_second": round(rate, 1),
            "fraction_of_ceiling": round(rate / limit, 4),
            "kernels_per_step": round(kernels, 1),
            "gpu_busy_milliseconds_per_step": round(busy, 4),
            "gpu_busy_fraction": round(busy * rate / size / 1e3, 4),
        }
    return {
        "by_batch_size": sizes,
        "copy_gigabytes_per_second": round(ceiling.copy_bandwidth(device), 1),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole result."""
    device = hardware.pick_device()
    with tempfile.TemporaryDirectory() as folder:
        faces = draw(options.faces, Path(folder) / "faces")
        rounds = take_turns(options, contenders(options, faces, Path(folder)))
        result = outcome.summary(rounds)
        if device.type == "cuda":
            result |= on_gpu(options, faces, result["ceiling_images_per_second"])
    return {
        **result,
        "budget": options.budget,
        "batch_size": options.batch_size,
        "precision": base(1, 1).precision,
        "models_side_by_side": options.models,
        "different_faces": options.faces,
        "peers": {package: peers.version(package) for package in PEERS.values()},
        "rounds": rounds,
        "machine": {
            "name": machine(device),
            **provenance.environment(device),
            "cores": joblib.cpu_count(),
        },
    }


def machine(device: torch.device) -> str:
    """A name for files: the GPU, or the processor and how many cores it has."""
    device_name = str(provenance.environment(device)["device"]).lower()
    name = re.sub(r"\((r|tm)\)|\bcpu\b|@.*|\d+-core processor", " ", device_name)
    if device.type != "cuda":
        name += f" {joblib.cpu_count()} cores"
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options, with defaults that suit this machine."""
    cuda = hardware.pick_device().type == "cuda"
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", type=int, help="images in each round, of each contender")
    parser.add_argument("--batch-size", type=int, default=PRESETS["full"].batch_size)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=CUDA_BATCH_SIZES)
    parser.add_argument("--faces", type=int, default=4_000, help="how many different faces")
    options = parser.parse_args(arguments)
    options.budget = options.budget or (CUDA_STEPS * options.batch_size if cuda else CPU_BUDGET)
    if (
        min(options.rounds, options.budget, options.batch_size, options.faces, *options.batch_sizes)
        < 1
    ):
        parser.error("every number must be at least 1")
    options.models = 1 if cuda else joblib.cpu_count()
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parsed(arguments)
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(options)
    write_json(RESULTS / f"{result['machine']['name']}.json", result)
    print(json.dumps(result) if options.json else outcome.table(result))


if __name__ == "__main__":
    main()
