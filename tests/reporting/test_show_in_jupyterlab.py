"""A picture as JupyterLab shows it in a notebook that it does not trust, as after a git clone."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from tests.browser import IN_BROWSER, WAIT, jupyter_environment, jupyterlab, started_chromium
from vaelib.reporting import show
from vaelib.reporting.picture import Picture

pytestmark = IN_BROWSER

ALT = 'Three faces, "drawn" by <one> model.'


def test_an_untrusted_picture_is_shown_with_its_alternative_text(tmp_path: Path) -> None:
    notebook = tmp_path / "served" / "picture.ipynb"
    notebook.parent.mkdir()
    preview = show.preview(Picture(Image.new("RGB", (30, 20)), ALT))
    output = new_output("display_data", data={"text/html": preview.data})
    nbformat.write(new_notebook(cells=[new_code_cell("", outputs=[output])]), notebook)
    environment = jupyter_environment(tmp_path / "home")
    with jupyterlab(notebook, environment) as address, started_chromium() as browser:
        page = browser.new_page()
        page.goto(address, timeout=WAIT)
        page.get_by_title("Notebook not trusted").wait_for(timeout=WAIT)
        picture = page.get_by_role("img", name=ALT, exact=True)
        picture.wait_for(timeout=WAIT)
        assert picture.evaluate("image => image.naturalWidth") == 30
