"""What the exporters of the report to PDF and to HTML share."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from traitlets import Unicode
from traitlets.config import Application

from vaelib.publishing.cells import ExportError, one_line, report_parts
from vaelib.support import files
from vaelib.support.errors import InputError
from vaelib.support.paths import ROOT


class ReportExporter(Exporter):
    """An nbconvert exporter of the report's notebook; `vaelib.publishing.cells` has the contract.

    Raises ExportError.
    """

    figures_root = Unicode(
        help="The folder that the paths of figures are relative to; empty: the nearest one above"
        " the notebook that has a folder figures."
    ).tag(config=True)

    def document(self, markdown: str, pictures: Path, notebook: NotebookNode) -> str | bytes:
        """The finished file, from the report's Markdown and the folder of its pictures."""
        raise NotImplementedError

    def from_notebook_node(  # type: ignore[override]  # bytes, as nbconvert's own PDF exporters
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str | bytes, dict[str, Any]]:
        metadata = (resources or {}).get("metadata", {})
        name = metadata.get("name", "notebook")
        root = Path(self.figures_root or _folder_above(Path(metadata.get("path", ""))))
        _, resources = super().from_notebook_node(nb, resources, **kw)
        try:
            with TemporaryDirectory() as folder:
                pictures = Path(folder)
                parts = report_parts(nb, root, pictures)
                return self.document("\n\n".join(parts), pictures, nb), resources
        except ExportError as error:
            raise ExportError(f"{name}: {error}") from error


def _folder_above(folder: Path) -> Path:
    """The nearest folder that has a folder figures, from this one up; else the project's."""
    above = [folder.absolute(), *folder.absolute().parents]
    return next((parent for parent in above if (parent / "figures").is_dir()), ROOT)


def on_command_line() -> bool:
    """Whether nbconvert's own command runs.

    Only that takes the names with a hyphen. Jupyter's server has an address for letters, digits and
    underscores alone, so there they would be offered in vain, beside the names without one.
    """
    return Application.initialized() and Application.instance().name == "jupyter-nbconvert"


def export(kind: type[ReportExporter], notebook: Path, target: Path, figures_root: Path) -> None:
    """Export an executed notebook. An earlier file stays as it is unless the new one is whole.

    figures_root: the folder that the paths of the notebook's figures are relative to. Raises
    InputError if the notebook cannot be read, ExportError if it cannot be exported.
    """
    try:
        node = nbformat.read(notebook, as_version=4)
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        raise InputError(f"{notebook} cannot be read as a notebook: {one_line(error)}") from None
    exporter = kind(figures_root=str(figures_root.absolute()))
    document, _ = exporter.from_notebook_node(node, {"metadata": {"name": notebook.stem}})
    with files.atomic_write(target) as aside:
        aside.write_bytes(document.encode() if isinstance(document, str) else document)
