"""The whole report from one command: `python -m vaelib.publishing.reproduce`.

Runs the notebooks in order, each in a fresh kernel of this very interpreter, then typesets the PDF.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

from vaelib.config import PRESETS, SEVEN
from vaelib.publishing.notebooks import (
    NotebookFailed,
    Parameters,
    check_parameters,
    for_any_folder,
    keep_outputs,
    run_notebook,
)
from vaelib.publishing.pdf import ExportError, export_pdf
from vaelib.study import Study, open_study
from vaelib.support import paths, progress
from vaelib.support.errors import INTERRUPTED, InputError, OneLineParser, exit_with
from vaelib.training.runs import is_finished

NOTEBOOKS = (
    "01_data",
    "02_training",
    "03_lambda_study",
    "04_latent_study",
    "05_centred_z",
    "06_report",
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
        "images": ",".join(str(budget) for budget in study.budgets),
        "side_budget": study.side_budget,
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


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser("vaelib.publishing.reproduce", __doc__)
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
        "--side-budget",
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
    data = for_any_folder(asked.data)
    try:
        budgets = (asked.images, asked.side_budget)
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
    faces, todo, images = study.faces, missing(study), study.budgets
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
