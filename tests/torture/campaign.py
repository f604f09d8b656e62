"""What a campaign against the program is made of: cases, their outcomes, and a table of them."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from vaelib.support import paths

Command = list[str]


class Case(NamedTuple):
    """One thing that was done to the program, and whether it took it well."""

    kind: str  # the row of the table
    what: str  # in words
    seed: int  # of its random numbers
    fault: str = ""  # what went wrong; empty: nothing
    file: Path | None = None  # what shows the fault again


class Home(NamedTuple):
    """Folders of its own for one program: what it writes, and nothing else, lies below `folder`."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def environment(self, **changed: str) -> dict[str, str]:
        """Variables with which the program writes here, on one core."""
        for name in ("tmp", "home"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        own = {
            "VAELIB_RUNS": self.runs,
            "VAELIB_CACHE": self.folder / "cache",
            "TMPDIR": self.temporary,
            "HOME": self.folder / "home",
            "PYTHONPATH": paths.ROOT,
        }
        variables = {name: os.fspath(value) for name, value in own.items()}
        return {**os.environ, **variables, "OMP_NUM_THREADS": "1", **changed}

    def report(self, *options: str) -> Command:
        """The command of a report in the smoke preset, with fewer images still."""
        small = ["--preset=smoke", "--budget=320", "--side-budget=96"]
        command = [sys.executable, "-m", "vaelib", "report", "--data=synthetic", *small]
        return [*command, f"--out={self.out}", *options]


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    terminal: str  # what it printed on both streams
    seconds: float


def run(
    command: Command,
    environment: dict[str, str],
    limit: float = 600,
    before: Callable[[], None] | None = None,
) -> Ended:
    """Run a program to its end; one that takes longer than `limit` seconds is killed.

    before: called in its process before it starts.
    """
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=limit,
            check=False,
            preexec_fn=before,
        )
    except subprocess.TimeoutExpired:
        return Ended(-9, f"took more than {limit} s", limit)
    return Ended(done.returncode, done.stdout, time.monotonic() - started)


def refusal_fault(ended: Ended) -> str:
    """What is wrong with a refusal: it is one line, and its exit code is 2."""
    lines = [line for line in ended.terminal.replace("\r", "\n").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    if "Traceback" in ended.terminal:
        return f"a traceback: {lines[-1]}"
    if ended.code != 2:
        return f"exit code {ended.code} instead of 2: {lines[-1:]}"
    if lines[-1:] != errors:
        return f"not one line: {lines[-3:]}"
    return ""


def left_behind(home: Home, seconds: float = 10) -> list[str]:
    """Processes that still run with this home's variables after so many seconds."""
    until = time.monotonic() + seconds
    while processes := list(_processes_of(home)):
        if time.monotonic() > until:
            break
        time.sleep(0.2)
    return processes


def _processes_of(home: Home) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == os.fspath(home.temporary):
                yield f"{process.pid} {' '.join(process.cmdline())[:80]}"
        except psutil.Error:
            continue


def shown(case: Case, command: Command, out: Path, kept: Path | None = None) -> Case:
    """The case with a file that shows its fault again: the command, and a copy of what it read."""
    if not case.fault:
        return case
    folder = out / f"{case.kind}-{case.seed}".replace(" ", "-").replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    if kept and kept.is_dir():
        shutil.copytree(kept, folder / kept.name, dirs_exist_ok=True, symlinks=True)
    elif kept and kept.exists():
        shutil.copy(kept, folder)
    text = f"{case.what}\n{case.fault}\nseed {case.seed}\n{' '.join(command)}\n"
    (folder / "case.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
    return case._replace(file=folder)


def seeds(first: int, kind: str, count: int) -> list[int]:
    """Seeds of so many cases of a kind, all different for different campaigns."""
    numbers = random.Random(f"{first} {kind}")
    return [numbers.randrange(2**32) for _ in range(count)]


Table = dict[str, tuple[int, int]]  # cases and faults of each kind


def table(cases: list[Case]) -> Table:
    """How many cases of each kind there were, and how many of them went wrong."""
    rows: Table = {}
    for case in cases:
        count, wrong = rows.get(case.kind, (0, 0))
        rows[case.kind] = (count + 1, wrong + bool(case.fault))
    return rows


def in_markdown(rows: Table) -> str:
    """The table as it stands in RELIABILITY.md."""
    lines = ["| what was done | cases | right | wrong |", "|---|--:|--:|--:|"]
    lines += [
        f"| {kind} | {count:,} | {count - wrong:,} | {wrong:,} |"
        for kind, (count, wrong) in rows.items()
    ]
    count, wrong = (sum(row[k] for row in rows.values()) for k in (0, 1))
    return "\n".join([*lines, f"| all | {count:,} | {count - wrong:,} | {wrong:,} |"])


Campaign = Callable[[int, Path], Iterator[Case]]  # of a seed; what it writes lies below the folder
