"""Prepared faces in a folder: sealed when they are written, checked when they are read.

The folder is complete in itself: it can be copied to a machine that has neither the photos nor the
packages that decode them, and given there as the data.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from vaelib.sources import storage
from vaelib.support import files
from vaelib.support.errors import InputError

Kind = Literal["celeba", "photos", "synthetic"]

IMAGES, ATTRIBUTES, SPLIT, FACTS = "images.npy", "attributes.npy", "split.npy", "facts.json"

# Training needs none of these where faces are prepared already, so they are imported where photos
# are decoded, and not at the top.
DECODERS = ("joblib", "PIL", "simplejpeg")
PACKAGES = {"PIL": "pillow"}  # what pip calls a module, where its name is another


@dataclass(frozen=True)
class Prepared:
    """What is known of the faces in a folder, all of which has been checked."""

    folder: Path
    name: str  # of the data, as its source was called
    kind: Kind
    faces: int
    attribute_names: tuple[str, ...]
    broken: tuple[str, ...]  # photos left out because they could not be decoded
    fingerprint: str  # the same for the same faces, wherever they lie


def clean_name(name: str) -> str:
    """The name with nothing but ASCII letters, digits, '-', '_' and '.': it names folders."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")


def write_facts(
    folder: Path,
    name: str,
    kind: Kind,
    faces: int,
    attribute_names: Sequence[str],
    broken: Sequence[str],
) -> None:
    """Seal the arrays that were written to the folder. From then on they are prepared faces."""
    checksums = {file.name: files.checksum(file) for file in sorted(folder.glob("*.npy"))}
    told = json.dumps([checksums, list(attribute_names)])
    facts = {
        "name": name,
        "fingerprint": hashlib.sha256(told.encode()).hexdigest(),
        "kind": kind,
        "faces": faces,
        "attribute_names": list(attribute_names),
        "broken": list(broken),
        "sha256": checksums,
    }
    files.write_json(folder / FACTS, {**facts, "seal": _seal(facts)})


def _seal(facts: dict[str, Any]) -> str:
    """Hash (sha256, hex) of all the facts but the seal: they too may be damaged."""
    told = {key: value for key, value in facts.items() if key != "seal"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def is_in(folder: Path) -> bool:
    """Whether the folder holds prepared faces, be they whole or damaged."""
    return sum((folder / file).is_file() for file in (IMAGES, SPLIT, FACTS)) >= 2


def read(folder: Path) -> Prepared:
    """What is prepared in the folder, every bit of it checked.

    Raises InputError naming the file that is missing, cannot be read, or is not as it was written.
    """
    facts = _sealed_facts(folder)
    for file, told in facts["sha256"].items():
        try:
            whole = files.checksum(folder / file) == told
        except OSError as error:
            _refuse(folder, file, error)
        if not whole:
            _refuse(folder, file)
    return Prepared(
        folder=folder.absolute(),
        name=facts["name"],
        kind=facts["kind"],
        faces=facts["faces"],
        attribute_names=tuple(facts["attribute_names"]),
        broken=tuple(facts["broken"]),
        fingerprint=facts["fingerprint"],
    )


def _sealed_facts(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        # The name is looked at because it makes folders, and whoever changes it can seal it anew.
        whole = facts["seal"] == _seal(facts) and facts["name"] == clean_name(facts["name"])
    except OSError as error:
        _refuse(folder, FACTS, error)
    except (ValueError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        _refuse(folder, FACTS)
    return facts


def _refuse(folder: Path, file: str, error: OSError | None = None) -> NoReturn:
    """Say which file of the prepared faces is not as it was written. Raises InputError."""
    if error and not isinstance(error, FileNotFoundError):
        storage.refuse(error, folder / file)
    wrong = f"has no {file}" if error else f"is damaged: {file} is not as it was written"
    raise InputError(
        f"{folder} {wrong}; copy it again from the machine that prepared these faces, "
        "or give their photos"
    ) from error


def check_installed(*modules: str) -> None:
    """Raise InputError naming those of the modules, which photos are prepared with, not at hand."""
    missing = [PACKAGES.get(name, name) for name in modules if not importlib.util.find_spec(name)]
    if missing:
        raise InputError(
            f"photos cannot be decoded without {', '.join(missing)}; run pip install "
            f"{' '.join(missing)}, or prepare the faces on another machine and give the folder "
            "that is made there in data/cache"
        )
