"""`python -m vaelib report`: the seven models, the figures and the PDF."""

import sys
from argparse import Namespace

from vaelib.config import PRESETS
from vaelib.support.command_line import OneLineParser, exit_interrupted

SUMMARY = "Train the seven models, draw the figures, typeset the report"
DETAILS = """\
Trains the models that are missing, runs the notebooks in order, each in a fresh kernel of this very
interpreter, then typesets the PDF. Exit code 1 if a notebook or the PDF failed."""
EXAMPLE = "report --data PATH --preset quick --name my-faces"


def add_options(parser: OneLineParser) -> None:
    add = parser.add_argument
    add(
        "--data",
        default="auto",
        help="auto (CelebA under data/celeba, else procedural faces), synthetic,"
        " or the path of a CelebA copy or of any photos (default: %(default)s)",
    )
    add(
        "--preset",
        default="auto",
        help=f"auto (full on a GPU, else quick), {', '.join(PRESETS)} (default: %(default)s)",
    )
    add("--name", default="", help="name of the data set (default: that of its folder)")
    add(
        "--out",
        default="",
        help="where figures, report and notebooks go (default: into the project)",
    )
    add("--seed", type=int, default=0, help="of weights, batches and noise (default: %(default)s)")
    add(
        "--budget",
        default="",
        help="images seen per model, a number for each seed by commas (default: the preset's)",
    )
    add(
        "--side-budget",
        type=int,
        default=0,
        help="images seen per model that answers a side question (default: the preset's)",
    )
    add(
        "--cluster",
        default="",
        help="dask scheduler whose workers train (default: this machine trains)",
    )
    add(
        "--keep-outputs",
        action="store_true",
        help="also put the outputs into the project's own notebooks",
    )


def run(options: Namespace) -> None:
    """Exit code 1 for a failed notebook."""
    from vaelib.publishing import reproduce
    from vaelib.publishing.notebooks import NotebookFailed
    from vaelib.publishing.pdf import ExportError

    try:
        reproduce.report(
            data=options.data,
            preset=options.preset,
            name=options.name,
            out=options.out,
            seed=options.seed,
            budget=options.budget,
            side_budget=options.side_budget,
            cluster=options.cluster,
            keep_outputs=options.keep_outputs,
        )
    except (NotebookFailed, ExportError) as error:
        sys.exit(f"error: {error}; no PDF was made")
    except KeyboardInterrupt:
        exit_interrupted("stopped; finished models are kept, the same command goes on")
