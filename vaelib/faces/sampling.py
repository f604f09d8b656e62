"""How likely each factor of a face is, and what depends on what.

The random numbers of image i depend on the seed, the factor's name and i alone. What depends on
what, as a graph (an arrow: makes likelier or unlikelier):

    male      -> width of face and jaw, brows, nose, stubble, beard, moustache, bald, hairline,
                 length and volume of hair, tied hair, fringe, rouge, lipstick, earrings, glasses,
                 hat, tie
    age       -> gray, bald, glasses, hairline, folds beside the mouth
    skin_tone -> melanin (dark skin, dark hair), iris, curls, width of nose, fullness of lips
    smile     -> mouth_open
    melanin   -> no red in black hair
    gray      -> no red where it is much
    bald      -> no length of hair, no fringe
"""

import zlib

import torch
from torch import Tensor

from vaelib.faces.factors import STRAIGHT, TIED, WAVY, Factors
from vaelib.support.errors import InputError


def _splitmix(key: Tensor) -> Tensor:
    """The splitmix64 finaliser on int64, whose products wrap and whose shifts keep no sign."""
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        key = (key ^ ((key >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return key ^ ((key >> 31) & ((1 << 33) - 1))


class RandomStreams:
    """Random numbers that depend on seed, name of the stream and index of the image alone."""

    def __init__(self, n: int, seed: int) -> None:
        golden = -7046029254386353131  # 2^64 / golden ratio, as int64: splitmix64's stride
        self._key = _splitmix((torch.arange(n) + 1) * golden)
        self._key = _splitmix(self._key ^ _splitmix(torch.tensor(seed + 1) * golden))

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """float32 (n,), uniform over [low, high)."""
        bits = _splitmix(self._key ^ _splitmix(torch.tensor(zlib.crc32(name.encode()) + 1)))
        return low + (high - low) * ((bits >> 40) & 0xFFFFFF).float() / 2**24

    def bell_shaped(self, name: str, low: float, high: float) -> Tensor:
        """float32 (n,) in [low, high), most in the middle: the mean of three uniforms."""
        first, second, third = (self.uniform(f"{name}/{i}") for i in range(3))
        return low + (high - low) * (first + second + third) / 3

    def chance(self, name: str, probability: Tensor | float) -> Tensor:
        """1.0 with this probability, else 0.0."""
        return (self.uniform(name) < probability).float()


def sample(n: int, seed: int) -> Factors:
    """Factors of the first n of this seed's endless set of faces: face i is the same whatever n.

    Raises InputError for a number below 0 or from 2^62.
    """
    for name, value in (("n", n), ("seed", seed)):
        if not 0 <= value < 2**62:
            raise InputError(f"{name} is {value}; it must lie between 0 and 2^62 - 1")
    s = RandomStreams(n, seed)
    male, age = s.chance("male", 0.417), s.uniform("age")
    tone = s.uniform("skin_tone")
    tone = torch.where(tone < 0.8, 0.55 * (tone / 0.8), 0.55 + 0.45 * (tone - 0.8) / 0.2)
    return Factors(
        male=male,
        age=age,
        skin_tone=tone,
        **_face(s, male, age, tone),
        **_hair(s, male, age, tone),
        **_clothes(s, male, age),
        **_picture(s),
    )


def _face(s: RandomStreams, male: Tensor, age: Tensor, tone: Tensor) -> dict[str, Tensor]:
    """Bones and features: what does not change from one picture to the next."""
    dark = ((tone - 0.45) / 0.55).clamp(min=0)
    return {
        "face_width": s.bell_shaped("face_width", 9.9, 11.7) + 0.4 * male,
        "jaw_width": s.uniform("jaw", -0.24, 0.14) + 0.1 * male,
        "jaw_length": s.bell_shaped("jaw_length", -1.8, 1.8),
        "undertone": s.uniform("undertone", -1, 1),
        "rouge": s.chance("rouged", 0.3 * (1 - male)) * s.uniform("rouge"),
        "eye_distance": s.bell_shaped("eye_distance", 5.0, 6.0),
        "iris": torch.where(tone > 0.45, 0.2 * s.uniform("iris"), s.uniform("iris") ** 2),
        "brow_height": s.bell_shaped("brow_height", -1, 1),
        "brow_weight": s.bell_shaped("brow_weight", 0, 0.7) + 0.3 * male,
        "brow_arch": s.uniform("brow_arch") * (1 - 0.6 * male),
        "nose_length": s.bell_shaped("nose_length", 6.2, 7.8) + 0.3 * male,
        "nose_width": s.bell_shaped("nose_width", 0.76, 1.24) + 0.1 * male + 0.14 * dark,
        "mouth_width": s.bell_shaped("mouth_width", 3.8, 5.2),
        "lip_fullness": s.bell_shaped("lip_fullness", 0, 0.85) + 0.15 * dark,
    }


def _hair(s: RandomStreams, male: Tensor, age: Tensor, tone: Tensor) -> dict[str, Tensor]:
    """Hair on head and face, its cut and its colour."""
    old = ((age - 0.6) / 0.4).clamp(min=0)
    melanin = s.uniform("melanin")
    melanin = torch.where(tone > 0.5, 0.75 + 0.25 * melanin, melanin)
    grizzled = s.chance("gray", 0.23 * old)
    gray = torch.maximum(grizzled * s.uniform("gray/much", 0.6, 1), 0.4 * old)
    bald = s.chance("bald", male * (0.028 + 0.16 * old)) * s.uniform("bald/much", 0.5, 1)
    long = torch.where(male > 0.5, s.chance("long", 0.06), s.chance("long", 0.86))
    kind = s.uniform("hair_style")
    curly = 0.08 + 0.3 * (tone > 0.6)
    style = torch.where(kind < 0.45, STRAIGHT, WAVY) + (kind > 1 - curly).float()
    tied = (1 - male) * s.chance("tied", 0.16)
    receding = male * s.chance("receding", 0.16 + 0.3 * old)
    fringed = s.chance("fringe", 0.22 - 0.16 * male) * (bald == 0)
    shadow, grown = s.uniform("unshaven"), s.uniform("grown")
    bearded = male * (shadow > 0.86)
    moustached = torch.where(bearded > 0, (grown < 0.62).float(), male * (grown < 0.008))
    return {
        "stubble": male * (shadow < 0.266) * s.uniform("stubble", 0.3, 1),
        "beard": bearded * s.uniform("beard", 0.45, 1),
        "moustache": moustached * s.uniform("moustache", 0.5, 1),
        "hair_style": torch.where(tied > 0, TIED, style),
        "hair_length": long * s.bell_shaped("hair_length", 0.4, 1.0) * (bald == 0),
        "hair_volume": s.bell_shaped("hair_volume", 0.06, 0.25) + 0.07 * long * (1 - tied),
        "hairline": s.bell_shaped("hairline", -0.82, -0.6) - 0.12 * receding,
        "fringe": fringed * s.uniform("fringe/much", 0.45, 1),
        "parting": s.uniform("parting", -0.45, 0.45),
        "bald": bald,
        "melanin": melanin,
        "red": s.chance("red", 0.12) * s.uniform("red/much") * (melanin < 0.8) * (grizzled == 0),
        "gray": gray,
    }  # fmt: skip


def _clothes(s: RandomStreams, male: Tensor, age: Tensor) -> dict[str, Tensor]:
    """Glasses, hat, earrings, make-up and clothes."""
    worn = s.chance("glasses", 0.015 + 0.06 * male + 0.05 * age)
    hats = 1 + (3 * s.uniform("hat/kind")).floor()
    ring = torch.where(male > 0.5, s.chance("ring", 0.02), s.chance("ring", 0.31))
    return {
        "glasses": worn * (1 + s.chance("sunglasses", 0.3)),
        "frame_shape": s.uniform("frame_shape"),
        "frame_colour": s.uniform("frame_colour"),
        "hat": s.chance("hat", 0.03 + 0.044 * male) * hats,
        "hat_hue": s.uniform("hat_hue"),
        "hat_value": s.uniform("hat_value", 0.08, 0.9),
        "earrings": ring * s.uniform("earrings", 0.4, 1),
        "lipstick": (1 - male) * s.chance("lipstick", 0.8) * s.uniform("lipstick/much", 0.2, 0.9),
        "cloth_hue": s.uniform("cloth_hue"),
        "cloth_saturation": 0.8 * s.uniform("cloth_saturation") ** 3,
        "cloth_value": s.uniform("cloth_value", 0.05, 0.95),
        "neckline": s.uniform("neckline"),
        "tie": male * s.chance("tie", 0.175),
    }


def _picture(s: RandomStreams) -> dict[str, Tensor]:
    """How the person was photographed: pose, expression, light, background, camera."""
    smile = s.uniform("smile", -0.3, 1)
    wall = s.uniform("back_value")
    return {
        "yaw": s.bell_shaped("yaw", -42, 42),
        "pitch": s.bell_shaped("pitch", -13, 13),
        "roll": s.bell_shaped("roll", -12, 12),
        "shift_x": s.bell_shaped("shift_x", -1.5, 1.5),
        "shift_y": s.bell_shaped("shift_y", -1.5, 1.5),
        "size": s.bell_shaped("size", 0.92, 1.08),
        "light_azimuth": s.uniform("light_azimuth", -70, 70),
        "light_height": s.uniform("light_height", 0, 50),
        "light_strength": s.uniform("light_strength", 0.25, 0.75),
        "exposure": s.bell_shaped("exposure", 0.7, 1.3),
        "noise": s.uniform("noise", 0, 0.02),
        "noise_place": s.uniform("noise_place"),
        "eye_open": s.bell_shaped("eye_open", 0.1, 1),
        "gaze": s.bell_shaped("gaze", -1, 1),
        "smile": smile,
        "mouth_open": (s.uniform("mouth_open") - 0.5 + 0.8 * (smile - 0.2)).clamp(0, 1),
        "back_hue": s.uniform("back_hue"),
        "back_saturation": 0.6 * s.uniform("back_saturation") ** 3,
        "back_value": 0.04 + 0.94 * (wall * wall * (3 - 2 * wall)),
        "back_slope": s.uniform("back_slope"),
        "back_turn": s.uniform("back_turn"),
        "back_clutter": s.uniform("back_clutter"),
        "back_place": s.uniform("back_place"),
    }
