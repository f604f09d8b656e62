"""Notebooks show text with numbers filled in, Markdown tables, formulas and pictures."""

import math
from pathlib import Path

import pytest
from IPython.display import HTML, Markdown
from PIL import Image

from tests.reporting.conftest import Shown, alt_texts, jpeg_in
from vaelib import model
from vaelib.config import Experiment
from vaelib.reporting import show
from vaelib.reporting.picture import Picture


def markdown(shown: list[Shown]) -> str:
    """The one thing that was shown, which is Markdown and printed in the report too."""
    [(what, metadata)] = shown
    assert isinstance(what, Markdown)
    assert metadata is None
    assert isinstance(what.data, str)
    return what.data


def test_text_has_its_placeholders_filled(shown: list[Shown]) -> None:
    template = "\nKL is {base[kl]:.0f} nats after {experiment.budget:,} images.\n"
    show.text(template, base={"kl": 98.6}, experiment=Experiment(budget=40_000))
    assert markdown(shown) == "KL is 99 nats after 40,000 images."


@pytest.mark.parametrize("template", ["{kl} nats", "{base[reconstruction]} of error"])
def test_text_without_a_value_for_a_placeholder_is_an_error(
    shown: list[Shown], template: str
) -> None:
    with pytest.raises(KeyError):
        show.text(template, base={"kl": 98.6})
    assert shown == []


def test_a_table_has_a_label_before_it_and_its_caption_below(shown: list[Shown]) -> None:
    rows = [["lam-1e-5", "0.05", 99], ["centred", "0.06", 40]]
    show.table(["model", "error", "KL"], rows, "Two models.", "tbl-models")
    assert markdown(shown) == (
        '<a id="tbl-models"></a>\n'
        "\n"
        "| model | error | KL |\n"
        "| :------- | ----: | --: |\n"
        "| lam-1e-5 | 0.05 | 99 |\n"
        "| centred | 0.06 | 40 |\n"
        "\n"
        "Table: Two models."
    )


def test_a_table_needs_neither_caption_nor_label_nor_a_list_of_rows(shown: list[Shown]) -> None:
    show.table(["a", "b"], (["x", number] for number in (1, 2)))
    assert markdown(shown) == "| a | b |\n| :-- | --: |\n| x | 1 |\n| x | 2 |"


@pytest.mark.parametrize(("template", "value"), [("{x}", ""), ("{x}", None), ("{x:.1f}", math.nan)])
def test_a_placeholder_that_would_leave_a_gap_is_an_error(template: str, value: object) -> None:
    with pytest.raises(ValueError, match="says nothing"):
        show.text(template, x=value)


def test_text_stands_to_the_left_and_numbers_to_the_right(shown: list[Shown]) -> None:
    columns: dict[str, tuple[object, object, str]] = {
        "first": (1, 2, ":--"),  # the first column always to the left
        "numbers": (0.5, 12, "--:"),
        "intervals": ("0.50 ± 0.10", "-", "--:"),
        "empty": ("-1.5", "", "--:"),
        "words": ("holds", "fails", ":--"),
        "symbols": ("-", "μ²", ":--"),
        "formulas": ("2000 mean MSE + KL", "SSE + KL", ":--"),
    }
    show.table(
        list(columns),
        [[column[row] for column in columns.values()] for row in (0, 1)],
    )
    dashes = [cell.strip("-") for cell in second_line(shown)]
    assert dict(zip(columns, dashes, strict=True)) == {
        name: column[2].strip("-") for name, column in columns.items()
    }


def test_a_column_is_as_wide_as_its_longest_cell_up_to_a_limit(shown: list[Shown]) -> None:
    show.table(["", "measure", "effect"], [["C1", "x" * 200, "0.5"], ["C12", "y", "0.25"]])
    assert [len(cell) for cell in second_line(shown)] == [3, show.WIDEST_COLUMN, len("effect")]


def second_line(shown: list[Shown]) -> list[str]:
    """The cells of the line that says how a table's columns are aligned."""
    return markdown(shown).splitlines()[1].strip("| ").split(" | ")


def test_a_picture_is_shown_without_writing_a_file(
    shown: list[Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    show.picture(Picture(Image.new("RGB", (30, 20)), "A black rectangle."))
    assert list(tmp_path.iterdir()) == []
    [(what, _)] = shown
    assert isinstance(what, HTML)
    assert jpeg_in(what).size == (30, 20)


def test_a_wide_picture_is_kept_smaller_in_the_same_proportions() -> None:
    wide = show.preview(Picture(Image.new("RGB", (3200, 400)), "Black."))
    assert jpeg_in(wide).size == (show.PREVIEW_WIDTH, show.PREVIEW_WIDTH // 8)


def test_a_picture_has_its_alternative_text_whatever_signs_are_in_it() -> None:
    alt = 'Faces of "lam-1e-5", 3 < 4 & <b>.'
    shown_html = show.preview(Picture(Image.new("RGB", (3, 2)), alt)).data
    assert alt_texts(shown_html) == [alt]


def test_source_is_shown_as_it_stands_in_its_module(shown: list[Shown]) -> None:
    show.source(model.reparametrise)
    text = markdown(shown)
    block = '<div style="font-family: monospace">\n\n'
    assert text.startswith(block + "```python\ndef reparametrise(mu: Tensor,")
    assert text.endswith("* noise\n```\n\n</div>")
