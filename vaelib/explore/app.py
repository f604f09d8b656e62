"""`make app`: the notebook of the explorer as a page of its own, without code, on this machine.

It is served to this machine alone, from a folder that holds nothing else, and only to those who
have the token of its address. It asks nothing of any other server.
"""

import os
import tempfile
from pathlib import Path
from urllib.parse import quote

import nbformat
from traitlets.config import Config
from voila.app import Voila

from vaelib.publishing import kernels
from vaelib.publishing.cells import NOTEBOOK_ONLY
from vaelib.publishing.notebooks import Parameters, absolute_data, copy_with_parameters
from vaelib.support import paths
from vaelib.support.errors import InputError

NOTEBOOK = "07_explore.ipynb"
TITLE = "Faces from a variational autoencoder"
SECONDS_AFTER_CLOSING = 20  # of a page, until its kernel ends
LONGEST_SOCKET = len("voila_12345678/kernel--ipc-5") + 36  # an identifier's letters
TEMPLATE = Path(__file__).with_name("static")


class Page(Voila):  # type: ignore[misc]
    """Voila with a template that loads nothing from elsewhere."""

    def setup_template_dirs(self) -> None:
        """The project's template before Voila's."""
        super().setup_template_dirs()
        self.template_paths.insert(0, str(TEMPLATE))


def settings(port: int, browser: bool, base_url: str) -> Config:
    """Voila's settings: this machine only, a token, and no file besides the page."""
    config = Config()
    config.Voila.ip = "127.0.0.1"
    config.Voila.port = port
    config.Voila.open_browser = browser
    config.Voila.base_url = f"/{base_url.strip('/')}/".replace("//", "/")
    config.Voila.auto_token = True
    config.VoilaConfiguration.file_allowlist = []
    config.VoilaConfiguration.template = "lab"
    config.VoilaConfiguration.show_tracebacks = False
    # A page that is closed leaves a kernel without a connection; one that is open never does.
    config.MappingKernelManager.cull_idle_timeout = SECONDS_AFTER_CLOSING
    config.MappingKernelManager.cull_interval = SECONDS_AFTER_CLOSING // 2
    config.MappingKernelManager.cull_connected = False
    return config


def as_page(notebook: Path) -> None:
    """Give it a title, and leave out what is said to readers of the notebook.

    That has links to other notebooks, which a page cannot follow.
    """
    node = nbformat.read(notebook, as_version=4)
    node.metadata["title"] = TITLE
    node.cells = [cell for cell in node.cells if NOTEBOOK_ONLY not in cell.metadata.get("tags", [])]
    node.cells[0].source = f"# {TITLE}"
    nbformat.write(node, notebook)


def serve(data: str, preset: str, name: str, port: int, browser: bool, base_url: str) -> None:
    """Serve the page until Ctrl-C.

    base_url: the path that it is served at, where a server before this one passes it on unchanged.
    Raises InputError for a port or a path that cannot be used.
    """
    if not 1024 <= port <= 65535:
        raise InputError(f"port is {port}; it must lie between 1024 and 65535")
    if quote(base_url, safe="/%~@:+,;=!$&'()*") != base_url:
        raise InputError(
            f"base-url is {base_url!r}; give the path of an address, such as /user/me/"
        )
    parameters: Parameters = {"data": absolute_data(data), "preset": preset, "name": name}
    with tempfile.TemporaryDirectory(prefix="vaelib-app-") as folder:
        notebook = Path(folder) / NOTEBOOK
        copy_with_parameters(paths.NOTEBOOKS / NOTEBOOK, notebook, parameters)
        as_page(notebook)
        config = settings(port, browser, base_url)
        config.Voila.connection_dir_root = folder
        transport = kernels.transport(Path(folder), "x" * LONGEST_SOCKET)
        config.ConnectionFileMixin.transport = transport
        os.environ.update(kernels.environment())
        Page.launch_instance([str(notebook)], config=config)
