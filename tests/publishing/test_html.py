"""The page has all that the PDF has, in one file, and asks nobody for anything."""

import re
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest
from nbconvert.exporters import get_export_names, get_exporter
from nbconvert.nbconvertapp import NbConvertApp
from nbformat import NotebookNode
from traitlets.config import Application

from tests.browser import jupyter_environment, jupyterlab
from tests.publishing.test_pdf import NUMBERS, a_report, exported, with_figure, with_text
from vaelib.publishing.cells import ExportError
from vaelib.publishing.html import HtmlExporter, export_html


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return with_figure(tmp_path)


def export(notebook: NotebookNode, folder: Path) -> Path:
    return exported(notebook, folder, "report.html", export_html)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the report that has one of everything."""
    folder = with_figure(tmp_path_factory.mktemp("page"))
    return export(a_report(), folder).read_text()


def plain(html: str) -> str:
    """The words of a page on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).replace("\u00a0", " ").split())


def test_the_page_holds_everything_in_itself(page: str) -> None:
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    outside = [
        source
        for source in sources
        if not source.startswith(("#", "data:", "https://arxiv.org", "https://doi.org", "http"))
    ]
    assert outside == []
    assert not re.search(r"<(script|link|iframe)\b", page)
    assert not re.search(r"@import|url\(", page)


def test_sections_figures_tables_and_equations_are_numbered(page: str) -> None:
    words = plain(page)
    assert "1 The loss" in words
    assert "1.1 Models" in words
    assert "Figure 3. Faces" in words
    assert "Table 1. Three models" in words
    assert re.search(r'id="eq-elbo".*?\(1\)', page, re.DOTALL)


def test_references_lead_to_what_they_name(page: str) -> None:
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(ids)
    assert {"fig-3", "tbl-models", "sec-loss", "eq-elbo", "ref-kingma2014"} <= targets


def test_formulas_are_mathml_and_pictures_have_alternative_texts(page: str) -> None:
    assert page.count("<math") >= 5
    alts = re.findall(r'<img[^>]*alt="([^"]*)"', page)
    assert len(alts) == 3
    assert all(alts)


def test_a_number_that_is_not_the_printed_one_is_refused(folder: Path) -> None:
    for text in ("[Figure 4](#fig-3)", "[Section 2](#sec-loss)", "[Table 2](#tbl-models)"):
        with pytest.raises(ExportError, match="its number is"):
            export(with_text(f"{text}."), folder)


def test_numbers_have_a_minus_sign_and_code_has_what_was_typed(folder: Path) -> None:
    words = plain(export(with_text(NUMBERS), folder).read_text())
    assert "−0.094" in words
    assert "−0.15 (−0.23 to −0.08)" in words
    assert "three –" in words
    assert "2026-12-01 in a -1" in words


def test_the_same_notebook_gives_the_same_page(folder: Path) -> None:
    assert export(a_report(), folder).read_text() == export(a_report(), folder).read_text()


def names_for(application: type[Application]) -> set[str]:
    """The exporters that an application offers, of those for the report."""
    application.clear_instance()
    application.instance()
    try:
        return {name for name in get_export_names() if name.startswith("report")}
    finally:
        application.clear_instance()


def test_the_names_with_a_hyphen_are_for_the_command_line_alone() -> None:
    anywhere = {"report_pdf", "report_html"}
    assert names_for(Application) == anywhere
    assert names_for(NbConvertApp) == anywhere | {"report-pdf", "report-html"}
    assert get_exporter("report_html") is HtmlExporter


def answer_of(url: str) -> str:
    """What a server answers, which may have printed its address before it listens there."""
    for _ in range(50):
        try:
            page: str = urlopen(url, timeout=60).read().decode()
            return page
        except URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.2)
    raise AssertionError(f"nobody listens at {url}")


@pytest.mark.browser  # a server, but no browser: what the menu of JupyterLab asks it for
def test_jupyterlab_exports_the_report(folder: Path) -> None:
    notebook = folder / "06_report.ipynb"
    nbformat.write(a_report(), notebook)
    environment = jupyter_environment(folder / "home")
    with jupyterlab(notebook, environment) as address:
        url = address.replace("/lab/tree/", "/nbconvert/report_html/")
        page = answer_of(url)
    assert "Figure 3." in plain(page)
