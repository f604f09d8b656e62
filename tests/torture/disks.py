"""Disks that are full, or turn read-only, in every stage of a report; files that may not grow."""

import os
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.torture.campaign import Case, Ended, Home, refusal_fault, run, seeds, shown
from tests.torture.kills import BEFORE_NOTEBOOKS, LATER, Stage, finished, text_of, unreadable

DISK_BYTES = 2**29
FULL = "disk that is full"
READ_ONLY = "disk that turns read-only"
BOUNDED = "files that may not grow"

Spoil = Callable[[Path, int], None]  # what happens to a disk, by a seed
Mend = Callable[[Path], None]


def can_mount() -> bool:
    """Whether small disks in memory can be mounted here."""
    if not hasattr(os, "geteuid") or os.geteuid() or not shutil.which("mount"):
        return False
    return subprocess.run(["mount", "--fake", "-t", "tmpfs", "none", "/tmp"]).returncode == 0


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own, mounted there."""
    folder.mkdir(parents=True)
    size = f"size={DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "torture", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, seed: int) -> None:
    """Leave less than 200 kB of a disk."""
    left = random.Random(seed).randrange(200_000)
    room = shutil.disk_usage(folder).free - left
    if room > 0:
        with (folder / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room)


def empty(folder: Path) -> None:
    (folder / "filler").unlink(missing_ok=True)


def turn_read_only(folder: Path, _seed: int) -> None:
    """As soon as no file on it is open for writing, which is refused."""
    for _ in range(1_000):
        done = subprocess.run(["mount", "-o", "remount,ro", folder], capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.01)


def turn_writable(folder: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,rw,size={DISK_BYTES}", folder], check=True)


def spoiled(home: Home, terminal: Path, stage: Stage, spoil: Spoil, seed: int) -> str:
    """Start a report and spoil its disk in this stage; what was wrong about how it ended."""
    with terminal.open("wb") as stream:
        process = subprocess.Popen(
            home.report(), env=home.environment(), stdout=stream, stderr=subprocess.STDOUT
        )
        while process.poll() is None and stage.line not in text_of(terminal):
            time.sleep(0.02)
        time.sleep(random.Random(seed).uniform(0, stage.longest / 2))
        spoil(home.folder, seed)
        try:
            code = process.wait(300)
        except subprocess.TimeoutExpired:
            process.kill()
            return "did not end within 300 s"
    if code == 0:  # it had written all that it writes
        return unreadable(home)
    return refusal_fault(Ended(code, text_of(terminal), 0)) or unreadable(home)


def spoiled_disks(
    first_seed: int, folder: Path, trained: Home, reference: dict[str, str]
) -> Iterator[Case]:
    """Each stage on a disk that fills, and on one that turns read-only; then on to the end.

    trained: a home whose models and faces are made already, for the stages after the training.
    """
    if not can_mount():
        return
    kinds: list[tuple[str, Spoil, Mend]] = [
        (FULL, fill, empty),
        (READ_ONLY, turn_read_only, turn_writable),
    ]
    for kind, spoil, mend in kinds:
        with disk(folder / kind.replace(" ", "-")) as place:
            home = Home(place / "home")
            terminal = folder / f"{kind}.txt"
            stages = [*BEFORE_NOTEBOOKS, *LATER]
            for stage, seed in zip(stages, seeds(first_seed, kind, len(stages)), strict=True):
                if stage == LATER[0]:
                    for name in ("runs", "cache"):
                        shutil.rmtree(home.folder / name, ignore_errors=True)
                        shutil.copytree(trained.folder / name, home.folder / name)
                fault = spoiled(home, terminal, stage, spoil, seed)
                mend(place)
                case = Case(f"{kind}", stage.name, seed, fault)
                yield shown(case, home.report(), folder / "faults", terminal)
            fault = finished(home, reference)
            case = Case(f"a report on a {kind}, run to its end", "smoke", first_seed, fault)
            yield shown(case, home.report(), folder / "faults")


def bounded_files(first_seed: int, folder: Path, count: int) -> Iterator[Case]:
    """Reports none of whose files may be larger than a random size, as with a quota."""
    for seed in seeds(first_seed, BOUNDED, count):
        most = int(10 ** random.Random(seed).uniform(2, 7))
        home = Home(folder / f"bounded-{seed}")
        command = home.report()
        ended = run(command, home.environment(), before=limit_to(most))
        fault = refusal_fault(ended) if ended.code else ""
        case = Case(BOUNDED, f"at most {most:,} bytes", seed, fault or unreadable(home))
        yield shown(case, command, folder / "faults")
        shutil.rmtree(home.folder)


def limit_to(most: int) -> Callable[[], None]:
    """Called in a process before its program starts: its files grow to so many bytes at most."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return limit
