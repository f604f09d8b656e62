"""The server of `make app`: who is let in, and what it gives away."""

import socket
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.browser import CHROMIUM, WAIT, free_port, served, started_chromium
from vaelib.explore.app import TITLE, as_page

pytestmark = pytest.mark.browser  # no browser, but the server that the browser's tests start


def answer(address: str, path: str) -> tuple[int, str]:
    """Status and text of a path on the app's server, without its token unless the path has it."""
    try:
        with urlopen(f"http://{urlsplit(address).netloc}{path}", timeout=60) as response:
            return response.status, response.read().decode(errors="replace")
    except HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def test_the_page_is_served_to_this_machine_alone(app: str) -> None:
    port = urlsplit(app).port
    addresses = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), port)}
    for address in sorted(addresses):
        if not address.startswith("127.") and ":" not in address:
            with socket.socket() as client:
                client.settimeout(5)
                assert client.connect_ex((address, port)) != 0


def test_nobody_sees_the_page_without_its_token(app: str) -> None:
    _, text = answer(app, "/")
    assert TITLE not in text


def test_no_file_is_served_and_no_folder_listed(app: str) -> None:
    paths = [
        "/voila/files/07_explore.ipynb",
        "/voila/files/",
        "/voila/files/../README.md",
        "/voila/files/..%2f..%2fetc%2fpasswd",
        "/voila/tree",
        "/tree",
        "/api/contents",
        "/api/kernels",
        "/files/07_explore.ipynb",
    ]
    offenders = []
    for path in paths:
        status, text = answer(app, f"{path}?{urlsplit(app).query}")
        gives_page = status < 400 and (TITLE in text or "ipynb" in text)
        if gives_page or "root:" in text:
            offenders.append((path, status))
    assert not offenders


def arguments(process: psutil.Process) -> list[str]:
    """What a process was started with; nothing of one that has ended meanwhile."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def kernels(address: str) -> set[int]:
    """The processes of kernels that the app at this address has started."""
    port = str(urlsplit(address).port)
    servers = [
        process
        for process in psutil.process_iter()
        if "vaelib" in arguments(process) and port in arguments(process)
    ]
    children = [child for server in servers for child in server.children()]
    return {child.pid for child in children if "ipykernel_launcher" in arguments(child)}


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_the_kernel_of_a_closed_page_ends_within_a_minute(app: str) -> None:
    with started_chromium() as browser:
        page = browser.new_page()
        page.goto(app, timeout=WAIT)
        page.get_by_role("group", name="faces drawn from noise").wait_for(timeout=WAIT)
        started = kernels(app)
        assert started
        page.close()
    deadline = time.monotonic() + 60
    while started & kernels(app) and time.monotonic() < deadline:
        time.sleep(1)
    assert not started & kernels(app)


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_the_page_works_below_a_path_as_other_servers_pass_it_on(
    environment: dict[str, str], tmp_path: Path
) -> None:
    options = ["--data=synthetic", "--preset=smoke", "--base-url", "/user/me/proxy"]
    command = ["vaelib", "app", "--no-browser", "--port", str(free_port()), *options]
    with served(command, environment, tmp_path) as address, started_chromium() as browser:
        assert urlsplit(address).path == "/user/me/proxy/"
        page = browser.new_page()
        missing: list[str] = []
        page.on("response", lambda r: missing.append(r.url) if r.status >= 400 else None)
        page.goto(address, timeout=WAIT)
        faces = page.get_by_role("group", name="faces drawn from noise")
        faces.wait_for(timeout=WAIT)
        faces.locator("button").first.click()
        page.get_by_text("Kept as kept 1").wait_for(timeout=WAIT)
        assert not missing


def test_what_is_for_readers_of_the_notebook_is_not_on_the_page(tmp_path: Path) -> None:
    notebook = tmp_path / "page.ipynb"
    cells = [new_markdown_cell("# 7 · A title\n\nAn answer."), new_code_cell("explorer.view")]
    hidden = new_markdown_cell("See [03](03.ipynb).", metadata={"tags": ["notebook-only"]})
    nbformat.write(new_notebook(cells=[*cells, hidden]), notebook)
    as_page(notebook)
    page = nbformat.read(notebook, as_version=4)
    assert [cell.source for cell in page.cells] == [f"# {TITLE}", "explorer.view"]
    assert page.metadata["title"] == TITLE
