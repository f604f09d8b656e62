"""`python -m vaelib app`: the explorer as a page of its own."""

from argparse import Namespace

from vaelib.config import PRESETS
from vaelib.support.command_line import OneLineParser

SUMMARY = "Open the explorer as a page in the browser, on this machine alone"
DETAILS = "Serves until Ctrl-C."
EXAMPLE = "app --data PATH --port 9000"


def add_options(parser: OneLineParser) -> None:
    add = parser.add_argument
    add("--data", default="auto", help="auto, synthetic, or a path (default: %(default)s)")
    add("--preset", default="auto", help=f"auto, {', '.join(PRESETS)} (default: %(default)s)")
    add("--name", default="", help="name of the data set (default: that of its folder)")
    add("--port", type=int, default=8866, help="of this machine (default: %(default)s)")
    add("--no-browser", action="store_true", help="only print the address")


def run(options: Namespace) -> None:
    from vaelib.explore import app

    app.serve(options.data, options.preset, options.name, options.port, not options.no_browser)
