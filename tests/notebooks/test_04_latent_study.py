"""What the boxes of 04_latent_study promise happens."""

import pytest
import torch

from tests.notebooks.try_it import Tried, boxes
from vaelib import latent
from vaelib.evaluation import image_metrics

NOTEBOOK = "04_latent_study"
pytestmark = pytest.mark.notebook


def test_at_a_large_lambda_the_latents_give_up_nearly_all(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["What each latent costs"]
    assert len(after["nats"]) == 64
    assert after["nats"].sum() < before["nats"].sum() / 10


def test_no_latent_is_in_use_over_copies_of_one_face(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["How many latents are in use"]
    assert before["by_hand"] > 0
    assert after["by_hand"] == 0
    assert torch.allclose(after["mu"], before["mu"][:1], atol=1e-4)


def test_a_model_with_32_latents_uses_only_the_first_of_the_noise(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Generated faces"]
    change = {
        label: (after["rows"][label] - rows).abs().amax(dim=(1, 2, 3))
        for label, rows in before["rows"].items()
    }
    assert change["32 latents"].max() == 0
    assert min(change["64 latents"].min(), change["128 latents"].min()) > 0.001


def test_a_row_ends_in_the_mirror_image_of_its_beginning(tried: dict[str, Tried]) -> None:
    _, after, *_ = tried["Interpolations"]
    for run, row in zip(after["runs"].values(), after["rows"].values(), strict=True):
        torch.testing.assert_close(row[:1], latent.reconstruct(run.model, after["start"]))
        mirrored = latent.reconstruct(run.model, after["start"].flip(-1))
        torch.testing.assert_close(row[-1:], mirrored)
        asymmetry = image_metrics.asymmetry(row)
        assert asymmetry[3:5].max() <= 1.01 * asymmetry[[0, -1]].max()


def test_the_map_of_two_latents_is_all_that_their_model_can_draw(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["A map of the latent plane"]
    on_map, with_all = after["errors"].values()
    torch.testing.assert_close(on_map, with_all)
    assert before["mu"].shape[1] == 32
    assert after["mu"].shape[1] == 2


def test_other_columns_replace_those_of_generated_faces(tried: dict[str, Tried]) -> None:
    printed = tried["The numbers"].printed
    assert "| model | asymmetry → 1 | variety → 1 | detail → 1 |" in printed
    assert "| model | face found" not in printed


def test_the_count_of_latents_in_use_is_that_of_the_table(tried: dict[str, Tried]) -> None:
    variables = tried["The numbers"].before
    in_table = {key: measures["active_units"][0] for key, measures in variables["numbers"].items()}
    assert variables["in_use"] == in_table


def test_brightness_reaches_instance_norm_less_than_the_others(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["What instance norm does not see"]
    assert before["moved"]["instance norm"] < 0.1
    assert after["moved"]["instance norm"] > 0.1
    others = [after["moved"]["batch norm"], after["moved"]["group norm"]]
    assert after["moved"]["instance norm"] < min(others)


def test_with_batch_norm_a_face_depends_on_its_batch(tried: dict[str, Tried]) -> None:
    before, after, *_ = tried["Why batch norm draws flat faces"]
    assert before["faces"].shape == after["faces"].shape == (8, 3, 64, 48)
    assert (before["faces"] - after["faces"]).abs().mean() > 0.01
    model = after["ablation"]["instance norm"].model
    torch.testing.assert_close(latent.sample(model, 256)[:8], latent.sample(model, 8))


def test_every_box_is_tried_above(tried: dict[str, Tried]) -> None:
    assert list(tried) == [box.section for box in boxes(NOTEBOOK)]
    assert len(tried) == 8
