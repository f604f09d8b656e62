"""What the boxes of 05_centred_z promise happens."""

import pytest
import torch

from tests.notebooks.try_it import Tried, boxes

NOTEBOOK = "05_centred_z"
pytestmark = pytest.mark.notebook


def test_a_larger_lambda_sets_the_losses_apart_but_no_gradient(tried: dict[str, Tried]) -> None:
    _, after, *_ = tried["Plus one, on paper and on one batch"]
    assert after["totals"][1] - after["totals"][0] == pytest.approx(0.1, rel=1e-4)
    assert after["same_gradients"]


def test_two_steps_tell_the_pull_from_the_rest(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Plus one, trained"]
    weights = after["weights"]
    assert torch.equal(weights["KL"], weights["KL + 1"])
    assert not torch.equal(weights["KL"], weights["pull"])
    assert not torch.equal(weights["KL"], before["weights"]["KL"])  # after other steps


def test_other_noise_leaves_the_models_as_far_apart(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["What else it can have been: another seed"]
    assert before["differences"].keys() == after["differences"].keys()
    for key, difference in before["differences"].items():
        assert after["differences"][key] == pytest.approx(difference, rel=0.2)
        assert after["differences"][key] != difference


def test_the_pull_brings_the_means_closer(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["A reading that pulls"]
    assert after["mean_square"] < before["mean_square"]
    assert after["variance"] < before["variance"]


def test_what_is_measured_of_z_in_cells_is_what_the_table_holds(tried: dict[str, Tried]) -> None:
    variables = tried["The numbers"].before
    for key, measured in variables["over_all"].items():
        for name, value in measured.items():
            assert variables["numbers"][key][name][0] == pytest.approx(value, rel=1e-3)
    base, centred = variables["over_all"].values()
    assert centred["mean_square_mu"] < base["mean_square_mu"]  # as the text says


def test_instance_norm_hides_the_distance_and_batch_norm_does_not(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["What the decoder sees of the distance"]
    assert before["by_distance"] < before["by_direction"] / 5
    assert after["by_distance"] > after["by_direction"]


def test_from_the_opposite_side_comes_the_opposite_of_each_face(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Faces and interpolations"]
    for label, faces in before["rows"].items():
        opposite = after["rows"][label]
        average = torch.cat([faces, opposite]).mean(dim=0)
        cosine = torch.nn.functional.cosine_similarity(
            (faces - average).flatten(1), (opposite - average).flatten(1)
        )
        assert cosine.max() < -0.2


def test_the_rule_of_another_claim_is_shown(tried: dict[str, Tried]) -> None:
    printed = tried["The numbers"].printed
    (line,) = (line for line in printed.splitlines() if line.startswith("C11, "))
    assert "pale or fair-haired women" in line


def test_every_box_is_tried_above(tried: dict[str, Tried]) -> None:
    assert list(tried) == [box.section for box in boxes(NOTEBOOK)]
    assert len(tried) == 7
