"""What the tests of training share: one run that several of them look at."""

from typing import TYPE_CHECKING

import pytest

from tests.conftest import SMALL

if TYPE_CHECKING:
    from vaelib.data import FaceSet
    from vaelib.training.runs import Run


@pytest.fixture(scope="session")
def trained(flat_faces: "FaceSet", tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """The finished run of SMALL on the flat faces."""
    from vaelib.training.run_one import train_or_load

    return train_or_load(SMALL, flat_faces, runs=tmp_path_factory.mktemp("trained"))
