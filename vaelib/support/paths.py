"""The folders of the project, each named here and nowhere else.

In a checkout everything lies in it. Installed as a package, what comes with the program lies in the
package, what it makes in the folder that it is called from, and its caches in the user's own.
"""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # vaelib itself
IS_CHECKOUT = (PACKAGE.parent / "pyproject.toml").exists()
ROOT = PACKAGE.parent if IS_CHECKOUT else Path.cwd()  # figures, reports and models go below it

_given = PACKAGE.parent if IS_CHECKOUT else PACKAGE / "project"
NOTEBOOKS = _given / "notebooks"
REPORT = _given / "report"  # template, filters and bibliography of the paper

CELEBA = ROOT / "data" / "celeba"  # where `--data auto` looks for a copy of CelebA

# Caches and trained models may live on another disk; the tests keep theirs in a temporary folder.
if IS_CHECKOUT:
    _cache = ROOT / "data" / "cache"
else:
    import platformdirs  # only here: a checkout trains where there is nothing but torch and numpy

    _cache = platformdirs.user_cache_path("vaelib", appauthor=False)
CACHE = Path(os.environ.get("VAELIB_CACHE", _cache)).absolute()
RUNS = Path(os.environ.get("VAELIB_RUNS", ROOT / "runs")).absolute()


def report_command(options: str = "") -> str:
    """What to type to make the report, with these options of the command line."""
    if IS_CHECKOUT:
        return f'make report ARGS="{options}"' if options else "make report"
    return f"vaelib report {options}".rstrip()
