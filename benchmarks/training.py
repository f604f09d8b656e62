"""How fast training is, against the loops that others train with and what this machine can do.

    python -m benchmarks.training [--json] [--rounds N] [--images N] [--batch-size N] [--faces N]
                                  [--batch-sizes N ...]

Ours: the base model through `vaelib`, once alone on all cores and once as many models side by side
as there are cores; the better of the two is this machine's throughput. Theirs: the loop of every
tutorial over torchvision's CelebA, and pythae's trainer (see `benchmarks.peers`): the same network
and batch size, on the same drawn faces. The ceiling: this machine's fastest convolution (see
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
from vaelib.training import hardware, launch
from vaelib.training.run_one import train_or_load
from vaelib.training.runs import Run

RESULTS = paths.ROOT / "benchmarks" / "results"
PEERS = {"tutorial": "torchvision", "pythae": "pythae"}  # and the package that each needs
CUDA_BATCH_SIZES = (64, 256, 1024, 4096)
CUDA_STEPS = 400  # trained at each of them
CPU_IMAGES = 4_096

Contenders = dict[str, peers.Measure]


def base(images: int, batch_size: int) -> Experiment:
    """The model that is trained."""
    precision = hardware.best_precision(hardware.pick_device())
    return replace(SEVEN[BASE], budget=images, batch_size=batch_size, precision=precision)


def ours(faces: data.FaceSet, batch_size: int, images: int) -> float:
    """Images per second of one model on all cores or the GPU."""
    with tempfile.TemporaryDirectory() as runs:
        run = train_or_load(base(images, batch_size), faces, "benchmark", Path(runs))
        return steady(run)


def ours_side_by_side(faces: data.FaceSet, batch_size: int, images: int, models: int) -> float:
    """Images per second of all of several models that train at once, so many images each."""
    experiments = {
        f"model {seed}": replace(base(images, batch_size), seed=seed) for seed in range(models)
    }
    with tempfile.TemporaryDirectory() as runs:
        trained = launch.run(experiments, faces, runs=Path(runs))
        return models * min(steady(run) for run in trained.values())


def steady(run: Run) -> float:
    """Images per second after the first stage, in which kernels are chosen and compiled."""
    first, last = run.curve("train")[0], run.curve("train")[-1]
    return (last.images_seen - first.images_seen) / (last.seconds - first.seconds)


def draw(count: int, folder: Path) -> data.FaceSet:
    """So many procedural faces, prepared as for any training."""
    folder.mkdir()
    prepare.prepare(layouts.find("synthetic"), count, folder)
    return data.open_prepared(folder)


def contenders(asked: argparse.Namespace, faces: data.FaceSet, place: Path) -> Contenders:
    """Everything that takes turns, by name."""
    sizes = (asked.batch_size, math.ceil(asked.images / asked.batch_size))
    found: Contenders = {"one_model": partial(ours, faces, asked.batch_size, asked.images)}
    if asked.models > 1:
        found["side_by_side"] = partial(
            ours_side_by_side, faces, asked.batch_size, asked.images, asked.models
        )
    if peers.version(PEERS["tutorial"]) != peers.MISSING:
        found["tutorial"] = peers.tutorial(place, asked.faces, *sizes)
    if peers.version(PEERS["pythae"]) != peers.MISSING:
        found["pythae"] = peers.pythae(place, faces, *sizes)
    return found


def take_turns(asked: argparse.Namespace, found: Contenders) -> list[Round]:
    """Images per second of each in every round, and the ceiling of that round."""
    threads = torch.get_num_threads()
    rounds: list[Round] = []
    for number in range(asked.rounds):
        rates: Round = {}
        for name, measure in found.items():
            torch.set_num_threads(threads)  # whatever the one before has set
            rates[name] = measure()
            tell(f"round {number + 1}: {name.replace('_', ' ')} {rates[name]:.1f} images/s")
        limit = ceiling.measure(asked.batch_size)
        tell(f"round {number + 1}: {limit.gflops:.1f} GFLOP/s, {limit.where}")
        rates["ceiling"] = limit.images_per_second
        rates["ceiling_of_pixels"] = limit.images_per_second_of_pixels
        rates["ceiling_by_layer"] = limit.images_per_second_by_layer
        rounds.append(rates | {"gflops": limit.gflops, "fastest": limit.where})
    return rounds


def on_gpu(asked: argparse.Namespace, faces: data.FaceSet, limit: float) -> dict[str, Any]:
    """What is only told of a GPU; `limit` is the ceiling in images per second."""
    device = hardware.pick_device()
    sizes = {}
    for size in asked.batch_sizes:
        rate = statistics.median(ours(faces, size, CUDA_STEPS * size) for _ in range(asked.rounds))
        kernels, busy = ceiling.launches(partial(ours, faces, size), size)
        tell(f"batches of {size}: {rate:.0f} images/s, {kernels:.0f} kernels in a step")
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


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """The whole result."""
    device = hardware.pick_device()
    with tempfile.TemporaryDirectory() as folder:
        faces = draw(asked.faces, Path(folder) / "faces")
        rounds = take_turns(asked, contenders(asked, faces, Path(folder)))
        result = outcome.summary(rounds)
        if device.type == "cuda":
            result |= on_gpu(asked, faces, result["ceiling_images_per_second"])
    return {
        **result,
        "images": asked.images,
        "batch_size": asked.batch_size,
        "precision": base(1, 1).precision,
        "models_side_by_side": asked.models,
        "different_faces": asked.faces,
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
    told = provenance.environment(device)["device"]
    name = re.sub(r"\((r|tm)\)|\bcpu\b|@.*|\d+-core processor", " ", str(told).lower())
    if device.type != "cuda":
        name += f" {joblib.cpu_count()} cores"
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options, with what suits this machine where nothing is said."""
    cuda = hardware.pick_device().type == "cuda"
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, help="timed in each round, of each")
    parser.add_argument("--batch-size", type=int, default=PRESETS["full"].batch_size)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=CUDA_BATCH_SIZES)
    parser.add_argument("--faces", type=int, default=4_000, help="how many different ones")
    asked = parser.parse_args(arguments)
    asked.images = asked.images or (CUDA_STEPS * asked.batch_size if cuda else CPU_IMAGES)
    if min(asked.rounds, asked.images, asked.batch_size, asked.faces, *asked.batch_sizes) < 1:
        parser.error("every number must be at least 1")
    asked.models = 1 if cuda else joblib.cpu_count()
    return asked


def main(arguments: list[str] | None = None) -> None:
    asked = parsed(arguments)
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(asked)
    write_json(RESULTS / f"{result['machine']['name']}.json", result)
    print(json.dumps(result) if asked.json else outcome.table(result))


if __name__ == "__main__":
    main()
