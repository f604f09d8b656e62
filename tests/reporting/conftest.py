"""What a notebook would display, caught instead of displayed."""

from typing import Any, NamedTuple

import pytest
from IPython.display import Image as DisplayedImage
from IPython.display import Markdown

from vaelib.reporting import results, show


class Shown(NamedTuple):
    """One displayed output."""

    what: DisplayedImage | Markdown
    metadata: dict[str, Any] | None


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """What was displayed, in order."""
    outputs: list[Shown] = []

    def display(what: DisplayedImage | Markdown, metadata: dict[str, Any] | None = None) -> None:
        outputs.append(Shown(what, metadata))

    monkeypatch.setattr(results, "display", display)
    monkeypatch.setattr(show, "display", display)
    return outputs
