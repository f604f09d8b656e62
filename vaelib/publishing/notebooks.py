"""A notebook carried out: its parameters checked, its cells run in this very interpreter."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook
from papermill.inspection import inspect_notebook

from vaelib.support import files
from vaelib.support.errors import InputError

Parameters = dict[str, str | int]


class ThisPython(AsyncKernelManager):
    """Kernels of the running interpreter, whatever other kernels the machine has registered."""

    def __init__(self, **settings: Any) -> None:
        # Sockets in the file system: nothing listens on the network.
        super().__init__(**{**settings, "transport": "ipc"})

    async def _async_pre_start_kernel(self, **settings: Any) -> Any:
        # What a notebook prints is in the notebook; what is left is the kernel's own last words
        # when it is stopped with Ctrl-C, which would drown ours.
        return await super()._async_pre_start_kernel(**{**settings, "stderr": subprocess.DEVNULL})

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher"]
        return KernelSpec(
            argv=[*argv, "-f", "{connection_file}"], display_name="Python 3", language="python"
        )


class NotebookFailed(RuntimeError):
    """A notebook stopped with an error: its name, the cell and the error in one line."""


def run_notebook(source: Path, executed: Path, parameters: Parameters) -> None:
    """Execute one notebook with these parameters into the file `executed`, whole or not at all.

    Raises InputError for a parameter that the notebook does not have, and NotebookFailed for an
    error in a cell; then what was executed until there lies beside it as NAME.part.ipynb.
    """
    check_parameters(source, parameters)
    executed.parent.mkdir(parents=True, exist_ok=True)
    part = executed.with_suffix(".part.ipynb")
    try:
        execute_notebook(
            source,
            part,
            parameters=parameters,
            cwd=source.parent,
            kernel_name="python3",
            kernel_manager_class=ThisPython,
            progress_bar=False,
        )
    except PapermillExecutionError as error:
        raise NotebookFailed(
            f"{source.name}, cell {error.cell_index}: {error.ename}: {error.evalue}"
            f" (executed so far: {part})"
        ) from None
    except DeadKernelError:
        raise NotebookFailed(
            f"{source.name}: its Python died, perhaps for want of memory (executed so far: {part})"
        ) from None
    part.replace(executed)


def check_parameters(source: Path, parameters: Parameters) -> None:
    """Raise InputError if the notebook has no parameter of one of these names."""
    known = set(inspect_notebook(source))
    for unknown in sorted(set(parameters) - known):
        raise InputError(
            f"{source.name} has no parameter {unknown!r}; it has {', '.join(sorted(known))}"
        )


def with_parameters(source: Path, prepared: Path, parameters: Parameters) -> None:
    """A copy of a notebook that carries the parameters and was not run, for other programs to run.

    Raises InputError for a parameter that the notebook does not have.
    """
    check_parameters(source, parameters)
    execute_notebook(source, prepared, parameters, prepare_only=True, progress_bar=False)


def for_any_folder(data: str) -> str:
    """The data as asked for here, in words that a notebook in another folder understands."""
    return data if data in ("auto", "synthetic") else str(Path(data).absolute())


def keep_outputs(executed: Path, committed: Path) -> None:
    """Put the outputs of an executed notebook into the notebook it was made from."""
    notebook = nbformat.read(committed, as_version=4)
    cells = [
        cell
        for cell in nbformat.read(executed, as_version=4).cells
        if "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    for cell, done in zip(notebook.cells, cells, strict=True):
        if cell.source != done.source:
            raise InputError(f"{committed.name} was edited after {executed} was made; run it again")
        if cell.cell_type == "code":
            cell.outputs = copy.deepcopy(done.outputs)
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    files.write_text(committed, nbformat.writes(notebook) + "\n")
