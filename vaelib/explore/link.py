"""What is chosen in the explorer, as text that fits into an address: to send, and for a reload.

Panels are saved by what their controls have, kept faces by the model that drew them and their z.
The text is JSON, packed and written in the letters of addresses. It may come from anybody, so that
nothing in it is taken on trust.
"""

import base64
import json
import zlib
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelib.explore.state import MOST_KEPT
from vaelib.support.errors import InputError

VERSION = 1  # of the format
MOST_BYTES = 1_000_000  # of what a link is unpacked to
MOST_LETTERS = 100  # of a name


class KeptFace(NamedTuple):
    """A kept face, as far as it can be drawn again."""

    name: str
    model: str
    z: Tensor  # (latent,)


class Saved(NamedTuple):
    """What is chosen in the explorer."""

    tab: str  # the title of the panel that is in view
    panels: dict[str, list[Any]]  # the values of each panel's controls, by its title
    kept: list[KeptFace]


def pack(saved: Saved) -> str:
    """The text of a link."""
    record = {
        "version": VERSION,
        "tab": saved.tab,
        "panels": saved.panels,
        "kept": [[face.name, face.model, _as_text(face.z)] for face in saved.kept],
    }
    packed = zlib.compress(json.dumps(record, separators=(",", ":")).encode(), 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def unpack(text: str) -> Saved:
    """What a link says. Raises InputError for what is none."""
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        content = zlib.decompressobj().decompress(packed, MOST_BYTES)
        record = json.loads(content)
        if record["version"] != VERSION:
            raise InputError("this link was made by another version of the explorer")
        kept = [
            KeptFace(str(name)[:MOST_LETTERS], str(model), _as_tensor(z))
            for name, model, z in record["kept"]
        ]
        panels = {str(title): list(values) for title, values in record["panels"].items()}
        return Saved(str(record["tab"]), panels, kept[:MOST_KEPT])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error):
        raise InputError("this is no link of the explorer, or only a part of one") from None


def _as_text(z: Tensor) -> str:
    return base64.b64encode(z.numpy().astype("<f4").tobytes()).decode()


def _as_tensor(text: str) -> Tensor:
    values = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    if not np.isfinite(values).all():
        raise ValueError("not finite")
    return torch.from_numpy(values.astype(np.float32))
