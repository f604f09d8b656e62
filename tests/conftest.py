"""What the tests share: caches and runs in a temporary folder, sources of faces, refusals."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from vaelib.config import Experiment
from vaelib.support.errors import InputError

if TYPE_CHECKING:
    from vaelib.data import FaceSet
    from vaelib.training.runs import Run

# Set before anything imports vaelib.support.paths, and inherited by the processes that tests start.
ROOT = Path(__file__).resolve().parent.parent

# What pip installs for torch, numpy, safetensors and msgspec, as far as it is Python's.
TRAINING = ["torch", "torchgen", "functorch", "triton", "nvidia", "numpy", "numpy.libs"]
TRAINING += ["filelock", "typing_extensions.py", "jinja2", "markupsafe", "sympy", "mpmath"]
TRAINING += ["networkx", "fsspec", "safetensors", "msgspec"]

# A study that trains in seconds.
SMALL = Experiment(latent=4, budget=96, batch_size=16)
SHORT = replace(SMALL, budget=48)
SOME = {"first": SHORT, "second": replace(SHORT, lam=1e-3), "long": SMALL}

# One folder for all the processes that run tests side by side: the first to need a model trains it,
# and the others, which inherit the variable, load it.
IS_FIRST = "VAELIB_TESTS" not in os.environ
if IS_FIRST:
    os.environ["VAELIB_TESTS"] = tempfile.mkdtemp(prefix="vaelib-tests-")
_HOME = Path(os.environ["VAELIB_TESTS"])
os.environ["VAELIB_CACHE"] = str(_HOME / "cache")
os.environ["VAELIB_RUNS"] = str(_HOME / "runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that the cores end at about the same time."""
    longest_first = ("notebook", "browser", "cluster", "slow")

    def rank(item: pytest.Item) -> int:
        marks = [name for name in longest_first if item.get_closest_marker(name)]
        return longest_first.index(marks[0]) if marks else len(longest_first)

    items.sort(key=rank)


def pytest_unconfigure() -> None:
    if IS_FIRST:
        shutil.rmtree(_HOME, ignore_errors=True)


def refusal(call: Callable[[], object]) -> str:
    """The message that the call is refused with: always a single line."""
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def real(folder: str) -> str:
    """A folder of real photos, where it is at hand."""
    found = ROOT.parent / "shared" / "data" / folder
    if not found.is_dir():
        pytest.skip(f"there is no {folder} beside the project in shared/data")
    return str(found)


def edit(path: Path, line: int, new: str | None) -> None:
    """Replace a line of a file, counted from 1, or remove it."""
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if new is None else [new]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def bare_python(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run Python code where nothing is installed but torch, numpy, safetensors and msgspec."""
    installed = Path(torch.__file__).parent.parent
    packages = tmp_path / "packages"

    def run(code: str) -> subprocess.CompletedProcess[str]:
        packages.mkdir()
        for name in TRAINING:
            if (installed / name).exists():
                (packages / name).symlink_to(installed / name)
        environment = os.environ | {
            "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}",
            "VAELIB_CACHE": str(tmp_path / "bare cache"),
        }
        command = [sys.executable, "-S", "-c", code]  # -S leaves out all that is installed
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


@pytest.fixture
def photo_folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of so many photos, each different: smooth, so that resizing keeps them."""

    def make(count: int, name: str = "photos", size: tuple[int, int] = (89, 109)) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for number in range(count):
            coarse = np.random.default_rng(number).integers(0, 256, (4, 3, 3), dtype=np.uint8)
            smooth = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
            smooth.save(folder / f"{number:06}.jpg", quality=95)
        return folder

    return make


@pytest.fixture
def celeba_folder(photo_folder: Callable[..., Path]) -> Callable[..., Path]:
    """Make a copy of CelebA in torchvision's layout, with three attributes."""

    def make(count: int, name: str = "celeba") -> Path:
        photos = photo_folder(count, f"{name}/img_align_celeba")
        rows, parts = [], []
        for number, photo in enumerate(sorted(photos.iterdir())):
            rows.append(f"{photo.name} {1 if number % 2 else -1}  1 -1\n")
            parts.append(f"{photo.name} {0 if number < count - 20 else 1 + number % 2}\n")
        head = f"{count}\nSmiling Young Eyeglasses \n"
        (photos.parent / "list_attr_celeba.txt").write_text(head + "".join(rows))
        (photos.parent / "list_eval_partition.txt").write_text("".join(parts))
        return photos.parent

    return make


@pytest.fixture(scope="session")
def flat_faces(tmp_path_factory: pytest.TempPathFactory) -> "FaceSet":
    """Eighty flat faces, 32 of them to train on, each of a brightness of its own.

    They lie prepared in a folder, so that another process can open them.
    """
    from vaelib import data
    from vaelib.sources import cache

    images = np.broadcast_to(np.arange(80, dtype=np.uint8)[:, None, None, None], (80, 3, 64, 48))
    images = images.copy()
    images[:, :, :, 0] = 255  # a white left edge, to see which are mirrored
    folder = tmp_path_factory.mktemp("flat")
    np.save(folder / cache.IMAGES, images)
    np.save(folder / cache.SPLIT, np.array([0] * 32 + [1] * 24 + [2] * 24, dtype=np.uint8))
    cache.write_facts(folder, "flat", "photos", 80, (), ())
    return data.open_prepared(folder)


@pytest.fixture(scope="session")
def alone(flat_faces: "FaceSet", tmp_path_factory: pytest.TempPathFactory) -> "dict[str, Run]":
    """What one process trains of SOME by itself."""
    from vaelib.training import launch

    return launch.run(SOME, flat_faces, runs=tmp_path_factory.mktemp("alone"), jobs=1)
