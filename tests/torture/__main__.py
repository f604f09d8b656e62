"""`make torture`: a campaign against the program, with a table of what it took well.

`python -m tests.torture [SEED]`. What shows a fault again lies in build/torture/faults.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path

from tests.torture import disks, inputs, kills, surroundings
from tests.torture.campaign import Case, Home, in_markdown, run, table
from vaelib.support import files, paths, provenance

KILLS_BEFORE, KILLS_LATER = 20, 10  # by each signal: before the notebooks run, and while they do
INPUTS = 3_000
BOUNDED = 4

OUT = paths.ROOT / "build" / "torture"
RESULT = paths.ROOT / "benchmarks" / "results" / "torture.json"


def stops_before_notebooks(seed: int, folder: Path) -> list[Case]:
    return list(kills.stops(seed, folder, kills.BEFORE_NOTEBOOKS, KILLS_BEFORE))


def stops_of_notebooks(seed: int, folder: Path) -> list[Case]:
    return list(kills.stops(seed, folder, kills.LATER, KILLS_LATER))


def surroundings_and_disks(seed: int, folder: Path) -> list[Case]:
    trained = Home(folder / "trained")
    ended = run(trained.report(), trained.environment())
    if ended.code:
        return [Case("a report undisturbed", "smoke", seed, ended.terminal[-300:])]
    reference = kills.figures(trained)
    return list(
        chain(
            surroundings.places(seed, folder, trained, reference),
            surroundings.less(seed, folder, trained, reference),
            surroundings.at_once(seed, folder, reference),
            surroundings.hostile_names(seed, folder),
            disks.spoiled_disks(seed, folder, trained, reference),
            disks.bounded_files(seed, folder, BOUNDED),
        )
    )


def mutated_inputs(seed: int, folder: Path) -> list[Case]:
    return list(inputs.mutated_inputs(seed, folder, INPUTS))


PARTS: tuple[Callable[[int, Path], list[Case]], ...] = (
    stops_of_notebooks,
    surroundings_and_disks,
    stops_before_notebooks,
    mutated_inputs,
)


def campaign(seed: int, folder: Path) -> Iterator[Case]:
    """All parts, two at a time."""
    with ProcessPoolExecutor(2) as pool:
        futures = [
            pool.submit(part, seed, folder / part.__name__.replace("_", "-")) for part in PARTS
        ]
        for future in futures:
            yield from future.result()


def main() -> None:
    """Exit code 1 where something went wrong."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    shutil.rmtree(OUT, ignore_errors=True)
    started = time.monotonic()
    cases = list(campaign(seed, OUT))
    minutes = (time.monotonic() - started) / 60
    rows = table(cases)
    print(in_markdown(rows))
    for case in cases:
        if case.fault:
            print(f"{case.kind}, {case.what}, seed {case.seed}: {case.fault}\n  see {case.file}")
    record = {
        "seed": seed,
        "minutes": round(minutes, 1),
        "processor": provenance.processor(),
        "cores": os.cpu_count(),
        "rows": {kind: list(counts) for kind, counts in rows.items()},
    }
    files.write_json(RESULT, record)
    sys.exit(any(case.fault for case in cases))


if __name__ == "__main__":
    main()
