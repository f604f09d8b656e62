"""The notebooks: the whole pipeline in the smoke preset, and what is committed of them."""

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image
from pypdf import PdfReader

from vaelib.publishing.notebooks import Parameters, with_parameters
from vaelib.publishing.reproduce import NOTEBOOKS
from vaelib.support import paths

FIGURES = [f"fig{number:02}.png" for number in range(1, 15)]
PROJECT_FOLDERS = ("figures", "report", "notebooks", "build")
LONGEST_CELL = 15
ABSOLUTE_PATH = re.compile(r"""(?:^|[\s'"(=])(?:/[\w.-]+){2,}|\b[A-Z]:\\""")
MOST_CELLS = 30
WRITTEN = [*NOTEBOOKS, "07_explore"]  # the last one is played with, and no part of the run


@dataclass(frozen=True)
class Smoke:
    """A whole run of the command in the smoke preset."""

    out: Path
    terminal: str
    touched: list[str]  # files of the project that are not as they were


def project_files() -> dict[str, int]:
    return {
        str(file.relative_to(paths.ROOT)): file.stat().st_mtime_ns
        for folder in PROJECT_FOLDERS
        for file in (paths.ROOT / folder).rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    out = tmp_path_factory.mktemp("smoke")
    before = project_files()
    command = [sys.executable, "-m", "vaelib", "report", "--data", "synthetic"]
    done = subprocess.run(
        [*command, "--preset", "smoke", "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=out,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = project_files()
    touched = sorted(file for file in before | after if before.get(file) != after.get(file))
    return Smoke(out, done.stdout + done.stderr, touched)


def test_all_fourteen_figures_are_drawn(smoke: Smoke) -> None:
    drawn = {file.name for file in (smoke.out / "figures" / "synthetic").glob("*.png")}
    assert set(FIGURES) <= drawn


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_tells_where_it_came_from(smoke: Smoke, figure: str) -> None:
    with Image.open(smoke.out / "figures" / "synthetic" / figure) as picture:
        told = picture.info
    assert told["Data"] == "synthetic"
    assert told["Seed"] == "0"
    assert told["Preset"] == "smoke"
    assert re.fullmatch(r"lam1e-0\d_latent\d+_\w+_seed0_[0-9a-f]{10}", told["Experiment"])
    assert re.fullmatch(r"[0-9a-f]{10}(\+changes)?|unknown", told["Commit"])


def test_the_report_is_a_pdf_with_all_figures_and_numbers(smoke: Smoke) -> None:
    pages = PdfReader(smoke.out / "report" / "synthetic.pdf").pages
    text = " ".join("".join(page.extract_text() for page in pages).split())
    for number in range(1, 15):
        assert f"Figure {number}." in text
    for parameters in ("3,245,763", "3,540,739", "4,130,691"):
        assert parameters in text
    assert "the same to the last bit" in text


def test_numbers_are_those_of_one_run(smoke: Smoke) -> None:
    numbers = json.loads((smoke.out / "figures/synthetic/numbers.json").read_text())
    sections = {"data", "base", "classifier", "lambda", "latent", "centred", "claims"}
    assert set(numbers) == sections | {"origins"}
    assert set(numbers["origins"]) == sections
    assert len({json.dumps(origin) for origin in numbers["origins"].values()}) == 1


def test_every_claim_has_a_verdict_by_a_rule(smoke: Smoke) -> None:
    numbers = json.loads((smoke.out / "figures/synthetic/numbers.json").read_text())
    assert list(numbers["claims"]) == [f"C{number}" for number in range(1, 12)]
    for claim in numbers["claims"].values():
        assert set(claim) >= {"measure", "effect", "interval", "seeds", "verdict", "rule"}
        assert claim["seeds"] == 1


def test_executed_notebooks_are_kept_and_none_is_half_done(smoke: Smoke) -> None:
    executed = sorted(file.name for file in (smoke.out / "build/synthetic").iterdir())
    assert executed == [f"{name}.ipynb" for name in NOTEBOOKS]


def test_nothing_of_the_project_changes_with_out(smoke: Smoke) -> None:
    assert smoke.touched == []


def test_the_terminal_tells_notebook_model_and_progress(smoke: Smoke) -> None:
    for name in NOTEBOOKS:
        assert f"{name}\n" in smoke.terminal
    finished = r"lam-1e-5 · 2,000 images · epoch \d+, loss 0\.\d{4} · \d+ images/s"
    assert re.search(finished, smoke.terminal)
    assert re.search(r"\d+ of \d+ models · .+ · all models \d+:\d\d left", smoke.terminal)


def test_committed_outputs_hold_in_the_smoke_preset_too(smoke: Smoke, tmp_path: Path) -> None:
    # nbval knows no parameters, so it is given copies that carry them. Only cells marked
    # NBVAL_CHECK_OUTPUT are compared: those print the same in every preset.
    parameters: Parameters = {"data": "synthetic", "preset": "smoke", "out": str(smoke.out)}
    for name in NOTEBOOKS:
        copy = tmp_path / f"{name}.ipynb"
        with_parameters(paths.NOTEBOOKS / copy.name, copy, parameters)
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\d+ passed", done.stdout)


def committed(name: str) -> Any:
    return nbformat.read(paths.NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code_of(name: str) -> list[Any]:
    return [cell for cell in committed(name).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_notebooks_have_run_from_top_to_bottom(name: str) -> None:
    cells = code_of(name)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_whose_output_is_checked_have_one(name: str) -> None:
    checked = [cell for cell in code_of(name) if "# NBVAL_CHECK_OUTPUT" in cell.source]
    assert all(cell.outputs for cell in checked)
    assert checked or name == "06_report"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_outputs_hold_no_error_and_no_path_of_a_machine(name: str) -> None:
    outputs = [output for cell in code_of(name) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    texts = [output.get("text", "") for output in outputs]
    texts += [text for o in outputs for kind, text in o.get("data", {}).items() if "text/" in kind]
    assert any(texts)
    assert not [text for text in texts if ABSOLUTE_PATH.search(text)]


@pytest.mark.parametrize("name", WRITTEN)
def test_notebooks_are_short(name: str) -> None:
    assert len(committed(name).cells) <= MOST_CELLS
    assert max(len(cell.source.splitlines()) for cell in code_of(name)) <= LONGEST_CELL


@pytest.mark.parametrize("name", WRITTEN)
def test_notebooks_define_nothing_that_a_module_should_hold(name: str) -> None:
    kinds = (ast.FunctionDef, ast.ClassDef, ast.While)
    tree = ast.parse("\n".join(cell.source for cell in code_of(name)))
    assert not [node for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("name", WRITTEN)
def test_parameters_are_literals_with_a_comment_each(name: str) -> None:
    (cell,) = [c for c in code_of(name) if "parameters" in c.metadata.get("tags", [])]
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign)
        assert isinstance(statement.value, ast.Constant)
    assert all("  # " in line for line in cell.source.splitlines())


def test_every_figure_is_drawn_by_a_cell_that_says_so() -> None:
    first_lines = [cell.source.splitlines()[0] for name in NOTEBOOKS for cell in code_of(name)]
    for number in range(1, 15):
        assert first_lines.count(f"# Figure {number}") == 1
