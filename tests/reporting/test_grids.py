"""Grids of faces show the very pixels that they are given, and say in words what they show."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelib.config import IMAGE_SHAPE
from vaelib.data import to_float
from vaelib.reporting import grids

HEIGHT, WIDTH, GAP = 64 * 3, 48 * 3, 1 * 3  # as printed, three pixels for one
SET_APART = 4 * 3


def dark_faces(n: int) -> Tensor:
    """Different faces (n, 3, 64, 48) of which no pixel is white."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 200, (n, *IMAGE_SHAPE), dtype=torch.uint8, generator=generator)


def enlarged(face: Tensor) -> NDArray[np.uint8]:
    """What a face (3, 64, 48) looks like where each of its pixels is a square of 3 x 3."""
    return np.kron(face.permute(1, 2, 0).numpy(), np.ones((3, 3, 1), np.uint8))


def place(picture: NDArray[np.uint8], row: int, column: int) -> NDArray[np.uint8]:
    """The part of a grid where the face of a row and column stands, as a view."""
    top, left = row * (HEIGHT + GAP), column * (WIDTH + GAP)
    return picture[top : top + HEIGHT, left : left + WIDTH]


def expected_grid(faces: Tensor, rows: int, columns: int) -> NDArray[np.uint8]:
    """The faces at their rows and columns, white between them, no border around them."""
    size = (rows * (HEIGHT + GAP) - GAP, columns * (WIDTH + GAP) - GAP, 3)
    grid = np.full(size, 255, np.uint8)
    for index, face in enumerate(faces):
        place(grid, index // columns, index % columns)[:] = enlarged(face)
    return grid


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(6, 2, 3), (5, 2, 3), (4, 4, 1), (2, 1, 2), (1, 1, 1)]
)
def test_a_grid_holds_its_faces_row_by_row_on_white(count: int, rows: int, columns: int) -> None:
    faces = dark_faces(count)
    grid = np.asarray(grids.image_grid(faces, columns, "faces").image)
    np.testing.assert_array_equal(grid, expected_grid(faces, rows, columns))


def test_a_grid_is_no_wider_than_its_faces() -> None:
    grid = np.asarray(grids.image_grid(dark_faces(2), 8, "faces").image)
    np.testing.assert_array_equal(grid, expected_grid(dark_faces(2), 1, 2))


def test_faces_as_floats_look_as_they_do_as_bytes() -> None:
    faces = dark_faces(3)
    from_bytes, from_floats = (
        grids.image_grid(f, 3, "faces").image for f in (faces, to_float(faces))
    )
    np.testing.assert_array_equal(np.asarray(from_floats), np.asarray(from_bytes))


def test_each_interpolation_is_a_row_from_left_to_right() -> None:
    faces = dark_faces(8).view(2, 4, *IMAGE_SHAPE)
    grid = np.asarray(grids.interpolation_grid(to_float(faces), "faces").image)
    between = expected_grid(faces[:, 1:3].flatten(0, 1), 2, 2)
    left, right = WIDTH + SET_APART, WIDTH + SET_APART + between.shape[1]
    np.testing.assert_array_equal(grid[:, :WIDTH], expected_grid(faces[:, 0], 2, 1))
    np.testing.assert_array_equal(grid[:, left:right], between)
    np.testing.assert_array_equal(grid[:, right + SET_APART :], expected_grid(faces[:, 3], 2, 1))


def test_the_ends_of_an_interpolation_are_set_apart() -> None:
    grid = np.asarray(grids.interpolation_grid(to_float(dark_faces(4)[None]), "faces").image)
    white = (grid == 255).all(axis=(0, 2))
    gaps = [len(run) for run in "".join("x" if column else " " for column in white).split()]
    assert gaps == [SET_APART, GAP, SET_APART]


def test_rows_stand_below_each_other_beside_their_names() -> None:
    white, black = torch.full((8, 3, 64, 48), 255, dtype=torch.uint8), torch.zeros(4, 3, 64, 48)
    picture = grids.labelled_rows({"white": white, "black": black.to(torch.uint8)}, "faces").image
    pixels, left = np.asarray(picture), grids.NAME_WIDTH
    half = picture.height // 2
    assert picture.width == left + grids.image_grid(white, 8, "faces").image.width
    assert pixels[:half, left:].min() == 255
    assert pixels[half : half + 64, left : left + 48].max() == 0
    assert pixels[half + 64, -48:].min() == 255  # four faces are fewer than eight
    assert (pixels[:half, :left] < 128).any()  # a name


def test_alternative_texts_say_how_many_images_there_are_and_what_they_are() -> None:
    faces = dark_faces(6)
    texts = {
        "A face.": grids.image_grid(faces[:1], 8, "a face"),
        "Faces: 3 images in a row.": grids.image_grid(faces[:3], 8, "faces"),
        "Faces: 6 images in 2 rows of 3.": grids.image_grid(faces, 3, "faces"),
        "Ways: 2 rows of 2, the ends of each set apart.": grids.interpolation_grid(
            faces[:4].view(2, 2, 3, 64, 48), "ways"
        ),
        "Faces. Rows from the top: old, new.": grids.labelled_rows(
            {"old": faces[:3], "new": faces[3:]}, "faces"
        ),
    }
    assert {picture.alt for picture in texts.values()} == set(texts)
    assert [text for text, picture in texts.items() if picture.alt != text] == []
