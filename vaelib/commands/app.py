"""`python -m vaelib app`: the explorer as a page of its own."""

from vaelib.commands.common import add_align_and_device
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
    add("--base-url", default="/", help="path behind another server (default: %(default)s)")
    add("--no-browser", action="store_true", help="only print the address")
    add_align_and_device(parser)


def run(data: str, preset: str, name: str, port: int, base_url: str, no_browser: bool) -> None:
    from vaelib.explore import app

    app.serve(data, preset, name, port, not no_browser, base_url)
