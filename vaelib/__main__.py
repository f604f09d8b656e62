"""The one command line: `python -m vaelib COMMAND`, also installed as `vaelib`.

Each command is a module of `vaelib.commands`. It imports what it needs only when it runs, so that
help is there at once, and `train` runs where torch, numpy, safetensors and msgspec alone are
installed.
"""

import os
from typing import Any, Protocol

from vaelib.commands import app, celeba, inspect, kl_weight, report, ship, train
from vaelib.support.command_line import (
    OneLineParser,
    escape_unknown_letters,
    exit_interrupted,
    exit_with,
)
from vaelib.support.errors import InputError
from vaelib.support.home import usable_home

PROGRAM = "python -m vaelib"


class Command(Protocol):
    """What a module of `vaelib.commands` provides."""

    SUMMARY: str  # one line, without a full stop
    DETAILS: str  # what else its --help says
    EXAMPLE: str  # how it is called, without "python -m vaelib"

    def add_options(self, parser: OneLineParser) -> None:
        """Define its options."""

    def run(self, *_: Any, **options: Any) -> None:
        """Do the work, with the options as arguments. Raises InputError for what cannot be done."""


COMMANDS: dict[str, Command] = {
    "report": report,
    "train": train,
    "inspect": inspect,
    "lambda": kl_weight,
    "celeba": celeba,
    "app": app,
    "ship": ship,
}


def main(arguments: list[str] | None = None) -> None:
    """Run one command. Exit code 2 for what cannot be done, 130 after Ctrl-C."""
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")  # what Apple's GPU lacks: on the CPU
    escape_unknown_letters()
    options = vars(command_line().parse_args(arguments))
    command = COMMANDS[options.pop("command")]
    device, align = options.pop("device", "auto"), options.pop("align", "auto")
    try:
        if align != "auto":
            from vaelib.sources import alignment  # only here: it loads OpenCV

            os.environ[alignment.VARIABLE] = align
        if device != "auto":
            from vaelib.training import hardware  # only here: it loads torch

            hardware.use_device(device)
        with usable_home():
            command.run(**options)
    except InputError as error:
        exit_with(error)
    except KeyboardInterrupt:
        exit_interrupted("stopped")


def command_line() -> OneLineParser:
    """The parser of all commands."""
    parser = OneLineParser(
        prog=PROGRAM,
        description="Faces from a variational autoencoder, measured.",
        epilog=f"for the options of a command: {PROGRAM} COMMAND --help",
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands"
    )
    for name, command in COMMANDS.items():
        options = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=f"{command.SUMMARY}.\n{command.DETAILS}",
            epilog=f"example:\n  {PROGRAM} {command.EXAMPLE}",
        )
        command.add_options(options)
    return parser


if __name__ == "__main__":
    main()
