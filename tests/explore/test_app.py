"""The server of `make app`: who is let in, and what it gives away."""

import socket
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

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
    assert "Explore by hand" not in text


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
        gives_page = status < 400 and ("Explore by hand" in text or "ipynb" in text)
        if gives_page or "root:" in text:
            offenders.append((path, status))
    assert not offenders
