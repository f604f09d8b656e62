"""A home that cannot be written to stops nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vaelib.support import paths
from vaelib.support.home import VARIABLE, usable_home


def test_a_home_that_can_be_written_to_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with usable_home():
        assert os.environ[VARIABLE] == str(tmp_path)
    assert capsys.readouterr().err == ""


def test_a_temporary_folder_takes_the_place_of_one_that_cannot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(Path(os.devnull) / "home")
    monkeypatch.setenv(VARIABLE, nowhere)
    with usable_home():
        home = Path(os.environ[VARIABLE])
        (home / "file").write_text("something")
    assert not home.exists()
    assert os.environ[VARIABLE] == nowhere
    expected = f"the home {nowhere} cannot be written to; {home} takes its place until the end\n"
    assert capsys.readouterr().err == expected


@pytest.mark.notebook
def test_a_notebook_runs_without_a_home_and_prints_nothing_about_it(tmp_path: Path) -> None:
    script = """
import nbformat, sys
from pathlib import Path
from vaelib.publishing.notebooks import run_notebook
from vaelib.support.home import usable_home
cell = nbformat.v4.new_code_cell("import matplotlib.pyplot; print(1)")
kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
folder = Path(sys.argv[1])
nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), folder / "a.ipynb")
with usable_home():
    run_notebook(folder / "a.ipynb", folder / "done.ipynb", {})
print([output.text for output in nbformat.read(folder / "done.ipynb", 4).cells[-1].outputs])
"""
    environment = {**os.environ, VARIABLE: str(Path(os.devnull) / "home")}
    environment.pop("MPLCONFIGDIR", None)
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(
        command, env=environment, cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "['1\\n']\n", done.stderr
