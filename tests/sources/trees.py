"""Trees of files as other data sets than CelebA are unpacked, made of the program's own faces."""

import functools
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.sources import shapes
from vaelib.faces import render

PARTS = ("skin", "hair", "l_eye", "nose")
PEOPLE = [f"{first}_{last}" for first in ("Ada", "Bo", "Cy", "Di", "Ed") for last in "KLMNO"]


@functools.cache
def faces(count: int) -> NDArray[np.uint8]:
    """Faces uint8 (N, 64, 48, 3)."""
    return render.generate(count, 0)[0].transpose(0, 2, 3, 1)


def encoded(pixels: NDArray[np.uint8], suffix: str, size: tuple[int, int] = (48, 64)) -> bytes:
    content = io.BytesIO()
    image = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
    image.save(content, {".jpg": "JPEG", ".jfif": "JPEG"}.get(suffix, suffix[1:].upper()))
    return content.getvalue()


def photo(number: int, suffix: str = ".jpg", size: tuple[int, int] = (48, 64)) -> bytes:
    return encoded(faces(64)[number % 64], suffix, size)


def mask(number: int, channels: int = 3) -> bytes:
    """Black, and white where a face is bright."""
    bright = (faces(64)[number % 64].mean(axis=-1) > 128).astype(np.uint8) * 255
    return encoded(bright if channels == 1 else np.stack([bright] * channels, -1), ".png", (32, 32))


def depth(number: int) -> bytes:
    return encoded(faces(64)[number % 64, :, :, 0], ".png")


def written(folder: Path, content: Mapping[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def photos(names: Iterable[str]) -> dict[str, bytes]:
    """A photo for each of these names, each of other pixels as long as there are any."""
    return {
        name: photo(number, Path(name).suffix.lower() if "." in name else ".jpg")
        for number, name in enumerate(names)
    }


def celeba_mask_hq(channels: int = 3) -> dict[str, bytes]:
    """CelebAMask-HQ of 64 photos: masks in numbered folders, and a list of attributes."""
    names = [f"{number}.jpg" for number in range(64)]
    copy = shapes.procedural(64, size=(16, 16))
    listed = shapes.Copy(dict.fromkeys(names, b""), copy.names, copy.attributes, copy.split)
    tree = {f"CelebA-HQ-img/{name}": photo(number) for number, name in enumerate(names)}
    for number in range(64):
        for part in PARTS:
            name = f"CelebAMask-HQ-mask-anno/{number // 16}/{number:05}_{part}.png"
            tree[name] = mask(number, channels)
    text = listed.attribute_text().replace(".jpg ", ".jpg  ")
    tree["CelebAMask-HQ-attribute-anno.txt"] = text.encode()
    tree["CelebA-HQ-to-CelebA-mapping.txt"] = b"idx orig_idx orig_file\n0 119613 119614.jpg\n"
    return tree


def lfw(photos_each: int = 4) -> dict[str, bytes]:
    """A folder for each of 25 persons."""
    return photos(
        f"lfw/{person}/{person}_{number:04}.jpg"
        for person in PEOPLE
        for number in range(1, photos_each + 1)
    )
