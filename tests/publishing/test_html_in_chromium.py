"""The page in Chromium, on a desk in the light and on a phone in the dark."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from tests.browser import IN_BROWSER, started_chromium
from tests.publishing.test_html import export
from tests.publishing.test_pdf import DRAWING, figure_output, with_figure

pytestmark = IN_BROWSER

FIGURES = 14


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return with_figure(tmp_path)


def fourteen_figures(folder: Path) -> NotebookNode:
    (folder / "figures" / "chart.svg").write_text(DRAWING)
    noise = np.random.default_rng(0).integers(0, 256, (60, 480, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "figures" / "row.png")
    cited = " ".join(f"[Figure {number}](#fig-{number})" for number in range(1, FIGURES + 1))
    outputs = [
        figure_output(f"fig-{number}", f"figures/{name}", "Noise.", width=0.5)
        for number in range(1, FIGURES + 1)
        for name in ("row.png" if number % 2 else "chart.svg",)
    ]
    wide = "| " + " | ".join(["a wide heading"] * 12) + " |\n|" + "---|" * 12
    wide += "\n| " + " | ".join(["0.12 ± 0.01"] * 12) + " |"
    cells = [
        new_markdown_cell(f"# Title\n\n## Text\n\n{cited}\n\n$$a = b$$\n\n{wide}"),
        new_code_cell("", outputs=outputs),
    ]
    notebook: NotebookNode = new_notebook(cells=cells)
    return notebook


@pytest.fixture(scope="module")
def chromium() -> Any:
    with started_chromium() as browser:
        yield browser


SCREENS = pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])


@SCREENS
def test_all_figures_are_there_and_nothing_is_requested(
    width: int, scheme: str, chromium: Any, folder: Path
) -> None:
    path = export(fourteen_figures(folder), folder)
    tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    requested: list[str] = []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("request", lambda request: requested.append(request.url))
    tab.goto(path.as_uri())
    loaded = tab.evaluate("[...document.images].filter(i => i.naturalWidth).length")
    room = tab.evaluate("document.documentElement.scrollWidth")
    colour = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.close()
    assert loaded == FIGURES
    assert messages == []
    assert [url for url in requested if not url.startswith("data:")] == [path.as_uri()]
    assert room == width  # wide tables scroll by themselves
    assert ("rgb(253" in colour) == (scheme == "light")


@SCREENS
def test_a_figure_opens_at_full_size_by_pointer_and_by_key(
    width: int, scheme: str, chromium: Any, folder: Path
) -> None:
    path = export(fourteen_figures(folder), folder)
    tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.goto(path.as_uri())
    picture = tab.locator("#fig-1 img")
    before = picture.bounding_box()["width"]
    tab.locator("#fig-1 .zoom").click()
    opened = picture.bounding_box()
    tab.keyboard.press("Space")
    closed = picture.bounding_box()["width"]
    tab.close()
    assert (opened["width"], opened["height"]) == (width, 900)
    assert closed == before < width
