"""The one kind of error that is the reader's to mend."""


class InputError(ValueError):
    """What was asked for cannot be done: one line that says what is wrong, where, and what to do.

    The command line prints it and exits with code 2; notebooks show it as it is.
    """
