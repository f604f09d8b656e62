"""One factor runs, all others are held: the labelled_rows that show what each factor does."""

import pytest
import torch

from tests.conftest import refusal
from vaelib.faces import render
from vaelib.faces.factors import CODES


@pytest.mark.parametrize("name", render.RANGES)
def test_a_traversal_changes_its_factor_alone(name: str) -> None:
    strip = render.traverse(render.showing(name), name, steps=5)
    changed = [other for other in render.RANGES if getattr(strip, other).unique().numel() > 1]
    assert changed == [name]


@pytest.mark.parametrize("name", render.RANGES)
def test_every_factor_is_seen_on_the_face_that_shows_it(name: str) -> None:
    strip = render.render(render.traverse(render.showing(name), name, steps=3)).int()
    assert (strip - strip[0]).abs().max() > 8


@pytest.mark.parametrize("name", sorted(CODES))
def test_a_code_runs_over_its_whole_numbers(name: str) -> None:
    strip = getattr(render.traverse(render.showing(name), name, steps=9), name)
    assert strip.tolist() == list(range(int(render.RANGES[name][1]) + 1))


def test_a_factor_runs_from_end_to_end_of_its_range() -> None:
    strip = render.traverse(render.showing("yaw"), "yaw", steps=4).yaw
    assert strip.tolist() == [-45, -15, 15, 45]


def test_any_face_can_be_traversed() -> None:
    face = render.sample(1, seed=7)
    strip = render.render(render.traverse(face, "smile", steps=2))
    held = render.render(render.traverse(face, "size", steps=1))
    assert strip.shape == (2, 3, 64, 48)
    assert torch.equal(render.traverse(face, "smile", steps=2).yaw, face.yaw.expand(2))
    assert held.shape == (1, 3, 64, 48)


def test_an_unknown_factor_is_refused_with_the_known_ones() -> None:
    message = refusal(lambda: render.traverse(render.showing("yaw"), "nose", steps=3))
    assert "there is no factor 'nose'" in message
    assert "nose_length, nose_width" in message


def test_more_faces_than_one_are_refused() -> None:
    assert "2 faces were given" in refusal(lambda: render.traverse(render.sample(2, 0), "yaw", 3))
