"""Options of several commands; `vaelib.__main__` applies them before the command runs."""

from vaelib.config import DEVICES
from vaelib.support.command_line import OneLineParser


def add_align_and_device(parser: OneLineParser) -> None:
    """How photos are cropped, and what is computed on."""
    add = parser.add_argument
    meaning = "auto: photos that need cropping are cropped around the face; off: to the middle"
    add("--align", choices=("auto", "off"), default="auto", help=f"{meaning} (default: auto)")
    add("--device", choices=DEVICES, default="auto", help="to compute on (default: auto)")
