"""Tables hold what was measured, written for readers."""

import json
import math

import pytest
import torch
from torch import Tensor

from vaelib.evaluation.bootstrap import REPLICATES, constant
from vaelib.model import VAE, parameters
from vaelib.reporting import tables
from vaelib.reporting.columns import Better, Column
from vaelib.reporting.tables import Numbers, RecordedInterval

COLUMNS = {"error": Column("reconstruction", ".4f", "lower"), "KL": Column("kl", ".0f")}

NUMBERS: Numbers = {
    "lam-1e-5": {"reconstruction": [0.0512, 0.05, 0.054], "kl": [98.4, 96.0, 101.0]},
    "centred": {"reconstruction": [0.06, 0.06, 0.06], "kl": [None, None, None]},
}

GROUPED: Numbers = {
    "one": {
        "realism": [0.9, 0.8, 1.0],
        "found Wearing_Hat": [0.5, 0.4, 0.6],
        "found not Wearing_Hat": [0.7, 0.7, 0.7],
        "frequency Wearing_Hat": [0.05, 0.04, 0.06],
        "frequency Male": [0.42, 0.4, 0.44],
    },
    "two": {
        "realism": [0.9, 0.8, 1.0],
        "found Wearing_Hat": [None, None, None],
        "found not Wearing_Hat": [0.25, 0.2, 0.3],
        "frequency Wearing_Hat": [0.0, 0.0, 0.0],
        "frequency Male": [0.5, 0.375, 0.625],
    },
}

PART = {
    "measure": "error over error, less 1",
    "effect": 0.5,
    "interval": [0.25, 1.0],
    "limit": "above 0.05",
    "verdict": "holds",
}
CLAIM = {"claim": "a larger lambda blurs", "verdict": "holds", "parts": [PART]}

# The weight of the summed squared error and of the KL in each program's loss, worked out by hand
# from its loss as written.
SUMS = {
    "pythae": (1 / 2, 1),
    "stat453, L17": (1, 1),
    "handson-ml3": (1 / 784, 1 / 784),
    "GDL, 2nd edition": (2000 / (3 * 32 * 32), 1),
    "PyTorch-VAE": (1 / (3 * 64 * 64), 0.00025),
    "disentangling-vae": (255, 1),
}


def evenly_spread(low: float, high: float) -> Tensor:
    """A measure whose replicates lie evenly in a range, around an estimate in its middle."""
    replicates = torch.linspace(low, high, REPLICATES, dtype=torch.float64)
    return torch.cat([torch.tensor([(low + high) / 2], dtype=torch.float64), replicates])


def cell(interval: RecordedInterval, style: str) -> str:
    """How a table of one model and one measure writes it."""
    _, [[_, written]] = tables.measure_table({"model": {"x": interval}}, {"x": Column("x", style)})
    return written


def weights(*lams: float) -> dict[str, list[str]]:
    """The rows of the table of weights, by program."""
    _, rows = tables.kl_weight_table(lams)
    return {row[0]: row[1:] for row in rows}


# --- numbers


def test_a_measure_of_one_seed_becomes_its_value_and_bounds() -> None:
    [found] = tables.summarise([{"model": {"x": evenly_spread(0, 1)}}])["model"].values()
    assert found == pytest.approx([0.5, 0.025, 0.975])


def test_the_value_of_several_seeds_is_their_mean() -> None:
    seeds = [{"model": {"x": constant(value)}} for value in (1.0, 2.0, 6.0)]
    assert tables.summarise(seeds)["model"]["x"][0] == 3


def test_every_model_and_measure_keeps_its_name_and_place() -> None:
    seed = {name: {"b": constant(1), "a": constant(2)} for name in ("second", "first")}
    numbers = tables.summarise([seed])
    assert [(model, list(of)) for model, of in numbers.items()] == [
        ("second", ["b", "a"]),
        ("first", ["b", "a"]),
    ]


def test_numbers_have_six_digits() -> None:
    numbers = tables.summarise([{"model": {"x": constant(1.23456789e-5)}}])
    assert numbers["model"]["x"] == [1.23457e-5] * 3


def test_what_is_no_number_is_null_in_json() -> None:
    numbers = tables.summarise([{"model": {"x": constant(math.nan), "y": constant(0.5)}}])
    written = json.dumps(numbers, allow_nan=False)
    assert json.loads(written) == {"model": {"x": [None] * 3, "y": [0.5] * 3}}


def test_bounds_that_are_no_numbers_leave_the_value() -> None:
    measure = evenly_spread(0, 1)
    measure[7] = math.nan
    assert tables.summarise([{"model": {"x": measure}}])["model"]["x"] == [0.5, None, None]


def test_values_are_the_numbers_without_intervals() -> None:
    assert tables.values(NUMBERS) == {
        "lam-1e-5": {"reconstruction": 0.0512, "kl": 98.4},
        "centred": {"reconstruction": 0.06, "kl": None},
    }


def test_frequencies_are_by_attribute_and_nothing_else() -> None:
    assert tables.frequencies(GROUPED["one"]) == {
        "Wearing_Hat": [0.05, 0.04, 0.06],
        "Male": [0.42, 0.4, 0.44],
    }


# --- how a measure is written


def test_a_measure_is_its_value_and_half_its_interval() -> None:
    cases: list[tuple[RecordedInterval, str, str]] = [
        ([0.0512, 0.05, 0.054], ".4f", "0.0512 ± 0.0020"),
        ([-1.5, -2.0, -1.0], ".1f", "-1.5 ± 0.5"),
        ([98.4, 96.0, 101.0], ".0f", "98 ± 2"),
        ([98.4, 90.0, 96.0], ".0f", "98 ± 3"),  # half the width, wherever the value lies
        ([0.25, 0.25, 0.25], ".2f", "0.25"),
        ([0.25, None, None], ".2f", "0.25"),
        ([None, None, None], ".2f", "-"),
    ]
    for interval, style, written in cases:
        assert cell(interval, style) == written


def test_measures_are_columns_and_models_rows() -> None:
    assert tables.measure_table(NUMBERS, COLUMNS) == (
        ["model", "error ↓", "KL"],
        [
            [r"$\lambda = 10^{-5}$", "**0.0512 ± 0.0020**", "98 ± 2"],
            ["centre pull", "0.0600", "-"],
        ],
    )


def test_real_faces_stand_first_and_compete_with_no_model() -> None:
    real = {"reconstruction": [0.0, 0.0, 0.0], "kl": [99.0, 98.0, 100.0]}
    _, rows = tables.measure_table(NUMBERS, COLUMNS, real)
    assert rows[0] == ["real faces", "0.0000", "99 ± 1"]
    assert rows[1:] == tables.measure_table(NUMBERS, COLUMNS)[1]


def test_the_best_value_is_bold_where_one_is_better_than_another() -> None:
    numbers = {name: {"x": [value] * 3} for name, value in (("a", 1.0), ("b", 2.0), ("c", 2.0))}

    def bold(better: Better, numbers: Numbers = numbers) -> list[str]:
        _, rows = tables.measure_table(numbers, {"x": Column("x", ".0f", better)})
        return [model for model, cell in rows if cell.startswith("**")]

    assert bold("lower") == ["a"]
    assert bold("higher") == ["b", "c"]
    assert bold("near 1") == ["a"]
    assert bold("") == []
    assert bold("higher", {"a": {"x": [1.0] * 3}}) == []
    assert bold("higher", {"a": {"x": [1.0] * 3}, "b": {"x": [1.0] * 3}}) == []
    assert bold("higher", {"a": {"x": [None] * 3}, "b": {"x": [1.0] * 3}}) == []


def test_what_was_not_measured_of_all_models_is_no_column() -> None:
    header, rows = tables.measure_table(
        {"one": {"kl": [98.0] * 3, "hair_travel": [0.5] * 3}, "other": {"kl": [99.0] * 3}},
        {"KL": Column("kl", ".0f"), "hair": Column("hair_travel", ".2f")},
    )
    assert (header, rows) == (["model", "KL"], [["one", "98"], ["other", "99"]])


def test_a_group_stands_above_all_others() -> None:
    assert tables.group_table(GROUPED) == (
        ["group", "one", "two"],
        [
            ["Wearing Hat, within", "0.50 ± 0.10", "-"],
            ["Wearing Hat, others", "0.70", "0.25 ± 0.05"],
        ],
    )


def test_norms_are_rows_with_their_own_colours() -> None:
    measured = {"reconstruction": 0.05, "kl": 90.0, "distance": 12.5, "variety": 0.25}
    header, rows = tables.norm_table(
        {norm: {name: [x] * 3 for name, x in measured.items()} for norm in ("batch", "group")},
        {
            "group": {"whole": [3.0, 2.0, 4.0], "background": [7.0] * 3},
            "batch": {"whole": [5.0] * 3, "background": [None] * 3},
        },
    )
    assert header == ["", "error ↓", "colour ↓", "background ↓", "KL", "distance ↓", "variety → 1"]
    assert rows == [
        ["batch", "0.0500", "5.0", "-", "90", "12.50", "0.25"],
        ["group", "0.0500", "**3.0 ± 1.0**", "7.0", "90", "12.50", "0.25"],
    ]


def test_layers_are_listed_as_they_run_with_what_comes_out() -> None:
    (header, encoder), (_, decoder) = tables.layers_of_model(64)
    assert header == ["layer", "features", "kernel", "stride", "output", "parameters"]
    assert encoder[0] == ["convolution", "3 → 32", "4", "2", "32 × 32 × 24", "1,568"]
    assert encoder[-1] == ["linear", "3072 → 64", "", "", "64", "196,672"]
    assert decoder[-1] == ["transposed convolution", "32 → 3", "4", "2", "3 × 64 × 48", "1,539"]
    assert (len(encoder), len(decoder)) == (10, 9)
    counted = sum(int(row[-1].replace(",", "")) for row in encoder + decoder)
    assert counted == parameters(VAE(64))


# --- verdicts


def test_a_verdict_stands_beside_the_number_of_parts_that_hold() -> None:
    claim = CLAIM | {"parts": [PART, PART | {"verdict": "undecided"}], "verdict": "undecided"}
    assert tables.verdict_table({"C1": claim}) == (
        ["", "claim", "parts that hold", "verdict"],
        [["C1", r"a larger $\lambda$ blurs", "1 of 2", "undecided"]],
    )


def test_a_part_has_its_effect_with_its_interval() -> None:
    other = PART | {"measure": "share of draws with a face", "verdict": "fails"}
    assert tables.part_table({"C1": CLAIM | {"parts": [PART, other]}}) == (
        ["", "what is measured", "effect", "holds if", "verdict"],
        [
            ["C1", "error over error, less 1", "0.50 (0.25 to 1.00)", "above 0.05", "holds"],
            ["C1", "share of draws with a face", "0.50 (0.25 to 1.00)", "above 0.05", "fails"],
        ],
    )


def test_what_cannot_be_measured_has_no_effect() -> None:
    word = "not measurable on this data"
    unmeasured = PART | {"effect": None, "interval": [None, None], "verdict": word}
    claims = {"C8": CLAIM | {"parts": [unmeasured], "verdict": word}}
    assert tables.part_table(claims)[1][0][2:] == ["-", "above 0.05", "not measurable"]
    assert tables.verdict_table(claims)[1][0][2:] == ["0 of 1", "not measurable"]


def test_an_asterisk_stands_where_detectors_disagree() -> None:
    part = PART | {"verdict": "undecided", "detectors_disagree": True}
    _, [row] = tables.part_table({"C6": CLAIM | {"parts": [part]}})
    assert row[4] == "undecided*"


def test_only_parts_about_faces_have_a_second_opinion() -> None:
    second = {"second_effect": 0.4, "second_interval": [0.1, 0.7]}
    claim = CLAIM | {"parts": [PART, PART | second]}
    assert tables.second_opinions({"C8": claim}) == (
        ["", "what is measured", "first detector", "second"],
        [["C8", "error over error, less 1", "0.50 (0.25 to 1.00)", "0.40 (0.10 to 0.70)"]],
    )


def test_verdicts_keep_their_order() -> None:
    _, rows = tables.verdict_table(dict.fromkeys(("C2", "C10", "C1"), CLAIM))
    assert [row[0] for row in rows] == ["C2", "C10", "C1"]


def test_detectors_are_columns_and_kinds_of_images_rows() -> None:
    haar = {
        "faces": {"held out": 0.96, "blurred": 0.82},
        "degrees": {"1": 0.9, "16": 0.01},
        "others": {"noise": 0.0, "deformed beyond recognition": 0.01},
    }
    hog = haar | {"faces": {"held out": 1.0, "blurred": 0.9}}
    assert tables.detector_table({"haar": haar, "hog": hog}) == (
        ["images", "haar", "hog"],
        [
            ["held out", "0.96", "1.00"],
            ["blurred", "0.82", "0.90"],
            ["deformed by 1 px", "0.90", "0.90"],
            ["deformed by 16 px", "0.01", "0.01"],
            ["noise", "0.00", "0.00"],
        ],
    )


# --- weights


def test_beta_is_the_kl_weight_where_half_the_squared_error_counts_once() -> None:
    expected = {program: kl / (2 * error) for program, (error, kl) in SUMS.items()}
    found = {program: float(row[1]) for program, row in weights().items()}
    assert found == pytest.approx(expected, rel=0.03)  # of two digits


def test_our_lambda_gives_the_loss_of_each_program_up_to_scale() -> None:
    our_error_weight = 4 / (3 * 64 * 48)  # [-1, 1] is twice as wide as [0, 1]
    expected = {program: kl / error for program, (error, kl) in SUMS.items()}
    found = {program: float(row[2]) / our_error_weight for program, row in weights().items()}
    assert found == pytest.approx(expected, rel=0.05)


def test_beta_one_is_a_lambda_of_8_over_9216() -> None:
    assert float(weights()["pythae"][2]) == pytest.approx(8 / 9216, rel=0.01)


def test_our_lambda_of_1e_5_is_a_beta_of_0_0115() -> None:
    written, beta, lam = weights(1e-5)["here"]
    assert (written, beta, lam) == ("mean MSE + 1e-05 KL", "0.012", "1e-05")  # 0.01152


def test_our_lambdas_come_last_in_their_order() -> None:
    _, rows = tables.kl_weight_table([1e-3, 1e-6])
    assert [row[3] for row in rows[-2:]] == ["0.001", "1e-06"]
