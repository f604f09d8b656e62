"""Procedural portraits: known factors in, photographs of people who do not exist out.

They need no download, and being made from known factors they let a study ask what a photograph
cannot answer: which way does this head really turn? Framing and attribute frequencies follow
CelebA (eyes at 51 % of the height, mouth at 71 %, head and hair over 60 % of the width).
"""

import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelib.config import IMAGE_SHAPE
from vaelib.errors import InputError
from vaelib.face_parts import draw
from vaelib.face_shapes import RANGES, Factors

__all__ = [
    "ATTRIBUTES", "RANGES", "VERSION", "Factors", "attributes", "generate", "render", "sample",
]  # fmt: skip

VERSION = 1  # to be raised whenever a factor or a pixel changes: part of the data's fingerprint
BATCH = 64  # faces drawn at once: small enough that a batch stays in the processor's cache


def _mixed(key: Tensor) -> Tensor:
    """The splitmix64 finaliser on int64, whose products wrap and whose shifts keep no sign."""
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        key = (key ^ ((key >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return key ^ ((key >> 31) & ((1 << 33) - 1))


class _Streams:
    """Random numbers that depend on seed, name of the stream and index of the image alone."""

    def __init__(self, n: int, seed: int, start: int) -> None:
        golden = -7046029254386353131  # 2^64 / golden ratio, as int64: splitmix64's stride
        self._key = _mixed((torch.arange(start, start + n) + 1) * golden)
        self._key = _mixed(self._key ^ _mixed(torch.tensor(seed + 1) * golden))

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """float32 (n,), even over [low, high)."""
        bits = _mixed(self._key ^ _mixed(torch.tensor(zlib.crc32(name.encode()) + 1)))
        return low + (high - low) * ((bits >> 40) & 0xFFFFFF).float() / 2**24

    def bell(self, name: str, low: float, high: float) -> Tensor:
        """float32 (n,), heaped in the middle of [low, high): the mean of three uniforms."""
        parts = [self.uniform(f"{name}/{i}") for i in range(3)]
        return low + (high - low) * (parts[0] + parts[1] + parts[2]) / 3

    def chance(self, name: str, probability: Tensor | float) -> Tensor:
        """1.0 with this probability, else 0.0."""
        return (self.uniform(name) < probability).float()


def sample(n: int, seed: int, start: int = 0) -> Factors:
    """Factors of images start ... start + n - 1 of this seed's endless set of faces.

    Image i is the same whatever n and start. Raises InputError for a number below 0 or above 2^62.
    """
    for name, value in (("n", n), ("seed", seed), ("start", start)):
        if not 0 <= value < 2**62:
            raise InputError(f"{name} is {value}; it must lie between 0 and 2^62 - 1")
    s = _Streams(n, seed, start)
    person = _person(s)
    return Factors(**person, **_picture(s, person["male"]))


def _person(s: _Streams) -> dict[str, Tensor]:
    """Who it is: what does not change from one picture to the next."""
    male, age = s.chance("male", 0.42), s.uniform("age")
    old = ((age - 0.6) / 0.4).clamp(min=0)
    tone = s.uniform("skin_tone")
    tone = torch.where(tone < 0.8, 0.55 * (tone / 0.8), 0.55 + 0.45 * (tone - 0.8) / 0.2)
    melanin = s.uniform("melanin")
    melanin = torch.where(tone > 0.5, 0.75 + 0.25 * melanin, melanin)
    grizzled = s.chance("gray", 0.22 * old)
    gray = torch.maximum(grizzled * s.uniform("gray/much", 0.6, 1), 0.4 * old)
    bald = s.chance("bald", male * (0.022 + 0.15 * old)) * s.uniform("bald/much", 0.5, 1)
    long = torch.where(male > 0.5, s.chance("long", 0.06), s.chance("long", 0.86))
    length = long * s.bell("hair_length", 0.4, 1.0)
    bearded = s.chance("bearded", 0.38 * male)
    return {
        "male": male,
        "age": age,
        "face_width": s.bell("face_width", 9.9, 11.7) + 0.4 * male,
        "jaw": s.bell("jaw", -0.2, 0.0) + 0.09 * male,
        "skin_tone": tone,
        "undertone": s.uniform("undertone", -1, 1),
        "eye_distance": s.bell("eye_distance", 5.0, 6.0),
        "iris": torch.where(tone > 0.45, 0.2 * s.uniform("iris"), s.uniform("iris") ** 2),
        "brow_height": s.bell("brow_height", -1, 1),
        "brow_weight": s.bell("brow_weight", 0, 0.7) + 0.3 * male,
        "nose_length": s.bell("nose_length", 6.2, 7.8) + 0.3 * male,
        "nose_width": s.bell("nose_width", 0.8, 1.2) + 0.12 * tone,
        "mouth_width": s.bell("mouth_width", 3.8, 5.2),
        "lip_fullness": s.uniform("lip_fullness"),
        "lipstick": (1 - male) * s.chance("lipstick", 0.8) * s.uniform("lipstick/much", 0.2, 0.9),
        "beard": bearded * s.uniform("beard", 0.25, 0.9),
        "hair_length": length * (bald == 0),
        "hair_volume": s.bell("hair_volume", 0.06, 0.25) + 0.07 * long,
        "hair_wave": s.uniform("hair_wave"),
        "hairline": s.bell("hairline", -0.88, -0.56) + 0.12 * s.chance("fringe", 0.2 * (1 - male)),
        "parting": s.uniform("parting", -0.45, 0.45),
        "bald": bald,
        "melanin": melanin,
        "red": s.chance("red", 0.12) * s.uniform("red/much") * (melanin < 0.8),
        "gray": gray,
    }


def _picture(s: _Streams, male: Tensor) -> dict[str, Tensor]:
    """How the person was photographed: pose, expression, light, clothes, background."""
    smile = s.uniform("smile", -0.2, 1)
    opened = (s.uniform("mouth_open") - 0.54 + 0.8 * (smile - 0.2)).clamp(0, 1)
    lit_wall = s.uniform("back_value")
    return {
        "yaw": s.bell("yaw", -42, 42),
        "pitch": s.bell("pitch", -13, 13),
        "roll": s.bell("roll", -12, 12),
        "shift_x": s.bell("shift_x", -1.5, 1.5),
        "shift_y": s.bell("shift_y", -1.5, 1.5),
        "size": s.bell("size", 0.92, 1.08),
        "light_azimuth": s.uniform("light_azimuth", -70, 70),
        "light_height": s.uniform("light_height", 0, 50),
        "light_strength": s.uniform("light_strength", 0.25, 0.75),
        "exposure": s.bell("exposure", 0.65, 1.35),
        "eye_open": s.bell("eye_open", 0.2, 1),
        "gaze": s.bell("gaze", -1, 1),
        "smile": smile,
        "mouth_open": opened,
        "glasses": s.chance("glasses", 0.033 + 0.077 * male),
        "tint": s.chance("tinted", 0.3) * s.uniform("tint", 0.4, 1),
        "frame": s.uniform("frame"),
        "cloth_hue": s.uniform("cloth_hue"),
        "cloth_saturation": 0.8 * s.uniform("cloth_saturation") ** 3,
        "cloth_value": s.uniform("cloth_value", 0.05, 0.95),
        "neckline": s.uniform("neckline"),
        "shirt": s.chance("shirt", 0.3),
        "back_hue": s.uniform("back_hue"),
        "back_saturation": 0.6 * s.uniform("back_saturation") ** 3,
        "back_value": 0.04 + 0.94 * (lit_wall * lit_wall * (3 - 2 * lit_wall)),
        "back_slope": s.uniform("back_slope"),
        "back_turn": s.uniform("back_turn"),
        "back_clutter": s.uniform("back_clutter"),
        "back_place": s.uniform("back_place"),
    }


def render(factors: Factors) -> Tensor:
    """The faces as uint8 (n, 3, 64, 48); the same whatever the number of threads."""
    pictures = torch.empty((len(factors), *IMAGE_SHAPE), dtype=torch.uint8)

    def fill(low: int) -> None:
        faces = draw(factors[low : low + BATCH])
        pictures[low : low + BATCH] = (faces * 255).round_().to(torch.uint8)

    # A thread draws whole batches alone: sharing out every small operation among the threads
    # instead is many times slower as soon as other programs use the processor as well.
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(fill, range(0, len(factors), BATCH)))
    finally:
        torch.set_num_threads(threads)  # new threads would inherit the 1
    return pictures


def generate(n: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The first n faces of a seed: pixels uint8 (n, 3, 64, 48) and ATTRIBUTES bool (n, 13).

    Beyond these arrays it needs the memory of a few batches. Raises InputError as `sample`
    does.
    """
    factors = sample(n, seed)
    return render(factors).numpy(), attributes(factors).numpy()


# What CelebA calls a face, told from its factors. Hair has a colour unless gray or bald.
PALE, SMILING, OPEN, YOUNG, HALF = 0.03, 0.424, 0.15, 0.77, 0.5
ATTRIBUTES: tuple[str, ...] = (
    "Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Eyeglasses", "Gray_Hair", "Male",
    "Mouth_Slightly_Open", "No_Beard", "Pale_Skin", "Smiling", "Wearing_Lipstick", "Young",
)  # fmt: skip


def attributes(factors: Factors) -> Tensor:
    """Which of ATTRIBUTES each face has: bool (n, 13), by thresholds on its factors."""
    f = factors
    bald, gray = f.bald >= HALF, f.gray > HALF
    coloured = ~bald & ~gray & (f.red <= HALF)
    told = {
        "Bald": bald,
        "Black_Hair": coloured & (f.melanin > 0.86),
        "Blond_Hair": coloured & (f.melanin < 0.225),
        "Brown_Hair": coloured & (f.melanin >= 0.34) & (f.melanin < 0.67),
        "Eyeglasses": f.glasses > HALF,
        "Gray_Hair": gray & ~bald,
        "Male": f.male > HALF,
        "Mouth_Slightly_Open": f.mouth_open > OPEN,
        "No_Beard": f.beard < 0.1,
        "Pale_Skin": f.skin_tone < PALE,
        "Smiling": f.smile > SMILING,
        "Wearing_Lipstick": f.lipstick > OPEN,
        "Young": f.age < YOUNG,
    }
    return torch.stack([told[name] for name in ATTRIBUTES], dim=1)
