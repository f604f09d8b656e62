"""Faces as the bytes of a picture."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vaelib.data import to_float
from vaelib.explore import encoding
from vaelib.explore.state import Face


def faces(n: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, 64, 48), dtype=torch.uint8, generator=generator)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_faces_are_side_by_side_in_a_png() -> None:
    images = faces(3)
    picture = np.asarray(opened(encoding.side_by_side(images)))
    assert picture.shape == (64, 3 * 48, 3)
    for index, face in enumerate(images):
        part = picture[:, 48 * index : 48 * (index + 1)]
        np.testing.assert_array_equal(part, face.permute(1, 2, 0).numpy())


def test_float_and_uint8_faces_are_drawn_alike() -> None:
    assert encoding.side_by_side(to_float(faces(2))) == encoding.side_by_side(faces(2))


def test_a_gif_goes_there_and_back_forever() -> None:
    shades = [torch.full((2, 3, 64, 48), 60 * step, dtype=torch.uint8) for step in range(4)]
    film = opened(encoding.gif(shades))
    assert film.size == (2 * 2 * 48, 2 * 64)
    seen = []
    for frame in range(film.n_frames):  # type: ignore[attr-defined]
        film.seek(frame)
        seen.append(round(np.asarray(film.convert("RGB")).mean() / 60))
    assert seen == [0, 1, 2, 3, 2, 1]
    assert film.info["loop"] == 0


def test_kept_faces_are_saved_with_their_z() -> None:
    drawn, encoded, own = faces(3)
    kept = {
        "kept 3, drawn": Face(drawn, "latent-32", torch.arange(3.0)),
        "kept 2, drawn": Face(encoded, "lam-1e-5", torch.arange(5.0)),
        "kept 1, your photo": Face(own),
    }
    with np.load(io.BytesIO(encoding.npz(kept))) as saved:
        assert saved["names"].tolist() == list(kept)
        assert saved["models"].tolist() == ["latent-32", "lam-1e-5", ""]
        np.testing.assert_array_equal(saved["images"][2], own.permute(1, 2, 0).numpy())
        nan = float("nan")
        expected = [[0, 1, 2, nan, nan], [0, 1, 2, 3, 4], [nan] * 5]
        np.testing.assert_array_equal(saved["z"], np.array(expected, dtype=np.float32))


def test_faces_that_no_model_drew_are_saved_without_z() -> None:
    with np.load(io.BytesIO(encoding.npz({"kept 1, your photo": Face(faces(1)[0])}))) as saved:
        assert saved["z"].shape == (1, 0)
