"""The user's home, where Jupyter and matplotlib keep things, or something in its place."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "USERPROFILE" if sys.platform == "win32" else "HOME"


@contextmanager
def usable_home() -> Iterator[None]:
    """While the block runs, a temporary folder is the home of this process and of those it starts.

    Only where the home is missing or cannot be written to, which one line on stderr says.
    """
    try:
        home = str(Path.home())
    except RuntimeError:  # this user has none
        home = ""
    if home and os.access(home, os.W_OK):
        yield
        return
    before = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory(prefix="vaelib-home-", ignore_cleanup_errors=True) as folder:
        problem = f"the home {home} cannot be written to" if home else "this user has no home"
        print(f"{problem}; {folder} takes its place until the end", file=sys.stderr)
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before
