"""What the tests of the explorer share: untrained models, a state over them, and servers."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.explore import write_untrained_models
from tests.browser import free_port, jupyter_environment, jupyterlab, served
from vaelib.data import FaceSet, load
from vaelib.explore import explorer as explorers
from vaelib.explore import state as states
from vaelib.explore import traverse
from vaelib.explore.app import NOTEBOOK
from vaelib.explore.explorer import Explorer
from vaelib.explore.run_index import find_runs
from vaelib.explore.state import ExplorerState
from vaelib.faces import render
from vaelib.publishing.notebooks import Parameters, copy_with_parameters
from vaelib.support import paths

THREE_MODELS = ("lam-1e-5", "latent-32", "centred")
THEIR_LABELS = ("λ = 10⁻⁵", "32 latents", "centre pull")


@pytest.fixture(scope="session")
def faces() -> FaceSet:
    return load("synthetic", "smoke")


@pytest.fixture(scope="session")
def runs(faces: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with the seven models, which have learnt nothing."""
    folder = tmp_path_factory.mktemp("runs")
    write_untrained_models(folder / faces.name, faces.fingerprint)
    return folder


@pytest.fixture(scope="session")
def three_models(faces: FaceSet, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of three of the seven models."""
    folder = tmp_path_factory.mktemp("three")
    for name in THREE_MODELS:
        shutil.copytree(runs / faces.name / name, folder / faces.name / name)
    return folder


@pytest.fixture
def state(faces: FaceSet, three_models: Path, monkeypatch: pytest.MonkeyPatch) -> ExplorerState:
    monkeypatch.setattr(states, "TRAIN_SAMPLE", 100)
    monkeypatch.setattr(states, "JUDGED_FACES", 20)
    monkeypatch.setattr(traverse, "DIRECTION_FACES", 50)
    return ExplorerState(faces, find_runs(three_models / faces.name, faces.fingerprint))


def opened(state: ExplorerState, monkeypatch: pytest.MonkeyPatch) -> Explorer:
    """An explorer over this state, without a thread that computes beforehand."""
    monkeypatch.setattr(explorers, "open_state", lambda *_: state)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(ExplorerState, "warm_up", lambda _: None)
    return Explorer("synthetic")


def photo_of_a_face(size: tuple[int, int], quality: int = 75) -> bytes:
    """A procedural face as a JPEG."""
    face = Image.fromarray(render.generate(1, 5)[0][0].transpose(1, 2, 0))
    content = io.BytesIO()
    face.resize(size, Image.Resampling.BICUBIC).save(content, "JPEG", quality=quality)
    return content.getvalue()


@pytest.fixture(scope="session")
def portrait() -> bytes:
    return photo_of_a_face((356, 436))


@pytest.fixture(scope="session")
def other_portrait() -> bytes:
    return photo_of_a_face((178, 218), quality=60)


# --- servers: one of each for all tests

PARAMETERS: Parameters = {"data": "synthetic", "preset": "smoke", "name": ""}


@pytest.fixture(scope="session")
def environment(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a server: the seven untrained models, and its own settings."""
    return {**jupyter_environment(tmp_path_factory.mktemp("home")), "VAELIB_RUNS": str(runs)}


@pytest.fixture(scope="session")
def app(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `make app`."""
    options = [f"--{name}={value}" for name, value in PARAMETERS.items() if value]
    command = ["vaelib", "app", "--no-browser", "--port", str(free_port()), *options]
    with served(command, environment, tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="session")
def lab(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the notebook in JupyterLab."""
    copy = tmp_path_factory.mktemp("lab") / NOTEBOOK
    copy_with_parameters(paths.NOTEBOOKS / NOTEBOOK, copy, PARAMETERS)
    with jupyterlab(copy, environment) as address:
        yield address
