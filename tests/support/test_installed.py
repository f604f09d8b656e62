"""The program as an installed package, called from a folder of the user's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vaelib.publishing.reproduce import NOTEBOOKS
from vaelib.support import paths

pytestmark = pytest.mark.slow

SCRIPT = """
import json
from vaelib.support import paths
names = ("PACKAGE", "ROOT", "NOTEBOOKS", "REPORT", "CACHE", "RUNS", "CELEBA")
print(json.dumps({name: str(getattr(paths, name)) for name in names}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package was installed into."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([*pip, *options, str(paths.ROOT)], check=True, capture_output=True)
    return folder / "site"


def python(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the installed package, as a user whose home is in the same folder."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(installed), "HOME": str(cwd / "home")}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_what_comes_with_the_program_lies_in_the_package(installed: Path, tmp_path: Path) -> None:
    found = json.loads(python(installed, tmp_path, "-c", SCRIPT).stdout)
    assert found["PACKAGE"] == str(installed / "vaelib")
    notebooks, report = Path(found["NOTEBOOKS"]), Path(found["REPORT"])
    assert {f"{name}.ipynb" for name in NOTEBOOKS} <= {file.name for file in notebooks.iterdir()}
    templates = {file.name for file in report.iterdir()}
    needed = {file.name for file in paths.REPORT.iterdir() if file.suffix in (".typ", ".lua")}
    assert needed | {"paper.html", "references.bib"} == templates


def test_what_it_makes_goes_to_the_folder_it_is_called_from(
    installed: Path, tmp_path: Path
) -> None:
    found = json.loads(python(installed, tmp_path, "-c", SCRIPT).stdout)
    assert found["ROOT"] == str(tmp_path)
    assert found["RUNS"] == str(tmp_path / "runs")
    assert Path(found["CACHE"]).is_relative_to(tmp_path / "home")


def test_a_notebook_finds_the_package_and_the_runs(installed: Path, tmp_path: Path) -> None:
    script = """
from pathlib import Path
import nbformat
from vaelib.publishing.notebooks import run_notebook
from vaelib.support import paths
code = "from vaelib.support import paths; print(paths.PACKAGE, paths.RUNS)"
cells = [nbformat.v4.new_code_cell(code)]
kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
Path("elsewhere").mkdir()
nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), "elsewhere/a.ipynb")
run_notebook(Path("elsewhere/a.ipynb"), Path("done.ipynb"), {})
print(nbformat.read("done.ipynb", 4).cells[-1].outputs[0].text)
"""
    done = python(installed, tmp_path, "-c", script)
    assert done.stdout.strip() == f"{installed / 'vaelib'} {tmp_path / 'runs'}", done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "--data", "synthetic", "--preset", "smoke", "--keep-outputs"], "a checkout"),
        (["ship"], "ship is for a checkout of the project"),
    ],
)
def test_what_needs_a_checkout_says_so_in_a_line(
    arguments: list[str], words: str, installed: Path, tmp_path: Path
) -> None:
    done = python(installed, tmp_path, "-m", "vaelib", *arguments)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]
