"""One photo becomes one face: upright, in RGB, cropped and resized."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from tests.conftest import real
from vaelib.sources import decode

Make = Callable[..., Path]


def decoded(image: Image.Image, path: Path, **options: Any) -> NDArray[np.int64]:
    """The image after a stay on disk and our decoding, as (64, 48, 3)."""
    image.save(path, **options)
    return decode.decode(path).pixels.transpose(1, 2, 0).astype(np.int64)


def quarters(size: tuple[int, int] = (96, 128)) -> Image.Image:
    """Red, green, blue and white from the upper left on, row by row: no two ways up look alike."""
    colours = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)


def corners(image: NDArray[np.int64]) -> str:
    """The colours of the four corners, as initials."""
    names = {(255, 0, 0): "r", (0, 255, 0): "g", (0, 0, 255): "b", (255, 255, 255): "w"}
    return "".join(
        names.get(tuple((image[y, x] + 8) // 255 * 255), "?") for y in (2, -3) for x in (2, -3)
    )


def as_torchvision(photo: Path) -> NDArray[np.float64]:
    """What torchvision's Resize((64, 48)) makes of a photo, as (3, 64, 48)."""
    with Image.open(photo) as image:
        small = image.convert("RGB").resize((48, 64), Image.Resampling.BILINEAR)
    return np.asarray(small).transpose(2, 0, 1).astype(np.float64)


def test_a_small_photo_becomes_what_torchvisions_resize_makes_of_it(photo_folder: Make) -> None:
    photo = photo_folder(1, size=(89, 109)) / "000000.jpg"
    np.testing.assert_array_equal(decode.decode(photo).pixels, as_torchvision(photo))


def test_a_jpeg_decoded_at_a_part_of_its_size_looks_the_same(photo_folder: Make) -> None:
    for size in ((154, 206), (178, 218), (801, 981), (1603, 1955)):
        photo = photo_folder(1, name=f"{size}", size=size) / "000000.jpg"
        assert np.abs(decode.decode(photo).pixels - as_torchvision(photo)).mean() < 0.5, size


def test_portraits_of_celebas_size_differ_from_torchvisions_by_less_than_2_grey_levels() -> None:
    chosen = sorted(Path(real("openfaces/photos")).iterdir())[::24]
    off = [np.abs(decode.decode(photo).pixels - as_torchvision(photo)).mean() for photo in chosen]
    assert max(off) < 2
    assert np.mean(off) < 1


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    seen = ["rgbw", "grwb", "wbgr", "bwrg", "rbgw", "brwg", "wgbr", "gwrb"]
    offenders = []
    for orientation, expected in enumerate(seen, start=1):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        size = (109, 89) if orientation >= 5 else (89, 109)  # so that upright it needs no crop
        for ending in ("jpg", "png", "tif", "webp"):
            image = decoded(quarters(size), tmp_path / f"turned.{ending}", exif=exif)
            if corners(image) != expected:
                offenders.append((orientation, ending, corners(image)))
    assert offenders == []


def test_a_turned_photo_is_cropped_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    # On its side 96 x 300: upright 300 x 96, so the middle 78 columns of 300 remain.
    lying = Image.new("RGB", (96, 300), "red")
    lying.paste((255, 255, 255), (0, 110, 96, 190))
    assert decoded(lying, tmp_path / "turned.png", exif=exif).min() == 255


def test_every_mode_comes_out_in_rgb(tmp_path: Path) -> None:
    for mode in ("RGB", "RGBA", "P", "CMYK", "YCbCr", "L", "1", "LA"):
        ending = "jpg" if mode in ("CMYK", "YCbCr") else "png"
        image = decoded(quarters().convert(mode), tmp_path / f"image.{ending}", quality=100)
        grey = mode in ("L", "1", "LA")
        assert image.shape == (64, 48, 3), mode
        assert (image[..., 0] == image[..., 2]).all() == grey, mode
        assert corners(image)[3] == "w", mode
        assert corners(image) == "rgbw" or grey, mode


def test_clear_parts_become_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (96, 128), (255, 0, 0, 0))
    assert decoded(clear, tmp_path / "clear.png").min() == 255


def test_half_clear_parts_are_mixed_with_white(tmp_path: Path) -> None:
    half = Image.new("RGBA", (96, 128), (0, 0, 0, 128))
    np.testing.assert_allclose(decoded(half, tmp_path / "half.webp", lossless=True), 127, atol=1)


def test_a_clear_colour_of_a_palette_becomes_white(tmp_path: Path) -> None:
    flat = Image.new("P", (96, 128), 0)
    flat.putpalette([200, 30, 30, 0, 0, 0])
    assert decoded(flat, tmp_path / "flat.png", transparency=0).min() == 255


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 128).astype(np.uint16)[:, None].repeat(96, axis=1)
    for ending in ("png", "tif"):
        image = decoded(Image.fromarray(ramp), tmp_path / f"ramp.{ending}")
        np.testing.assert_allclose(image[:, 24, 0], np.linspace(1, 254, 64), atol=1.5)


def test_a_wide_photo_is_cropped_to_its_middle(tmp_path: Path) -> None:
    wide = Image.new("RGB", (400, 218), "red")
    wide.paste((255, 255, 255), (111, 0, 289, 218))
    assert decoded(wide, tmp_path / "wide.png").min() == 255


def test_a_tall_photo_is_cropped_to_its_middle(tmp_path: Path) -> None:
    tall = Image.new("RGB", (178, 500), "red")
    tall.paste((255, 255, 255), (0, 141, 178, 359))
    assert decoded(tall, tmp_path / "tall.png").min() == 255


def test_a_photo_within_10_percent_of_celebas_aspect_is_kept_whole(tmp_path: Path) -> None:
    nearly = Image.new("RGB", (194, 218), "white")  # 9% too wide
    nearly.paste((255, 0, 0), (0, 0, 8, 218))
    assert decoded(nearly, tmp_path / "nearly.png")[:, 0, 1].max() == 0


def test_a_photo_11_percent_off_celebas_aspect_is_cropped(tmp_path: Path) -> None:
    wide = Image.new("RGB", (198, 218), "white")
    wide.paste((255, 0, 0), (0, 0, 8, 218))
    assert decoded(wide, tmp_path / "wide.png").min() == 255


def test_a_photo_cut_short_is_broken(photo_folder: Make) -> None:
    photo = photo_folder(1) / "000000.jpg"
    photo.write_bytes(photo.read_bytes()[:-300])
    with pytest.raises(OSError, match="truncated"):
        decode.decode(photo)


def test_more_than_50_megapixels_are_not_decoded(tmp_path: Path) -> None:
    Image.new("1", (10_000, 5_001)).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match="10000 x 5001"):
        decode.decode(tmp_path / "bomb.png")
