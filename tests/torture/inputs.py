"""Thousands of damaged or invented inputs of every kind that the program reads.

Each is read in this process, as the program reads it. What it may do is give the result or raise an
InputError of one line, within seconds and without much memory. Anything else is a fault.
"""

import contextlib
import io
import json
import os
import random
import resource
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from tests.sources import shapes
from tests.torture import mutations
from tests.torture.campaign import Case, seeds, shown
from vaelib import data
from vaelib.__main__ import command_line
from vaelib.config import Experiment
from vaelib.explore import link, photo, run_index
from vaelib.faces import render
from vaelib.sources import decode, layouts, prepare
from vaelib.support import files
from vaelib.support.errors import InputError
from vaelib.training import checkpoints, runs
from vaelib.training.runs import HistoryRow

SECONDS, BYTES = 10, 2**30  # more than that for one input is a fault
FACES = 70  # of a small copy of CelebA
EXPERIMENT = Experiment(latent=4, budget=64)

Read = Callable[[Path], object]  # of a folder that holds the input


class Kind(NamedTuple):
    """A kind of input: how a good one is made, what is mutated of it, and how it is read."""

    name: str
    make: Callable[[Path], None]
    read: Read
    files: str = "**/*"  # of which one is mutated


# --- photos


@cache
def _face() -> Image.Image:
    images, _ = render.generate(1, 0)
    return Image.fromarray(images[0].transpose(1, 2, 0)).resize((178, 218))


FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")


def _make_photos(folder: Path) -> None:
    for kind in FORMATS:
        _face().save(folder / f"photo.{kind.lower()}", kind)
    _face().save(folder / "progressive.jpeg", progressive=True)
    _face().convert("I;16").save(folder / "grey16.png")
    _face().quantize(64).save(folder / "palette.png")


def _decode_photos(folder: Path) -> None:
    for file in folder.iterdir():
        reason = ""
        try:
            decode.decode(file, align=True)
        except Exception as error:  # such a photo is left out, with this reason
            reason = decode.failure_reason(error)
        assert "\n" not in reason


def _read_in_explorer(folder: Path) -> None:
    for file in folder.iterdir():
        with contextlib.suppress(InputError):
            photo.read(file.read_bytes())


# --- copies of CelebA


def _make_copy(folder: Path) -> None:
    shapes.torchvision(shapes.procedural(FACES), folder)


def _make_zip(folder: Path) -> None:
    copy = shapes.procedural(FACES)
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in copy.photos.items():
            archive.writestr(f"img_align_celeba/{name}", content)
        archive.writestr(shapes.ATTRIBUTE_TEXT, copy.attribute_text())
        archive.writestr(shapes.PARTITION_TEXT, copy.partition_text())


def _make_parquet(folder: Path) -> None:
    copy = shapes.procedural(FACES)
    photos = [{"bytes": content, "path": name} for name, content in copy.photos.items()]
    columns = {"image": photos} | {
        name: [bool(row[k]) for row in copy.attributes] for k, name in enumerate(copy.names)
    }
    pq.write_table(pa.table(columns), folder / "train-00000-of-00001.parquet")


def _prepare(folder: Path) -> None:
    target = folder.with_name("prepared")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    only = list(folder.iterdir())
    source = layouts.find(os.fspath(only[0] if len(only) == 1 else folder))
    prepare.prepare(source, source.count or FACES, target)


def _make_prepared(folder: Path) -> None:
    copy = folder.with_name("copy")
    if not copy.exists():
        copy.mkdir()
        _make_copy(copy)
    source = layouts.find(os.fspath(copy))
    prepare.prepare(source, source.count or FACES, folder)


def _open_prepared(folder: Path) -> None:
    faces = data.open_prepared(folder)
    assert int(faces.images.sum()) >= 0
    assert len(faces.images) == len(faces.split)


# --- runs


ROWS = [
    HistoryRow(0, "validation", 0, 1.0, 1.0, 0.0, 0.0, 0.0),
    HistoryRow(1, "train", 64, 0.5, 0.5, 0.0, 1.0, 64.0),
    HistoryRow(1, "validation", 64, 0.5, 0.5, 0.0, 1.0, 64.0),
]


def _make_run(folder: Path) -> None:
    model = checkpoints.initial_state(EXPERIMENT, torch.device("cpu")).model
    kinds = ("device", "python", "torch", "system", "commit", "faces", "kind", "fingerprint")
    environment = dict.fromkeys(kinds, "unknown")
    runs.finish(folder / "run", EXPERIMENT, ROWS, environment, model.state_dict())


def _open_run(folder: Path) -> None:
    index = run_index.find_runs(folder, "unknown")
    assert not [line for line in index.unreadable if "\n" in line]
    for name in index.names:
        index.model(name)


def _with_valid_checksums(folder: Path) -> None:
    """The marker of a stranger's run says that all its files are as they should be."""
    run = folder / "run"
    names = [path.name for path in run.iterdir() if path.name != runs.FINISHED]
    sums = {name: files.checksum(run / name) for name in names}
    marker = {"images_seen": EXPERIMENT.budget, "sha256": sums}
    (run / runs.FINISHED).write_text(json.dumps(marker))


def _open_strangers_run(folder: Path) -> None:
    _with_valid_checksums(folder)
    _open_run(folder)


def _make_checkpoints(folder: Path) -> None:
    state = checkpoints.initial_state(EXPERIMENT, torch.device("cpu"))
    for images in (16, 32):
        state.images_seen, state.steps, state.history = images, images // 16, ROWS[:1]
        state.stage_losses = [checkpoints.MeanLoss(images, 1.0, 1.0, 0.0)]
        checkpoints.save(folder / "run", checkpoints.snapshot(state))


def _restore(folder: Path) -> None:
    state = checkpoints.initial_state(EXPERIMENT, torch.device("cpu"))
    checkpoints.restore(folder / "run", state, EXPERIMENT.budget)
    # Of two one is damaged at most.
    assert state.images_seen in (16, 32)
    assert all(torch.isfinite(weight).all() for weight in state.model.parameters())


# --- what people type and paste


def _make_link(folder: Path) -> None:
    saved = link.Saved("Generate", {"Generate": ["base", 0, 1.0]}, [])
    (folder / "link.txt").write_text(link.pack(saved))


def _open_link(folder: Path) -> None:
    link.unpack((folder / "link.txt").read_text(encoding="utf-8", errors="surrogateescape"))


def _make_command(folder: Path) -> None:
    (folder / "command.txt").write_text(
        "report --data=synthetic --preset=smoke --name=x --seed=0 --budget=10,20 --side-budget=5"
    )


def _parse_command(folder: Path) -> None:
    text = (folder / "command.txt").read_text(encoding="utf-8", errors="surrogateescape")
    stderr, code = io.StringIO(), 0
    try:
        with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
            command_line().parse_args(text.split())
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code in (0, 2), code
    assert stderr.getvalue().count("\n") == (1 if code else 0), stderr.getvalue()


KINDS = (
    Kind("photos", _make_photos, _decode_photos),
    Kind("photos in the explorer", _make_photos, _read_in_explorer),
    Kind("lists and photos of a copy", _make_copy, _prepare),
    Kind("lists of a copy", _make_copy, _prepare, "*.txt"),
    Kind("zip archives", _make_zip, _prepare),
    Kind("parquet files", _make_parquet, _prepare),
    Kind("prepared faces", _make_prepared, _open_prepared),
    Kind("run folders", _make_run, _open_run),
    Kind("run folders of strangers, checksums valid", _make_run, _open_strangers_run),
    Kind("checkpoints", _make_checkpoints, _restore),
    Kind("links of the explorer", _make_link, _open_link),
    Kind("command lines", _make_command, _parse_command),
)


def mutated(kind: Kind, good: Path, folder: Path, seed: int) -> str:
    """Put a mutated copy of a good input into the folder; what was changed, in words."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder)
    numbers = random.Random(seed)
    present = sorted(path for path in folder.glob(kind.files) if path.is_file())
    victim = numbers.choice(present)
    content = victim.read_bytes()
    if victim.suffix == ".json" and numbers.random() < 0.7:
        victim.write_bytes(mutations.of_json(content, numbers))
    else:
        victim.write_bytes(mutations.of_bytes(content, numbers))
    return f"{kind.name}: {victim.name}"


def fault_of(read: Read, folder: Path) -> str:
    """What is wrong about how an input is read; empty where it is read, or refused in a line."""
    before, started = _peak_bytes(), time.monotonic()
    fault = ""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            read(folder)
    except InputError as error:
        fault = f"more than one line: {error}" if "\n" in str(error) else ""
    except (Exception, RecursionError) as error:
        fault = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    seconds, grown = time.monotonic() - started, _peak_bytes() - before
    if seconds > SECONDS:
        fault = fault or f"took {seconds:.0f} s"
    if grown > BYTES:
        fault = fault or f"took {grown / 2**30:.1f} GB"
    return fault


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def mutated_inputs(first_seed: int, folder: Path, count: int) -> Iterator[Case]:
    """So many mutated inputs, as many of each kind."""
    for kind in KINDS:
        place = folder / kind.name.replace(" ", "-").replace(",", "")
        good, damaged = place / "good", place / "damaged"
        good.mkdir(parents=True)
        kind.make(good)
        kind.read(good)  # what is not damaged is read
        for seed in seeds(first_seed, kind.name, -(-count // len(KINDS))):
            what = mutated(kind, good, damaged, seed)
            case = Case(f"damaged {kind.name}", what, seed, fault_of(kind.read, damaged))
            yield shown(case, ["python", "-m", "tests.torture"], folder / "faults", damaged)
        shutil.rmtree(place)
