"""The whole report from one command: `python -m vaelib report`.

Runs the notebooks in order, each in a fresh kernel of this very interpreter, then writes the PDF
and the page.
"""

import logging
import sys
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

from vaelib.config import PRESETS, SEVEN
from vaelib.publishing import notebooks
from vaelib.publishing.html import export_html
from vaelib.publishing.notebooks import Parameters
from vaelib.publishing.pdf import export_pdf
from vaelib.study import Study, open_study
from vaelib.support import files, paths
from vaelib.support.errors import InputError
from vaelib.support.text import printable
from vaelib.training import speed

NOTEBOOKS = (
    "01_data",
    "02_training",
    "03_lambda_study",
    "04_latent_study",
    "05_centred_z",
    "06_report",
)


def report(
    data: str,
    preset: str,
    name: str,
    out: str,
    seed: int,
    budget: str,
    side_budget: int,
    cluster: str,
    keep_outputs: bool,
) -> None:
    """Print what will be done, do it, and print where the results lie.

    cluster: the address of a dask scheduler whose workers train, see `launch.run`; keep_outputs:
    also put the outputs into the project's own notebooks; the others: see `open_study`. Raises
    InputError for what cannot be done, NotebookFailed if a notebook fails and ExportError if the
    report cannot be typeset.
    """
    for logger in ("papermill", "asyncio"):  # what they log as errors is raised as well
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="papermill")
    started = time.monotonic()
    data = notebooks.absolute_data(data)
    out = notebooks.absolute_path(out) if out else ""
    study = open_study(data, preset, name, out, seed, budget, side_budget)
    if keep_outputs and not paths.IS_CHECKOUT:
        raise InputError(
            "--keep-outputs is for a checkout of the project, whose notebooks it fills"
        )
    if keep_outputs and study.faces.kind != "synthetic":
        raise InputError(
            f"--keep-outputs would put photos of {study.faces.name} into the project's own"
            " notebooks; use it with --data synthetic"
        )
    print(_plan(study), flush=True)
    build = study.results.root / "build" / study.faces.name
    with _writing_alone(study, build):
        _make(study, data, name, build, cluster, keep_outputs)
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"time     {minutes} min {seconds} s")


def _writing_alone(study: Study, build: Path) -> ExitStack:
    """Wait for another report that writes to the same folder; none does until this is closed.

    Raises InputError for a folder that cannot be written to.
    """
    stack = ExitStack()
    waiting = f"another report writes to {study.results.folder}; waiting for its end"
    try:
        stack.enter_context(files.locked(build.with_name(f"{build.name}.lock"), waiting))
    except OSError as error:
        raise InputError(
            f"cannot write to {study.results.root}: {error.strerror}; choose another --out"
        ) from None
    return stack


def _make(
    study: Study, data: str, name: str, build: Path, cluster: str, keep_outputs: bool
) -> None:
    folder = study.results.root
    executed = run_notebooks(study, data, name, build, cluster)
    pdf = folder / "report" / f"{study.faces.name}.pdf"
    page = pdf.with_suffix(".html")
    export_pdf(executed[-1], pdf, figures_root=folder)
    export_html(executed[-1], page, figures_root=folder)
    if keep_outputs:
        for notebook in executed:
            notebooks.keep_outputs(notebook, paths.NOTEBOOKS / notebook.name)
    lines = (f"report   {pdf}", f"         {page}", f"figures  {study.results.folder}")
    print(*map(printable, lines), sep="\n")


def run_notebooks(study: Study, data: str, name: str, build: Path, cluster: str) -> list[Path]:
    """Train all models at once, then run all notebooks on them; returns the executed ones.

    build: the folder that they are executed into.
    """
    parameters: Parameters = {
        "data": data,
        "preset": study.preset,
        "name": name,
        "out": str(study.results.root),
        "seed": study.seed,
        "budget": ",".join(str(budget) for budget in study.budgets),
        "side_budget": study.side_budget,
    }
    sources = [paths.NOTEBOOKS / f"{notebook}.ipynb" for notebook in NOTEBOOKS]
    for source in sources:
        notebooks.check_parameters(source, parameters)
    if study.untrained():
        print("training", file=sys.stderr, flush=True)
    study.train_all(cluster)
    executed = [build / source.name for source in sources]
    for source, target in zip(sources, executed, strict=True):
        print(source.stem, file=sys.stderr, flush=True)
        notebooks.run_notebook(source, target, parameters)
    return executed


def _plan(study: Study) -> str:
    """Three lines: the faces, the budgets, and what is left to train."""
    faces, seeds = study.faces, len(study.budgets)
    budgets = " and ".join(f"{budget:,}" for budget in study.budgets)
    return (
        f"faces    {faces.name}: {len(faces.train)} to train on,"
        f" {len(faces.validation)} to validate, {len(faces.test)} held out\n"
        f"preset   {study.preset}: {len(SEVEN)} models, {seeds} seed{'s' if seeds > 1 else ''},"
        f" {budgets} images per model\n"
        f"train    {len(study.untrained())} of {len(study.all_experiments())} models,"
        f" side studies included{_duration(study)}"
    )


def _duration(study: Study) -> str:
    """About how long the training will take, and what takes less; nothing where all is trained."""
    untrained = study.untrained().values()
    if not untrained:
        return ""
    rate = speed.images_per_second(study.preset)
    seconds = sum(experiment.budget for experiment in untrained) / rate
    words = f": about {_in_words(seconds)} at {rate:,.0f} images/s"
    if study.preset == "full":
        quick = len(SEVEN) * sum(PRESETS["quick"].budgets) / rate
        words += f"; --preset quick takes {_in_words(quick)}"
    return words


def _in_words(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes > 120:
        return f"{seconds / 3600:.0f} hours"
    return f"{minutes} minute{'s' if minutes > 1 else ''}"
