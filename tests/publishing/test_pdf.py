"""A notebook becomes a PDF: what is printed, under which number, and what is refused."""

import re
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject

from vaelib.publishing.cells import ExportError
from vaelib.publishing.pdf import PdfExporter, export_pdf
from vaelib.support.errors import InputError
from vaelib.support.paths import REPORT

FRONT = """# What a decoder owes its prior: a trial

Seven small models, one loss and an answer in a single line: $\\lambda \\approx 10^{-5}$.

## Abstract

We set a notebook with everything in it, so that every rule of the page is seen at work: formulas
such as $2\\,\\mathrm{MSE}/D$, *emphasis*, and a few lines of text to fill the block."""

BODY = """<a id="sec-loss"></a>
## 1 The loss

[Kingma and Welling (2014)](#ref-kingma2014) bound the evidence
([Rezende et al., 2014](#ref-rezende2014)), after [Perriu and Amadi](#ref-perriu):

<a id="eq-elbo"></a>
$$\\mathcal{L} = \\mathbb{E}_{q_\\phi(z \\mid x)}\\!\\left[\\log p_\\theta(x \\mid z)\\right]
- \\operatorname{KL}\\!\\left(q_\\phi(z \\mid x) \\,\\|\\, p(z)\\right)$$

which [Equation 1](#eq-elbo) of [Section 1](#sec-loss) says, [Figure 3](#fig-3) shows, beside
[Figure A1](#fig-a1) and [Figure 4](#fig-4), and [Table 1](#tbl-models) counts. An unlabelled one
has no number:

$$\\begin{aligned} a &= \\tfrac{1}{2} \\sum_{i=1}^{D} \\mu_i^2 \\\\ &\\geq 0 \\end{aligned}$$

### 1.1 Models

<a id="tbl-models"></a>

| model     | latent | parameters | MSE    |
|:----------|-------:|-----------:|-------:|
| `lam`     |     64 |  3,540,739 | 0.0500 |
| small     |     32 |  3,245,763 | 10.050 |

Table: Three models of *one* shape, with $\\lambda = 10^{-5}$.

The models were drawn so:
- as a list without a blank line,
- with `code`, "quotes" and a [page](https://arxiv.org), or [another notebook](02_training.ipynb).
"""

ONE_FIGURE = "# Title\n\n## Text\n\n[Figure 1](#fig-1) is all there is."

ALT = 'Thirty-two faces, "drawn" by \\ a model.'

REFERENCES = '## References\n\n<a id="ref-kingma2014"></a>Kingma, listed for Jupyter alone'


def figure_output(label: str, path: str, caption: str, **more: Any) -> NotebookNode:
    figure = {"label": label, "path": path, "caption": caption, "alt": ALT, **more}
    data = {"text/html": "<img src='data:'>", "text/plain": "<the preview>"}
    output: NotebookNode = new_output("display_data", data=data, metadata={"figure": figure})
    return output


def markdown_output(text: str, **metadata: Any) -> NotebookNode:
    output: NotebookNode = new_output(
        "display_data", data={"text/markdown": text}, metadata=metadata
    )
    return output


def a_report() -> NotebookNode:
    """A notebook with one of everything; Figure A1 comes before Figures 3 and 4."""
    outputs = [
        new_output("stream", name="stdout", text="a printed stream"),
        new_output("execute_result", data={"text/plain": "a plain representation"}),
        figure_output("fig-a1", "figures/wide.png", "A small one.", width=0.4),
        figure_output("fig-3", "figures/wide.png", "Faces, at $\\lambda = 1$ and *enlarged*."),
        figure_output("fig-4", "figures/wide.png", "The later one."),
        markdown_output("**Figure 3.** A caption for Jupyter.", notebook_only=True),
        markdown_output("The error is **0.05** by the numbers file."),
    ]
    cells = [
        new_markdown_cell(FRONT),
        new_markdown_cell("What you will learn", metadata={"tags": ["notebook-only"]}),
        new_code_cell("secret_code = 1", outputs=outputs),
        new_markdown_cell(BODY),
        new_markdown_cell(REFERENCES, metadata={"tags": ["notebook-only"]}),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # nbformat draws them at random
    notebook: NotebookNode = new_notebook(cells=cells)
    return notebook


def with_figure(folder: Path) -> Path:
    """The folder, with a figure in it."""
    (folder / "figures").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 60, 3), dtype=np.uint8)
    Image.fromarray(noise.repeat(3, 0).repeat(3, 1)).save(folder / "figures" / "wide.png")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder but for the file of a figure."""
    return with_figure(tmp_path)


class Export(Protocol):
    def __call__(self, notebook: Path, target: Path, /, figures_root: Path) -> None: ...


def exported(notebook: NotebookNode, folder: Path, target: str, export: Export) -> Path:
    """The file that an exporter makes of a notebook whose figures lie in the folder."""
    nbformat.write(notebook, folder / "06_report.ipynb")
    export(folder / "06_report.ipynb", folder / target, figures_root=folder)
    return folder / target


def export(notebook: NotebookNode, folder: Path) -> Path:
    return exported(notebook, folder, "report.pdf", export_pdf)


def words(pdf: Path) -> str:
    """The text of a PDF on one line."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


def refusal(notebook: NotebookNode, folder: Path) -> str:
    with pytest.raises(ExportError) as refused:
        export(notebook, folder)
    message = str(refused.value)
    assert "\n" not in message
    return message


def with_text(text: str) -> NotebookNode:
    notebook = a_report()
    notebook.cells[3].source += "\n\n" + text
    return notebook


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of the whole report, exported once."""
    return words(export(a_report(), with_figure(tmp_path_factory.mktemp("printed"))))


def test_figures_are_numbered_by_their_labels(printed: str) -> None:
    assert re.findall(r"Figure (A?\d+)\. (\w+)", printed) == [
        ("A1", "A"),
        ("3", "Faces"),
        ("4", "The"),
    ]


def test_figures_out_of_order_are_refused(folder: Path) -> None:
    notebook = a_report()
    outputs = notebook.cells[2].outputs
    outputs[3], outputs[4] = outputs[4], outputs[3]
    assert "fig-3 stands behind fig-4" in refusal(notebook, folder)


def test_what_no_sentence_refers_to_is_refused(folder: Path) -> None:
    notebook = a_report()
    notebook.cells[2].outputs.append(figure_output("fig-9", "figures/wide.png", "Alone."))
    assert "no sentence refers to fig-9" in refusal(notebook, folder)
    table = '<a id="tbl-alone"></a>\n\n| a |\n|---|\n| 1 |\n\nTable: Alone.'
    assert "no sentence refers to tbl-alone" in refusal(with_text(table), folder)


def alternative_texts(pdf: Path) -> list[str]:
    """The alternative texts of the figures in a PDF's structure tree."""
    found = []

    def collect(node: Any) -> None:
        node = node.get_object()
        if isinstance(node, ArrayObject):
            for child in node:
                collect(child)
        elif isinstance(node, DictionaryObject):
            if node.get("/S") == "/Figure":
                found.append(str(node["/Alt"]))
            elif "/K" in node:
                collect(node["/K"])

    collect(PdfReader(pdf).root_object["/StructTreeRoot"])
    return found


def test_a_figure_has_its_alternative_text(folder: Path) -> None:
    assert alternative_texts(export(a_report(), folder)).count(ALT) == 3


def test_figures_of_half_the_width_stand_side_by_side(folder: Path) -> None:
    notebook = a_report()
    pair = [
        figure_output(f"fig-{number}", "figures/wide.png", f"Half number {number}.", width=0.5)
        for number in (5, 6)
    ]
    notebook.cells[2].outputs += pair
    notebook.cells[3].source += "\n\nBoth [Figure 5](#fig-5) and [Figure 6](#fig-6)."
    lines: dict[str, float] = {}
    for page in PdfReader(export(notebook, folder)).pages:
        page.extract_text(
            visitor_text=lambda text, _, place, *__: lines.update({text.strip(): place[5]})
        )
    heights = [height for text, height in lines.items() if "Half number" in text]
    assert len(heights) == 2
    assert heights[0] == heights[1]


def test_a_width_is_a_share_of_the_text(folder: Path) -> None:
    def image_width(share: float) -> float:
        notebook = new_notebook(cells=[new_markdown_cell(ONE_FIGURE), new_code_cell("")])
        notebook.cells[1].outputs = [
            figure_output("fig-1", "figures/wide.png", "Noise.", width=share)
        ]
        content = PdfReader(export(notebook, folder)).pages[0].get_contents()
        assert content is not None
        scales = re.findall(
            rb"([\d.]+) 0 0 -?[\d.]+ [\d.-]+ [\d.-]+ cm\s*/\w+ Do", content.get_data()
        )
        assert len(scales) == 1
        return float(scales[0])

    assert image_width(0.5) == pytest.approx(0.5 * image_width(1.0), rel=1e-3)


DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="212.4pt" height="72pt"
  viewBox="0 0 212.4 72"><text x="9" y="40" style="font-size: 9px;
  font-family: 'Libertinus Serif'">words of a chart</text></svg>"""


def test_a_drawing_is_printed_as_one_in_its_own_size(folder: Path) -> None:
    (folder / "figures" / "chart.svg").write_text(DRAWING)
    notebook = new_notebook(cells=[new_markdown_cell(ONE_FIGURE), new_code_cell("")])
    notebook.cells[1].outputs = [figure_output("fig-1", "figures/chart.svg", "Lines.")]
    pdf = export(notebook, folder)
    [page] = PdfReader(pdf).pages
    assert len(page.images) == 0
    assert "words of a chart" in page.extract_text()
    assert b"DejaVu" not in pdf.read_bytes()
    assert b"LibertinusSerif" in pdf.read_bytes()


def test_a_picture_is_printed_no_finer_than_print_needs(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 3000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "figures" / "wide.png")
    notebook = new_notebook(cells=[new_markdown_cell(ONE_FIGURE), new_code_cell("")])
    notebook.cells[1].outputs = [figure_output("fig-1", "figures/wide.png", "Noise.", width=0.5)]
    (picture,) = PdfReader(export(notebook, folder)).pages[0].images
    assert picture.image is not None
    assert picture.image.width == 649  # half of 5.9 inches at 220 dots per inch


def test_the_masthead_stands_above_the_abstract_and_dates_the_pdf(folder: Path) -> None:
    notebook = a_report()
    lines = markdown_output("After somebody else.\n\nSeed 3, of the last of November.")
    lines.metadata["date"] = "2026-11-30"
    notebook.cells.insert(1, new_code_cell("", outputs=[lines]))
    notebook.cells[0].source, abstract = FRONT.split("## Abstract")
    notebook.cells.insert(2, new_markdown_cell("## Abstract" + abstract))
    pdf = export(notebook, folder)
    text = words(pdf)
    assert text.index("After somebody") < text.index("Seed 3") < text.index("Abstract")
    created = PdfReader(pdf).metadata
    assert created is not None
    assert created.creation_date == datetime(2026, 11, 30, tzinfo=UTC)


def test_appendices_come_after_the_references_under_letters(folder: Path) -> None:
    notebook = with_text(
        "## Appendix: what was planned\n\nAll of it.\n\n## Appendix: a checklist\n\nDone."
    )
    text = words(export(notebook, folder))
    after = text[text.index("References") :]
    assert "A What was planned All of it." in after
    assert "B A checklist Done." in after


def test_a_long_table_goes_on_on_the_next_page_under_its_head(folder: Path) -> None:
    rows = "".join(f"| row {number} | {number} |\n" for number in range(80))
    notebook = with_text(f"| name | count |\n|:---|---:|\n{rows}")
    pages = [page.extract_text() for page in PdfReader(export(notebook, folder)).pages]
    with_rows = [text for text in pages if re.search(r"row \d", text)]
    assert len(with_rows) > 1
    assert all("name" in text and "count" in text for text in with_rows)


def filler(words_in_all: int) -> str:
    return "\n\n".join("Word " * 59 + "word." for _ in range(words_in_all // 60))


def test_text_fills_the_page_before_a_figure_that_does_not_fit(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "figures" / "tall.png")
    figure = figure_output("fig-1", "figures/tall.png", "A tall one.", width=0.8)
    first = f"# Title\n\n## Text\n\nBefore [Figure 1](#fig-1).\n\n{filler(480)}"
    cells = [
        new_markdown_cell(first),
        new_code_cell("", outputs=[figure]),
        new_markdown_cell(f"First behind.\n\n{filler(600)}\n\n## Next\n\nThe end."),
    ]
    pages = PdfReader(export(new_notebook(cells=cells), folder)).pages
    assert "First behind" in pages[0].extract_text()
    assert "A tall one" not in pages[0].extract_text()
    assert pages[1].extract_text().index("A tall one") < 200  # at the top


def test_a_figure_stays_in_its_section(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "figures" / "tall.png")
    figure = figure_output("fig-1", "figures/tall.png", "A tall one.", width=0.8)
    first = f"# Title\n\n## Text\n\nBefore [Figure 1](#fig-1).\n\n{filler(480)}"
    cells = [new_markdown_cell(first), new_code_cell("", outputs=[figure])]
    cells.append(new_markdown_cell("## Next\n\nThe end."))
    text = words(export(new_notebook(cells=cells), folder))
    assert text.index("A tall one") < text.index("The end")


def test_what_is_for_jupyter_alone_is_not_printed(printed: str) -> None:
    hidden = [
        "secret_code",
        "a printed stream",
        "a plain representation",
        "the preview",
        "What you will learn",
        "A caption for Jupyter",
        "listed for Jupyter alone",
    ]
    assert [words for words in hidden if words in printed] == []


def test_markdown_outputs_are_part_of_the_text(printed: str) -> None:
    assert "The error is 0.05 by the numbers file." in printed


def test_the_answer_and_the_abstract_stand_before_the_first_section(printed: str) -> None:
    places = [
        printed.index(words)
        for words in ("Seven small models", "Abstract", "We set a notebook", "1 The loss")
    ]
    assert places == sorted(places)


def test_only_the_labelled_equation_is_numbered(printed: str) -> None:
    assert re.findall(r"\(\d\)", printed) == ["(1)"]


def test_references_keep_the_words_that_were_typed(printed: str) -> None:
    assert (
        "which Equation 1 of Section 1 says, Figure 3 shows, beside Figure A1 and Figure 4, and"
        " Table 1 counts"
    ) in printed


def test_a_typed_section_number_is_printed_once(printed: str) -> None:
    assert "1 The loss" in printed
    assert "1 1 The loss" not in printed


def test_a_column_of_sentences_leaves_the_others_their_words_in_one_line(folder: Path) -> None:
    sentence = "by how much something is more than something else, and so on, at some length"
    row = f"| C12 | {sentence} | -0.05 (-0.10 to 0.00) | within 0.15 of 0 | undecided |"
    dashes = "|:--|:" + "-" * 56 + "|" + "-" * 20 + ":|:" + "-" * 14 + "|:" + "-" * 9 + "|"
    header = "| | what is measured | effect | holds if | verdict |"
    text = f"{header}\n{dashes}\n{row}"
    pages = PdfReader(export(with_text(text), folder)).pages
    lines = "\n".join(page.extract_text() for page in pages).splitlines()
    minus = "\N{MINUS SIGN}"
    cells = (f"{minus}0.05 ({minus}0.10 to 0.00)", "within 0.15 of 0", "undecided")
    assert not [cell for cell in cells if not any(cell in line for line in lines)]


NUMBERS = """Numbers below zero stand in [Table 2](#tbl-signs).

<a id="tbl-signs"></a>

| model | effect |
|:------|-------:|
| one | **-0.094 ± 0.030** |
| two | -0.15 (-0.23 to -0.08) |
| three | - |

Table: Numbers on 2026-12-01 in `a -1`.
"""


def test_numbers_have_a_minus_sign_and_code_has_what_was_typed(folder: Path) -> None:
    printed = words(export(with_text(NUMBERS), folder))
    assert "−0.094" in printed
    assert "−0.15 (−0.23 to −0.08)" in printed
    assert "three –" in printed
    assert "2026-12-01 in a -1" in printed


def test_cited_works_and_no_others_are_in_the_bibliography(printed: str) -> None:
    bibliography = printed[printed.index("References") :]
    for title in ("Auto-Encoding Variational Bayes", "Stochastic Backpropagation", "Course report"):
        assert title in bibliography
    assert "Adam" not in bibliography


def test_every_work_of_the_bibliography_can_be_cited(folder: Path) -> None:
    keys = re.findall(r"^@\w+\{(\w+),", (REPORT / "references.bib").read_text(), re.MULTILINE)
    assert len(keys) > 25
    names = {
        "kingma2014": "Kingma and Welling, 2014",
        "rezende2014": "Rezende et al., 2014",
        "doersch2016": "Doersch, 2016",
        "liu2015": "Liu et al., 2015",
        "ulyanov2016": "Ulyanov et al., 2016",
        "ioffe2015": "Ioffe and Szegedy, 2015",
        "kingma2015": "Kingma and Ba, 2015",
        "higgins2017": "Higgins et al., 2017",
        "rybkin2021": "Rybkin et al., 2021",
        "dumoulin2016": "Dumoulin and Visin, 2016",
        "burda2016": "Burda et al., 2016",
        "binkowski2018": "Bińkowski et al., 2018",
        "kynkaanniemi2019": "Kynkäänniemi et al., 2019",
        "naeem2020": "Naeem et al., 2020",
        "wu2018": "Wu and He, 2018",
        "perriu": "Perriu and Amadi",
        "viola2001": "Viola and Jones, 2001",
        "dalal2005": "Dalal and Triggs, 2005",
        "efron1993": "Efron and Tibshirani, 1993",
        "alemi2018": "Alemi et al., 2018",
        "rosca2018": "Rosca et al., 2018",
        "tomczak2018": "Tomczak and Welling, 2018",
        "dai2019": "Dai and Wipf, 2019",
        "heusel2017": "Heusel et al., 2017",
        "holm1979": "Holm, 1979",
        "buolamwini2018": "Buolamwini and Gebru, 2018",
        "pineau2021": "Pineau et al., 2021",
        "hoffman2016": "Hoffman and Johnson, 2016",
        "ghosh2020": "Ghosh et al., 2020",
    }
    assert set(keys) == set(names)
    text = "; ".join(f"[{name}](#ref-{key})" for key, name in names.items()) + "."
    assert "; ".join(names.values()) in words(export(with_text(text), folder))


def test_the_same_notebook_gives_the_same_bytes(folder: Path) -> None:
    first = export(a_report(), folder).read_bytes()
    (folder / "report.pdf").unlink()
    assert export(a_report(), folder).read_bytes() == first


def test_nbconvert_can_use_the_exporter(folder: Path) -> None:
    exporter = PdfExporter(figures_root=str(folder))
    document, resources = exporter.from_notebook_node(a_report())
    assert isinstance(document, bytes)
    assert len(PdfReader(BytesIO(document)).pages) == 2
    assert resources["output_extension"] == ".pdf"


@pytest.mark.slow  # each case is set by pandoc and Typst
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[Figure 9](#fig-9).", ["fig-9"]),
        ("[Section 4](#sec-gone).", ["sec-gone"]),
        ("[Here](#nowhere).", ["nowhere"]),
        ("[Figure 4](#fig-3).", ["fig-3", "says 4", "is 3"]),
        ("[Table 2](#tbl-models).", ["tbl-models", "says 2", "is 1"]),
        ("[Equation 7](#eq-elbo).", ["eq-elbo", "says 7", "is 1"]),
        ("[Section 2](#sec-loss).", ["sec-loss", "says 2", "is 1"]),
        ("[Figures 3 and 4](#fig-3).", ["more than one number"]),
        ("[Someone, 2020](#ref-someone2020).", ["someone2020", "references.bib"]),
        ("[Kingma and Welling, 2013](#ref-kingma2014).", ["2013", "Kingma and Welling, 2014"]),
        ("## 3 Results", ["numbered 3", "is 2"]),
        ('<a id="sec-loss"></a>\n## Again', ["sec-loss", "twice"]),
        ('<a id="sec-lost"></a>\n\nA paragraph.', ["sec-lost"]),
        ("The sum $\\undefinedmacro{x}$.", ["undefinedmacro"]),
        ("$$a = b \\tag{3}$$", ["\\tag", "a = b"]),
        (f"$${' + '.join(['a b c d'] * 20)}$$", ["a b c d", "cm wide"]),
        ("| a | b |\n|---|---|\n" + f"| 1 | {'word ' * 90} |\n" * 15, ["a table is", "cm high"]),
        ("A smile: \N{GRINNING FACE}.", ["\N{GRINNING FACE}", "GRINNING FACE", "A smile"]),
        ("A face: \N{CJK UNIFIED IDEOGRAPH-9854}.", ["\N{CJK UNIFIED IDEOGRAPH-9854}"]),
        ("Some <b>bold</b> HTML.", ["<b>", "HTML"]),
        ("Look: ![a picture](figures/wide.png).", ["figures/wide.png"]),
        ("# Another title", ["Another title"]),
        ("There it says so", ["has no end", "There it says so"]),
        ("they vary less.", ["small letter", "they vary less."]),
        ("It holds at .", ["a word is missing", "It holds at ."]),
        ("It holds (), we see.", ["a word is missing", "It holds ()"]),
    ],
)
def test_text_that_cannot_be_printed_as_meant_is_refused(
    text: str, named: list[str], folder: Path
) -> None:
    message = refusal(with_text(text), folder)
    assert [words for words in ["06_report", *named] if words not in message] == []


@pytest.mark.parametrize(
    ("output", "named"),
    [
        (new_output("error", ename="ValueError", evalue="boom"), ["ValueError: boom"]),
        (figure_output("fig-5", "figures/gone.png", "x"), ["fig-5", "figures/gone.png"]),
        (figure_output("fig-4", "figures/wide.png", "x"), ["fig-4", "twice"]),
        (figure_output("fig-loss", "figures/wide.png", "x"), ["fig-loss"]),
        (figure_output("fig-5", "figures/wide.png", "x", width=2), ["fig-5", "width 2"]),
        (figure_output("fig-5", "figures/wide.png", ""), ["without", "caption", "fig-5"]),
        (figure_output("fig-5", "figures/wide.png", "x", alt=""), ["without", "alt", "fig-5"]),
        (new_output("display_data", data={"text/html": "<img>"}), ["cell 3", "picture"]),
        (new_output("display_data", data={"image/png": "AAAA"}), ["cell 3", "picture"]),
    ],
)
def test_an_output_that_cannot_be_printed_is_refused(
    output: NotebookNode, named: list[str], folder: Path
) -> None:
    notebook = a_report()
    notebook.cells[2].outputs.append(output)
    message = refusal(notebook, folder)
    assert [words for words in ["06_report", *named] if words not in message] == []


def test_an_error_in_a_cell_for_jupyter_alone_is_refused_too(folder: Path) -> None:
    notebook = a_report()
    cell = new_code_cell("1 / 0", metadata={"tags": ["notebook-only"]})
    cell.outputs = [new_output("error", ename="ZeroDivisionError", evalue="division by zero")]
    notebook.cells.append(cell)
    assert "ZeroDivisionError" in refusal(notebook, folder)


def test_a_refused_export_leaves_the_folder_as_it_was(folder: Path) -> None:
    export(a_report(), folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    refusal(with_text("[Figure 9](#fig-9)"), folder)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del before[folder / "06_report.ipynb"], after[folder / "06_report.ipynb"]
    assert after == before


@pytest.mark.parametrize("content", [None, "not JSON", "[]", "{}"])
def test_a_file_that_is_no_notebook_is_the_readers_error(content: str | None, folder: Path) -> None:
    notebook = folder / "06_report.ipynb"
    if content is not None:
        notebook.write_text(content)
    with pytest.raises(InputError, match=r"06_report\.ipynb"):
        export_pdf(notebook, folder / "report.pdf", figures_root=folder)
