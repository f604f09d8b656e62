"""The whole report from one command: `python -m vaelib.reproduce`.

Runs the notebooks in order, each in a fresh kernel of this very interpreter, then typesets the PDF.
"""

import argparse
import copy
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook
from papermill.inspection import inspect_notebook

from vaelib import files, paths, progress
from vaelib.config import PRESETS, SEVEN
from vaelib.errors import INTERRUPTED, InputError, OneLineParser, exit_with
from vaelib.export import ExportError, export_pdf
from vaelib.runs import is_finished
from vaelib.session import Study, open_study

NOTEBOOKS = (
    "01_data",
    "02_training",
    "03_lambda_study",
    "04_latent_study",
    "05_centred_z",
    "06_report",
)

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


def reproduce(study: Study, data: str, name: str, out: Path, cluster: str = "") -> Path:
    """Train all models at once, run all notebooks on them, typeset the report; the PDF's path.

    cluster: the address of a dask scheduler whose workers train, see `study.run`.
    """
    parameters: Parameters = {
        "data": data,
        "preset": study.preset,
        "name": name,
        "out": str(out),
        "seed": study.seed,
        "images": ",".join(str(budget) for budget in study.images),
        "side_images": study.side_images,
    }
    for notebook in NOTEBOOKS:
        check_parameters(paths.NOTEBOOKS / f"{notebook}.ipynb", parameters)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "progress"
        os.environ[progress.FILE_VARIABLE] = str(told)
        try:
            with progress.following(told) as heading:
                if missing(study):
                    heading("training")
                study.train_all(cluster)
                for notebook in NOTEBOOKS:
                    heading(notebook)
                    run_notebook(
                        paths.NOTEBOOKS / f"{notebook}.ipynb",
                        executed_notebook(study, out, notebook),
                        parameters,
                    )
        finally:
            del os.environ[progress.FILE_VARIABLE]
    pdf = out / "report" / f"{study.faces.name}.pdf"
    export_pdf(executed_notebook(study, out, NOTEBOOKS[-1]), pdf, figures_root=out)
    return pdf


def missing(study: Study) -> list[str]:
    """Which models have still to be trained."""
    every = study.every().items()
    return [name for name, experiment in every if not is_finished(experiment, study.faces)]


def executed_notebook(study: Study, out: Path, notebook: str) -> Path:
    return out / "build" / study.faces.name / f"{notebook}.ipynb"


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


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser("vaelib.reproduce", __doc__)
    parser.add_argument(
        "--data",
        default="auto",
        help="auto (CelebA under data/celeba, else procedural faces), synthetic,"
        " or the path of a CelebA copy or of any photos",
    )
    parser.add_argument(
        "--preset", default="auto", help=f"auto (full on a GPU, else quick), {', '.join(PRESETS)}"
    )
    parser.add_argument("--name", default="", help="name of the data set, else its folder's")
    parser.add_argument("--out", default="", help="where figures, report and notebooks go")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and noise")
    parser.add_argument(
        "--images",
        default="",
        help="seen per model, a number for each seed by commas, else the preset's",
    )
    parser.add_argument(
        "--side-images",
        type=int,
        default=0,
        help="seen per model that answers a side question, else the preset's",
    )
    parser.add_argument("--cluster", default="", help="dask scheduler whose workers train")
    parser.add_argument(
        "--keep-outputs",
        action="store_true",
        help="also put the outputs into the project's own notebooks",
    )
    return parser


def main(arguments: list[str] | None = None) -> None:
    """The command line: exit code 2 for what cannot be done, 1 for a failed notebook."""
    asked = _parser().parse_args(arguments)
    for noisy in ("papermill", "asyncio"):  # what they log as errors is raised as well
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="papermill")
    started = time.monotonic()
    out = Path(asked.out).absolute() if asked.out else paths.ROOT
    data = asked.data
    if data not in ("auto", "synthetic"):
        data = str(Path(data).absolute())
    try:
        budgets = (asked.images, asked.side_images)
        study = open_study(data, asked.preset, asked.name, str(out), asked.seed, *budgets)
        if asked.keep_outputs and study.faces.kind != "synthetic":
            raise InputError(
                f"--keep-outputs would put photos of {study.faces.name} into the project's own"
                " notebooks; use it with --data synthetic"
            )
        print(_announcement(study), flush=True)
        _make_folder(out)
        pdf = reproduce(study, data, asked.name, out, asked.cluster)
        if asked.keep_outputs:
            for notebook in NOTEBOOKS:
                executed = executed_notebook(study, out, notebook)
                keep_outputs(executed, paths.NOTEBOOKS / f"{notebook}.ipynb")
    except InputError as error:
        exit_with(error)
    except (NotebookFailed, ExportError) as error:
        raise SystemExit(f"error: {error}; no PDF was made") from None
    except KeyboardInterrupt:
        print("stopped; finished models are kept, the same command goes on", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"report   {pdf}\nfigures  {study.results.folder}\ntime     {minutes} min {seconds} s")


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}; choose another --out") from None


def _announcement(study: Study) -> str:
    faces, todo, images = study.faces, missing(study), study.images
    seeds = "1 seed" if len(images) == 1 else f"{len(images)} seeds"
    return (
        f"faces    {faces.name}: {len(faces.train)} to train on,"
        f" {len(faces.validation)} to validate, {len(faces.test)} held out\n"
        f"preset   {study.preset}: {len(SEVEN)} models, {seeds},"
        f" {' and '.join(f'{budget:,}' for budget in images)} images per model\n"
        f"train    {len(todo)} of {len(study.every())} models, those of side questions included"
    )


if __name__ == "__main__":
    main()
