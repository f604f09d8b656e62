"""`python -m vaelib ship`: the trained models that come with the program."""

from vaelib.config import PRESETS
from vaelib.support import paths
from vaelib.support.command_line import OneLineParser, exit_interrupted
from vaelib.support.errors import InputError

SUMMARY = "Renew the trained models that come with the program, for those who work on it"
DETAILS = """\
Trains the base model and its neighbours on the scale of lambda, unless they were trained before,
and puts them with a model card, in half precision, where the explorer finds them."""
EXAMPLE = "ship --seed 3 --budget 80000"


def add_options(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("--preset", default="quick", help=f"{', '.join(PRESETS)} (default: %(default)s)")
    add("--seed", type=int, default=0, help="of weights, batches and noise (default: %(default)s)")
    add("--budget", default="", help="images seen per model (default: the preset's)")


def run(preset: str, seed: int, budget: str) -> None:
    from vaelib.study import open_study
    from vaelib.training import shipped

    if not paths.IS_CHECKOUT:
        raise InputError("ship is for a checkout of the project; this is an installed copy")
    study = open_study("synthetic", preset, seed=seed, budget=budget)
    try:
        runs = study.runs(shipped.NAMES)
    except KeyboardInterrupt as stop:
        exit_interrupted(str(stop) or "stopped; the same command goes on")
    shipped.ship(list(runs.values()), study.faces)
    print(shipped.FOLDER.relative_to(paths.ROOT))
