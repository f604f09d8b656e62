"""Rounds of `benchmarks.training` become medians and ratios, and these a table for people."""

import statistics
from typing import Any

from benchmarks import ceiling

TARGETS = {"ratio_tutorial": 2.5, "ratio_pythae": 1.5, "fraction_of_ceiling": 0.5}
OURS = ("one_model", "side_by_side")  # the better of the two counts

Round = dict[str, Any]  # images per second by name, and the ceiling of that round


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Medians over the rounds; of ratios, the median of the ratio in each round."""
    medians = {
        name: statistics.median(rates[name] for rates in rounds)
        for name in rounds[0]
        if name != "fastest"
    }
    better = max((name for name in OURS if name in medians), key=lambda name: medians[name])

    def ratio(other: str) -> float | None:
        ratios = [rates[better] / rates[other] for rates in rounds if other in rates]
        return round(float(statistics.median(ratios)), 4) if ratios else None

    def images_per_second(name: str) -> float | None:
        return round(float(medians[name]), 2) if name in medians else None

    return {
        "images_per_second": images_per_second(better),
        "ratio_plain_loop": ratio("plain_loop"),
        "ratio_tutorial": ratio("tutorial"),
        "ratio_pythae": ratio("pythae"),
        "fraction_of_ceiling": ratio("ceiling"),
        "fraction_of_ceiling_of_pixels": ratio("ceiling_of_pixels"),
        "fraction_of_ceiling_by_layer": ratio("ceiling_by_layer"),
        "targets": TARGETS,
        "better": better,
        "one_model_images_per_second": images_per_second("one_model"),
        "side_by_side_images_per_second": images_per_second("side_by_side"),
        "plain_loop_images_per_second": images_per_second("plain_loop"),
        "tutorial_images_per_second": images_per_second("tutorial"),
        "pythae_images_per_second": images_per_second("pythae"),
        "ceiling_images_per_second": images_per_second("ceiling"),
        "ceiling_of_pixels_images_per_second": images_per_second("ceiling_of_pixels"),
        "ceiling_by_layer_images_per_second": images_per_second("ceiling_by_layer"),
        "ceiling_gflop_per_second": round(medians["gflops"], 1),
        "gflop_per_image": round(ceiling.flops_per_image() / 1e9, 4),
    }


def table(result: dict[str, Any]) -> str:
    """The result for people: ours, and ours against each peer and the ceiling."""
    machine, versions = result["machine"], result["peers"]
    lines = [
        f"{machine['device']}, {machine['cores']} cores, {result['precision']}, batches of "
        f"{result['batch_size']}, median of {len(result['rounds'])} rounds",
        f"{'':<34}{'images/s':>10}{'ratio':>8}{'target':>8}",
        _line("vaelib", result["images_per_second"]),
        _line("  one model", result["one_model_images_per_second"]),
        _line(
            f"  {result['models_side_by_side']} models side by side",
            result["side_by_side_images_per_second"],
        ),
    ]
    for name, what, ratio in (
        ("plain_loop", "plain loop, vaelib.train", "ratio_plain_loop"),
        ("tutorial", f"tutorial, torchvision {versions['torchvision']}", "ratio_tutorial"),
        ("pythae", f"pythae {versions['pythae']}", "ratio_pythae"),
        ("ceiling", "ceiling: fastest convolution", "fraction_of_ceiling"),
        ("ceiling_of_pixels", "  without the padding's zeros", "fraction_of_ceiling_of_pixels"),
        ("ceiling_by_layer", "ceiling by layer", "fraction_of_ceiling_by_layer"),
    ):
        rate = result[f"{name}_images_per_second"]
        lines.append(_line(what, rate, result[ratio], TARGETS.get(ratio)))
    for size, seen in result.get("by_batch_size", {}).items():
        lines.append(_line(f"vaelib, batches of {size}", seen["images_per_second"]))
    return "\n".join(lines)


def _line(what: str, rate: float | None, ratio: float | None = None, target: Any = "") -> str:
    shown = "" if rate is None else f"{rate:.0f}"
    against = "" if ratio is None else f"{ratio:.2f}"
    return f"{what:<34}{shown:>10}{against:>8}{target or '':>8}"
