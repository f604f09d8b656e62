"""How fast procedural faces are drawn: pixels and attributes, from factors that are sampled too.

    python -m benchmarks.faces [--faces N] [--rounds N]

Writes benchmarks/results/faces.json.
"""

import argparse
import resource
import time

import torch

from vaelib.faces import render
from vaelib.support import paths, provenance
from vaelib.support.files import write_json

RESULT = paths.ROOT / "benchmarks" / "results" / "faces.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    render.generate(1_000, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rates = []
    for _ in range(options.rounds):
        started = time.perf_counter()
        pixels, _ = render.generate(options.faces, 0)
        rates.append(round(options.faces / (time.perf_counter() - started)))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    write_json(
        RESULT,
        {
            "faces": options.faces,
            "faces_per_second": sorted(rates),
            "megabytes_of_pixels": round(pixels.nbytes / 1e6),
            "megabytes_that_memory_grew": round(grown / 1e3),
            "machine": provenance.environment(torch.device("cpu")),
        },
    )
    print(RESULT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
