"""The one kind of error that is the reader's to mend."""

import sys
from typing import NoReturn


class InputError(ValueError):
    """What was asked for cannot be done: one line that says what is wrong, where, and what to do.

    Command lines print it and exit with code 2; notebooks show it as it is.
    """


def exit_with(error: InputError) -> NoReturn:
    """Print the error as one line on stderr and leave with exit code 2."""
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(2)
