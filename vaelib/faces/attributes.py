"""The attributes that CelebA would list of a procedural face, by thresholds on its factors."""

import torch
from torch import Tensor

from vaelib.faces.factors import STRAIGHT, TIED, Factors

ATTRIBUTE_NAMES: tuple[str, ...] = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Bald", "Bangs", "Big_Lips", "Big_Nose", "Black_Hair",
    "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Eyeglasses", "Gray_Hair", "Male",
    "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin",
    "Receding_Hairline", "Rosy_Cheeks", "Smiling", "Straight_Hair", "Wavy_Hair",
    "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necktie", "Young",
)  # fmt: skip


def attributes_of(factors: Factors) -> Tensor:
    """Which of ATTRIBUTE_NAMES each face has: bool (n, 30), by thresholds on its factors."""
    f = factors
    # Hair has a colour unless it is gray, gone or hidden.
    bald, gray, bare = f.bald >= 0.5, f.gray > 0.5, f.hat == 0
    coloured = ~bald & ~gray & bare & (f.red <= 0.5)
    long = (f.hair_length > 0.1) & (f.hair_style != TIED)
    present = {
        "5_o_Clock_Shadow": f.stubble > 0,
        "Arched_Eyebrows": f.brow_arch > 0.56,
        "Bald": bald & bare,
        "Bangs": (f.fringe > 0) & bare,
        "Big_Lips": f.lip_fullness > 0.55,
        "Big_Nose": f.nose_width > 1.14,
        "Black_Hair": coloured & (f.melanin > 0.845),
        "Blond_Hair": coloured & (f.melanin < 0.238),
        "Brown_Hair": coloured & (f.melanin >= 0.34) & (f.melanin < 0.67),
        "Bushy_Eyebrows": f.brow_weight > 0.7,
        "Chubby": (f.face_width > 11.4) & (f.jaw_width > 0.06),
        "Eyeglasses": f.glasses > 0,
        "Gray_Hair": gray & ~bald & bare,
        "Male": f.male > 0.5,
        "Mouth_Slightly_Open": f.mouth_open > 0.15,
        "Mustache": f.moustache > 0,
        "Narrow_Eyes": f.eye_open < 0.36,
        "No_Beard": f.stubble + f.beard + f.moustache == 0,
        "Oval_Face": (f.jaw_width < -0.02) & (f.jaw_length > -0.3),
        "Pale_Skin": f.skin_tone < 0.03,
        "Receding_Hairline": (f.hairline < -0.785) & ~bald & (f.fringe == 0) & bare,
        "Rosy_Cheeks": f.rouge > 0.6,
        "Smiling": f.smile > 0.373,
        "Straight_Hair": long & (f.hair_style == STRAIGHT) & bare,
        "Wavy_Hair": long & (f.hair_style > STRAIGHT) & bare,
        "Wearing_Earrings": f.earrings > 0,
        "Wearing_Hat": ~bare,
        "Wearing_Lipstick": f.lipstick > 0.15,
        "Wearing_Necktie": f.tie > 0.5,
        "Young": f.age < 0.774,
    }
    return torch.stack([present[name] for name in ATTRIBUTE_NAMES], dim=1)
