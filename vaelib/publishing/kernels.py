"""Kernels of the running interpreter: they import the project that started them, and nobody else
can reach them.
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from vaelib.support import paths


class SameInterpreter(AsyncKernelManager):
    """Starts kernels of the running interpreter, whatever kernels the machine has registered.

    What they are reached by lies in a private temporary folder: several programs may run notebooks
    in one folder, which need not be writable.
    """

    def __init__(self, **settings: Any) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="vaelib-kernel-")
        folder = Path(self.folder.name)
        file = os.fspath(folder / "kernel.json")
        private = {"connection_file": file, "transport": transport(folder)}
        super().__init__(**{**settings, **private})

    async def _async_pre_start_kernel(self, **settings: Any) -> Any:
        # A notebook's own output is kept in the notebook. What is left is the kernel's traceback
        # when it is stopped with Ctrl-C, which would hide our one line.
        settings |= {"stderr": subprocess.DEVNULL, "env": environment(settings.get("env"))}
        return await super()._async_pre_start_kernel(**settings)

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher"]
        return KernelSpec(
            argv=[*argv, "-f", "{connection_file}"], display_name="Python 3", language="python"
        )


def transport(folder: Path, name: str = "kernel-ipc-5") -> str:
    """How kernels are reached whose connections lie in this folder.

    "ipc": by sockets in the file system, so that nothing listens on the network. "tcp" where there
    are none: on Windows, on some file systems, and where their path would be too long.
    name: as long as the longest of a socket in this folder.
    """
    if not hasattr(socket, "AF_UNIX"):
        return "tcp"
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(os.fspath(folder / name))
    except OSError:
        return "tcp"
    (folder / name).unlink()
    return "ipc"


def environment(variables: dict[str, str] | None = None) -> dict[str, str]:
    """Variables, by default those of this process, with which Python imports this very project.

    Without them it would import the one that the interpreter's environment was made for, which is
    another where a checkout was copied, and gone where it was moved. Models and caches are found
    where they are, whatever folder a notebook runs in.
    """
    given = dict(os.environ if variables is None else variables)
    given |= {"VAELIB_RUNS": os.fspath(paths.RUNS), "VAELIB_CACHE": os.fspath(paths.CACHE)}
    if not paths.IS_CHECKOUT:
        return given
    folders = [os.fspath(paths.ROOT), given.get("PYTHONPATH", "")]
    return {**given, "PYTHONPATH": os.pathsep.join(filter(None, folders))}
