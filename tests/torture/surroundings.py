"""A report in odd surroundings: beside others, in foreign places, with hostile names."""

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.sources import shapes
from tests.torture.campaign import Case, Home, refusal_fault, run, seeds, shown
from tests.torture.kills import figures, finished

HOSTILE_NAMES = (
    "$x_1$", "{a}", "a\\b", "<b>bold</b>", "a|b", "#let x = 1", "*star*", "`code`", "[x](y)",
    "&amp;", "%", "@ref", "~", "\u202eright to left", "\U0001f600", "$", "a^b_c", "\\frac{1}{",
    "</td>", "'\"", "--flag", "=1+1", "\N{COMBINING ACUTE ACCENT}", "_", "x" * 300,
)  # fmt: skip

PLACES: dict[str, dict[str, str]] = {
    "the locale C, in ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    "a Turkish locale": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "a narrow terminal": {"COLUMNS": "20", "LINES": "2", "TERM": "dumb"},
    "a home that is a file": {"HOME": "/dev/null"},
    "a temporary folder that is a file": {"TMPDIR": "/dev/null"},
    "no PATH": {"PATH": ""},
    "time far west": {"TZ": "Pacific/Pago_Pago"},
}


def places(
    first_seed: int, folder: Path, trained: Home, reference: dict[str, str]
) -> Iterator[Case]:
    """A report with these variables; its models are there, and its figures are the same."""
    for name, variables in PLACES.items():
        home = copied(trained, folder / "places" / name.replace(" ", "-"))
        ended = run(home.report(), home.environment(**variables))
        fault = "" if not ended.code else ended.terminal[-300:]
        if not fault and figures(home) != reference:
            fault = "other figures"
        yield shown(Case("odd surroundings", name, first_seed, fault), home.report(), folder)
        shutil.rmtree(home.folder)


def prefixes() -> dict[str, list[str]]:
    """Programs that start another one with less than it is used to, where they are there."""
    found = {}
    if shutil.which("taskset"):
        found["one core"] = ["taskset", "--cpu-list", "0"]
    unshare = ["unshare", "--net"]
    if shutil.which("unshare") and not subprocess.run([*unshare, "true"]).returncode:
        found["no route to any network"] = unshare
    return found


def less(first_seed: int, folder: Path, trained: Home, reference: dict[str, str]) -> Iterator[Case]:
    for name, prefix in prefixes().items():
        home = copied(trained, folder / name.replace(" ", "-"))
        ended = run([*prefix, *home.report()], home.environment())
        fault = "" if not ended.code else ended.terminal[-300:]
        if not fault and figures(home) != reference:
            fault = "other figures"
        yield shown(Case("odd surroundings", name, first_seed, fault), home.report(), folder)
        shutil.rmtree(home.folder)


def at_once(first_seed: int, folder: Path, reference: dict[str, str]) -> Iterator[Case]:
    """Two and three reports at once, which train and draw the same; then once more to the end."""
    for count in (2, 3):
        home = Home(folder / f"{count} at once")
        environment = home.environment()
        with ThreadPoolExecutor(count) as pool:
            ended = list(pool.map(run, [home.report()] * count, [environment] * count))
        faults = [one.terminal[-300:] for one in ended if one.code]
        fault = "; ".join(faults) or finished(home, reference)
        yield shown(Case("reports at once", f"{count}", first_seed, fault), home.report(), folder)
        shutil.rmtree(home.folder)


def hostile_names(first_seed: int, folder: Path) -> Iterator[Case]:
    """A report on photos whose attributes, files and data set are called what nobody expects."""
    (seed,) = seeds(first_seed, "names", 1)
    home = Home(folder / "names")
    photos = home.folder / "in $x$ <b> {y} #z" / "faces & more"
    copy = shapes.procedural(300)
    names = (*HOSTILE_NAMES, *copy.names[len(HOSTILE_NAMES) :])
    table = copy.attribute_table().split("\n", 1)[1]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in ("image_id", *names))
    (photos / "img_align_celeba").mkdir(parents=True)
    for name, content in copy.photos.items():
        (photos / "img_align_celeba" / name).write_bytes(content)
    (photos / shapes.ATTRIBUTE_TABLE).write_text(f"{header}\n{table}", encoding="utf-8")
    command = [part for part in home.report() if part != "--data=synthetic"]
    command += [f"--data={photos}", "--name=faces $x$ {y} #z"]
    ended = run(command, home.environment())
    fault = ""
    if ended.code == 2:  # the name of the data set may be refused; the attributes may not
        fault = refusal_fault(ended)
        ended = run(command[:-1], home.environment())
    if ended.code:
        fault = fault or ended.terminal[-300:]
    yield shown(Case("hostile names", "a report", seed, fault), command, folder, photos)


def copied(trained: Home, folder: Path) -> Home:
    """A home that shares nothing with another but what was trained and prepared there."""
    home = Home(folder)
    for name in ("runs", "cache"):
        shutil.copytree(trained.folder / name, home.folder / name)
    return home
