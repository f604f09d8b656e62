"""What the tests of the explorer share: untrained models, a state over them, and servers."""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from benchmarks.explore import write_untrained_models
from vaelib.data import FaceSet, load
from vaelib.explore import state as states
from vaelib.explore import traverse
from vaelib.explore.app import NOTEBOOK
from vaelib.explore.run_index import find_runs
from vaelib.explore.state import ExplorerState
from vaelib.faces import render
from vaelib.publishing.notebooks import Parameters, copy_with_parameters
from vaelib.support import paths

THREE_MODELS = ("lam-1e-5", "latent-32", "centred")


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
    monkeypatch.setattr(traverse, "DIRECTION_FACES", 50)
    return ExplorerState(faces, find_runs(three_models / faces.name, faces.fingerprint))


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
TOKEN = "a-token-of-the-tests"
NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'


@pytest.fixture(scope="session")
def environment(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a server: the seven untrained models, and its own settings."""
    home = tmp_path_factory.mktemp("home")
    notification = home / "settings" / "@jupyterlab" / "apputils-extension"
    notification.mkdir(parents=True)
    (notification / "notification.jupyterlab-settings").write_text(NO_NEWS)
    return {
        **os.environ,
        "VAELIB_RUNS": str(runs),
        "PYTHONPATH": str(paths.ROOT),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[str]:
    """The address that a server has printed; stopped at the end."""
    log = folder / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, cwd=folder, stdout=out, stderr=out
        )
    try:
        for _ in range(600):
            found = re.search(r"http://127\.0\.0\.1:\d+/\S*\?token=\S+", log.read_text())
            if found:
                yield found[0]
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            raise AssertionError(log.read_text())
    finally:
        server.terminate()
        server.wait(30)


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
    folder = tmp_path_factory.mktemp("lab")
    copy_with_parameters(paths.NOTEBOOKS / NOTEBOOK, folder / NOTEBOOK, PARAMETERS)
    settings = [f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={TOKEN}"]
    settings += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={free_port()}", "--allow-root"]
    with served(["jupyterlab", "--no-browser", *settings], environment, folder) as address:
        yield f"http://{urlsplit(address).netloc}/lab/tree/{NOTEBOOK}?token={TOKEN}"
