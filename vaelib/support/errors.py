"""The one kind of error that is the reader's to mend, and command lines that end with it."""

import argparse
import sys
from typing import NoReturn

INTERRUPTED = 130  # the exit code that shells give to Ctrl-C


class InputError(ValueError):
    """What was asked for cannot be done: one line that says what is wrong, where, and what to do.

    Command lines print it and exit with code 2; notebooks show it as it is.
    """


def exit_with(error: InputError) -> NoReturn:
    """Print the error as one line on stderr and leave with exit code 2."""
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(2)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that accepts no abbreviations, and whose complaint is one line."""

    def __init__(self, module: str, about: str | None) -> None:
        super().__init__(prog=f"python -m {module}", description=about, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        exit_with(InputError(f"{message}; see {self.prog} --help"))
