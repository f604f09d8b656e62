"""`python -m vaelib report`: the seven models, the figures and the PDF."""

import sys
from typing import Any

from vaelib.commands.common import add_align_and_device
from vaelib.config import PRESETS
from vaelib.support.command_line import OneLineParser, exit_interrupted

SUMMARY = "Train the seven models, draw the figures, typeset the report"
DETAILS = """\
Trains the models that are missing, runs the notebooks in order, each in a fresh kernel of this very
interpreter, then typesets the PDF. Exit code 1 if a notebook or the PDF failed.

--data: auto is the copy of CelebA under data/celeba if there is one, else procedural faces;
synthetic is procedural faces; or the path of a copy of CelebA or of any photos.
--preset: auto is full on an accelerator that trains it within hours, else quick."""
EXAMPLE = "report --data PATH --preset quick --name my-faces"


def add_options(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("--data", default="auto", help="auto, synthetic or a path (default: auto)")
    add("--preset", default="auto", help=f"auto, {', '.join(PRESETS)} (default: auto)")
    add("--name", default="", help="name of the data set (default: that of its folder)")
    add("--out", default="", help="where results go (default: into the project)")
    add("--seed", type=int, default=0, help="of weights, batches and noise (default: 0)")
    meaning = "images seen per model, a number for each seed by commas"
    add("--budget", default="", help=f"{meaning} (default: the preset's)")
    meaning = "images seen per model of a side study"
    add("--side-budget", type=int, default=0, help=f"{meaning} (default: the preset's)")
    add("--cluster", default="", help="dask scheduler whose workers train (default: none)")
    meaning = "also put the outputs into the project's own notebooks"
    add("--keep-outputs", action="store_true", help=meaning)
    add_align_and_device(parser)


def run(**options: Any) -> None:
    """Exit code 1 for a failed notebook."""
    from vaelib.publishing import reproduce
    from vaelib.publishing.cells import ExportError
    from vaelib.publishing.notebooks import NotebookFailed

    try:
        reproduce.report(**options)
    except (NotebookFailed, ExportError) as error:
        sys.exit(f"error: {error}; no PDF was made")
    except KeyboardInterrupt:
        exit_interrupted("stopped; finished models are kept, the same command goes on")
