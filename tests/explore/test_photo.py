"""The user's own photo: what is read, what is refused with which message, and how it is framed."""

import io
import re
import struct
import zlib
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from tests.conftest import refusal
from vaelib import latent
from vaelib.config import Experiment
from vaelib.explore import photo as photos
from vaelib.explore.photo import Frame
from vaelib.model import new_model
from vaelib.sources.alignment import CELEBA_ASPECT


def written(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def halves(size: tuple[int, int] = (80, 60)) -> Image.Image:
    """Black on the left, white on the right."""
    image = Image.new("RGB", size, "black")
    image.paste("white", (size[0] // 2, 0, *size))
    return image


# --- reading


def test_usual_formats_are_read() -> None:
    kinds = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
    photos_read = {kind: photos.read(written(halves(), kind)) for kind in kinds}
    expected = ("RGB", (80, 60), ())
    offenders = [
        kind
        for kind, photo in photos_read.items()
        if (photo.image.mode, photo.image.size, photo.notes) != expected
    ]
    assert not offenders


def test_a_photo_is_turned_as_its_exif_asks() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = photos.read(written(halves(), "JPEG", exif=exif)).image
    assert image.size == (60, 80)
    dark, bright = image.getpixel((30, 5)), image.getpixel((30, 75))
    assert isinstance(dark, tuple)
    assert isinstance(bright, tuple)
    assert dark[0] < 20
    assert bright[0] > 235


def test_a_large_photo_is_kept_smaller() -> None:
    assert max(photos.read(written(halves((4_000, 3_000)), "JPEG")).image.size) <= 1_600


def test_what_is_no_picture_is_refused() -> None:
    contents = (b"", b"words", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff")
    messages = [refusal(partial(photos.read, content)) for content in contents]
    message = re.compile(r"this file cannot be read as a picture \(.*choose a JPEG, PNG or WebP")
    assert not [each for each in messages if not message.fullmatch(each)]


def test_a_picture_that_is_cut_short_is_refused() -> None:
    content = written(Image.effect_noise((300, 300), 90), "PNG")
    assert "cut short" in refusal(lambda: photos.read(content[: len(content) // 2]))


def test_a_file_of_over_20_mb_is_refused_with_its_size() -> None:
    message = refusal(lambda: photos.read(bytes(20_100_000)))
    assert message == "the file has 20.1 MB; choose one of at most 20 MB"


def test_a_picture_of_over_50_megapixels_is_refused_with_its_size() -> None:
    content = written(Image.new("1", (10_000, 5_001)))
    message = refusal(lambda: photos.read(content))
    assert message == "the picture has 10,000 x 5,001 pixels; choose one of at most 50 megapixels"


def test_a_decompression_bomb_is_refused() -> None:
    content = bytearray(written(halves()))
    content[16:24] = struct.pack(">II", 30_000, 30_000)  # the header's width and height
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    assert "at most 50 megapixels" in refusal(lambda: photos.read(bytes(content)))


def test_of_an_animation_the_first_picture_is_used_with_a_note() -> None:
    first, second = Image.new("RGB", (40, 50), "red"), Image.new("RGB", (40, 50), "blue")
    photo = photos.read(written(first, "GIF", save_all=True, append_images=[second]))
    assert photo.notes == ("it has several pictures; the first is used",)
    assert photo.image.getpixel((20, 20)) == (255, 0, 0)


def test_a_phones_picture_with_another_inside_is_no_animation() -> None:
    content = written(halves(), "MPO", save_all=True, append_images=[halves((40, 30))])
    assert photos.read(content).notes == ()


def test_cmyk_is_converted_with_a_note() -> None:
    photo = photos.read(written(halves().convert("CMYK"), "JPEG"))
    assert "CMYK" in photo.notes[0]
    assert photo.image.mode == "RGB"


def test_gray_is_used_with_a_note() -> None:
    note = "it is gray; the models have learnt coloured faces only"
    modes = ("L", "LA", "1", "I;16")
    gray = {mode: photos.read(written(halves().convert("L").convert(mode))) for mode in modes}
    offenders = [
        mode for mode, photo in gray.items() if photo.notes != (note,) or photo.image.mode != "RGB"
    ]
    assert not offenders


def test_16_bit_gray_is_scaled() -> None:
    image = Image.fromarray(np.full((50, 40), 32_896, dtype=np.uint16))
    assert photos.read(written(image)).image.getpixel((5, 5)) == (128, 128, 128)


def test_clear_parts_become_white() -> None:
    photo = photos.read(written(Image.new("RGBA", (40, 50), (255, 0, 0, 0))))
    assert photo.image.getpixel((5, 5)) == (255, 255, 255)


# --- framing


def test_a_frame_lies_within_its_photo_and_has_celebas_aspect() -> None:
    offenders = []
    for size in ((178, 218), (400, 300), (300, 900)):
        for frame in (Frame(), Frame(3, 0, 1), Frame(8, 1, 0)):
            left, top, right, bottom = frame.box(size)
            within = -1e-9 <= left < right <= size[0] + 1e-9
            within = within and -1e-9 <= top < bottom <= size[1] + 1e-9
            aspect = (right - left) / (bottom - top)
            if not within or aspect != pytest.approx(CELEBA_ASPECT):
                offenders.append((size, frame))
    assert not offenders


def test_without_zoom_the_frame_is_the_largest_that_fits() -> None:
    assert Frame().box((178, 218)) == pytest.approx((0, 0, 178, 218))
    left, top, right, bottom = Frame().box((500, 218))
    assert (top, bottom) == (0, 218)
    assert (left + right) / 2 == pytest.approx(250)


def test_shifts_move_the_frame_to_the_edges() -> None:
    assert Frame(2, 0, 0).box((178, 218)) == pytest.approx((0, 0, 89, 109))
    assert Frame(2, 1, 1).box((178, 218)) == pytest.approx((89, 109, 178, 218))


def test_what_is_cut_is_what_is_in_the_frame() -> None:
    image = Image.new("RGB", (356, 436), "black")
    image.paste("white", (0, 0, 178, 218))
    inside, outside = photos.crop(image, [Frame(2, 0, 0), Frame(2, 1, 1)])
    assert inside.shape == (3, 64, 48)
    assert inside.dtype == torch.uint8
    assert inside[:, :-1, :-1].min() == 255  # at the edge, what is beyond it shines in
    assert outside[:, 1:, 1:].max() == 0


def test_a_photo_is_shown_small_with_its_aspect() -> None:
    assert photos.to_show(Image.new("RGB", (1600, 1200))).size == (800, 600)
    assert photos.to_show(Image.new("RGB", (178, 218))).size == (178, 218)


# --- the first guess


def overlap(frame: Frame, size: tuple[int, int], box: tuple[int, int, int, int]) -> float:
    """Of a frame and a box (left, top, right, bottom): what they share of their union."""
    left, top, right, bottom = frame.box(size)
    across = min(right, box[2]) - max(left, box[0])
    down = min(bottom, box[3]) - max(top, box[1])
    shared = max(0, across) * max(0, down)
    return shared / (
        (right - left) * (bottom - top) + (box[2] - box[0]) * (box[3] - box[1]) - shared
    )


def test_the_guess_is_the_frame_around_a_face(portrait: bytes) -> None:
    face = photos.read(portrait).image.resize((178, 218))
    image = Image.linear_gradient("L").resize((600, 500)).convert("RGB")
    image.paste(face, (300, 200))
    frame = photos.guess(image, new_model(Experiment(latent=2)))
    assert overlap(frame, image.size, (300, 200, 478, 418)) > 0.7


def test_without_a_face_there_is_no_frame_around_one() -> None:
    assert photos.around_face(Image.linear_gradient("L").resize((400, 300)).convert("RGB")) is None


def test_without_a_face_it_is_the_frame_that_is_reconstructed_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A model that knows noise to the last bit, and of everything else only the mean.
    box = (120, 90, 120 + 89, 90 + 109)
    image = Image.linear_gradient("L").resize((400, 300)).convert("RGB")
    noise = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    image.paste(Image.fromarray(noise).resize((89, 109), Image.Resampling.NEAREST), box[:2])

    def reconstruct(_: object, faces: torch.Tensor) -> torch.Tensor:
        x = faces.float() / 127.5 - 1
        busy = (x.diff(dim=2).abs().mean(dim=(1, 2, 3)) > 0.1).float().view(-1, 1, 1, 1)
        return busy * x

    monkeypatch.setattr(latent, "reconstruct", reconstruct)
    frame = photos.guess(image, new_model(Experiment(latent=2)))
    assert overlap(frame, image.size, box) > 0.4


def test_the_guess_tries_no_more_frames_than_a_second_allows() -> None:
    sizes = ((40, 50), (1_600, 200), (200, 1_600), (1_600, 1_600))
    offenders = []
    for size in sizes:
        frames = photos._candidates(size)
        too_many = len(frames) > photos.MAX_CANDIDATES
        is_bad_single = len(frames) == 1 and frames[0] != Frame()
        if not frames or too_many or is_bad_single:
            offenders.append(size)
    assert not offenders


def test_the_guess_is_a_frame_that_the_sliders_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_CANDIDATES", 10)
    frame = photos.guess(halves((300, 200)), new_model(Experiment(latent=2)))
    assert 1 <= frame.zoom <= photos.MAX_ZOOM
    assert 0 <= frame.across <= 1
    assert 0 <= frame.down <= 1
