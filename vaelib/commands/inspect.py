"""`python -m vaelib inspect`: what a path holds, without preparing it."""

from vaelib.support.command_line import OneLineParser

SUMMARY = "Say what a path holds: images, attributes, split, faults, time"
DETAILS = "Prepares nothing."
EXAMPLE = "inspect ~/Downloads/celeba"


def add_options(parser: OneLineParser) -> None:
    parser.add_argument("path", help="a folder, a zip, parquet, 'auto' or 'synthetic'")


def run(path: str) -> None:
    from vaelib.sources import inspect, layouts

    print("\n".join(inspect.describe(layouts.find(path))))
