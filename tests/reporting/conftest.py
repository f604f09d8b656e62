"""What a notebook would display, caught instead of displayed."""

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any, NamedTuple

import pytest
from IPython.display import HTML, Markdown
from PIL import Image

from vaelib.reporting import results, show


class Shown(NamedTuple):
    """One displayed output."""

    what: HTML | Markdown
    metadata: dict[str, Any] | None


def alt_texts(html: str) -> list[str]:
    """The alternative text of each image in the HTML; "" where there is none."""
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            if tag == "img":
                found.append(dict(attributes).get("alt") or "")

    Parser().feed(html)
    return found


def jpeg_in(shown_picture: HTML) -> Image.Image:
    """The picture that a notebook keeps."""
    encoded = re.search('base64,([^"]+)', shown_picture.data)
    assert encoded
    return Image.open(io.BytesIO(base64.b64decode(encoded[1])))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """What was displayed, in order."""
    return displayed(monkeypatch)


def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """The list that collects what would be displayed from now on, in order."""
    outputs: list[Shown] = []

    def display(what: HTML | Markdown, metadata: dict[str, Any] | None = None) -> None:
        outputs.append(Shown(what, metadata))

    monkeypatch.setattr(results, "display", display)
    monkeypatch.setattr(show, "display", display)
    return outputs
