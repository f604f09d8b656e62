"""The explorer in a real browser, as a page of its own and in JupyterLab.

Skipped where there is no Chromium. Screenshots of every panel stay in pytest's temporary folder.
"""

import base64
import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.browser import IN_BROWSER, WAIT, started_chromium
from vaelib.config import BASE, SEVEN
from vaelib.explore.app import TITLE
from vaelib.explore.explorer import PANELS
from vaelib.reporting.notation import model_text

pytestmark = IN_BROWSER

TABS = [panel.title for panel in PANELS]
HEIGHT = 1400  # pixels, for the highest panel


@dataclass
class Opened:
    """A page on which the notebook has run, and what was noticed on the way."""

    page: Any
    address: str
    screenshots: Path
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def drawn(self, group: str) -> list[str]:
        """The pixels of each face in a group, as it is called."""
        canvases = self.page.get_by_role("group", name=group, exact=True).locator("canvas")
        pixels: list[str] = canvases.evaluate_all("all => all.map(each => each.toDataURL())")
        return pixels

    def changed(self, group: str, before: list[str], count: int = 1) -> list[str]:
        """The pixels of at least this many faces once they differ; fails if they never do."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            now = self.drawn(group)
            if len(now) >= count and now != before:
                return now
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{group}: nothing else was drawn")

    def show(self, title: str) -> None:
        """Open the tab of a panel."""
        self.page.get_by_role("tab", name=title, exact=True).click()
        (help_text,) = (panel.help for panel in PANELS if panel.title == title)
        self.page.get_by_text(help_text).wait_for(timeout=WAIT)

    def move(self, label: str, value: float) -> None:
        """Move a slider, as a hand would."""
        self.page.get_by_role("slider", name=label).and_(self.page.locator(":visible")).first.fill(
            str(value)
        )

    def upload(self, name: str, content: bytes) -> None:
        """Choose a file for the photo panel."""
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        self.page.get_by_label(re.compile("A photo with a face")).set_input_files(file)

    def upload_zeros(self, size: int) -> None:
        """Choose a file of this many zeros, made in the page: too large to be sent there."""
        self.page.get_by_label(re.compile("A photo with a face")).evaluate(
            """(input, size) => {
              const chosen = new DataTransfer();
              chosen.items.add(new File([new Uint8Array(size)], "large.jpg"));
              input.files = chosen.files;
              input.dispatchEvent(new Event("change"));
            }""",
            size,
        )

    def see(self, text: str) -> None:
        """Wait until a status line says this."""
        self.page.get_by_role("status").get_by_text(re.compile(text)).first.wait_for(timeout=WAIT)


DESCRIPTION = "aria-description"
SPREAD_TWO_FINGERS = """
canvas => {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  canvas.setPointerCapture = () => {}; // there is no such finger
  const send = (type, pointerId, share) => canvas.dispatchEvent(new PointerEvent(type, {
    pointerId, clientX: left + width * share, clientY: top + height / 2 }));
  send("pointerdown", 1, 0.45);
  send("pointerdown", 2, 0.55);
  send("pointermove", 1, 0.42);
  send("pointermove", 2, 0.58);
  send("pointerup", 1, 0.42);
  send("pointerup", 2, 0.58);
}
"""


def wait_until(opened: Opened, is_so: Callable[[], bool]) -> None:
    """Fails if it never is."""
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        opened.page.wait_for_timeout(50)


def pixels(address: str) -> np.ndarray[Any, Any]:
    """The picture in a data address."""
    content = base64.b64decode(address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with started_chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=["app", "lab"])
def opened(
    request: pytest.FixtureRequest, chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    address = request.getfixturevalue(request.param)
    page = chromium.new_page(viewport={"width": 1280, "height": HEIGHT})
    opened = Opened(page, address, tmp_path_factory.mktemp(f"screenshots-{request.param}"))
    page.on("console", lambda m: opened.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(address, timeout=WAIT)
    if request.param == "lab":
        page.get_by_role("heading", name="Explore by hand").wait_for(timeout=WAIT)
        page.get_by_text(re.compile(r"\| Idle")).wait_for(
            timeout=WAIT
        )  # the kernel, in the status bar
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
    page.get_by_role("group", name="faces drawn from noise").wait_for(timeout=WAIT)
    yield opened
    page.close()


def test_every_panel_has_a_tab(opened: Opened) -> None:
    tabs = opened.page.get_by_role("tablist", name="panels").get_by_role("tab")
    assert tabs.all_text_contents() == TABS


def test_the_first_faces_are_on_the_first_screen(opened: Opened) -> None:
    if "/lab/" in opened.address:
        pytest.skip("JupyterLab has its own menus above the notebook")
    grid = opened.page.get_by_role("group", name="faces drawn from noise")
    assert grid.bounding_box()["y"] < 450
    rows = {face.bounding_box()["y"] for face in grid.locator("canvas").all()}
    assert len(rows) == 2  # of twelve
    assert opened.page.title() == TITLE
    assert opened.page.get_by_role("main").count() == 1


def test_a_slider_changes_the_faces_of_one_model(opened: Opened) -> None:
    before = opened.drawn("faces drawn from noise")
    opened.move("Temperature", 0.5)
    after = opened.changed("faces drawn from noise", before)
    assert len(after) == len(before) == 24


def test_faces_are_drawn_from_where_faces_are_encoded_and_counted(opened: Opened) -> None:
    before = opened.drawn("faces drawn from noise")
    place = opened.page.get_by_label("Draw from").first
    place.select_option("where faces are encoded")
    assert len(opened.changed("faces drawn from noise", before)) == 24
    opened.see(r"finds a face in \d+ of 24")
    place.select_option("the prior")


def test_a_slider_changes_the_faces_of_all_seven_models(opened: Opened) -> None:
    opened.show("Interpolate")
    before = opened.drawn("faces at this position")
    opened.move("Position on the path", 0.9)
    after = opened.changed("faces at this position", before)
    assert len(after) == 7
    assert len(set(after)) == 7


def test_play_moves_the_slider_until_it_is_paused(opened: Opened) -> None:
    opened.show("Interpolate")
    group = "faces at this position"
    opened.page.get_by_role("button", name="Play").click()
    first = opened.changed(group, opened.drawn(group))
    opened.changed(group, first)
    opened.page.get_by_role("button", name="Pause").click()
    opened.page.wait_for_timeout(1_000)
    still = opened.drawn(group)
    opened.page.wait_for_timeout(500)
    assert opened.drawn(group) == still


def test_the_keyboard_moves_a_slider(opened: Opened) -> None:
    opened.show("Directions")
    before = opened.drawn("the face at all sliders")
    slider = opened.page.get_by_role("slider", name=re.compile("nats")).first
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    opened.changed("the face at all sliders", before)
    assert slider.get_attribute("aria-valuetext") == "0.25 σ"


def test_another_attribute_strength_changes_the_face_after_it_alone(opened: Opened) -> None:
    opened.show("Attributes")
    before = opened.drawn("before and after")
    opened.move("Strength", 2)
    after = opened.changed("before and after", before)
    assert after[:2] == before[:2]


def test_a_face_that_is_clicked_is_kept_and_can_be_sent_to_an_end(opened: Opened) -> None:
    page = opened.page
    opened.show("Generate")
    clicked = opened.drawn("faces drawn from noise")[2]
    page.get_by_role("button", name="keep face 3", exact=True).first.click()
    kept = page.get_by_role("region", name="kept faces")
    kept.get_by_role("button", name="kept 1, λ = 10⁻⁵ seed 0 face 3").click()
    kept.get_by_role("button", name="From", exact=True).click()
    opened.see("λ = 10⁻⁵ drew kept 1 and uses its z")
    opened.move("Position on the path", 0)

    def is_the_face_at_the_end() -> bool:
        at_the_end = opened.drawn("faces at this position")[list(SEVEN).index(BASE)]
        return bool(np.abs(pixels(at_the_end) - pixels(clicked)).max() <= 1)

    wait_until(opened, is_the_face_at_the_end)


def test_a_kept_face_is_dragged_to_an_end(opened: Opened) -> None:
    kept = opened.page.get_by_role("region", name="kept faces").get_by_role("button").first
    end = opened.page.get_by_role("button", name=re.compile("^To: ")).and_(
        opened.page.locator(":visible")
    )
    kept.drag_to(end)
    opened.page.get_by_role("button", name="To: kept 1, λ = 10⁻⁵ seed 0 face 3").wait_for()


def test_a_face_is_chosen_by_its_picture_with_the_keyboard(opened: Opened) -> None:
    page = opened.page
    page.get_by_role("button", name=re.compile("^To: ")).and_(page.locator(":visible")).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="To: held-out 2").wait_for()
    assert page.get_by_role("listbox").and_(page.locator(":visible")).count() == 0


def test_a_strip_moves_the_slider_where_it_is_clicked(opened: Opened) -> None:
    opened.page.get_by_role("button", name="show λ = 10⁻³ face 9").click()
    slider = opened.page.get_by_role("slider", name="Position on the path")
    opened.page.locator("[aria-valuetext='1.00']:visible").wait_for()
    last = opened.page.get_by_role("button", name="show λ = 10⁻³ face 9").bounding_box()
    track = slider.bounding_box()
    assert abs(track["x"] + track["width"] - 8 - (last["x"] + last["width"] / 2)) < 3


def test_a_kept_face_is_deleted_and_brought_back(opened: Opened) -> None:
    kept = opened.page.get_by_role("region", name="kept faces")
    face = kept.get_by_role("button", name="kept 1, λ = 10⁻⁵ seed 0 face 3")
    face.focus()
    opened.page.keyboard.press("Delete")
    face.wait_for(state="detached")
    kept.get_by_role("button", name="Undo").click()
    face.wait_for()


def test_arrow_keys_move_through_the_tabs(opened: Opened) -> None:
    opened.show("Generate")
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("Enter")
    tabs = opened.page.get_by_role("tablist", name="panels")
    assert tabs.get_by_role("tab", selected=True).text_content() == "Interpolate"


def test_the_face_under_the_pointer_is_drawn_and_a_click_keeps_it(opened: Opened) -> None:
    opened.show("Map")
    place = opened.page.get_by_role("application", name="encoded faces, and the prior")
    place.scroll_into_view_if_needed()
    before = opened.changed("the face at this place", [])
    place.hover(position={"x": 60, "y": 90})
    opened.changed("the face at this place", before)
    kept = opened.page.get_by_role("region", name="kept faces").get_by_role("button")
    count = kept.count()
    place.click(position={"x": 90, "y": 60})
    opened.see("Kept as kept .*on the map")
    opened.page.wait_for_timeout(500)
    assert kept.count() == count + 1


def test_a_line_that_is_dragged_is_an_interpolation(opened: Opened) -> None:
    opened.page.get_by_role("application").drag_to(
        opened.page.get_by_role("application"),
        source_position={"x": 50, "y": 60},
        target_position={"x": 200, "y": 160},
    )
    assert len(set(opened.changed("the line", [], count=9))) > 5


def test_the_keyboard_moves_over_the_map_and_draws_a_line(opened: Opened) -> None:
    before = opened.drawn("the face at this place"), opened.drawn("the line")
    opened.page.get_by_role("application").focus()
    for key in ("l", *["ArrowRight"] * 9, "l"):
        opened.page.keyboard.press(key)
    opened.changed("the face at this place", before[0])
    opened.changed("the line", before[1], count=9)


def test_a_face_stands_beside_its_reconstructions_and_differences(opened: Opened) -> None:
    opened.show("Truth")
    assert len(opened.changed("reconstructions", [], count=7)) == 7
    assert len(opened.changed("differences", [], count=7)) == 7


def test_guesses_are_revealed_and_answers_saved(opened: Opened, tmp_path: Path) -> None:
    opened.show("Blind test")
    opened.page.get_by_role("button", name="Reveal").click()
    opened.see("So far 0 of 4 are right")
    before = opened.changed("which is more a face", [], count=2)
    opened.page.get_by_role("button", name="choose left").click()
    opened.changed("which is more a face", before)
    opened.see("1 answers")
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Save my answers").click()
    download.value.save_as(tmp_path / "answers.csv")
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 2


def test_a_link_that_is_pasted_brings_back_what_was_chosen(opened: Opened) -> None:
    opened.show("Generate")
    opened.move("Temperature", 0.4)
    opened.page.wait_for_timeout(1_500)  # until it is settled
    opened.page.get_by_role("button", name="Copy a link to this").click()
    field = opened.page.get_by_label("or open one:")
    link = field.input_value()
    opened.move("Temperature", 1.8)
    opened.page.wait_for_timeout(500)
    field.fill(link)
    field.press("Enter")
    opened.page.locator("[aria-valuetext='0.40']:visible").wait_for()
    assert "token" not in link
    field.fill("no link")
    field.press("Enter")
    opened.see("this is no link of the explorer")


def test_a_reload_finds_what_was_chosen(opened: Opened) -> None:
    if "/lab/" in opened.address:
        pytest.skip("JupyterLab's own page keeps its kernel")
    opened.show("Generate")
    first = opened.drawn("faces drawn from noise")
    opened.page.get_by_role("button", name="Other faces").and_(
        opened.page.locator(":visible")
    ).click()
    opened.changed("faces drawn from noise", first)
    opened.page.wait_for_timeout(2_000)  # until the page has kept what was chosen
    before = opened.drawn("faces drawn from noise")
    kept = opened.page.get_by_role("region", name="kept faces").get_by_role("button").count()
    opened.page.reload()
    opened.page.get_by_role("group", name="faces drawn from noise").wait_for(timeout=WAIT)
    until = time.monotonic() + 20
    while opened.drawn("faces drawn from noise") != before and time.monotonic() < until:
        opened.page.wait_for_timeout(200)
    assert opened.drawn("faces drawn from noise") == before
    assert (
        opened.page.get_by_role("region", name="kept faces").get_by_role("button").count() == kept
    )
    opened.errors = [error for error in opened.errors if "403" not in error]  # see Page


def test_a_click_draws_another_noise_through_all_models(opened: Opened) -> None:
    opened.show("Compare")
    before = opened.drawn("one noise through all models")
    opened.page.get_by_role("button", name="Draw again").click()
    assert len(opened.changed("one noise through all models", before)) == 7


def test_a_file_that_is_no_picture_is_refused_with_a_message(opened: Opened) -> None:
    opened.show("Your photo")
    opened.upload("letter.jpg", b"no picture at all")
    opened.see("this file cannot be read as a picture")


def test_a_file_of_over_20_mb_is_refused_with_a_message(opened: Opened) -> None:
    opened.upload_zeros(20_500_000)
    opened.see("the file has 20.5 MB; choose one of at most 20 MB")


def test_a_file_of_nearly_20_mb_reaches_the_kernel(opened: Opened) -> None:
    opened.upload_zeros(19_500_000)
    opened.see("this file cannot be read as a picture")


def test_a_photo_is_reconstructed_by_all_seven_models(opened: Opened, portrait: bytes) -> None:
    group = "your photo and its reconstructions"
    opened.upload("photo.jpg", portrait)
    opened.page.get_by_role("button", name="Keep it as an end").wait_for(timeout=WAIT)
    faces = opened.changed(group, [], count=8)
    assert len(faces) == 8
    assert len(set(faces)) == 8
    captions = opened.page.get_by_role("group", name=group).locator("figcaption")
    names = [caption.split(":")[0] for caption in captions.all_text_contents()]
    assert names == ["your photo, framed", *map(model_text, SEVEN)]
    assert opened.page.get_by_role("application", name="your photo with the frame").count() == 1


def test_a_photo_can_be_dropped(opened: Opened, other_portrait: bytes) -> None:
    group = "your photo and its reconstructions"
    before = opened.drawn(group)
    opened.page.evaluate(
        """bytes => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([new Uint8Array(bytes)], "other.jpg", { type: "image/jpeg" }));
          document.querySelector(".vae-drop").dispatchEvent(
            new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
        }""",
        list(other_portrait),
    )
    opened.changed(group, before)


def test_zooming_changes_the_framed_photo_and_its_reconstructions(opened: Opened) -> None:
    before = opened.drawn("your photo and its reconstructions")
    opened.move("Zoom", 3)
    after = opened.changed("your photo and its reconstructions", before)
    assert not set(after) & set(before)


def frame_of(photo: Any) -> list[float]:
    """Zoom, and the frame's shifts to the right and down, as the photo is described."""
    return [float(number) for number in re.findall(r"[\d.]+", photo.get_attribute(DESCRIPTION))]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("drag", (0, 1, 1)),
        ("wheel", (1, 0, 0)),
        ("two fingers", (1, 0, 0)),
        ("ArrowRight", (0, 1, 0)),
        ("ArrowDown", (0, 0, 1)),
        ("+", (1, 0, 0)),
    ],
)
def test_the_frame_is_moved_and_resized_by_hand(
    opened: Opened, how: str, expected: tuple[int, int, int]
) -> None:
    """expected: for zoom and both shifts, whether they grow (1) or stay (0)."""
    for label, value in (("Zoom", 2), ("Shift to the right", 0.5), ("Shift down", 0.5)):
        opened.move(label, value)
    photo = opened.page.get_by_role("application", name="your photo with the frame")
    photo.scroll_into_view_if_needed()
    before = [2.0, 0.5, 0.5]
    wait_until(opened, lambda: frame_of(photo) == before)
    box = photo.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.page.mouse.move(x, y)
    if how == "drag":
        opened.page.mouse.down()
        opened.page.mouse.move(x + 20, y + 20, steps=4)
        opened.page.mouse.up()
    elif how == "wheel":
        opened.page.mouse.wheel(0, -100)
    elif how == "two fingers":
        photo.evaluate(SPREAD_TWO_FINGERS)
    else:
        photo.press(how)
    wait_until(opened, lambda: frame_of(photo) != before)
    changes = [now - then for now, then in zip(frame_of(photo), before, strict=True)]
    assert [int(change > 0.005) for change in changes] == list(expected)


def test_the_rows_are_saved_as_a_picture(opened: Opened, tmp_path: Path) -> None:
    opened.show("Interpolate")
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Save the rows as PNG").click()
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as saved:
        assert saved.format == "PNG"
        assert np.asarray(saved).std() > 10


def test_every_control_and_picture_has_a_name(opened: Opened) -> None:
    nameless = opened.page.evaluate(
        """() => [...document.querySelectorAll('.jp-OutputArea :is(input, select, button, img)')]
           .filter(each => !(each.ariaLabel || each.alt
             || each.textContent.trim() && each.tagName == 'BUTTON'
             || [...(each.labels || [])].some(label => label.textContent.trim())))
           .map(each => each.outerHTML.slice(0, 200))"""
    )
    assert nameless == []


@pytest.mark.parametrize("width", [1280, 1024, 390])  # 1024: zoomed to 125% on a page of 1280
def test_no_panel_is_wider_than_the_page(opened: Opened, width: int) -> None:
    if "/lab/" in opened.address:
        pytest.skip("JupyterLab has its own way with narrow pages")
    opened.page.set_viewport_size({"width": width, "height": HEIGHT})
    too_wide = {}
    for title in TABS:
        opened.show(title)
        opened.page.wait_for_timeout(500)
        opened.page.screenshot(path=opened.screenshots / f"{title}-{width}.png", full_page=True)
        too_wide[title] = opened.page.evaluate(
            """() => [...document.querySelectorAll('#rendered_cells *')]
               .filter(each => each.getBoundingClientRect().right > window.innerWidth + 1)
               .map(each => each.className)"""
        )
    opened.page.set_viewport_size({"width": 1280, "height": HEIGHT})
    assert not any(too_wide.values()), too_wide


def test_the_page_is_dark_where_that_is_preferred(opened: Opened) -> None:
    if "/lab/" in opened.address:
        pytest.skip("JupyterLab has a theme of its own")
    brightness = {}
    for scheme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=scheme)
        opened.page.wait_for_timeout(300)
        shown = opened.page.screenshot(path=opened.screenshots / f"{scheme}.png")
        brightness[scheme] = np.asarray(Image.open(io.BytesIO(shown)).convert("L")).mean()
    opened.page.emulate_media(color_scheme="light")
    assert brightness["dark"] < 100 < brightness["light"]


def test_nothing_was_requested_from_another_machine(opened: Opened) -> None:
    hosts = {urlsplit(url).hostname for url in opened.requests}
    assert hosts <= {"127.0.0.1", None}  # None: data and blob addresses


def test_the_browser_reported_no_error(opened: Opened) -> None:
    assert opened.errors == []
