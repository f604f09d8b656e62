"""What a run sees follows from its seed and from how far it has come."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vaelib.config import Experiment
from vaelib.data import Batch, FaceSet, batches

SMALL = Experiment(latent=4, budget=96, batch_size=16)
CPU = torch.device("cpu")


def brightness(images: Tensor) -> list[int]:
    return images[:, 0, 0, 24].tolist()


def test_budget_is_spent_to_the_image(flat_faces: FaceSet) -> None:
    experiment = replace(SMALL, budget=75)
    assert sum(len(batch.images) for batch in batches(experiment, flat_faces, CPU)) == 75


def test_every_epoch_sees_every_training_face_once_and_no_other(flat_faces: FaceSet) -> None:
    seen: dict[int, list[int]] = {}
    for batch in batches(SMALL, flat_faces, CPU):
        seen.setdefault(batch.epoch, []).extend(brightness(batch.images))
    assert sorted(seen) == [1, 2, 3]
    assert all(sorted(shades) == list(range(32)) for shades in seen.values())
    assert seen[1] != seen[2]


def test_a_batch_tells_whether_its_epoch_ends(flat_faces: FaceSet) -> None:
    ends = [batch.ends_epoch for batch in batches(replace(SMALL, budget=80), flat_faces, CPU)]
    assert ends == [False, True, False, True, False]


def test_about_half_of_the_faces_are_mirrored(flat_faces: FaceSet) -> None:
    experiment = replace(SMALL, budget=960)
    mirrored = sum(int(batch.mirrored.sum()) for batch in batches(experiment, flat_faces, CPU))
    assert 400 < mirrored < 560


def test_noise_is_standard_normal_and_never_the_same(flat_faces: FaceSet) -> None:
    experiment = replace(SMALL, budget=3200, latent=64)
    noise = torch.cat([batch.noise for batch in batches(experiment, flat_faces, CPU)])
    assert noise.mean().abs() < 0.01
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert len(noise.unique(dim=0)) == len(noise)


def test_a_shorter_budget_is_the_beginning_of_a_longer_one(flat_faces: FaceSet) -> None:
    longer = batches(SMALL, flat_faces, CPU)
    shorter = batches(replace(SMALL, budget=48), flat_faces, CPU)
    for one, other in zip(longer, shorter, strict=False):
        assert same(one, other)


@pytest.mark.parametrize("seen", [16, 32, 48, 80])
def test_a_run_goes_on_where_it_was(flat_faces: FaceSet, seen: int) -> None:
    whole = list(batches(SMALL, flat_faces, CPU))
    rest = list(batches(SMALL, flat_faces, CPU, seen))
    assert len(rest) == (96 - seen) // 16
    assert all(map(same, rest, whole[-len(rest) :]))


def same(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(first, second)
        for first, second in zip(one[1:4], other[1:4], strict=True)
        if isinstance(first, Tensor) and isinstance(second, Tensor)
    )
