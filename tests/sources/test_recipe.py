"""Prepared faces stay what they are as long as `prepare.RECIPE` does not change.

Their caches are named by that number: where results change and it does not, old caches are taken
for new ones.
"""

import base64
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vaelib.sources import layouts, prepare

RECIPE = 2
CHANGED = (
    "results changed: raise RECIPE in vaelib/sources/prepare.py, with a line on what changed, and "
    "renew these numbers"
)

# A chequered JPEG of 178 x 218, as bytes: encoders differ, and decoding it at half size is part of
# the recipe.
JPEG = base64.b64decode(
    """
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L
2u71////m8H////6/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4
+Pj4+Pj4+Pj4+Pj4+Pj/wAARCADaALIDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAT/xAAUEAEAAAAAAAAAAAAA
AAAAAAAA/8QAFwEBAQEBAAAAAAAAAAAAAAAABAUAA//EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/AJgCnFWA
mnJAFIFWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnADMkAUgVYCackAUgVYCackAUgVYCackAUgVYCackAUgVYCack
AUgQBmVgJpyQBSBVgJpyQBSBVgJpyQBSBVgJpyQBSBVgJpyQBSBVgJpwAzJAFIFWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnJA
FIFWAmnJAFIEAZlYCackAUgVYCackAUgVYCackAUgVYCackAUgVYCackAUgVYCacAMyQBSBVgJpyQBSBVgJpyQBSBVgJpyQB
SBVgJpyQBSBVgJpyQBSBAGZWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnADMkAUgVYCackAUgVYCackAU
gVYCackAUgVYCackAUgVYCackAUgQBmVgJpyQBSBVgJpyQBSBVgJpyQBSBVgJpyQBSBVgJpyQBSBVgJpwAzJAFIFWAmnJAFI
FWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnJAFIEAZlYCackAUgVYCackAUgVYCackAUgVYCackAUgVYCackAUgVYCacAMyQBSB
VgJpyQBSBVgJpyQBSBVgJpyQBSBVgJpyQBSBVgJpyQBSBAGZWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnJAFIFWAmnJAFIFWAm
nADMkAUgVYCackAUgVYCackAUgVYCackAUgVYCackAUgVYCackAUgX//2Q==
    """
)

# Mean of red, green and blue, and mean difference of neighbours across and down, in grey levels.
PIXELS = {
    "0 small": [102.0, 88.59, 111.77, 9.36, 9.97],
    "1 of CelebA's aspect": [120.33, 90.96, 124.62, 19.93, 15.23],
    "2 of another aspect within a tenth": [130.4, 91.99, 125.42, 23.28, 15.22],
    "3 wide": [127.2, 93.19, 127.48, 24.52, 14.21],
    "4 tall": [129.39, 94.0, 132.1, 18.37, 12.22],
    "5 grey": [108.76, 108.76, 108.76, 27.37, 17.84],
    "6 clear at the left": [171.31, 150.6, 170.5, 19.09, 10.07],
    "7 of 16 bits": [126.0, 126.0, 126.0, 0.0, 3.97],
    "8 a JPEG": [117.81, 104.46, 120.64, 20.33, 18.3],
}
SPLIT = "00000000200010001000102000001110000100002100102000020000000100000010000200022000"

PROCEDURAL_PIXELS = [
    [93.27, 79.36, 62.54, 11.28, 8.68],
    [73.47, 60.11, 53.89, 6.33, 6.07],
    [197.27, 181.76, 168.43, 8.2, 7.33],
    [144.96, 134.35, 126.87, 12.35, 10.27],
]
PROCEDURAL_SPLIT = "1202121202222100"
ATTRIBUTES = """
    000000010000010001000000100001 000000100000011001000010000001 100010001000010000000000000001
    000010000000000011000001010101 000000000000001001100011000001 000100000000011001000010000001
    100011000000011000000010001001 010010000000000001000000100101 010010100000001001100010000101
    010010100000000001000000000100 010000001000000001000011000101 000000001001011001001010000001
    000000000000000011000000000101 010101001000001001000010010101 000001001001010011101000000010
    000001001000011001000010000001
""".split()  # noqa: SIM905, as sixteen quoted words are harder to compare


def drawn(number: int, width: int, height: int) -> Image.Image:
    """A photo with edges and slopes, from integers alone."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [x * (3 + number) + y, (x // 7 + y // 9) % 2 * 180 + number, y * 5 + x * x // 40]
    return Image.fromarray((np.stack(channels, axis=-1) % 256).astype(np.uint8))


PHOTOS: dict[str, Image.Image | None] = {
    "0 small": drawn(0, 48, 64),
    "1 of CelebA's aspect": drawn(1, 89, 109),
    "2 of another aspect within a tenth": drawn(2, 97, 109),
    "3 wide": drawn(3, 200, 100),
    "4 tall": drawn(4, 70, 200),
    "5 grey": drawn(5, 89, 109).convert("L"),
    "6 clear at the left": drawn(6, 89, 109),
    "7 of 16 bits": Image.fromarray(
        (np.arange(109)[:, None] * np.ones(89) * 600).astype(np.uint16)
    ),
    "8 a JPEG": None,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty photos, all but the first nine alike, in no lossy format but for the fixed JPEG."""
    folder = tmp_path_factory.mktemp("photos")
    alpha = np.full((109, 89), 255, np.uint8)
    alpha[:, :40] = 60
    for name, image in PHOTOS.items():
        if image is None:
            (folder / f"{name}.jpg").write_bytes(JPEG)
            continue
        if "clear" in name:
            image.putalpha(Image.fromarray(alpha))
        image.save(folder / f"{name}.png")
    for number in range(len(PHOTOS), 80):
        drawn(number, 48, 64).save(folder / f"{number:03}.bmp")
    return folder


def prepared(data: str, count: int, folder: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of the cache that is made of the source."""
    prepare.prepare(layouts.find(data), count, folder)
    return {file.stem: np.load(file) for file in folder.glob("*.npy")}


def summary(image: NDArray[np.generic]) -> list[float]:
    """Mean of each channel, and mean difference of neighbours across and down: five numbers."""
    levels = image.astype(np.float64)
    differences = [np.abs(np.diff(levels, axis=axis)).mean() for axis in (2, 1)]
    return [round(float(number), 2) for number in (*levels.mean(axis=(1, 2)), *differences)]


def packed(truths: NDArray[np.generic]) -> list[str]:
    """Rows of attributes as digits, 1 where the face has it."""
    return ["".join(str(int(truth)) for truth in row) for row in truths]


def test_the_numbers_belong_to_the_recipe() -> None:
    assert prepare.RECIPE == RECIPE, "renew the numbers of this module with the recipe"


def test_photos_are_prepared_to_the_same_pixels(photos: Path, tmp_path: Path) -> None:
    images = prepared(str(photos), 80, tmp_path)["images"]
    order = sorted([*(f"{name}." for name in PHOTOS), *(f"{n:03}." for n in range(9, 80))])
    found = {name: summary(images[order.index(f"{name}.")]) for name in PHOTOS}
    for name, expected in PIXELS.items():
        assert found[name] == pytest.approx(expected, abs=0.3), f"{name}: {CHANGED}\n{found}"


def test_photos_get_the_same_split(photos: Path, tmp_path: Path) -> None:
    split = prepared(str(photos), 80, tmp_path)["split"]
    assert "".join(map(str, split)) == SPLIT, CHANGED


def test_lists_give_the_same_attributes_and_split(photos: Path, tmp_path: Path) -> None:
    names = sorted(file.name for file in photos.iterdir())
    folder = tmp_path / "copy"
    (folder / "img_align_celeba").mkdir(parents=True)
    for name in names:
        (folder / "img_align_celeba" / name).write_bytes((photos / name).read_bytes())
    rows = [f"{name},{k % 2},{k // 2 % 2 * 2 - 1}" for k, name in enumerate(names)]
    (folder / "list_attr_celeba.csv").write_text("\n".join(["file,Young,eyeglasses", *rows]))
    parts = [f"{name},{k % 3}" for k, name in enumerate(names)]
    (folder / "list_eval_partition.csv").write_text("\n".join(parts))
    (tmp_path / "cache").mkdir()
    found = prepared(str(folder), 80, tmp_path / "cache")
    eyeglasses_then_young = ["00", "01", "10", "11"] * 20
    assert packed(found["attributes"]) == eyeglasses_then_young, CHANGED
    assert found["split"].tolist() == [k % 3 for k in range(80)], CHANGED
    wide = summary(found["images"][names.index("3 wide.png")])
    assert wide == pytest.approx(PIXELS["3 wide"], abs=0.3), f"{CHANGED}\n{wide}"


def test_procedural_faces_are_prepared_to_the_same_arrays(tmp_path: Path) -> None:
    found = prepared("synthetic", 16, tmp_path)
    pixels = [summary(image) for image in found["images"][:4]]
    assert packed(found["attributes"]) == ATTRIBUTES, f"{CHANGED}\n{packed(found['attributes'])}"
    assert "".join(map(str, found["split"])) == PROCEDURAL_SPLIT, CHANGED
    for face, expected in zip(pixels, PROCEDURAL_PIXELS, strict=True):
        assert face == pytest.approx(expected, abs=0.3), f"{CHANGED}\n{pixels}"
