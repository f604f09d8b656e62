"""From an executed notebook to a page in one file, which needs no network.

    python: export_html(Path("06_report.ipynb"), Path("report.html"), figures_root=ROOT)
    shell:  jupyter nbconvert --to report-html 06_report.ipynb

What the notebook may hold stands in `vaelib.publishing.cells`. Formulas are MathML, figures lie in
the page and open at full size. The same input gives the same text.
"""

from pathlib import Path

from nbformat import NotebookNode
from traitlets import Unicode, default

from vaelib.publishing.exporter import ReportExporter, export, on_command_line
from vaelib.publishing.pandoc import convert


class HtmlExporter(ReportExporter):
    """Exports the report's notebook to a page of HTML."""

    export_from_notebook = "Report as HTML"
    file_extension = Unicode(".html")
    output_mimetype = "text/html"

    def document(self, markdown: str, pictures: Path, notebook: NotebookNode) -> str:
        """The page."""
        return convert(markdown, "html", pictures)


class HtmlCommandLineExporter(HtmlExporter):
    """The same under the name `report-html`."""

    @default("enabled")
    def _enabled(self) -> bool:
        return on_command_line()


def export_html(notebook: Path, page: Path, figures_root: Path) -> None:
    """Write an executed notebook as a page, see `exporter.export`."""
    export(HtmlExporter, notebook, page, figures_root)
