"""What the boxes of 03_lambda_study promise happens."""

import pytest
import torch

from tests.notebooks.try_it import Tried, boxes
from vaelib.config import BASE
from vaelib.evaluation import prior_gap

NOTEBOOK = "03_lambda_study"
pytestmark = pytest.mark.notebook


def test_earlier_in_training_all_errors_are_larger(tried: dict[str, Tried]) -> None:
    before, after, printed, _ = tried["Losses"]
    assert after["row"].images_seen < before["row"].images_seen
    assert printed.count(f"after {after['row'].images_seen:,} images") == 4
    for run in before["runs"].values():
        curve = run.curve("validation")
        assert curve[4].reconstruction > curve[-1].reconstruction


def test_weaker_noise_draws_faces_that_are_more_alike(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Generated faces"]
    for name in before["runs"]:
        assert after["rows"][name].std(dim=0).mean() < before["rows"][name].std(dim=0).mean()


def test_on_the_great_circle_the_middle_lies_farther_out(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Interpolations"]
    assert after["z"][3:5].norm() > before["z"][3:5].norm()
    torch.testing.assert_close(after["z"][[0, -1]], before["z"][[0, -1]])


def test_a_larger_lambda_spends_fewer_nats_and_errs_more(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["The length of a code"]
    assert after["kl"] < before["kl"]
    assert after["mse"] > before["mse"]


def test_a_face_is_found_in_nearly_all_held_out_images(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Instruments: a classifier and two detectors"]
    assert after["found"].double().mean() > 0.9
    assert after["found"].sum() > before["found"].sum()
    for variables in (before, after):
        scores, order = variables["scores"], variables["order"]
        assert scores[order[:8]].max() <= scores[order[-8:]].min()


def test_at_a_large_lambda_draws_come_from_nearly_the_same_place(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Where faces are encoded, and where draws come from"]

    def moved(rows: dict[str, torch.Tensor]) -> float:
        return float((rows["fitted"] - rows["prior"]).square().mean())

    assert moved(after["rows"]) < moved(before["rows"])
    assert before["split"].information == pytest.approx(before["information"])


def test_the_shares_in_the_table_are_those_of_draws_from_these_places(
    tried: dict[str, Tried],
) -> None:
    variables = tried["Where faces are encoded, and where draws come from"].before
    measures = variables["seeds"][0]["lam-1e-6"]
    split = prior_gap.split_divergence(variables["train"])
    assert float(measures["gaussian"][0]) == pytest.approx(split.gaussian, rel=1e-3)
    assert measures["components"][0] == len(variables["mixture"].weights)


def test_real_faces_are_measured_as_close_to_real_faces(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Distance, precision and recall"]
    assert abs(after["distance"]) < 0.1 * before["distance"]
    assert after["all_metrics"]["recall"][0] > before["all_metrics"]["recall"][0]


def test_an_error_a_fifth_as_large_asks_for_a_fifth_of_the_lambda(tried: dict[str, Tried]) -> None:
    printed = tried["The optimum"].printed
    assert "best for an error of 0.01: lambda 2.2e-06" in printed
    nats = [float(line.split()[2]) for line in printed.splitlines() if "nats given z" in line]
    assert min(nats) == nats[2]  # where the variance is the error


def test_the_rule_of_another_claim_is_shown(tried: dict[str, Tried]) -> None:
    printed = tried["Verdicts"].printed
    (line,) = (line for line in printed.splitlines() if line.startswith("C7, "))
    assert line.count(", ") == 4  # after the name, and between four verdicts


def test_what_is_measured_in_cells_is_what_the_tables_hold(tried: dict[str, Tried]) -> None:
    variables = tried["Distance, precision and recall"].before
    measures = variables["seeds"][0][BASE]
    # The last digits of an image may depend on the size of its batch.
    torch.testing.assert_close(variables["distance"], measures["distance"][0], rtol=1e-3, atol=0)
    for name in ("precision", "recall"):
        assert abs(variables["all_metrics"][name][0] - measures[name][0]) < 0.01


def test_every_box_is_tried_above(tried: dict[str, Tried]) -> None:
    assert list(tried) == [box.section for box in boxes(NOTEBOOK)]
    assert len(tried) == 9
