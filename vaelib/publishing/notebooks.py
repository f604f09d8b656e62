"""Executing a notebook: its parameters checked, its cells run by the running interpreter."""

from pathlib import Path

import nbformat
from nbclient.exceptions import DeadKernelError
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook
from papermill.inspection import inspect_notebook

from vaelib.publishing.kernels import SameInterpreter
from vaelib.support import files
from vaelib.support.errors import InputError

Parameters = dict[str, str | int]


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
            kernel_manager_class=SameInterpreter,
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
    files.write_text(executed, nbformat.writes(_tidied(nbformat.read(part, as_version=4))) + "\n")
    part.unlink()


def _tidied(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook as it would be if every cell had printed all at once and drawn no bars."""
    for cell in notebook.cells:
        if cell.cell_type == "code":  # a bar leaves an output without data
            cell.outputs = [output for output in cell.outputs if output.get("data") != {}]
    tidied: nbformat.NotebookNode = CoalesceStreamsPreprocessor().preprocess(notebook, {})[0]
    return tidied


def check_parameters(source: Path, parameters: Parameters) -> None:
    """Raise InputError if the notebook has no parameter of one of these names."""
    known = set(inspect_notebook(source))
    for unknown in sorted(set(parameters) - known):
        raise InputError(
            f"{source.name} has no parameter {unknown!r}; it has {', '.join(sorted(known))}"
        )


def copy_with_parameters(source: Path, copy: Path, parameters: Parameters) -> None:
    """Write a copy of a notebook that carries the parameters and is not executed.

    Raises InputError for a parameter that the notebook does not have.
    """
    check_parameters(source, parameters)
    execute_notebook(source, copy, parameters, prepare_only=True, progress_bar=False)


def absolute_data(data: str) -> str:
    """The `data` parameter, with a path made absolute: notebooks run in another folder.

    Raises InputError as `absolute_path` does.
    """
    return data if data in ("auto", "synthetic") else absolute_path(data)


def absolute_path(path: str) -> str:
    """A path as notebooks can use it. Raises InputError for bytes that no notebook can hold."""
    absolute = str(Path(path).absolute())
    try:
        absolute.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"the path {absolute} is no UTF-8, so no notebook can name it; rename it, or give a"
            " link to it"
        ) from None
    return absolute


def original_cells(executed: Path) -> list[nbformat.NotebookNode]:
    """The cells of an executed notebook, without the one that set its parameters."""
    return [
        cell
        for cell in nbformat.read(executed, as_version=4).cells
        if "injected-parameters" not in cell.metadata.get("tags", [])
    ]


def keep_outputs(executed: Path, committed: Path) -> None:
    """Put the outputs of an executed notebook into the notebook it was made from.

    Raises InputError if that one was edited in the meantime.
    """
    notebook = nbformat.read(committed, as_version=4)
    count = 0
    for cell, executed_cell in zip(notebook.cells, original_cells(executed), strict=True):
        if cell.source != executed_cell.source:
            raise InputError(f"{committed.name} was edited after {executed} was made; run it again")
        if cell.cell_type != "code":
            continue
        count += 1  # as if nothing had been run before the first cell
        cell.execution_count = count
        cell.outputs = executed_cell.outputs
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    files.write_text(committed, nbformat.writes(notebook) + "\n")
