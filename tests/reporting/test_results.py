"""Figures and numbers carry their provenance, and those of another run are refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from IPython.display import HTML, Markdown
from PIL import Image, PngImagePlugin

from tests.conftest import refusal
from tests.reporting.conftest import Shown, alt_texts, jpeg_in
from vaelib.reporting.picture import Picture
from vaelib.reporting.results import Origin, Results
from vaelib.support import provenance

ORIGIN = Origin(
    data="synthetic", fingerprint="0123456789abcdef", preset="smoke", seed=3, budget="2000;320"
)
KEYS = ["key-one", "key-two"]  # of the runs that drew a figure
OTHERS = {
    "fingerprint": replace(ORIGIN, fingerprint="fedcba9876543210"),
    "preset": replace(ORIGIN, preset="quick"),
    "seed": replace(ORIGIN, seed=4),
    "budget": replace(ORIGIN, budget="40000;2500"),
}


@pytest.fixture
def here(tmp_path: Path, shown: list[Shown], monkeypatch: pytest.MonkeyPatch) -> Results:
    """Results in an empty folder, made at a known commit; what they display is kept off the log."""
    monkeypatch.setattr(provenance, "commit", lambda: "0a1b2c3d4e")
    return Results(tmp_path, ORIGIN)


def picture() -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Picture(Image.fromarray(pixels), "Coloured noise.")


def save(results_here: Results, label: str = "fig-3", caption: str = "Faces, λ = 10⁻³.") -> None:
    results_here.save_figure(label, picture(), caption, KEYS)


def save_picture(results_here: Results, other: Picture) -> None:
    results_here.save_figure("fig-3", other, "Faces, λ = 10⁻³.", KEYS)


def contents(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))


# --- whose folder it is


def test_a_folder_without_numbers_may_be_used(here: Results) -> None:
    here.check_owner()


def test_results_of_the_same_faces_may_be_made_again_in_any_way(here: Results) -> None:
    here.record("one", {"a": 1})
    for name in ("preset", "seed", "budget"):
        replace(here, origin=OTHERS[name]).check_owner()


def test_results_of_other_faces_are_not_replaced_and_the_way_out_is_said(here: Results) -> None:
    here.record("one", {"a": 1})
    message = refusal(replace(here, origin=OTHERS["fingerprint"]).check_owner)
    assert message.startswith(f"{here.folder} holds the results of other faces (0123456789ab, not")
    assert "give these another --name" in message
    assert "if photos were added or changed, move that folder away" in message


def test_a_run_that_has_begun_to_replace_results_goes_on(here: Results) -> None:
    other = replace(here, origin=OTHERS["fingerprint"])
    here.record("one", {"a": 1})
    other.record("two", {"a": 1})
    here.check_owner()
    other.check_owner()


# --- saving figures


def test_figures_are_written_under_their_numbers(here: Results) -> None:
    for label in ("fig-3", "fig-14", "fig-a1"):
        save(here, label)
    assert contents(here.folder) == ["fig03.png", "fig14.png", "figa1.png"]


def test_a_chart_is_kept_as_a_drawing_too_and_printed_from_it(
    here: Results, shown: list[Shown]
) -> None:
    save_picture(here, picture()._replace(svg="<svg/>"))
    assert contents(here.folder) == ["fig03.png", "fig03.svg"]
    assert (here.folder / "fig03.svg").read_text() == "<svg/>"
    assert shown[0].metadata is not None
    figure = shown[0].metadata["figure"]
    assert figure["path"] == "figures/synthetic/fig03.svg"
    assert "width" not in figure  # that of the drawing


def test_a_drawing_that_no_longer_belongs_to_its_figure_goes(here: Results) -> None:
    save_picture(here, picture()._replace(svg="<svg/>"))
    save(here)
    assert contents(here.folder) == ["fig03.png"]


def test_figures_lie_under_the_name_of_their_data(here: Results, tmp_path: Path) -> None:
    assert here.folder == tmp_path / "figures" / "synthetic"


def test_a_saved_figure_has_the_very_pixels(here: Results) -> None:
    save(here)
    with Image.open(here.folder / "fig03.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(picture().image))


def test_a_saved_figure_records_where_it_came_from(here: Results) -> None:
    save(here)
    with Image.open(here.folder / "fig03.png") as saved:
        metadata = dict(saved.info)
    assert metadata == {
        "Title": "fig-3",
        "Description": "Faces, λ = 10⁻³.",
        "Alternative text": "Coloured noise.",
        "Data": "synthetic",
        "Fingerprint": "0123456789abcdef",
        "Preset": "smoke",
        "Seed": "3",
        "Images": "2000;320",
        "Experiment": "key-one key-two",
        "Commit": "0a1b2c3d4e",
    }


def test_saving_again_replaces_the_figure(here: Results) -> None:
    save(here, caption="before")
    save(here, caption="after")
    with Image.open(here.folder / "fig03.png") as saved:
        assert saved.info["Description"] == "after"


# --- files that need no change


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """By which a file that was replaced is recognised, even by one with the same content."""
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.iterdir()}


def test_the_same_figure_is_not_written_again_for_another_commit(
    here: Results, shown: list[Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(here)
    before = stamps(here.folder)
    shown.clear()
    monkeypatch.setattr(provenance, "commit", lambda: "ffffffffff")
    save(here)
    assert stamps(here.folder) == before
    assert len(shown) == 2  # it is shown all the same


def test_a_figure_is_written_again_when_anything_but_the_commit_changed(here: Results) -> None:
    changes = {
        "pixels": lambda: save_picture(
            here, picture()._replace(image=Image.eval(picture().image, lambda x: 255 - x))
        ),
        "size": lambda: save_picture(
            here, picture()._replace(image=picture().image.rotate(90, expand=True))
        ),
        "alternative text": lambda: save_picture(here, picture()._replace(alt="Noise.")),
        "caption": lambda: save(here, caption="after"),
        "experiments": lambda: here.save_figure("fig-3", picture(), "Faces, λ = 10⁻³.", ["key"]),
        "origin": lambda: save(replace(here, origin=OTHERS["seed"])),
    }
    kept = []
    for change, save_changed in changes.items():
        save(here)
        before = stamps(here.folder)
        save_changed()
        if stamps(here.folder) == before:
            kept.append(change)
    assert kept == []


def test_a_damaged_figure_is_written_again(here: Results) -> None:
    save(here)
    file = here.folder / "fig03.png"
    whole = file.read_bytes()
    for damaged in (b"", b"no picture", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        save(here)
        assert file.read_bytes() == whole


def test_the_same_numbers_are_not_written_again(here: Results) -> None:
    here.record("study", {"value": 1.5, "names": ["a"]})
    here.add("claims", {"C1": 1})
    before = stamps(here.folder)
    here.record("study", {"value": 1.5, "names": ["a"]})
    here.add("claims", {"C1": 1})
    assert stamps(here.folder) == before


# --- a disk that is full


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
            "alt": "Coloured noise.",
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
    assert isinstance(shown[0].what, HTML)
    preview = jpeg_in(shown[0].what)
    assert (preview.format, preview.size) == ("JPEG", (30, 20))
    assert alt_texts(shown[0].what.data) == ["Coloured noise."]


def test_a_figure_made_before_there_were_alternative_texts_is_to_be_made_again(
    here: Results, shown: list[Shown]
) -> None:
    save(here)
    file = here.folder / "fig03.png"
    with Image.open(file) as saved:
        info = PngImagePlugin.PngInfo()
        for name, value in saved.info.items():
            if name != "Alternative text":
                info.add_itxt(str(name), str(value))
        saved.save(file, pnginfo=info)
    shown.clear()
    message = refusal(lambda: here.show_figure("fig-3"))
    assert "fig03.png" in message
    assert "before figures had alternative texts; run notebooks 01 to 05 again" in message
    assert shown == []


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


def test_a_figure_of_another_run_is_refused_by_what_differs(
    here: Results, shown: list[Shown]
) -> None:
    for what, other in OTHERS.items():
        save(replace(here, origin=other))
        shown.clear()
        message = refusal(lambda: here.show_figure("fig-3"))
        assert "fig03.png" in message
        for origin in (ORIGIN, other):
            assert str(getattr(origin, what))[:12] in message
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
    text = (here.folder / "numbers.json").read_text(encoding="utf-8")
    assert "μ²" in text
    assert json.loads(text) == {"study": {"mean μ²": 1}, "origins": {"study": vars(ORIGIN)}}


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


def test_a_section_of_another_run_is_refused(here: Results) -> None:
    for origin in OTHERS.values():
        replace(here, origin=origin).record("study", {"value": 1})
        assert "section 'study'" in refusal(lambda: here.numbers("study"))


def test_a_section_whose_origin_was_written_in_another_form_is_refused(here: Results) -> None:
    here.record("study", {"value": 1})
    file = here.folder / "numbers.json"
    file.write_text(file.read_text().replace('"budget"', '"images"'))
    assert "budget unknown" in refusal(lambda: here.numbers("study"))


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


def test_numbers_of_another_run_are_not_added_to(here: Results) -> None:
    for origin in OTHERS.values():
        replace(here, origin=origin).add("claims", {"C1": "theirs", "C2": "theirs"})
        here.add("claims", {"C1": "ours"})
        assert here.numbers("claims") == {"C1": "ours"}


def test_numbers_without_an_origin_are_not_added_to(here: Results) -> None:
    here.folder.mkdir(parents=True)
    (here.folder / "numbers.json").write_text('{"claims": {"C1": "whose?"}}')
    here.add("claims", {"C2": "ours"})
    assert here.numbers("claims") == {"C2": "ours"}


@pytest.mark.parametrize("damage", ["", "[1, 2]", '{"data": 3}', '{"data": {', "[" * 100_000])
def test_damaged_numbers_are_written_again_with_a_line(
    here: Results, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here.folder / "numbers.json").parent.mkdir(parents=True, exist_ok=True)
    (here.folder / "numbers.json").write_text(damage)
    here.record("data", {"faces": 3})
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "numbers.json is damaged: " in message
    assert here.numbers("data") == {"faces": 3}


def test_tags_differ_for_another_run() -> None:
    assert [name for name, origin in OTHERS.items() if origin.tags == ORIGIN.tags] == []


def test_tags_are_the_same_for_data_of_another_name() -> None:
    assert replace(ORIGIN, data="faces").tags == ORIGIN.tags  # the fingerprint is theirs


def test_numbers_that_cannot_be_written_leave_those_before(here: Results) -> None:
    here.record("study", {"value": 1})
    with pytest.raises(TypeError):
        here.record("study", {"value": object()})
    assert contents(here.folder) == ["numbers.json"]
    assert here.numbers("study") == {"value": 1}
