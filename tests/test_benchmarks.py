"""The benchmarks write sound numbers, measured against an equal network."""

import contextlib
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from vaelib.config import Experiment
from vaelib.data import FaceSet
from vaelib.model import TABLE_1, TABLE_2, VAE, parameters
from vaelib.support import paths
from vaelib.training import launch
from vaelib.training.run_one import train_or_load

sys.path.insert(0, str(paths.ROOT))  # the benchmarks are not installed

from benchmarks import ceiling, explore, outcome, peers, tables, training

SMALL = ["--json", "--rounds", "1", "--budget", "32", "--batch-size", "16", "--faces", "64"]


def one_after_the_other(
    experiments: dict[str, Experiment], faces: FaceSet, runs: Path
) -> dict[str, Any]:
    return {name: train_or_load(one, faces, name, runs) for name, one in experiments.items()}


@pytest.fixture(scope="module")
def printed_and_written(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a very small run prints, and the folder that its result is in."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(training, "RESULTS", results)
        patch.setattr(launch, "run", one_after_the_other, raising=False)
        patch.setattr(peers, "WARM_UP", 2)
        patch.setattr(ceiling, "TRIES", 1)
        training.main(SMALL)
    return out.getvalue(), results


@pytest.fixture(scope="module")
def result(printed_and_written: tuple[str, Path]) -> dict[str, Any]:
    return dict(json.loads(printed_and_written[0]))


def sound(value: float) -> bool:
    return math.isfinite(value) and value > 0


@pytest.mark.slow
def test_it_prints_and_writes_one_object(
    printed_and_written: tuple[str, Path], result: dict[str, Any]
) -> None:
    printed, results = printed_and_written
    assert printed.count("\n") == 1
    (written,) = results.iterdir()
    assert written.stem == result["machine"]["name"]
    assert json.loads(written.read_text(encoding="utf-8")) == result


@pytest.mark.slow
def test_its_numbers_are_finite_and_positive(result: dict[str, Any]) -> None:
    ratios = {"ratio_tutorial": "torchvision", "ratio_pythae": "pythae"}
    for ratio, package in ratios.items():
        missing = result["peers"][package] == "missing"
        assert result[ratio] is None if missing else sound(result[ratio])
    fractions = [f"fraction_of_ceiling{which}" for which in ("", "_of_pixels", "_by_layer")]
    for name in ("images_per_second", *fractions):
        assert sound(result[name])
    (rates,) = result["rounds"]
    assert all(sound(rate) for name, rate in rates.items() if name != "fastest")
    ceilings = {"ceiling", "ceiling_of_pixels", "ceiling_by_layer", "gflops"}
    assert {"one_model"} | ceilings < rates.keys()
    assert (result["budget"], result["batch_size"]) == (32, 16)


@pytest.mark.slow
def test_no_layer_is_beyond_the_fastest(result: dict[str, Any]) -> None:
    assert result["fraction_of_ceiling"] < result["fraction_of_ceiling_by_layer"]


def test_the_plain_network_is_the_librarys() -> None:
    assert (peers.ENCODER, peers.DECODER) == (TABLE_1, TABLE_2)
    plain, model = peers.PlainVAE(), VAE(peers.LATENT)
    assert parameters(plain) == parameters(model)
    for one, other in zip(plain.parameters(), model.parameters(), strict=True):
        assert one.shape == other.shape
        one.data.copy_(other.data)
    x, z = torch.rand(4, *peers.SHAPE) * 2 - 1, torch.randn(4, peers.LATENT)
    with torch.no_grad():
        torch.testing.assert_close(plain.encoder(x), model.encode(x))
        torch.testing.assert_close(plain.decoder(z), model.decode(z))


def test_operations_of_an_image() -> None:
    assert round(ceiling.flops_per_image() / 1e9, 4) == 0.5804


def test_of_a_3_x_3_window_on_12_pixels_a_third_is_padding() -> None:
    (layer, _) = (layer for layer in ceiling.layers() if layer.name.endswith("256 to 256, 4 x 3"))
    # 4 rows meet 10 of 12 taps, 3 columns 7 of 9.
    assert layer.of_pixels * 12 * 9 == layer.multiplications * 10 * 7


def test_a_ratio_is_the_median_of_the_rounds_and_a_missing_peer_has_none() -> None:
    pairs = [(10, 5), (20, 5), (24, 8)]
    limit = {"ceiling": 50, "ceiling_by_layer": 40, "ceiling_of_pixels": 45}
    rest = {"gflops": 1, "fastest": "one"}
    rounds = [
        {"one_model": 1, "side_by_side": one, "tutorial": t, **limit, **rest} for one, t in pairs
    ]
    summary = outcome.summary(rounds)
    assert summary["better"] == "side_by_side"
    assert (summary["images_per_second"], summary["ratio_tutorial"]) == (20, 3)
    assert (summary["ratio_pythae"], summary["fraction_of_ceiling"]) == (None, 0.4)


@pytest.mark.slow
def test_the_table_says_what_is_missing(result: dict[str, Any]) -> None:
    gone = {**result, "ratio_pythae": None, "pythae_images_per_second": None}
    table = outcome.table(gone | {"peers": {"torchvision": "0.26", "pythae": "missing"}})
    (line,) = (line for line in table.splitlines() if line.startswith("pythae"))
    assert line.split() == ["pythae", "missing", "1.5"]


def test_the_page_on_speed_has_the_tables_that_the_results_give() -> None:
    page = (paths.ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    measured = tables.results()
    assert measured
    assert tables.speed(measured) in page
    assert tables.plan(measured) in page


@pytest.mark.slow
def test_eight_machines_take_an_eighth_of_the_time(result: dict[str, Any]) -> None:
    row = tables.plan([result | {"images_per_second": 3e9 / 86_400}]).splitlines()[-1]
    assert row.endswith("| 1.0 days | 3.0 hours | 0.4 hours |")


@pytest.mark.slow
@pytest.mark.parametrize("how", [["benchmarks/training.py"], ["-m", "benchmarks.training"]])
def test_it_is_found_as_a_file_and_as_a_module(how: list[str]) -> None:
    command = [sys.executable, *how, "--rounds", "0"]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "every number must be at least 1" in done.stderr
    assert not done.stdout


@pytest.mark.slow
def test_the_explorer_is_timed_for_one_model_and_for_seven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "RESULT", tmp_path / "explore.json")
    monkeypatch.setattr(explore, "WARM_UP", 1)
    explore.main(["--rounds", "2"])
    timings = json.loads((tmp_path / "explore.json").read_text(encoding="utf-8"))
    assert set(timings["targets"]) <= set(timings["milliseconds"])
    assert all(sound(time) for each in timings["milliseconds"].values() for time in each.values())


def test_the_explorer_was_quick_enough_where_it_was_timed() -> None:
    timings = json.loads(explore.RESULT.read_text(encoding="utf-8"))
    for name, most in timings["targets"].items():
        assert timings["milliseconds"][name]["of_20_slowest"] < most
