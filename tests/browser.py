"""Servers of pages, and Chromium to look at them; such tests are skipped where there is none."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from vaelib.support import paths

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(not find_spec("playwright"), reason="playwright is not installed"),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
WAIT = 120_000  # milliseconds: models load while other tests run
TOKEN = "a-token-of-the-tests"
NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'


@contextmanager
def started_chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def jupyter_environment(home: Path) -> dict[str, str]:
    """Environment variables of a server whose settings lie in this folder."""
    notification = home / "settings" / "@jupyterlab" / "apputils-extension"
    notification.mkdir(parents=True)
    (notification / "notification.jupyterlab-settings").write_text(NO_NEWS)
    return {
        **os.environ,
        "PYTHONPATH": str(paths.ROOT),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }


@contextmanager
def jupyterlab(notebook: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of a notebook in JupyterLab."""
    settings = [f"--ServerApp.root_dir={notebook.parent}", f"--IdentityProvider.token={TOKEN}"]
    settings += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={free_port()}", "--allow-root"]
    command = ["jupyterlab", "--no-browser", *settings]
    # JupyterLab, stopped as soon as it has opened a notebook, may never end; it is killed then.
    hangs = suppress(subprocess.TimeoutExpired)
    with hangs, served(command, environment, notebook.parent) as address:
        yield f"http://{urlsplit(address).netloc}/lab/tree/{notebook.name}?token={TOKEN}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        try:
            server.wait(30)
        finally:
            server.kill()
