"""What the command line does the same way for every command: options, complaints, exit codes."""

import argparse
import io
import sys
from typing import Any, NoReturn

from vaelib.support.errors import InputError

INTERRUPTED = 130  # the exit code that shells give to Ctrl-C


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that accepts no abbreviations, and whose complaint is one line."""

    def __init__(self, **settings: Any) -> None:
        keep_lines = argparse.RawDescriptionHelpFormatter
        super().__init__(**settings, allow_abbrev=False, formatter_class=keep_lines)

    def error(self, message: str) -> NoReturn:
        exit_with(InputError(f"{message}; see {self.prog} --help"))


def escape_unknown_letters() -> None:
    """Print letters that the terminal's encoding lacks as escapes: names may hold any."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as Python does for stderr by itself


def exit_with(error: Exception) -> NoReturn:
    """Print the error as one line on stderr and leave with exit code 2."""
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(2)


def exit_interrupted(message: str) -> NoReturn:
    """Print how to go on after Ctrl-C, and leave with the exit code for it."""
    print(message, file=sys.stderr)
    raise SystemExit(INTERRUPTED) from None
