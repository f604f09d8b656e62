"""Notebooks run in the running interpreter, to their end, with parameters that they have."""

import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from vaelib.publishing import kernels, notebooks
from vaelib.support import paths
from vaelib.support.errors import InputError


def notebook(folder: Path, *code: str) -> Path:
    """A small notebook with one parameter, `depth`, and these cells."""
    parameters = nbformat.v4.new_code_cell("depth = 1", metadata={"tags": ["parameters"]})
    cells = [parameters, *(nbformat.v4.new_code_cell(source) for source in code)]
    path = folder / "small.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


def printed(executed: Path) -> list[str]:
    cells = nbformat.read(executed, as_version=4).cells
    return [output.text for cell in cells for output in cell.get("outputs", [])]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small notebook and, executed once with a depth of 7, what became of it."""
    folder = tmp_path_factory.mktemp("executed")
    source = notebook(folder, "print(depth)", "import sys\nprint(sys.executable, sys.prefix)")
    notebooks.run_notebook(source, folder / "done.ipynb", {"depth": 7})
    return source, folder / "done.ipynb"


@pytest.mark.notebook
def test_a_notebook_runs_with_its_parameters_in_the_running_interpreter(
    executed: tuple[Path, Path],
) -> None:
    _, done = executed
    assert printed(done) == ["7\n", f"{sys.executable} {sys.prefix}\n"]


def test_a_misspelt_parameter_is_refused_before_anything_runs(tmp_path: Path) -> None:
    source = notebook(tmp_path, "print(depth)")
    with pytest.raises(InputError, match=r"small\.ipynb has no parameter 'deptj'; it has depth"):
        notebooks.run_notebook(source, tmp_path / "done.ipynb", {"deptj": 7})
    assert list(tmp_path.iterdir()) == [source]


def test_a_misspelt_parameter_is_refused_before_a_copy_is_made(tmp_path: Path) -> None:
    source = notebook(tmp_path, "print(depth)")
    with pytest.raises(InputError, match=r"small\.ipynb has no parameter 'deptj'; it has depth"):
        notebooks.copy_with_parameters(source, tmp_path / "copy.ipynb", {"deptj": 7})
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.notebook
def test_a_failing_notebook_is_named_with_its_cell_and_error(tmp_path: Path) -> None:
    source = notebook(tmp_path, "print(1)", "raise ValueError('no such face')", "print(2)")
    with pytest.raises(
        notebooks.NotebookFailed, match=r"small\.ipynb, cell 3: ValueError: no such face"
    ):
        notebooks.run_notebook(source, tmp_path / "done.ipynb", {"depth": 1})
    assert not (tmp_path / "done.ipynb").exists()
    assert (tmp_path / "done.part.ipynb").exists()


@pytest.mark.notebook
def test_a_kernel_that_dies_is_named_with_its_notebook(tmp_path: Path) -> None:
    source = notebook(tmp_path, "import os\nos._exit(1)")
    with pytest.raises(notebooks.NotebookFailed, match=r"small\.ipynb: its Python died"):
        notebooks.run_notebook(source, tmp_path / "done.ipynb", {"depth": 1})
    assert not (tmp_path / "done.ipynb").exists()


@pytest.mark.notebook
def test_two_executions_print_the_same_output_and_leave_no_bars(tmp_path: Path) -> None:
    bar = "from vaelib.support.progress_bars import NotebookLine\nline = NotebookLine()"
    bar += "\nline.write('half')\nline.write('')"
    slowly = "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.3)"
    source, done = notebook(tmp_path, bar, slowly), tmp_path / "done.ipynb"
    notebooks.run_notebook(source, done, {})
    *_, of_bar, of_loop = nbformat.read(done, as_version=4).cells
    assert of_bar.outputs == []
    assert [output.text for output in of_loop.outputs] == ["0\n1\n2\n"]


@pytest.mark.notebook
def test_outputs_are_kept_without_the_injected_parameters(
    executed: tuple[Path, Path], tmp_path: Path
) -> None:
    source, done = executed
    kept = tmp_path / "small.ipynb"
    kept.write_bytes(source.read_bytes())
    notebooks.keep_outputs(done, kept)
    cells = nbformat.read(kept, as_version=4).cells
    assert [cell.source for cell in cells][:2] == ["depth = 1", "print(depth)"]
    assert [cell.execution_count for cell in cells] == [1, 2, 3]
    assert printed(kept) == printed(done)


@pytest.mark.notebook
def test_outputs_of_an_edited_notebook_are_not_kept(
    executed: tuple[Path, Path], tmp_path: Path
) -> None:
    _, done = executed
    edited = notebook(tmp_path, "print(depth + 1)", "import sys\nprint(sys.executable, sys.prefix)")
    with pytest.raises(InputError, match=r"small\.ipynb was edited"):
        notebooks.keep_outputs(done, edited)


@pytest.mark.notebook
def test_a_notebook_imports_the_project_that_it_was_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copy of the project" / "vaelib").mkdir(parents=True)
    (tmp_path / "copy of the project" / "vaelib" / "__init__.py").touch()
    monkeypatch.setattr(paths, "ROOT", tmp_path / "copy of the project")
    source = notebook(tmp_path, "import vaelib\nprint(list(vaelib.__path__)[0])")
    notebooks.run_notebook(source, tmp_path / "done.ipynb", {"depth": 1})
    assert printed(tmp_path / "done.ipynb") == [f"{paths.ROOT / 'vaelib'}\n"]


@pytest.mark.notebook
def test_notebooks_of_one_folder_run_at_once_and_leave_nothing_there(tmp_path: Path) -> None:
    source = notebook(tmp_path, "import time\ntime.sleep(2)\nprint(depth)")
    script = (
        "import sys; from pathlib import Path\n"
        "from vaelib.publishing.notebooks import run_notebook\n"
        "run_notebook(Path(sys.argv[1]), Path(sys.argv[2]), {'depth': 5})"
    )
    targets = [tmp_path / "done" / f"{number}.ipynb" for number in range(3)]
    programs = [
        subprocess.Popen([sys.executable, "-c", script, source, target], cwd=paths.ROOT)
        for target in targets
    ]
    assert [program.wait(timeout=120) for program in programs] == [0, 0, 0]
    assert [printed(target) for target in targets] == [["5\n"]] * 3
    assert sorted(tmp_path.iterdir()) == sorted([source, tmp_path / "done"])


@pytest.mark.notebook
def test_where_a_path_is_too_long_for_a_socket_the_kernel_is_reached_by_tcp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("a long name " * 9)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert kernels.transport(deep) == "tcp"
    assert kernels.transport(tmp_path) == "ipc"
    source = notebook(tmp_path, "print(depth)")
    notebooks.run_notebook(source, tmp_path / "done.ipynb", {"depth": 3})
    assert printed(tmp_path / "done.ipynb") == ["3\n"]
