"""The kinds of error that are not the program's own."""

from vaelib.support.text import printable


class InputError(ValueError):
    """What was asked for cannot be done: one line that says what is wrong, where, and what to do.

    The command line prints it and exits with code 2; notebooks show it as it is. Names in it may be
    any bytes that a file can be called by, so it is made printable.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class DamagedError(InputError):
    """A file is not what it should be: cut short, altered, or made by something else.

    The message names the file and says what is wrong. Whoever can make the file again does, and
    says so; elsewhere it is shown as it is.
    """
