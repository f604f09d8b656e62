"""From an executed notebook to a typeset PDF: nbconvert, pandoc and Typst, offline, from wheels.

    python: export_pdf(Path("06_report.ipynb"), Path("report.pdf"), figures_root=ROOT)
    shell:  jupyter nbconvert --to report-pdf 06_report.ipynb

What the notebook may hold stands in `vaelib.publishing.cells`. The PDF meets PDF/A-2a and PDF/UA-1
(archived, accessible), which is also what makes Typst refuse a character that no font of its own
can print. The same input gives the same bytes.
"""

from pathlib import Path

from nbformat import NotebookNode
from traitlets import Unicode, default

from vaelib.publishing.cells import date_of_run
from vaelib.publishing.exporter import ReportExporter, export, on_command_line
from vaelib.publishing.pandoc import convert
from vaelib.publishing.typesetting import typeset


class PdfExporter(ReportExporter):
    """Exports the report's notebook to the bytes of a PDF."""

    export_from_notebook = "Report as PDF"
    file_extension = Unicode(".pdf")
    output_mimetype = "application/pdf"

    def document(self, markdown: str, pictures: Path, notebook: NotebookNode) -> bytes:
        """The PDF."""
        return typeset(convert(markdown, "typst", pictures), pictures, date_of_run(notebook))


class PdfCommandLineExporter(PdfExporter):
    """The same under the name `report-pdf`."""

    @default("enabled")
    def _enabled(self) -> bool:
        return on_command_line()


def export_pdf(notebook: Path, pdf: Path, figures_root: Path) -> None:
    """Typeset an executed notebook, see `exporter.export`."""
    export(PdfExporter, notebook, pdf, figures_root)
