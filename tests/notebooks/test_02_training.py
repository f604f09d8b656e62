"""What the boxes of 02_training promise happens."""

import pytest
import torch

from tests.notebooks.try_it import Tried, boxes

NOTEBOOK = "02_training"
pytestmark = pytest.mark.notebook


def test_the_encoder_is_shown_as_it_stands_in_its_module(tried: dict[str, Tried]) -> None:
    printed = tried["The whole model"].printed
    assert "class Encoder" in printed
    assert "for row in TABLE_1" in printed
    assert "class VAE" not in printed


def test_the_printed_stride_makes_everything_too_small(tried: dict[str, Tried]) -> None:
    printed = tried["Tables 1 and 2, and a misprint"].printed.splitlines()
    assert printed[1].endswith("128 x 5 x 4")
    assert printed[7].endswith("3 x 40 x 32")


def test_without_mirroring_about_half_of_the_faces_turn_round(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["One batch on its way through"]
    turned = [not torch.equal(a, b) for a, b in zip(before["x"], after["x"], strict=True)]
    assert turned == before["batch"].mirrored.tolist()
    assert 8 <= sum(turned) <= 24
    assert before["x"].shape == after["x"].shape


def test_rsample_lets_the_gradient_pass(tried: dict[str, Tried]) -> None:
    inside, outside = tried["Why the noise comes from outside"].printed.splitlines()[:2]
    assert "a gradient of length" in inside
    assert "a gradient of length" in outside


def test_a_larger_lambda_makes_the_kl_a_thousand_times_as_heavy(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["The two terms of the loss"]
    share = [(run["by_hand"] - run["error"]).item() for run in (before, after)]
    assert share[1] / share[0] == pytest.approx(1000, rel=0.05)


def test_shorter_steps_lower_the_error_less_and_the_engine_follows(
    tried: dict[str, Tried],
) -> None:
    before, after, *_ = tried["A dozen steps"]
    assert after["losses"][-1] > before["losses"][-1]
    assert max(after["differences"]) < 0.005
    assert after["apart"] < 0.04 * after["moved"]


def test_at_a_hundredth_of_the_lambda_the_posterior_still_collapses(
    tried: dict[str, Tried],
) -> None:
    before, after, *_ = tried["When the KL wins: posterior collapse"]
    assert before["terms"]["lambda 1e-05"][-1].kl > 20
    assert before["terms"]["lambda 1"][-1].kl < 2
    assert after["terms"]["lambda 0.01"][-1].kl < 2


def test_the_latents_used_least_keep_wide_clouds(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Training the base model"]
    width = {}
    for which, variables in (("most", before), ("least", after)):
        chosen = [variables["first"], variables["second"]]
        width[which] = variables["posteriors"]["the end"].logvar[:, chosen].exp().sqrt().mean()
    assert width["least"] > width["most"]


def test_faces_upside_down_are_strange_to_the_model(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["What it reached"]
    assert after["error"] > before["error"]


def test_every_box_is_tried_above(tried: dict[str, Tried]) -> None:
    assert list(tried) == [box.section for box in boxes(NOTEBOOK)]
    assert len(tried) == 9
