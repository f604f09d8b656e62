"""Wrong factors are refused by name and value; a traversal changes one factor alone."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.conftest import refusal
from vaelib.faces import render, sampling
from vaelib.faces.factors import CODES, DESCRIPTIONS, RANGES, example_face, traverse

# --- ranges


def test_every_factor_has_a_range_and_a_description() -> None:
    assert len(RANGES) == 66
    assert list(DESCRIPTIONS) == list(RANGES)
    assert not [name for name, (low, high) in RANGES.items() if low >= high]
    assert not [name for name, text in DESCRIPTIONS.items() if not text]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("yaw", torch.tensor([0.0, 90.0]), "yaw is 90; it must lie between -45 and 45"),
        ("yaw", torch.tensor([-46.0, 0.0]), "yaw is -46; it must lie between -45 and 45"),
        ("smile", torch.tensor([0.0, torch.nan]), "smile is nan; it must lie"),
        ("gray", torch.tensor([0.0, torch.inf]), "gray is inf; it must lie"),
        ("age", torch.zeros(3), "age is torch.float32 of shape (3,); it must be"),
        ("age", torch.zeros(2, 1), "age is torch.float32 of shape (2, 1); it must be"),
        ("age", torch.tensor(0.0), "age is torch.float32 of shape (); it must be"),
        ("age", torch.zeros(2, dtype=torch.int64), "age is torch.int64 of shape (2,)"),
        ("age", torch.zeros(2, dtype=torch.float64), "age is torch.float64 of shape (2,)"),
        ("yaw", torch.zeros(2, 1), "yaw is torch.float32 of shape (2, 1); it must be"),
        ("hat", torch.tensor([1.0, 1.5]), "hat is 1.5; it is a code, a whole number"),
        ("hat", torch.tensor([1.0, 4.0]), "hat is 4; it must lie between 0 and 3"),
        ("glasses", torch.tensor([0.5, 0.0]), "glasses is 0.5; it is a code"),
        ("hair_style", torch.tensor([2.0, 2.1]), "hair_style is 2.1; it is a code"),
    ],
)
def test_a_wrong_factor_is_refused_by_name_and_value(
    name: str, value: Tensor, message: str
) -> None:
    two = sampling.sample(2, seed=0)
    assert message in refusal(lambda: replace(two, **{name: value}))


def test_the_ends_of_every_range_are_within_it() -> None:
    two = sampling.sample(2, seed=0)
    for name, ends in RANGES.items():
        value = torch.tensor(ends, dtype=torch.float32)
        assert getattr(replace(two, **{name: value}), name) is value


def test_a_value_beyond_any_range_is_refused() -> None:
    one = sampling.sample(1, seed=0)
    for name, (low, high) in RANGES.items():
        for value in (low - 1.0, high + 1.0):
            wrong = torch.tensor([value])
            message = refusal(lambda name=name, wrong=wrong: replace(one, **{name: wrong}))  # type: ignore[misc]
            assert message.startswith(f"{name} is {value:g}; it must lie between")


def test_some_of_the_faces_are_chosen_by_slice_index_or_mask() -> None:
    faces = sampling.sample(4, seed=0)
    chosen = (faces[1:3], faces[torch.tensor([1, 2])], faces[torch.tensor([False, True] * 2)])
    assert [len(some) for some in chosen] == [2, 2, 2]
    assert torch.equal(chosen[0].yaw, faces.yaw[1:3])
    assert torch.equal(chosen[1].hat, faces.hat[1:3])
    assert torch.equal(chosen[2].smile, faces.smile[1::2])


# --- traversals


def test_a_traversal_changes_its_factor_alone() -> None:
    for name in RANGES:
        faces = traverse(example_face(name), name, steps=5)
        changed = [other for other in RANGES if getattr(faces, other).unique().numel() > 1]
        assert changed == [name]


def test_every_factor_is_seen_on_its_example_face() -> None:
    unseen = []
    for name in RANGES:
        faces = render.render(traverse(example_face(name), name, steps=3)).int()
        if (faces - faces[0]).abs().max() <= 8:
            unseen.append(name)
    assert not unseen


def test_a_code_runs_over_its_whole_numbers() -> None:
    for name in CODES:
        values = getattr(traverse(example_face(name), name, steps=9), name)
        assert values.tolist() == list(range(int(RANGES[name][1]) + 1))


def test_a_factor_runs_from_end_to_end_of_its_range() -> None:
    assert traverse(example_face("yaw"), "yaw", steps=4).yaw.tolist() == [-45, -15, 15, 45]


def test_any_face_can_be_traversed() -> None:
    face = sampling.sample(1, seed=7)
    faces = traverse(face, "smile", steps=2)
    assert torch.equal(faces.yaw, face.yaw.expand(2))
    assert render.render(faces).shape == (2, 3, 64, 48)
    assert render.render(traverse(face, "size", steps=1)).shape == (1, 3, 64, 48)


def test_an_unknown_factor_is_refused_with_the_known_ones() -> None:
    message = refusal(lambda: traverse(example_face("yaw"), "nose", steps=3))
    assert "there is no factor 'nose'" in message
    assert "nose_length, nose_width" in message


def test_more_faces_than_one_are_refused() -> None:
    assert "2 faces were given" in refusal(lambda: traverse(sampling.sample(2, 0), "yaw", 3))
