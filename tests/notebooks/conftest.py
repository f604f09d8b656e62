"""What the tests of boxes share: their notebook, run once with each of its boxes tried."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks.try_it import Tried, smoke_parameters, try_all
from tests.reporting.conftest import displayed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebook's results go."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest, folder: Path) -> Iterator[dict[str, Tried]]:
    """What each section of the module's NOTEBOOK does with its change, by section."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield try_all(request.module.NOTEBOOK, smoke_parameters(folder), displayed(monkeypatch))
