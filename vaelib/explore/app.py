"""`make app`: the notebook of the explorer as a page of its own, without code, on this machine.

It is served to this machine alone, from a folder that holds nothing else, and only to those who
have the token of its address. It asks nothing of any other server.
"""

import socket
import tempfile
from pathlib import Path

from traitlets.config import Config
from voila.app import Voila

from vaelib.publishing.notebooks import Parameters, for_any_folder, with_parameters
from vaelib.support import paths
from vaelib.support.errors import InputError, OneLineParser, exit_with

NOTEBOOK = "07_explore.ipynb"
TEMPLATE = Path(__file__).with_name("page")
PORT = 8866


class Page(Voila):  # type: ignore[misc]
    """Voila with a template that loads nothing from elsewhere."""

    def setup_template_dirs(self) -> None:
        """The project's template before Voila's."""
        super().setup_template_dirs()
        self.template_paths.insert(0, str(TEMPLATE))


def settings(port: int, browser: bool) -> Config:
    """What Voila is told: this machine only, a token, and no file besides the page."""
    told = Config()
    told.Voila.ip = "127.0.0.1"
    told.Voila.port = port
    told.Voila.open_browser = browser
    told.Voila.auto_token = True
    told.VoilaConfiguration.file_allowlist = []
    told.VoilaConfiguration.template = "lab"
    told.VoilaConfiguration.show_tracebacks = False
    if hasattr(socket, "AF_UNIX"):  # sockets in the file system: no kernel listens on a port
        told.ConnectionFileMixin.transport = "ipc"
    return told


def parameterised(folder: Path, parameters: Parameters) -> Path:
    """A copy of the notebook in this folder that carries the parameters."""
    copy = folder / NOTEBOOK
    with_parameters(paths.NOTEBOOKS / NOTEBOOK, copy, parameters)
    return copy


def main(arguments: list[str] | None = None) -> None:
    """The command line: serves until Ctrl-C; exit code 2 for what cannot be done."""
    parser = OneLineParser("vaelib.explore.app", __doc__)
    parser.add_argument("--data", default="auto", help="auto, synthetic, or a path")
    parser.add_argument("--preset", default="auto", help="auto, smoke, quick or full")
    parser.add_argument("--name", default="", help="of the data set, else that of its folder")
    parser.add_argument("--port", type=int, default=PORT, help=f"of this machine, else {PORT}")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    asked = parser.parse_args(arguments)
    if not 1024 <= asked.port <= 65535:
        exit_with(InputError(f"port is {asked.port}; it must lie between 1024 and 65535"))
    data = for_any_folder(asked.data)
    some: Parameters = {"data": data, "preset": asked.preset, "name": asked.name}
    with tempfile.TemporaryDirectory(prefix="vaelib-app-") as folder:
        notebook = parameterised(Path(folder), some)
        Page.launch_instance([str(notebook)], config=settings(asked.port, not asked.no_browser))


if __name__ == "__main__":
    main()
