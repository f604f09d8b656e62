"""The notebooks: the whole pipeline run once in the smoke preset, and what is committed of them."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter
from nbval.plugin import IPyNbCell, IPyNbFile, coalesce_streams
from PIL import Image
from pypdf import PdfReader

from tests.reporting.conftest import alt_texts
from vaelib.evaluation.claims import RULES
from vaelib.publishing.notebooks import original_cells
from vaelib.publishing.reproduce import NOTEBOOKS
from vaelib.support import paths

FIGURES = [f"fig{number:02}.png" for number in range(1, 15)]
PROJECT_FOLDERS = ("figures", "report", "notebooks", "build")
ABSOLUTE_PATH = re.compile(r"""(?:^|[\s'"(=])(?:/[\w.-]+){2,}|\b[A-Z]:\\""")
LONGEST_CELL, MOST_CELLS = 18, 48
LONGEST_PARAGRAPH = 24  # a cell of the report, which holds a paragraph and its numbers
# Images: other numbers than where boxes are tried, so that all models are trained here as well; the
# classifier is shared.
BUDGET, SIDE_BUDGET = 320, 96
WRITTEN = [*NOTEBOOKS, "07_explore"]  # the last one is played with, and no part of the report


# --- a whole run of the command


@dataclass(frozen=True)
class Smoke:
    """A whole run of the command in the smoke preset."""

    out: Path
    terminal: str
    touched: list[str]  # files of the project that are not as they were

    @property
    def figures(self) -> Path:
        return self.out / "figures" / "synthetic"

    def numbers(self) -> dict[str, Any]:
        numbers: dict[str, Any] = json.loads((self.figures / "numbers.json").read_text())
        return numbers


def project_files() -> dict[str, int]:
    return {
        str(file.relative_to(paths.ROOT)): file.stat().st_mtime_ns
        for folder in PROJECT_FOLDERS
        for file in (paths.ROOT / folder).rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Smoke:
    """The only run of the notebooks in all the tests: every test of a whole run looks at it."""
    out = tmp_path_factory.mktemp("smoke")
    before = project_files()
    command = [sys.executable, "-m", "vaelib", "report", "--data", "synthetic"]
    command += ["--preset", "smoke", "--budget", str(BUDGET), "--side-budget", str(SIDE_BUDGET)]
    report = subprocess.run(
        [*command, "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=out,
        check=False,
    )
    assert report.returncode == 0, report.stdout + report.stderr
    after = project_files()
    touched = sorted(file for file in before | after if before.get(file) != after.get(file))
    return Smoke(out, report.stdout + report.stderr, touched)


@pytest.mark.notebook
def test_all_fourteen_figures_are_drawn_and_record_where_they_came_from(smoke: Smoke) -> None:
    expected = {
        "Data": "synthetic",
        "Seed": "0",
        "Preset": "smoke",
        "Images": f"{BUDGET};{SIDE_BUDGET}",
        "Experiment": r"lam1e-0\d_latent\d+_\w+_seed0_[0-9a-f]{10}",
        "Commit": r"[0-9a-f]{10}(\+changes)?|unknown",
    }
    wrong = []
    for figure in FIGURES:
        with Image.open(smoke.figures / figure) as picture:
            metadata = picture.info
        wrong += [
            f"{figure}: {name} is {metadata[name]}"
            for name, pattern in expected.items()
            if not re.fullmatch(pattern, metadata[name])
        ]
    assert wrong == []


@pytest.mark.notebook
def test_the_report_is_a_pdf_with_all_figures_and_numbers(smoke: Smoke) -> None:
    pages = PdfReader(smoke.out / "report" / "synthetic.pdf").pages
    text = " ".join("".join(page.extract_text() for page in pages).split())
    expected = [f"Figure {number}." for number in range(1, 15)]
    expected += ["3,245,763", "3,540,739", "4,130,691"]  # parameters of the three sizes
    expected += ["the same to the last bit"]
    assert [words for words in expected if words not in text] == []


@pytest.mark.notebook
def test_the_report_is_a_page_as_well(smoke: Smoke) -> None:
    page = (smoke.out / "report" / "synthetic.html").read_text()
    for number in range(1, 15):
        assert f'id="fig-{number}"' in page
    assert "3,540,739" in page


@pytest.mark.notebook
def test_figures_and_tables_are_referred_to_before_they_stand_or_on_the_same_page(
    smoke: Smoke,
) -> None:
    pages = PdfReader(smoke.out / "report" / "synthetic.pdf").pages
    texts = [" ".join(page.extract_text().replace("\u00a0", " ").split()) for page in pages]
    late, captions = [], 0
    for place, text in enumerate(texts):
        for name in re.findall(r"((?:Figure|Table) A?\d+)\. [A-Z]", text):
            captions += 1
            mention = re.compile(rf"{name}(?!\d|\. [A-Z])")
            if not any(mention.search(before) for before in texts[: place + 1]):
                late.append(name)
    assert captions > 30
    assert late == []


@pytest.mark.notebook
def test_no_page_but_the_last_is_left_empty_for_more_than_a_fifth(smoke: Smoke) -> None:
    pages = PdfReader(smoke.out / "report" / "synthetic.pdf").pages
    bottom = 79  # points: where the text of a page ends, above its number
    empty = []
    for page in pages[:-1]:
        heights: list[float] = []

        def note(
            text: str, page_matrix: Any, text_matrix: Any, *_: Any, found: list[float] = heights
        ) -> None:
            if text.strip():
                found.append(text_matrix[5] * page_matrix[3] + page_matrix[5])

        page.extract_text(visitor_text=note)
        lowest = min(y for y in heights if y > bottom - 10)
        empty.append((lowest - bottom) / float(page.mediabox.height))
    assert max(empty) <= 0.2


@pytest.mark.notebook
def test_numbers_are_those_of_one_run(smoke: Smoke) -> None:
    numbers = smoke.numbers()
    sections = {"data", "base", "classifier", "detectors", "lambda", "latent", "centred", "claims"}
    sections.add("training")
    assert set(numbers) == sections | {"origins"}
    assert set(numbers["origins"]) == sections
    assert len({json.dumps(origin) for origin in numbers["origins"].values()}) == 1


@pytest.mark.notebook
def test_every_claim_has_a_verdict_by_a_rule(smoke: Smoke) -> None:
    claims = smoke.numbers()["claims"]
    assert list(claims) == list(RULES)
    for name, claim in claims.items():
        assert claim["seeds"] == 1
        parts = [part["measure"] for part in claim["parts"]]
        assert parts == [part.measure for part in RULES[name].parts]
        assert all(set(part) >= {"effect", "interval", "verdict"} for part in claim["parts"])


@pytest.mark.notebook
def test_executed_notebooks_are_kept_and_none_is_half_done(smoke: Smoke) -> None:
    executed = sorted(file.name for file in (smoke.out / "build/synthetic").iterdir())
    assert executed == [f"{name}.ipynb" for name in NOTEBOOKS]


@pytest.mark.notebook
def test_nothing_of_the_project_changes_with_out(smoke: Smoke) -> None:
    assert smoke.touched == []


@pytest.mark.notebook
def test_the_terminal_shows_notebook_model_and_progress(smoke: Smoke) -> None:
    assert [name for name in NOTEBOOKS if f"{name}\n" not in smoke.terminal] == []
    finished = rf"lam-1e-5 · {BUDGET:,} images · epoch \d+, loss 0\.\d{{4}} · \d+ images/s"
    assert re.search(finished, smoke.terminal)
    assert re.search(r"\d+ of \d+ models · .+ · all models \d+:\d\d:\d\d left", smoke.terminal)


@pytest.mark.notebook
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_picture_of_a_page_has_an_alternative_text(
    name: str, smoke: Smoke, caplog: pytest.LogCaptureFixture
) -> None:
    page, _ = HTMLExporter().from_filename(str(smoke.out / "build/synthetic" / f"{name}.ipynb"))
    texts = alt_texts(page)
    assert [text for text in texts if not text.endswith(".")] == []  # they are sentences
    assert caplog.messages == []  # nbconvert's warning
    assert len(texts) >= 2


@pytest.mark.notebook
@pytest.mark.long
def test_executed_notebooks_run_again_print_the_same_everywhere(smoke: Smoke) -> None:
    # Strictly: every output of every cell, not the marked ones alone.
    notebooks = smoke.out / "build/synthetic"
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-cell-timeout=600"]
    command += ["-p", "no:cacheprovider", f"--rootdir={notebooks}", str(notebooks)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=notebooks, check=False)
    assert done.returncode == 0, done.stdout


# --- nbval's comparison of outputs, without another execution


def checked_cells(notebook: Path, session: pytest.Session) -> Iterator[IPyNbCell]:
    """The cells that nbval compares: those marked NBVAL_CHECK_OUTPUT, as with --nbval-lax."""
    file = IPyNbFile.from_parent(session, path=notebook)
    file.compare_outputs = False
    for cell in file.collect():
        if cell.options["check"]:
            yield cell


def differences(committed: Path, executed: Path, session: pytest.Session) -> list[str]:
    """What nbval says of each marked cell whose output is not the committed one."""
    code = [cell for cell in original_cells(executed) if cell.cell_type == "code"]
    found = []
    for cell in checked_cells(committed, session):
        assert code[cell.cell_num].source == cell.cell.source
        outputs = coalesce_streams(code[cell.cell_num].outputs)
        if not cell.compare_outputs(outputs, coalesce_streams(cell.cell.outputs)):
            report = "\n".join(cell.comparison_traceback)
            found.append(f"{committed.name}, code cell {cell.cell_num}: {report}")
    return found


@pytest.mark.notebook
def test_committed_outputs_hold_in_the_smoke_preset_too(
    smoke: Smoke, request: pytest.FixtureRequest
) -> None:
    # Marked cells print the same in every preset.
    found = []
    for name in NOTEBOOKS:
        executed = smoke.out / "build/synthetic" / f"{name}.ipynb"
        found += differences(paths.NOTEBOOKS / executed.name, executed, request.session)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", NOTEBOOKS[:5])  # 06 has no marked cell
def test_every_changed_output_of_a_marked_cell_is_found(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    committed = paths.NOTEBOOKS / f"{name}.ipynb"
    assert differences(committed, committed, request.session) == []
    numbers = [cell.cell_num for cell in checked_cells(committed, request.session)]
    for number in numbers:
        for change in ("another word", "no output"):
            notebook = nbformat.read(committed, as_version=4)
            cell = [cell for cell in notebook.cells if cell.cell_type == "code"][number]
            if change == "no output":
                cell.outputs = []
            else:
                cell.outputs[0].text += "x"
            changed = tmp_path / committed.name
            nbformat.write(notebook, changed)
            assert len(differences(committed, changed, request.session)) == 1
            assert len(differences(changed, committed, request.session)) == 1


# --- what is committed


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
    for output in outputs:
        texts += [text for kind, text in output.get("data", {}).items() if "text/" in kind]
    assert any(texts)
    assert not [text for text in texts if ABSOLUTE_PATH.search(text)]


@pytest.mark.parametrize("name", WRITTEN)
def test_committed_pictures_have_alternative_texts(name: str) -> None:
    # As HTML: neither JupyterLab nor nbconvert shows the text of an image in another format.
    outputs = [output.get("data", {}) for cell in code_of(name) for output in cell.outputs]
    assert not [kind for data in outputs for kind in data if kind.startswith("image/")]
    pages = [data["text/html"] for data in outputs if "text/html" in data]
    assert "" not in [text for page in pages for text in alt_texts(page)]
    texts = [cell.source for cell in committed(name).cells if cell.cell_type == "markdown"]
    assert not [text for text in texts if "![](" in text or "<img" in text]


@pytest.mark.parametrize("name", WRITTEN)
def test_notebooks_are_short(name: str) -> None:
    assert len(committed(name).cells) <= MOST_CELLS
    longest = LONGEST_PARAGRAPH if name == "06_report" else LONGEST_CELL
    assert max(len(cell.source.splitlines()) for cell in code_of(name)) <= longest


@pytest.mark.parametrize("name", WRITTEN)
def test_notebooks_define_nothing_that_a_module_should_hold(name: str) -> None:
    # Training loops are what 02 and 05 teach.
    kinds = (ast.FunctionDef, ast.ClassDef, ast.While)
    source = "\n".join(cell.source for cell in code_of(name))
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    assert "train_step(" not in source or name in ("02_training", "05_centred_z")


@pytest.mark.parametrize("name", WRITTEN)
def test_parameters_are_literals_with_a_comment_each(name: str) -> None:
    (cell,) = [c for c in code_of(name) if "parameters" in c.metadata.get("tags", [])]
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign)
        assert isinstance(statement.value, ast.Constant)
    assert all("  # " in line for line in cell.source.splitlines())


def test_every_figure_is_drawn_by_a_cell_that_says_so() -> None:
    numbers: list[int] = []
    for name in NOTEBOOKS:
        for cell in code_of(name):
            comment = re.match(r"# Figures? (\d+)(?: (?:to|and) (\d+))?\n", cell.source)
            if comment:
                first, last = int(comment[1]), int(comment[2] or comment[1])
                numbers += range(first, last + 1)
    assert numbers == list(range(1, 15))  # in the order of the original
