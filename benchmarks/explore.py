"""How long the explorer takes from a slider to a picture, for one model and for all seven.

    python -m benchmarks.explore [--rounds N]

Timed from the message of a moved slider to the one that carries the picture: decoding, drawing and
encoding, as the notebook does it. The models are untrained, which changes nothing in their cost.
Writes benchmarks/results/explore.json.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vaelib import data
from vaelib.config import BASE, SEVEN
from vaelib.explore import encoding
from vaelib.explore.generate import Generate
from vaelib.explore.interpolate import Interpolate
from vaelib.explore.latent_map import LatentMap
from vaelib.explore.own_photo import OwnPhoto
from vaelib.explore.run_index import RunIndex, find_runs
from vaelib.explore.state import ExplorerState
from vaelib.explore.traverse import Traverse
from vaelib.model import new_model
from vaelib.support import files, paths, provenance
from vaelib.training import runs

RESULT = paths.ROOT / "benchmarks" / "results" / "explore.json"
TARGETS = {"one_model": 100, "seven_models": 400}  # milliseconds
WARM_UP = 5


def write_untrained_models(folder: Path, fingerprint: str) -> RunIndex:
    """The seven models, each with first weights of its own, as finished runs of these faces."""
    for seed, (name, experiment) in enumerate(SEVEN.items()):
        weights = new_model(replace(experiment, seed=seed)).state_dict()
        runs.finish(folder / name, experiment, [], {"fingerprint": fingerprint}, weights)
    return find_runs(folder, fingerprint)


def milliseconds(move: Callable[[int], None], rounds: int) -> dict[str, float]:
    """Median and slowest of twenty over this many moves; each must differ from the one before."""
    taken = []
    for step in range(WARM_UP + rounds):
        started = time.perf_counter()
        move(step)
        taken.append(1_000 * (time.perf_counter() - started))
    ordered = sorted(taken[WARM_UP:])
    slow = ordered[int(0.95 * (len(ordered) - 1))]
    return {"median": round(statistics.median(ordered), 1), "of_20_slowest": round(slow, 1)}


def measure(state: ExplorerState, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each slider."""
    generate, interpolate, traverse = Generate(state), Interpolate(state), Traverse(state)
    latent_map, own_photo = LatentMap(state), OwnPhoto(state)
    own_photo.open(encoding.grid(state.faces.images[:12], 4))

    def move_temperature(step: int) -> None:
        generate.temperature.value = 0.5 + (step % 50) / 100

    def move_share(step: int) -> None:
        interpolate.share.value = (step % 97) / 97

    def move_direction(step: int) -> None:
        traverse.sliders[0].value = (step % 59) / 30

    def move_place(step: int) -> None:
        latent_map.map.place = [0.01 * (step % 50), 0.0]

    def move_frame(step: int) -> None:
        own_photo.zoom.value = 1.5 + (step % 50) / 50

    seven_models = milliseconds(move_share, rounds)
    interpolate.model.value = BASE
    return {
        "one_model": milliseconds(move_share, rounds),
        "seven_models": seven_models,
        "traverse": milliseconds(move_direction, rounds),
        "grid_of_24": milliseconds(move_temperature, rounds),
        "map": milliseconds(move_place, rounds),
        "photo_in_seven_models": milliseconds(move_frame, rounds),
    }


def main(command_line: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args(command_line)
    torch.set_num_threads(1)  # as the explorer does
    faces = data.load("synthetic", "smoke")
    with tempfile.TemporaryDirectory() as folder:
        models = write_untrained_models(Path(folder), faces.fingerprint)
        result: dict[str, Any] = {
            "milliseconds": measure(ExplorerState(faces, models), arguments.rounds),
            "targets": TARGETS,
            "rounds": arguments.rounds,
            "machine": provenance.environment(torch.device("cpu")),
        }
    files.write_json(RESULT, result)
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
