"""What the report says of faces, models and instruments is computed from them."""

from typing import Any

from vaelib.reporting import paper
from vaelib.reporting.results import Origin

FACES: dict[str, Any] = {"kind": "celeba", "faces": 8_000, "train": 7_000}
ORIGIN = Origin("celeba8k", "abc", "quick", 3, "150000,150000;20000")


def test_every_kind_of_faces_has_a_name_a_source_and_limits() -> None:
    for kind in ("celeba", "photos", "synthetic"):
        assert paper.KINDS[kind]
        assert paper.source_of(FACES | {"kind": kind})
        assert paper.limits_of(FACES | {"kind": kind}).endswith(".")
    assert paper.source_of(FACES) == "photographs of CelebA, 8,000 of its 202,599"
    assert "7,000 of its 202,599" in paper.limits_of(FACES)


def test_sizes_are_those_of_the_network() -> None:
    assert paper.sizes_of_models((32, 64, 128)) == "3,245,763, 3,540,739 and 4,130,691"
    assert paper.size_as_printed() == "40 × 32"


def test_detectors_are_named_with_settings_and_threshold() -> None:
    detectors = {
        "haar": {"description": "a cascade", "threshold": 2.0},
        "hog": {"description": "gradients", "threshold": -1.0919},
    }
    assert paper.detector_settings(detectors, 1_000) == (
        "In the table, *haar* is a cascade, with a threshold of 2.00; *hog* is gradients, with a"
        " threshold of -1.09. Each model draws 1,000 faces to be measured; *haar* looks at 1,000"
        " and *hog* looks at 100."
    )


def test_it_is_said_how_many_attributes_can_be_predicted() -> None:
    record = {"attributes": True, "areas": {"a": 0.9, "b": 0.79, "c": None}}
    learnt = paper.what_the_classifier_learnt(record)
    assert "below 0.80, which leaves 1 of 3 attributes." in learnt
    assert "crops" in paper.what_the_classifier_learnt({"attributes": False, "areas": {}})


def test_an_interval_of_a_small_number_is_written_in_formulas() -> None:
    found = paper.between([1.1e-5, 1.04e-5, 1.2e-5])
    assert found == r"$1.0 \times 10^{-5}$ to $1.2 \times 10^{-5}$"


def test_norms_are_told_by_their_numbers() -> None:
    record = {
        "spread": {"encoded": [0.9, 0.8, 0.7], "prior": [0.03, 0.02, 0.01]},
        "norms": {"batch norm": {"variety": [0.02, 0, 0], "variety_fitted": [0.54, 0, 0]}},
    }
    told = paper.norm_sentences(record, 5_000)
    for number in ("5,000 images", "0.80 times", "0.020 times", "is 0.02 of", "and 0.54 of"):
        assert number in told
    more = record | {"spread": {"encoded": [0.5], "prior": [0.6]}}
    assert "vary no less" in paper.norm_sentences(more, 5_000)


def test_the_command_makes_the_same_report_again() -> None:
    assert paper.command(ORIGIN, "celeba") == (
        "python -m vaelib report --data PATH --name celeba8k --preset quick --seed 3"
        " --budget 150000,150000 --side-budget 20000"
    )
    assert "--data synthetic --preset" in paper.command(ORIGIN, "synthetic")


def test_a_day_is_written_in_words() -> None:
    assert paper.day_in_words("2026-11-05") == "5 November 2026"


def test_models_that_diverged_are_named() -> None:
    assert paper.divergence({"diverged": []}).startswith("The loss of each ended below")
    words = paper.divergence({"diverged": ["lam-1e-3", "centred"]})
    assert words.startswith("The loss of lam-1e-3, centred ended above")
