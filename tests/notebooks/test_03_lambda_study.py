"""What the boxes of 03_lambda_study promise happens."""

from collections.abc import Iterator

import pytest
import torch

from tests.notebooks.try_it import Tried, boxes, displayed, smoke_parameters, try_all

NOTEBOOK = "03_lambda_study"
pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tried]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield try_all(
            NOTEBOOK, smoke_parameters(tmp_path_factory.mktemp("out")), displayed(monkeypatch)
        )


def test_the_errors_at_the_end_are_shown(tried: dict[str, Tried]) -> None:
    before, after, printed, _ = tried["Losses"]
    assert before["row"].images_seen < after["row"].images_seen
    assert printed.count(f"after {after['run'].experiment.budget:,} images") == 4


def test_weaker_noise_draws_faces_that_are_more_alike(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Generated faces"]
    for name in before["runs"]:
        assert after["rows"][name].std(dim=0).mean() < before["rows"][name].std(dim=0).mean()


def test_on_the_great_circle_the_middle_lies_farther_out(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Interpolations"]
    assert after["z"][3:5].norm() > before["z"][3:5].norm()
    torch.testing.assert_close(after["z"][[0, -1]], before["z"][[0, -1]])


def test_a_stricter_bound_leaves_fewer_attributes(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["A classifier of faces"]
    assert len(after["good"]) < len(before["good"])


def test_real_faces_are_measured_as_close_to_real_faces(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["The measures, by hand"]
    assert abs(after["distance"]) < 0.1 * before["distance"]
    assert after["all_recall"] > before["all_recall"]


def test_models_are_sorted_by_another_measure(tried: dict[str, Tried]) -> None:
    printed = tried["The numbers"].printed.splitlines()
    values = [float(line.split()[2]) for line in printed if ": recall" in line]
    assert len(values) == 4
    assert values == sorted(values)


def test_an_error_a_fifth_as_large_asks_for_a_fifth_of_the_lambda(tried: dict[str, Tried]) -> None:
    assert tried["The optimum"].printed.startswith("an error of 0.01 asks for lambda 2.17e-06")


def test_the_rule_of_another_claim_is_shown(tried: dict[str, Tried]) -> None:
    assert "**1e-5 is the best of the four**" in tried["Verdicts"].printed


def test_every_box_is_tried_above(tried: dict[str, Tried]) -> None:
    assert list(tried) == [box.section for box in boxes(NOTEBOOK)]
    assert len(tried) == 8
