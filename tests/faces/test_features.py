"""Nothing of a face is cut off where a part of the head is drawn on some of its pixels only."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.faces.people import anywhere
from vaelib.faces import features, render

PARTS = ("draw_ear", "draw_beard", "draw_eyes", "draw_mouth")
Draw = Callable[[features.Surface, Tensor, Tensor, Tensor], None]


@pytest.mark.slow
def test_a_part_changes_nothing_beyond_the_pixels_that_it_is_drawn_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each part is drawn on the whole head as well: it leaves the other pixels as they were."""
    selections: list[tuple[features.Surface, Tensor]] = []
    beyond: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    select = features.Surface.select

    def note_selection(head: features.Surface, indices: Tensor) -> features.Surface:
        selections.append((head, indices))
        return select(head, indices)

    def checked(name: str, draw: Draw) -> Draw:
        def draw_everywhere(
            surface: features.Surface, albedo: Tensor, skin: Tensor, hair: Tensor
        ) -> None:
            head, indices = selections[-1]
            before = torch.full((3, len(head.x)), 0.5)
            after = before.clone()
            draw(head, after, before, hair)
            changed = (after - before).abs().amax(dim=0)
            changed[indices] = 0
            if name != "draw_ear":
                changed[head.z < 0] = 0  # the back of the head is hidden
            beyond[name] = max(beyond[name], float(changed.max()))
            draw(surface, albedo, skin, hair)

        return draw_everywhere

    monkeypatch.setattr(features.Surface, "select", note_selection)
    for name in PARTS:
        monkeypatch.setattr(features, name, checked(name, getattr(features, name)))
    render.draw(anywhere(192))
    assert len(selections) == len(PARTS)
    assert not {name: change for name, change in beyond.items() if change >= 0.01}
