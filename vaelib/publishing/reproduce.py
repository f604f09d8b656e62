"""The whole report from one command: `python -m vaelib report`.

Runs the notebooks in order, each in a fresh kernel of this very interpreter, then typesets the PDF.
"""

import logging
import sys
import time
import warnings
from pathlib import Path

from vaelib.config import SEVEN
from vaelib.publishing import notebooks
from vaelib.publishing.notebooks import (
    Parameters,
    absolute_data,
    check_parameters,
    run_notebook,
)
from vaelib.publishing.pdf import export_pdf
from vaelib.study import Study, open_study
from vaelib.support import paths
from vaelib.support.errors import InputError
from vaelib.training.runs import is_finished

NOTEBOOKS = (
    "01_data",
    "02_training",
    "03_lambda_study",
    "04_latent_study",
    "05_centred_z",
    "06_report",
)


def report(
    data: str = "auto",
    preset: str = "auto",
    name: str = "",
    out: str = "",
    seed: int = 0,
    budget: str = "",
    side_budget: int = 0,
    cluster: str = "",
    keep_outputs: bool = False,
) -> Path:
    """Print what will be done, do it, and print where the results lie. Returns the PDF's path.

    cluster: see `reproduce`; keep_outputs: also put the outputs into the project's own notebooks;
    the others: see `open_study`. Raises InputError for what cannot be done, NotebookFailed if a
    notebook fails and ExportError if the report cannot be typeset.
    """
    for logger in ("papermill", "asyncio"):  # what they log as errors is raised as well
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="papermill")
    started = time.monotonic()
    folder = Path(out).absolute() if out else paths.ROOT
    data = absolute_data(data)
    study = open_study(data, preset, name, str(folder), seed, budget, side_budget)
    if keep_outputs and study.faces.kind != "synthetic":
        raise InputError(
            f"--keep-outputs would put photos of {study.faces.name} into the project's own"
            " notebooks; use it with --data synthetic"
        )
    print(_plan(study), flush=True)
    _make_folder(folder)
    pdf = reproduce(study, data, name, folder, cluster)
    if keep_outputs:
        for notebook in NOTEBOOKS:
            executed = executed_notebook(study, folder, notebook)
            notebooks.keep_outputs(executed, _source(notebook))
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"report   {pdf}\nfigures  {study.results.folder}\ntime     {minutes} min {seconds} s")
    return pdf


def reproduce(study: Study, data: str, name: str, out: Path, cluster: str = "") -> Path:
    """Train all models at once, run all notebooks on them, typeset the report; the PDF's path.

    cluster: the address of a dask scheduler whose workers train, see `launch.run`.
    """
    parameters: Parameters = {
        "data": data,
        "preset": study.preset,
        "name": name,
        "out": str(out),
        "seed": study.seed,
        "budget": ",".join(str(budget) for budget in study.budgets),
        "side_budget": study.side_budget,
    }
    for notebook in NOTEBOOKS:
        check_parameters(_source(notebook), parameters)
    if untrained(study):
        print("training", file=sys.stderr, flush=True)
    study.train_all(cluster)
    for notebook in NOTEBOOKS:
        print(notebook, file=sys.stderr, flush=True)
        run_notebook(_source(notebook), executed_notebook(study, out, notebook), parameters)
    pdf = out / "report" / f"{study.faces.name}.pdf"
    export_pdf(executed_notebook(study, out, NOTEBOOKS[-1]), pdf, figures_root=out)
    return pdf


def untrained(study: Study) -> list[str]:
    """Labels of the models that have still to be trained."""
    experiments = study.all_experiments().items()
    return [label for label, each in experiments if not is_finished(each, study.faces)]


def executed_notebook(study: Study, out: Path, notebook: str) -> Path:
    return out / "build" / study.faces.name / f"{notebook}.ipynb"


def _source(notebook: str) -> Path:
    return paths.NOTEBOOKS / f"{notebook}.ipynb"


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}; choose another --out") from None


def _plan(study: Study) -> str:
    """Three lines: the faces, the budgets, and how many models are left to train."""
    faces, seeds = study.faces, len(study.budgets)
    budgets = " and ".join(f"{budget:,}" for budget in study.budgets)
    return (
        f"faces    {faces.name}: {len(faces.train)} to train on,"
        f" {len(faces.validation)} to validate, {len(faces.test)} held out\n"
        f"preset   {study.preset}: {len(SEVEN)} models, {seeds} seed{'s' if seeds > 1 else ''},"
        f" {budgets} images per model\n"
        f"train    {len(untrained(study))} of {len(study.all_experiments())} models,"
        " side studies included"
    )
