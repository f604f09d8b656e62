"""The explorer in a real browser, as a page of its own and in JupyterLab.

Skipped where there is no Chromium. Screenshots of every panel stay in pytest's temporary folder.
"""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from vaelib.config import SEVEN
from vaelib.data import load
from vaelib.explore.app import NOTEBOOK, parameterised
from vaelib.faces import render
from vaelib.publishing.notebooks import Parameters
from vaelib.support import paths
from vaelib.training import launch

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
PANELS = ("Generate", "Interpolate", "Traverse", "Attributes", "Your own photo", "Compare")
WAIT = 120_000  # milliseconds: models load while other tests run
PARAMETERS: Parameters = {"data": "synthetic", "preset": "smoke", "name": ""}
TOKEN = "a-token-of-the-tests"
NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'


@dataclass
class Opened:
    """A page on which the notebook has run, and what was noticed on the way."""

    page: Any
    address: str
    shots: Path
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def drawn(self, group: str) -> list[str]:
        """The pixels of each face in a group, as it is called."""
        canvases = self.page.get_by_role("group", name=group, exact=True).locator("canvas")
        pixels: list[str] = canvases.evaluate_all("all => all.map(one => one.toDataURL())")
        return pixels

    def changed(self, group: str, before: list[str]) -> list[str]:
        """The pixels once they are others than before; fails if they never are."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            now = self.drawn(group)
            if now and now != before:
                return now
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{group}: nothing else was drawn")

    def move(self, label: str, value: float) -> None:
        """Move a slider, as a hand would."""
        self.page.get_by_role("slider", name=label).first.fill(str(value))

    def upload(self, name: str, content: bytes) -> None:
        """Choose a file for the photo panel."""
        kind = "application/octet-stream"
        file = {"name": name, "mimeType": kind, "buffer": content}
        self.page.get_by_label(re.compile("A photo with a face")).set_input_files(file)

    def see(self, text: str) -> None:
        """Wait until this is to be read."""
        self.page.get_by_text(re.compile(text)).first.wait_for(timeout=WAIT)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Seven models that have seen next to nothing, in a folder of runs of their own."""
    runs = tmp_path_factory.mktemp("runs")
    some = {name: replace(one, budget=32, batch_size=16) for name, one in SEVEN.items()}
    launch.run(some, load("synthetic", "smoke"), runs=runs, jobs=1)
    home = tmp_path_factory.mktemp("home")
    notes = home / "settings" / "@jupyterlab" / "apputils-extension"
    notes.mkdir(parents=True)
    (notes / "notification.jupyterlab-settings").write_text(NO_NEWS)
    return {
        **os.environ,
        "VAELIB_RUNS": str(runs),
        "PYTHONPATH": str(paths.ROOT),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def served(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[str]:
    """The address that a server has printed; stopped at the end."""
    log = folder / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, cwd=folder, stdout=out, stderr=out
        )
    try:
        for _ in range(600):
            found = re.search(r"http://127\.0\.0\.1:\d+/\S*\?token=\S+", log.read_text())
            if found:
                yield found[0]
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            raise AssertionError(log.read_text())
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def app(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `make app`."""
    options = [f"--{name}={value}" for name, value in PARAMETERS.items() if value]
    command = ["vaelib", "app", "--no-browser", "--port", str(free_port()), *options]
    with served(command, environment, tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="module")
def lab(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the notebook in JupyterLab."""
    folder = tmp_path_factory.mktemp("lab")
    parameterised(folder, PARAMETERS)
    settings = [f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={TOKEN}"]
    settings += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={free_port()}", "--allow-root"]
    with served(["jupyterlab", "--no-browser", *settings], environment, folder) as address:
        place = urlsplit(address)
        yield f"http://{place.netloc}/lab/tree/{NOTEBOOK}?token={TOKEN}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["app", "lab"])
def opened(
    request: pytest.FixtureRequest, chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    address = request.getfixturevalue(request.param)
    page = chromium.new_page(viewport={"width": 1280, "height": 5600})
    told = Opened(page, address, tmp_path_factory.mktemp(f"screenshots-{request.param}"))
    page.on("console", lambda m: told.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: told.errors.append(str(error)))
    page.on("request", lambda asked: told.outside.append(asked.url))
    page.goto(address, timeout=WAIT)
    if request.param == "lab":
        page.get_by_role("heading", name="Explore by hand").wait_for(timeout=WAIT)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
    page.get_by_role("group", name="one noise through all models").wait_for(timeout=WAIT)
    yield told
    page.close()


def portrait(size: tuple[int, int] = (356, 436), **options: Any) -> bytes:
    """A procedural face as a JPEG."""
    drawn = Image.fromarray(render.generate(1, 5)[0][0].transpose(1, 2, 0))
    written = io.BytesIO()
    drawn.resize(size, Image.Resampling.BICUBIC).save(written, "JPEG", **options)
    return written.getvalue()


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_is_there(opened: Opened, panel: str) -> None:
    assert opened.page.get_by_role("heading", name=re.compile(f"^{panel}")).count() == 1


def test_a_slider_changes_the_faces_of_one_model(opened: Opened) -> None:
    before = opened.drawn("faces drawn from noise")
    opened.move("Temperature", 0.5)
    after = opened.changed("faces drawn from noise", before)
    assert len(after) == len(before) == 24


def test_a_slider_changes_the_faces_of_all_seven_models(opened: Opened) -> None:
    before = opened.drawn("faces at this place of the way")
    opened.move("Place on the way", 0.9)
    after = opened.changed("faces at this place of the way", before)
    assert len(after) == 7
    assert len(set(after)) == 7


def test_play_moves_the_slider_until_it_is_paused(opened: Opened) -> None:
    group = "faces at this place of the way"
    opened.page.get_by_role("button", name="Play").click()
    first = opened.changed(group, opened.drawn(group))
    opened.changed(group, first)
    opened.page.get_by_role("button", name="Pause").click()
    opened.page.wait_for_timeout(1_000)
    still = opened.drawn(group)
    opened.page.wait_for_timeout(500)
    assert opened.drawn(group) == still


def test_the_keyboard_moves_a_slider(opened: Opened) -> None:
    before = opened.drawn("the face at all sliders")
    slider = opened.page.get_by_role("slider", name=re.compile("nats")).first
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    opened.changed("the face at all sliders", before)


def test_another_attribute_strength_changes_the_face_after_it_alone(opened: Opened) -> None:
    before = opened.drawn("before and after")
    opened.move("Strength", 2)
    after = opened.changed("before and after", before)
    assert after[0] == before[0]


def test_a_face_that_is_clicked_becomes_an_end(opened: Opened) -> None:
    name = "keep face 3"
    opened.page.get_by_role("button", name=name, exact=True).first.click()
    opened.see("kept 1, lam-1e-5 seed 0 face 3: to be found")
    options = opened.page.get_by_label("From").locator("option").all_text_contents()
    assert options[0].split() == ["kept", "1,", "lam-1e-5", "seed", "0", "face", "3"]


def test_a_click_draws_another_noise_through_all_models(opened: Opened) -> None:
    before = opened.drawn("one noise through all models")
    opened.page.get_by_role("button", name="Draw again").click()
    assert len(opened.changed("one noise through all models", before)) == 7


def test_a_file_that_is_no_picture_is_refused_in_words(opened: Opened) -> None:
    opened.upload("letter.jpg", b"no picture at all")
    opened.see("this file cannot be read as a picture")


def test_a_file_of_over_20_mb_is_refused_in_words(opened: Opened) -> None:
    opened.upload("large.jpg", bytes(20_500_000))
    opened.see("the file has 20.5 MB; choose one of at most 20 MB")


def test_a_photo_is_reconstructed_by_all_seven_models(opened: Opened) -> None:
    opened.upload("photo.jpg", portrait())
    opened.page.get_by_role("button", name="Keep it as an end").wait_for(timeout=WAIT)
    group = "your photo and its reconstructions"
    until = time.monotonic() + 20
    while len(opened.drawn(group)) < 8 and time.monotonic() < until:
        opened.page.wait_for_timeout(50)
    shown = opened.drawn(group)
    assert len(shown) == 8
    assert len(set(shown)) == 8
    captions = opened.page.get_by_role("group", name=group).locator("figcaption")
    assert captions.all_text_contents() == ["your photo, framed", *SEVEN]


def test_a_photo_can_be_dropped(opened: Opened) -> None:
    group = "your photo and its reconstructions"
    before = opened.drawn(group)
    opened.page.evaluate(
        """bytes => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([new Uint8Array(bytes)], "other.jpg", { type: "image/jpeg" }));
          document.querySelector(".vae-drop").dispatchEvent(
            new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
        }""",
        list(portrait((178, 218), quality=60)),
    )
    opened.changed(group, before)


def test_zooming_changes_the_framed_photo_and_its_reconstructions(opened: Opened) -> None:
    before = opened.drawn("your photo and its reconstructions")
    opened.move("Zoom", 3)
    after = opened.changed("your photo and its reconstructions", before)
    assert not set(after) & set(before)


def test_the_strips_are_saved_as_a_picture(opened: Opened, tmp_path: Path) -> None:
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Save the labelled_rows as PNG").click()
    download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as saved:
        assert saved.format == "PNG"
        assert np.asarray(saved).std() > 10


def test_every_control_has_a_label(opened: Opened) -> None:
    nameless = opened.page.evaluate(
        """() => [...document.querySelectorAll(
             '.jp-OutputArea input, .jp-OutputArea select, .jp-OutputArea button')]
           .filter(one => !(one.ariaLabel || one.textContent.trim() && one.tagName == 'BUTTON'
             || [...(one.labels || [])].some(label => label.textContent.trim())))
           .map(one => one.outerHTML.slice(0, 200))"""
    )
    assert nameless == []


@pytest.mark.parametrize(("width", "scale"), [(1280, 1.0), (390, 1.0), (1280, 1.25)])
def test_no_panel_is_wider_than_the_page(opened: Opened, width: int, scale: float) -> None:
    if "/lab/" in opened.address:
        pytest.skip("JupyterLab has its own way with narrow pages")
    opened.page.set_viewport_size({"width": round(width / scale), "height": 5600})
    opened.page.wait_for_timeout(500)
    opened.page.screenshot(path=opened.shots / f"{width}-{scale}.png", full_page=True)
    wide = opened.page.evaluate(
        """() => [...document.querySelectorAll('#rendered_cells *')]
           .filter(one => one.getBoundingClientRect().right > window.innerWidth + 1)
           .map(one => one.className)"""
    )
    opened.page.set_viewport_size({"width": 1280, "height": 5600})
    assert wide == []


def test_each_panel_is_photographed(opened: Opened) -> None:
    opened.page.screenshot(path=opened.shots / "all.png", full_page=True)
    for panel in opened.page.locator(".jp-OutputArea").all():
        if panel.locator(".vae").count():
            number = len(list(opened.shots.iterdir()))
            panel.screenshot(path=opened.shots / f"panel-{number}.png")
    assert len(list(opened.shots.iterdir())) > len(PANELS)


def test_nothing_was_asked_of_another_machine(opened: Opened) -> None:
    hosts = {urlsplit(url).hostname for url in opened.outside}
    assert hosts <= {"127.0.0.1", None}  # None: data and blob addresses


def test_the_browser_told_of_no_error(opened: Opened) -> None:
    assert opened.errors == []


# --- the server of the page


def answer(address: str, path: str) -> tuple[int, str]:
    """Status and text of a path on the app's server, without its token unless it has it."""
    place = urlsplit(address)
    try:
        with urlopen(f"http://{place.netloc}{path}", timeout=60) as told:
            return told.status, told.read().decode(errors="replace")
    except HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def test_the_page_is_served_to_this_machine_alone(app: str) -> None:
    port = urlsplit(app).port
    with socket.socket() as other:
        other.settimeout(5)
        ours = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), port)}
        for address in sorted(str(one) for one in ours if not str(one).startswith("127.")):
            if ":" not in address:
                assert other.connect_ex((address, port)) != 0


def test_nobody_sees_the_page_without_its_token(app: str) -> None:
    _, text = answer(app, "/")
    assert "Explore by hand" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/voila/files/07_explore.ipynb",
        "/voila/files/",
        "/voila/files/../README.md",
        "/voila/files/..%2f..%2fetc%2fpasswd",
        "/voila/tree",
        "/tree",
        "/api/contents",
        "/api/kernels",
        "/files/07_explore.ipynb",
    ],
)
def test_no_file_is_served_and_no_folder_listed(app: str, path: str) -> None:
    query = urlsplit(app).query
    status, text = answer(app, f"{path}?{query}")
    assert status >= 400 or "Explore by hand" not in text
    assert "ipynb" not in text or status >= 400
    assert "root:" not in text
