"""Prepared faces in a folder, checked by their checksums whenever they are read.

The folder can be copied to a machine that has neither the photos nor the packages that decode them,
and given there as the data.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from vaelib.config import IMAGE_SHAPE
from vaelib.sources import storage
from vaelib.support import checked, files
from vaelib.support.errors import InputError

Kind = Literal["celeba", "photos", "synthetic"]

IMAGES, ATTRIBUTES, SPLIT, FACTS = "images.npy", "attributes.npy", "split.npy", "facts.json"

# Imported where photos are decoded, and not at the top of a module: training on prepared faces
# needs none of them.
DECODERS = ("joblib", "PIL", "simplejpeg", "cv2")
PIP_NAMES = {"PIL": "pillow", "cv2": "opencv-python-headless"}  # where pip calls a module otherwise


MOST_FACTS = 2**26  # bytes: the names of a million broken photos


class _Facts(msgspec.Struct):
    """What facts.json holds."""

    name: str
    fingerprint: str
    kind: Kind
    faces: Annotated[int, msgspec.Meta(ge=1, le=2**40)]
    attribute_names: list[str]
    broken: list[str]
    sha256: dict[str, str]  # of each array's file
    seal: str  # of all the others

    def arrays(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type and shape of the array in each file."""
        expected = {IMAGES: ("uint8", (self.faces, *IMAGE_SHAPE)), SPLIT: ("uint8", (self.faces,))}
        if self.attribute_names:
            expected[ATTRIBUTES] = ("bool", (self.faces, len(self.attribute_names)))
        return expected


@dataclass(frozen=True)
class Prepared:
    """Faces in a folder, every file of which has been checked."""

    folder: Path
    name: str  # of the data, as its source was called
    kind: Kind
    faces: int
    attribute_names: tuple[str, ...]
    broken: tuple[str, ...]  # photos left out because they could not be decoded
    fingerprint: str  # the same for the same faces, wherever they lie


def clean_name(name: str) -> str:
    """The name reduced to ASCII letters, digits, '-', '_' and '.', as folders are called by it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")


def write_facts(
    folder: Path,
    name: str,
    kind: Kind,
    faces: int,
    attribute_names: Sequence[str],
    broken: Sequence[str],
) -> None:
    """Write the file that makes the arrays in the folder prepared faces, with their checksums."""
    checksums = {file.name: files.checksum(file) for file in sorted(folder.glob("*.npy"))}
    content = json.dumps([checksums, list(attribute_names)])
    facts = {
        "name": name,
        "fingerprint": hashlib.sha256(content.encode()).hexdigest(),
        "kind": kind,
        "faces": faces,
        "attribute_names": list(attribute_names),
        "broken": list(broken),
        "sha256": checksums,
    }
    files.write_json(folder / FACTS, {**facts, "seal": _seal(facts)})


def _seal(facts: dict[str, Any]) -> str:
    """Hash (sha256, hex) of the facts: they too may be damaged."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def is_in(folder: Path) -> bool:
    """Whether the folder holds prepared faces, intact or damaged."""
    return sum((folder / file).is_file() for file in (IMAGES, SPLIT, FACTS)) >= 2


def read(folder: Path) -> Prepared:
    """The prepared faces in the folder, after checking every file.

    Raises InputError naming the file that is missing, cannot be read, or is not as it was written.
    """
    file = FACTS
    try:
        facts = _read_facts(folder / file)
        for file, (dtype, shape) in facts.arrays().items():
            if files.checksum(folder / file) != facts.sha256[file]:
                raise ValueError
            array = np.load(folder / file, mmap_mode="r")
            # Whoever changes an array can seal the facts anew.
            if (array.dtype, array.shape) != (np.dtype(dtype), shape):
                raise ValueError
    except FileNotFoundError:
        fault = f"has no {file}"
    except OSError as error:
        storage.refuse(error, folder / file)
    except (ValueError, TypeError, AttributeError, EOFError):  # what numpy raises differs
        fault = f"is damaged: {file} is not as it was written"
    else:
        return Prepared(
            folder=folder.absolute(),
            name=facts.name,
            kind=facts.kind,
            faces=facts.faces,
            attribute_names=tuple(facts.attribute_names),
            broken=tuple(facts.broken),
            fingerprint=facts.fingerprint,
        )
    raise InputError(
        f"{folder} {fault}; copy it again from the machine that prepared these faces, "
        "or give their photos"
    )


def _read_facts(path: Path) -> _Facts:
    """The facts. Raises OSError, and ValueError for any that are not as they were written."""
    content = checked.read_bytes(path, MOST_FACTS)
    with checked.damage_in(path):
        found = json.loads(content)
        facts = msgspec.convert(found, _Facts)
        del found["seal"]
        # The name is looked at because it makes folders, and whoever changes it can seal it anew.
        if facts.seal != _seal(found) or facts.name != clean_name(facts.name):
            raise ValueError("it does not have its seal")
        if facts.arrays().keys() != facts.sha256.keys():
            raise ValueError("it has checksums of other files")
    return facts


def check_installed(*modules: str) -> None:
    """Raise InputError naming those of the modules for preparing photos that are not installed."""
    missing = [PIP_NAMES.get(name, name) for name in modules if not importlib.util.find_spec(name)]
    if missing:
        raise InputError(
            f"photos cannot be decoded without {', '.join(missing)}; run pip install "
            f"{' '.join(missing)}, or prepare the faces on another machine and give the folder "
            "that is made there in data/cache"
        )
