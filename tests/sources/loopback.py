"""A web server on 127.0.0.1 that plays Hugging Face and Google Drive, each with CelebA to give."""

import hashlib
import importlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from huggingface_hub import constants
from torchvision.datasets import CelebA

from tests.sources import shapes
from vaelib.__main__ import main
from vaelib.sources import annotations, celeba, downloads, layouts
from vaelib.support import paths

COUNT = 70  # as many faces as all of CelebA has here
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ABOUT = f"/api/datasets/{downloads.HUB}?blobs=true"
ZIP = "/uc?id=the-zip"
DRIVE_IDS = dict(zip(downloads.DRIVE, ("the-zip", "attributes", "partition"), strict=True))
HOMES = (
    *("XDG_CACHE_HOME", "TORCH_HOME", "KAGGLEHUB_CACHE", "CELEBA", "HF_HOME", "HF_HUB_CACHE"),
    *("HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN"),
    *("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
)
Run = Callable[..., str]


@dataclass
class Answer:
    """What the server says at one address, and how it breaks on the way.

    `cuts` are taken one by one, each by one GET: so many bytes are sent, then the line is dead.
    `pause` are the seconds after every tenth of a body; a silent one never begins. One that
    `interrupts` is sent by half, then Ctrl-C is pressed, and nothing more comes.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    pause: float = 0
    silent: bool = False
    interrupts: bool = False


@dataclass
class Loopback:
    """The server's address, its answers by path and query, and the requests that came."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range
    closed: threading.Event = field(default_factory=threading.Event)

    def ranges(self, path: str) -> list[str]:
        """The byte ranges that GETs of this path requested, "" where all of it."""
        return [
            byte_range for method, at, byte_range in self.requests if (method, at) == ("GET", path)
        ]


class _Handler(BaseHTTPRequestHandler):
    loopback: Loopback

    def do_GET(self) -> None:
        byte_range = self.headers.get("Range", "")
        self.loopback.requests.append((self.command, self.path, byte_range))
        answer = self.loopback.answers.get(self.path, Answer(b"nothing here", 404))
        start = int(byte_range.removeprefix("bytes=").removesuffix("-")) if byte_range else 0
        status, body = answer.status, answer.body[start:]
        if byte_range and status == 200:
            status = 206 if body else 416
        self.send_response(status)
        headers = {"Content-Type": "application/octet-stream", **answer.headers}
        if status == 206:
            end, total = start + len(body) - 1, len(answer.body)
            headers["Content-Range"] = f"bytes {start}-{end}/{total}"
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._send(body, answer)

    do_HEAD = do_GET

    def _send(self, body: bytes, answer: Answer) -> None:
        body = body[: answer.cuts.pop(0)] if answer.cuts else body
        if answer.silent:
            self.loopback.closed.wait(5)
            return
        if answer.interrupts:
            self.wfile.write(body[: len(body) // 2])
            self.loopback.closed.wait(0.1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            self.loopback.closed.wait(5)
            return
        step = max(1, len(body) // 10) if answer.pause else max(1, len(body))
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            self.wfile.flush()
            self.loopback.closed.wait(answer.pause)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away is part of the play."""


@contextmanager
def serve() -> Iterator[Loopback]:
    """A loopback server for as long as the block runs; it closes every connection after use."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        loopback = Loopback(f"http://127.0.0.1:{server.server_port}")
        server.RequestHandlerClass = type("Handler", (_Handler,), {"loopback": loopback})
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield loopback
        finally:
            loopback.closed.set()
            server.shutdown()
            thread.join(5)


def play_hub(
    server: Loopback, copy: shapes.Copy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Answer]:
    """The server plays Hugging Face; the answers to its parquet files by address, in order."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    shapes.hugging_face(copy, folder)
    answers, files = {}, []
    for path in sorted(folder.rglob("*.parquet")):
        name, body = path.relative_to(folder).as_posix(), path.read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        lfs = {"sha256": digest, "size": len(body), "pointerSize": 134}
        files.append({"rfilename": name, "size": len(body), "blobId": "0" * 40, "lfs": lfs})
        headers = {"ETag": f'"{digest}"', "X-Linked-ETag": f'"{digest}"', "X-Repo-Commit": COMMIT}
        headers |= {"X-Linked-Size": str(len(body)), "Accept-Ranges": "bytes"}
        address = f"/datasets/{downloads.HUB}/resolve/{COMMIT}/{name.replace('+', '%2B')}"
        answers[address] = Answer(body, headers=headers)
    about = {"id": downloads.HUB, "sha": COMMIT, "siblings": files, "private": False, "tags": []}
    server.answers |= answers
    server.answers[ABOUT] = Answer(json.dumps({**about, "downloads": 0, "likes": 0}).encode())
    return answers


def play_drive(
    server: Loopback, copy: shapes.Copy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Answer:
    """The server plays Google Drive under its real address; the answer to the zip."""
    shapes.zip_in_folder(copy, folder)
    known = [("identities", "0" * 32, "identity_CelebA.txt")]
    for name, identity in DRIVE_IDS.items():
        body = (folder / name).read_bytes()
        known.append((identity, hashlib.md5(body).hexdigest(), name))
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        server.answers[f"/uc?id={identity}"] = Answer(body, headers=headers)
    monkeypatch.setattr(CelebA, "file_list", known)
    get = requests.Session.get

    def get_here(session: requests.Session, url: str, **named: Any) -> requests.Response:
        return get(session, url.replace("https://drive.google.com", server.url), **named)

    monkeypatch.setattr(requests.Session, "get", get_here)
    return server.answers[ZIP]


def bare_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """See the fixture of this name."""
    for name in HOMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("USERPROFILE", str(folder / "home"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # as the command sets it, for this test only
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "home/hub"))
    monkeypatch.setattr(paths, "CELEBA", folder / "data/celeba")
    monkeypatch.setattr(annotations, "CELEBA_SIZE", COUNT)
    monkeypatch.setattr(annotations, "CELEBA_SPLIT_SIZES", (COUNT - 14, 7, 7))
    monkeypatch.setattr(celeba, "DOWNLOAD_BYTES", 1_000_000)
    # The libraries wait before they try again, and take no less than so many bytes at once.
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr(importlib.import_module("gdown.download"), "CHUNK_SIZE", 1000)
    refuse_other_hosts(monkeypatch)


def refuse_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other name cannot be looked up, as on a machine without a network."""
    look_up = socket.getaddrinfo

    def only_this_machine(host: Any, *rest: Any, **named: Any) -> Any:
        if host not in ("127.0.0.1", b"127.0.0.1"):
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return look_up(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", only_this_machine)


def run_with(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs the command, which must end with `code`, and returns all it says."""

    def run(*arguments: str, code: int = 0) -> str:
        ended: object = 0
        try:
            main(["celeba", *arguments])
        except SystemExit as exited:
            ended = exited.code
        output = "".join(capsys.readouterr())
        assert ended == code, output
        return output

    return run


def part() -> Path:
    return paths.CELEBA.with_name("celeba.part")


def is_whole() -> bool:
    """Whether all of CelebA is where `make report` looks for it, and nothing is left beside it."""
    return len(layouts.find("auto").files) == COUNT and not part().exists()
