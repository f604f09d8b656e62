"""The tables of speed in docs/speed.md, from the results that lie beside this file.

    python -m benchmarks.tables

Prints them; a test compares them with what stands there.
"""

import json
from collections.abc import Sequence
from typing import Any

from vaelib.config import PRESETS
from vaelib.support import paths

RESULTS = paths.ROOT / "benchmarks" / "results"
RUNS = 1_000
MACHINES = (1, 8, 64)  # that train side by side


def results() -> list[dict[str, Any]]:
    """What `benchmarks.training` measured, one machine after another."""
    read = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("*.json"))]
    return [result for result in read if "ratio_tutorial" in result]


def speed(measured: list[dict[str, Any]]) -> str:
    """Markdown: a row per machine, each ratio against its peer in the same run."""
    rows = [
        (
            f"{result['machine']['device']}, {result['machine']['cores']} cores",
            result["precision"],
            f"{result['images_per_second']:,.0f}",
            _times(result.get("ratio_plain_loop")),
            _times(result["ratio_tutorial"]),
            _times(result["ratio_pythae"]),
            f"{result['fraction_of_ceiling']:.0%}",
            f"{result['fraction_of_ceiling_by_layer']:.0%}",
        )
        for result in measured
    ]
    head = ("machine", "precision", "images/s", "plain loop", "tutorial loop", "pythae")
    return _markdown((*head, "of its fastest convolution", "of every convolution's best"), rows)


def plan(measured: list[dict[str, Any]]) -> str:
    """Markdown: how long RUNS runs of the full budget take on so many of each machine."""
    images = RUNS * PRESETS["full"].budgets[0]
    rows = [
        (
            f"{result['machine']['device']}, {result['machine']['cores']} cores",
            *(_days(images / result["images_per_second"] / count) for count in MACHINES),
        )
        for result in measured
    ]
    return _markdown(("one machine", *(f"on {count}" for count in MACHINES)), rows)


def _times(ratio: float | None) -> str:
    return "not measured" if ratio is None else f"{ratio:.1f} times"


def _days(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:,.1f} days" if days >= 1 else f"{24 * days:,.1f} hours"


def _markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    measured = results()
    print(speed(measured), plan(measured), sep="\n\n")


if __name__ == "__main__":
    main()
