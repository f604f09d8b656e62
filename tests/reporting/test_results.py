"""Figures and numbers tell where they came from, and those of another run are refused."""

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from IPython.display import Image as DisplayedImage
from IPython.display import Markdown
from PIL import Image

from tests.conftest import refusal
from vaelib.reporting import results, show
from vaelib.reporting.results import Origin, Results
from vaelib.support import provenance

ORIGIN = Origin(
    data="synthetic", fingerprint="0123456789abcdef", preset="smoke", seed=3, images="2000 320"
)
OTHERS = {
    "fingerprint": replace(ORIGIN, fingerprint="fedcba9876543210"),
    "preset": replace(ORIGIN, preset="quick"),
    "seed": replace(ORIGIN, seed=4),
    "images": replace(ORIGIN, images="40000 2500"),
}


class Shown(NamedTuple):
    """One displayed output."""

    what: DisplayedImage | Markdown
    metadata: dict[str, Any] | None


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """What was displayed, in order."""
    seen: list[Shown] = []

    def display(what: DisplayedImage | Markdown, metadata: dict[str, Any] | None = None) -> None:
        seen.append(Shown(what, metadata))

    monkeypatch.setattr(results, "display", display)
    return seen


@pytest.fixture
def here(tmp_path: Path, shown: list[Shown], monkeypatch: pytest.MonkeyPatch) -> Results:
    """Results in an empty folder, made at a known commit; what they display is kept off the log."""
    monkeypatch.setattr(provenance, "commit", lambda: "0a1b2c3d4e")
    return Results(tmp_path, ORIGIN)


def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def save(results_here: Results, label: str = "fig-3", caption: str = "Faces, λ = 10⁻³.") -> None:
    results_here.save_figure(label, picture(), caption, ["key-one", "key-two"])


def contents(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))


# --- saving figures


@pytest.mark.parametrize(
    ("label", "file"), [("fig-3", "fig03.png"), ("fig-14", "fig14.png"), ("fig-a1", "figa1.png")]
)
def test_a_figure_is_written_under_its_number(here: Results, label: str, file: str) -> None:
    save(here, label)
    assert [path.name for path in here.folder.iterdir()] == [file]


def test_figures_lie_under_the_name_of_their_data(here: Results, tmp_path: Path) -> None:
    assert here.folder == tmp_path / "figures" / "synthetic"


def test_a_saved_figure_has_the_very_pixels(here: Results) -> None:
    save(here)
    with Image.open(here.folder / "fig03.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(picture()))


def test_a_saved_figure_tells_where_it_came_from(here: Results) -> None:
    save(here)
    with Image.open(here.folder / "fig03.png") as saved:
        told = dict(saved.info)
    assert told == {
        "Title": "fig-3",
        "Description": "Faces, λ = 10⁻³.",
        "Data": "synthetic",
        "Fingerprint": "0123456789abcdef",
        "Preset": "smoke",
        "Seed": "3",
        "Images": "2000 320",
        "Experiment": "key-one key-two",
        "Commit": "0a1b2c3d4e",
    }


def test_saving_again_replaces_the_figure(here: Results) -> None:
    save(here, caption="before")
    save(here, caption="after")
    with Image.open(here.folder / "fig03.png") as saved:
        assert saved.info["Description"] == "after"


@pytest.fixture
def broken_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full after some bytes of a picture."""

    def fail(_: Image.Image, file: Path, **__: object) -> None:
        Path(file).write_bytes(b"\x89PNG")
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)


@pytest.mark.usefixtures("broken_disk")
def test_a_figure_that_cannot_be_saved_leaves_nothing_behind(
    here: Results, shown: list[Shown]
) -> None:
    with pytest.raises(OSError, match="no space"):
        save(here)
    assert list(here.folder.iterdir()) == []
    assert shown == []


def test_a_figure_that_cannot_be_saved_leaves_the_one_before(
    here: Results, request: pytest.FixtureRequest
) -> None:
    save(here)
    before = (here.folder / "fig03.png").read_bytes()
    request.getfixturevalue("broken_disk")
    with pytest.raises(OSError, match="no space"):
        save(here, caption="after")
    assert contents(here.folder) == ["fig03.png"]
    assert (here.folder / "fig03.png").read_bytes() == before


# --- showing figures


def test_a_figure_is_shown_with_what_the_pdf_needs(here: Results, shown: list[Shown]) -> None:
    save(here)
    shown.clear()
    here.show_figure("fig-3", width=0.8)
    assert shown[0].metadata == {
        "figure": {
            "label": "fig-3",
            "path": "figures/synthetic/fig03.png",
            "caption": "Faces, λ = 10⁻³.",
            "width": 0.8,
        }
    }


def test_what_the_pdf_needs_can_be_written_into_a_notebook(
    here: Results, shown: list[Shown]
) -> None:
    save(here)
    assert json.loads(json.dumps(shown[0].metadata)) == shown[0].metadata


def test_a_notebook_keeps_a_jpeg_of_the_figures_size(here: Results, shown: list[Shown]) -> None:
    save(here)
    assert isinstance(shown[0].what, DisplayedImage)
    with Image.open(io.BytesIO(shown[0].what.data)) as preview:
        assert (preview.format, preview.size) == ("JPEG", (30, 20))


def test_the_caption_below_a_figure_is_for_the_notebook_only(
    here: Results, shown: list[Shown]
) -> None:
    save(here, "fig-a1", "Faces.")
    _, caption = shown
    assert caption.metadata == {"notebook_only": True}
    assert isinstance(caption.what, Markdown)
    assert caption.what.data == '<a id="fig-a1"></a>**Figure A1.** Faces.'


def test_a_saved_figure_is_shown_at_once_and_once(here: Results, shown: list[Shown]) -> None:
    save(here)
    assert [set(each.metadata or {}) for each in shown] == [{"figure"}, {"notebook_only"}]


def test_a_missing_figure_is_refused_by_its_file(here: Results, shown: list[Shown]) -> None:
    assert "fig07.png is missing" in refusal(lambda: here.show_figure("fig-7"))
    assert shown == []


@pytest.mark.parametrize("what", OTHERS)
def test_a_figure_of_another_run_is_refused(here: Results, shown: list[Shown], what: str) -> None:
    save(replace(here, origin=OTHERS[what]))
    shown.clear()
    message = refusal(lambda: here.show_figure("fig-3"))
    assert "fig03.png" in message
    for origin in (ORIGIN, OTHERS[what]):
        told = {"fingerprint": origin.fingerprint[:12], "preset": origin.preset}
        told |= {"seed": str(origin.seed), "images": origin.images}
        assert told[what] in message
    assert shown == []


# --- numbers


def test_recorded_numbers_come_back_as_they_were(here: Results) -> None:
    numbers = {
        "base": {"kl": 98.765432109876543, "active_units": 37},
        "lam": 1e-5,
        "smallest": math.ulp(0.0),
        "names": ["mean μ²", "lam-1e-5"],
        "nothing": None,
    }
    here.record("study", numbers)
    assert here.numbers("study") == numbers


def test_a_section_is_replaced_as_a_whole(here: Results) -> None:
    here.record("study", {"old": 1, "both": 1})
    here.record("study", {"both": 2})
    assert here.numbers("study") == {"both": 2}


def test_other_sections_stay(here: Results) -> None:
    here.record("one", {"value": 1})
    here.record("two", {"value": 2})
    assert (here.numbers("one"), here.numbers("two")) == ({"value": 1}, {"value": 2})


def test_numbers_of_one_data_set_lie_in_one_readable_file(here: Results) -> None:
    here.record("study", {"mean μ²": 1})
    assert contents(here.folder) == ["numbers.json"]
    told = (here.folder / "numbers.json").read_text(encoding="utf-8")
    assert "μ²" in told
    assert json.loads(told) == {"study": {"mean μ²": 1}, "origins": {"study": vars(ORIGIN)}}


@pytest.mark.parametrize("recorded", [(), ("other",)])
def test_a_missing_section_is_refused_by_name(here: Results, recorded: tuple[str, ...]) -> None:
    for section in recorded:
        here.record(section, {"value": 1})
    assert "no section 'study'" in refusal(lambda: here.numbers("study"))


def test_a_section_without_an_origin_is_refused(here: Results) -> None:
    here.record("other", {"value": 1})
    file = here.folder / "numbers.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"study": {"value": 1}}))
    assert "no section 'study'" in refusal(lambda: here.numbers("study"))


@pytest.mark.parametrize("what", OTHERS)
def test_a_section_of_another_run_is_refused(here: Results, what: str) -> None:
    replace(here, origin=OTHERS[what]).record("study", {"value": 1})
    assert "section 'study'" in refusal(lambda: here.numbers("study"))


def test_a_section_of_another_run_does_not_spoil_the_others(here: Results) -> None:
    replace(here, origin=OTHERS["seed"]).record("theirs", {"value": 1})
    here.record("ours", {"value": 2})
    assert here.numbers("ours") == {"value": 2}


def test_numbers_are_added_to_those_of_a_section(here: Results) -> None:
    here.add("claims", {"C1": {"effect": 1}, "C2": {"effect": 2}})
    here.add("claims", {"C2": {"verdict": "holds"}, "C3": {"effect": 3}})
    assert here.numbers("claims") == {
        "C1": {"effect": 1},
        "C2": {"verdict": "holds"},
        "C3": {"effect": 3},
    }


def test_added_numbers_are_in_the_order_of_their_names(here: Results) -> None:
    for name in ("C10", "C2", "seeds", "C1"):
        here.add("claims", {name: 0})
    assert list(here.numbers("claims")) == ["C1", "C2", "C10", "seeds"]


def test_adding_to_one_section_leaves_the_others(here: Results) -> None:
    here.record("study", {"value": 1})
    here.add("claims", {"C1": 2})
    assert (here.numbers("study"), here.numbers("claims")) == ({"value": 1}, {"C1": 2})


@pytest.mark.parametrize("what", OTHERS)
def test_numbers_of_another_run_are_not_added_to(here: Results, what: str) -> None:
    replace(here, origin=OTHERS[what]).add("claims", {"C1": "theirs", "C2": "theirs"})
    here.add("claims", {"C1": "ours"})
    assert here.numbers("claims") == {"C1": "ours"}


def test_numbers_without_an_origin_are_not_added_to(here: Results) -> None:
    here.folder.mkdir(parents=True)
    (here.folder / "numbers.json").write_text('{"claims": {"C1": "whose?"}}')
    here.add("claims", {"C2": "ours"})
    assert here.numbers("claims") == {"C2": "ours"}


@pytest.mark.parametrize("what", OTHERS)
def test_tags_tell_another_run_from_this(what: str) -> None:
    assert OTHERS[what].tags != ORIGIN.tags


def test_tags_are_the_same_for_data_of_another_name() -> None:
    assert replace(ORIGIN, data="faces").tags == ORIGIN.tags  # its fingerprint tells it


def test_numbers_that_cannot_be_written_leave_those_before(here: Results) -> None:
    here.record("study", {"value": 1})
    with pytest.raises(TypeError):
        here.record("study", {"value": object()})
    assert contents(here.folder) == ["numbers.json"]
    assert here.numbers("study") == {"value": 1}


# --- words, tables and formulas


def displayed_markdown(shown: list[Shown], show: Callable[[], None]) -> str:
    show()
    [(what, metadata)] = shown
    assert isinstance(what, Markdown)
    assert metadata is None
    assert isinstance(what.data, str)
    return what.data


def test_say_fills_its_placeholders(shown: list[Shown]) -> None:
    text = "\nKL is {base[kl]:.0f} nats after {run.seed:,} images.\n"
    said = displayed_markdown(
        shown, lambda: show.text(text, base={"kl": 98.6}, run=replace(ORIGIN, seed=40_000))
    )
    assert said == "KL is 99 nats after 40,000 images."


@pytest.mark.parametrize("text", ["{kl} nats", "{base[reconstruction]} of error"])
def test_say_fails_on_a_missing_placeholder(shown: list[Shown], text: str) -> None:
    with pytest.raises(KeyError):
        show.text(text, base={"kl": 98.6})
    assert shown == []


def test_a_table_is_a_pipe_table_with_numbers_to_the_right(shown: list[Shown]) -> None:
    rows = [["lam-1e-5", "0.05", 99], ["centred", "0.06", 40]]
    table = displayed_markdown(
        shown, lambda: show.table(["model", "error", "KL"], rows, "MeasuresByModel.", "tbl-models")
    )
    assert table == (
        '<a id="tbl-models"></a>\n'
        "\n"
        "| model | error | KL |\n"
        "| :-- | --: | --: |\n"
        "| lam-1e-5 | 0.05 | 99 |\n"
        "| centred | 0.06 | 40 |\n"
        "\n"
        "Table: MeasuresByModel."
    )


def test_a_table_needs_neither_caption_nor_label(shown: list[Shown]) -> None:
    table = displayed_markdown(shown, lambda: show.table(["a", "b"], [["x", 1]]))
    assert table == "| a | b |\n| :-- | --: |\n| x | 1 |"


def alignment(shown: list[Shown], *columns: list[object]) -> list[str]:
    """How the columns of a table are aligned."""
    rows, header = list(zip(*columns, strict=True)), ["x"] * len(columns)
    return displayed_markdown(shown, lambda: show.table(header, rows)).splitlines()[1].split(" | ")


@pytest.mark.parametrize(
    ("column", "dashes"),
    [
        ([0.5, 12], "--:"),
        (["0.50 ± 0.10", "-"], "--:"),
        (["-1.5", ""], "--:"),
        (["holds", "fails"], ":--"),
        (["-", "μ²"], ":--"),
        (["2000 mean MSE + KL", "SSE + KL"], ":--"),
    ],
)
def test_a_column_of_words_stands_to_the_left(
    shown: list[Shown], column: list[object], dashes: str
) -> None:
    assert alignment(shown, ["a", "b"], column, [1, 2]) == ["| :--", dashes, "--: |"]


def test_the_first_column_stands_to_the_left_even_of_numbers(shown: list[Shown]) -> None:
    assert alignment(shown, [1, 2], [3, 4]) == ["| :--", "--: |"]


def test_rows_may_be_given_one_by_one(shown: list[Shown]) -> None:
    rows = (["x", number] for number in (1, 2))
    table = displayed_markdown(shown, lambda: show.table(["a", "b"], rows))
    assert table == "| a | b |\n| :-- | --: |\n| x | 1 |\n| x | 2 |"


@pytest.mark.parametrize(
    ("value", "formula"),
    [
        (1.085e-5, r"1.1 \times 10^{-5}"),
        (9.96e-4, r"1.0 \times 10^{-3}"),
        (3.0, r"3.0 \times 10^{0}"),
        (3_000_000, r"3.0 \times 10^{6}"),
        (-0.25, r"-2.5 \times 10^{-1}"),
    ],
)
def test_scientific_numbers_are_formulas(value: float, formula: str) -> None:
    assert show.scientific(value) == formula


def test_a_picture_shown_in_passing_leaves_no_file(
    shown: list[Shown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    show.picture(picture())
    assert contents(tmp_path) == []
    [(what, _)] = shown
    assert isinstance(what, DisplayedImage)
    with Image.open(io.BytesIO(what.data)) as preview:
        assert preview.size == (30, 20)
