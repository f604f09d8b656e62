"""A report that is killed, terminated or interrupted at random moments of every stage."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
from PIL import Image
from pypdf import PdfReader
from safetensors.numpy import load_file

from tests.torture.campaign import Case, Home, left_behind, run, seeds, shown
from vaelib.publishing.reproduce import NOTEBOOKS
from vaelib.support import checked, files

SIGNALS = {
    signal.SIGKILL: "kill -9",
    signal.SIGTERM: "SIGTERM",
    signal.SIGINT: "Ctrl-C",
}
CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}


class Stage(NamedTuple):
    """A part of a report: it begins when a line is printed."""

    name: str
    line: str  # empty: at the start of the program
    longest: float  # seconds after the line within which it is stopped


BEFORE_NOTEBOOKS = [
    Stage("imports", "", 3),
    Stage("preparation", "drawing faces", 2),
    Stage("training", "training\n", 20),
]
LATER = [*(Stage(name, f"{name}\n", 6) for name in NOTEBOOKS), Stage("the PDF", "06_report\n", 20)]


def stopped(home: Home, stage: Stage, how: signal.Signals, seed: int) -> str:
    """Start a report and stop it in this stage; what was wrong about how it ended."""
    terminal = home.folder / "terminal.txt"
    with terminal.open("wb") as stream:
        process = subprocess.Popen(
            home.report(),
            env=home.environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while process.poll() is None and stage.line not in text_of(terminal):
            time.sleep(0.02)
        time.sleep(random.Random(seed).uniform(0, stage.longest))
        ended_before = process.poll() is not None
        if how == signal.SIGINT:  # a terminal sends it to all processes that it started
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
        code = process.wait(60)
    if ended_before:
        return "" if code == 0 else f"exit code {code}: {text_of(terminal)[-200:]}"
    return _ending_fault(home, how, code, text_of(terminal))


def text_of(terminal: Path) -> str:
    """What a program has printed so far, each state of a progress bar on a line of its own."""
    return terminal.read_text(encoding="utf-8", errors="backslashreplace").replace("\r", "\n")


def _ending_fault(home: Home, how: signal.Signals, code: int, text: str) -> str:
    if processes := left_behind(home):
        return f"still running: {processes}"
    if how != signal.SIGKILL:
        if code not in (CODES[how], 0):  # 0: it had just ended
            return f"exit code {code} instead of {CODES[how]}: {text[-200:]}"
        if "Traceback" in text:
            return f"a traceback: {text[-300:]}"
        last = text.rstrip().rpartition("\n")[2]
        if code and not last.startswith("stopped"):
            return f"does not say that it was stopped: {last}"
        if parts := [path.name for path in home.folder.rglob("*.part*")]:
            return f"left half-written: {parts}"
    return unreadable(home)


def unreadable(home: Home) -> str:
    """A file below the home that is not whole; one that is being written is called `.part`."""
    for path in sorted(home.out.rglob("*")) + sorted(home.runs.rglob("*")):
        if path.is_file() and ".part" not in path.name:
            try:
                _read(path)
            except Exception as error:
                return f"{path.relative_to(home.folder)} is not whole: {error!r}"
    return ""


def _read(path: Path) -> None:
    match path.suffix:
        case ".png":
            with Image.open(path) as image:
                image.load()
        case ".json":
            json.loads(path.read_text(encoding="utf-8"))
        case ".ipynb":
            nbformat.validate(nbformat.read(path, as_version=4))
        case ".pdf":
            assert len(PdfReader(path).pages) > 1
        case ".html":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
        case ".safetensors":
            load_file(path)
        case ".npy":
            np.load(path, mmap_mode="r")
        case ".npz":
            checked.read_arrays(path)


def figures(home: Home) -> dict[str, str]:
    """Checksums of the figures and of the weights: what has to be the same however often stopped.

    Of a figure its pixels: the file also holds when the models were trained.
    """
    found = {}
    for path in sorted(home.out.rglob("*.png")):
        with Image.open(path) as image:
            found[os.fspath(path.relative_to(home.folder))] = sha256(image.tobytes()).hexdigest()
    for path in sorted(home.runs.rglob("model.safetensors")):
        found[os.fspath(path.relative_to(home.folder))] = files.checksum(path)
    return found


def finished(home: Home, reference: dict[str, str]) -> str:
    """Run the report to its end; what differs from one that was never stopped."""
    ended = run(home.report(), home.environment())
    if ended.code:
        return f"does not go on: {ended.terminal[-300:]}"
    if figures(home) != reference:
        other = [name for name, sum_ in figures(home).items() if reference.get(name) != sum_]
        missing = reference.keys() - figures(home)
        return f"differs from a report that was not stopped: {other}, lacks {sorted(missing)}"
    if parts := [path.name for path in home.folder.rglob("*.part*")]:
        return f"left half-written: {parts}"
    if kept := [path.name for path in home.temporary.iterdir()]:
        return f"left in the temporary folder: {kept}"
    return ""


def stops(first_seed: int, folder: Path, stages: list[Stage], count: int) -> Iterator[Case]:
    """So many stops by each signal, spread over the stages; one home goes through all of them.

    Each stage begins anew with what the one before it left. After the last one the report is run
    to its end, and its figures have to be those of one that was not stopped.
    """
    reference, home = Home(folder / "reference"), Home(folder / "stopped")
    ended = run(reference.report(), reference.environment())
    fault = ended.terminal if ended.code else ""
    yield Case("a report undisturbed", "smoke", first_seed, fault)
    if stages[0] not in BEFORE_NOTEBOOKS:  # what is trained
        shutil.copytree(reference.runs, home.runs)
        shutil.copytree(reference.folder / "cache", home.folder / "cache")
    for how, words in SIGNALS.items():
        for k, seed in enumerate(seeds(first_seed, words, count)):
            stage = stages[k % len(stages)]
            if stage.name == "preparation":
                shutil.rmtree(home.folder / "cache", ignore_errors=True)
            if stage.name == "training" and k % 4 == 0:
                shutil.rmtree(home.runs, ignore_errors=True)
            case = Case(f"{words} in a report", stage.name, seed, stopped(home, stage, how, seed))
            yield shown(case, home.report(), folder / "faults", home.folder / "terminal.txt")
    fault = finished(home, figures(reference))
    case = Case("a report that was stopped, run to its end", "smoke", first_seed, fault)
    yield shown(case, home.report(), folder / "faults")
