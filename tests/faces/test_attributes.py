"""Procedural faces have CelebA's attributes about as often as CelebA has."""

import pytest
import torch
from torch import Tensor

from vaelib.faces.attributes import ATTRIBUTE_NAMES, attributes_of
from vaelib.faces.sampling import sample

# Per cent of CelebA's faces, and how far from it procedural ones may be.
CELEBA = {
    "5_o_Clock_Shadow": (11.1, 2),
    "Arched_Eyebrows": (26.7, 3),
    "Bald": (2.24, 1),
    "Bangs": (15.2, 2),
    "Big_Lips": (24.1, 3),
    "Big_Nose": (23.5, 3),
    "Black_Hair": (23.9, 2),
    "Blond_Hair": (14.8, 1),
    "Brown_Hair": (20.5, 2),
    "Bushy_Eyebrows": (14.2, 2),
    "Chubby": (5.8, 2),
    "Eyeglasses": (6.5, 1),
    "Gray_Hair": (4.2, 1),
    "Male": (41.7, 2),
    "Mouth_Slightly_Open": (48.3, 3),
    "Mustache": (4.15, 2),
    "Narrow_Eyes": (11.5, 2),
    "No_Beard": (83.5, 2),
    "Oval_Face": (28.4, 4),
    "Pale_Skin": (4.3, 1),
    "Receding_Hairline": (8.0, 2),
    "Rosy_Cheeks": (6.6, 2),
    "Smiling": (48.2, 1),
    "Straight_Hair": (20.8, 3),
    "Wavy_Hair": (32.0, 9),  # ours is tied as well
    "Wearing_Earrings": (18.9, 2),
    "Wearing_Hat": (4.85, 1),
    "Wearing_Lipstick": (47.2, 3),
    "Wearing_Necktie": (7.3, 2),
    "Young": (77.4, 2),
}


@pytest.fixture(scope="module")
def attributes() -> Tensor:
    return attributes_of(sample(50_000, seed=0))


def test_every_attribute_is_about_as_frequent_as_in_celeba(attributes: Tensor) -> None:
    shares = attributes.float().mean(dim=0).tolist()
    percent = {name: 100 * share for name, share in zip(ATTRIBUTE_NAMES, shares, strict=True)}
    assert percent.keys() == CELEBA.keys()
    offenders = {
        name: percent[name]
        for name, (celeba, within) in CELEBA.items()
        if abs(percent[name] - celeba) > within
    }
    assert not offenders


def test_nobody_has_two_colours_of_hair(attributes: Tensor) -> None:
    names = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bald")
    columns = [ATTRIBUTE_NAMES.index(name) for name in names]
    assert attributes[:, columns].sum(dim=1).max() == 1


def test_attributes_are_one_row_of_truth_values_per_face() -> None:
    attributes = attributes_of(sample(3, seed=0))
    assert attributes.shape == (3, 30)
    assert attributes.dtype == torch.bool
