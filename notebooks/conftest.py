"""What pytest says before nbval runs the notebooks: how much has to be trained first."""

import math

import pytest

from vaelib.study import open_study
from vaelib.support.errors import InputError

# Of a whole report with nothing trained before: all its images, by the time it took.
IMAGES_PER_SECOND = 350  # two cores of an AMD EPYC


def pytest_sessionstart(session: pytest.Session) -> None:
    """Print the line, where nbval is going to run cells."""
    config = session.config
    runs_cells = config.getoption("nbval", False) or config.getoption("nbval_lax", False)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if runs_cells and reporter and not hasattr(config, "workerinput"):
        try:
            line = what_is_missing()
        except InputError as error:
            pytest.exit(f"error: {error}", returncode=2)
        if line:
            reporter.write_line(line)


def what_is_missing() -> str:
    """How many models the notebooks will train before they run, and about how long that takes."""
    study = open_study()
    missing = study.untrained()
    if not missing:
        return ""
    images = sum(experiment.budget for experiment in missing.values())
    minutes = math.ceil(images / IMAGES_PER_SECOND / 60)
    total = len(study.all_experiments())
    return (
        f"{len(missing)} of {total} models are not trained yet: cells wait for {images:,} images,"
        f" about {minutes} minute{'s' if minutes > 1 else ''} on two cores, with no further line"
        " until then"
    )
