"""What decides a procedural face: its factors, with range, unit, meaning and distribution."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, get_type_hints

import torch
from torch import Tensor

from vaelib.support.errors import InputError

NONE, CLEAR, SUNGLASSES = 0.0, 1.0, 2.0  # of glasses
STRAIGHT, WAVY, CURLY, TIED = 0.0, 1.0, 2.0, 3.0  # of hair_style
BEANIE, VISOR, BRIM = 1.0, 2.0, 3.0  # of hat; 0 is none


class Range(NamedTuple):
    """Between what a factor lies, and in words: unit, meaning, how it is distributed."""

    low: float
    high: float
    description: str


@dataclass(frozen=True)
class Factors:
    """All that decides a face: float32 tensors of one length n, each within its range.

    Left and right are the viewer's. "bell-shaped" is the mean of three uniform numbers; "by male"
    means that the chances depend on it; a code is a whole number. Raises InputError for a value
    that is out of range, not finite or no whole number where it is a code, and for a tensor of
    another shape or type.
    """

    yaw: Annotated[Tensor, Range(-45, 45, "degrees, to the right; bell-shaped in -42...42")]
    pitch: Annotated[Tensor, Range(-15, 15, "degrees, upward; bell-shaped in -13...13")]
    roll: Annotated[Tensor, Range(-15, 15, "degrees, clockwise; bell-shaped in -12...12")]
    shift_x: Annotated[Tensor, Range(-3, 3, "pixels to the right; bell-shaped in -1.5...1.5")]
    shift_y: Annotated[Tensor, Range(-3, 3, "pixels down; bell-shaped in -1.5...1.5")]
    size: Annotated[Tensor, Range(0.85, 1.15, "times the usual; bell-shaped in 0.92...1.08")]
    male: Annotated[Tensor, Range(0, 1, "0 or 1 as sampled, 1 for 42%; in between is allowed")]
    age: Annotated[Tensor, Range(0, 1, "from young to old; uniform")]
    face_width: Annotated[Tensor, Range(9.5, 12.5, "pixels to a side; bell-shaped, by male")]
    jaw_width: Annotated[Tensor, Range(-0.25, 0.25, "share of widening; uniform, by male")]
    jaw_length: Annotated[Tensor, Range(-2, 2, "pixels, downward; bell-shaped in -1.8...1.8")]
    skin_tone: Annotated[Tensor, Range(0, 1, "pale to brown as the Monk scale; mostly light")]
    undertone: Annotated[Tensor, Range(-1, 1, "from cool to warm; uniform")]
    rouge: Annotated[Tensor, Range(0, 1, "redness of the cheeks; by male, mostly little")]
    light_azimuth: Annotated[Tensor, Range(-75, 75, "degrees, from the right; uniform in -70...70")]
    light_height: Annotated[Tensor, Range(-20, 60, "degrees above the eyes; uniform in 0...50")]
    light_strength: Annotated[Tensor, Range(0, 0.8, "directed share; uniform in 0.25...0.75")]
    exposure: Annotated[Tensor, Range(0.5, 1.5, "times the usual; bell-shaped in 0.7...1.3")]
    noise: Annotated[Tensor, Range(0, 0.06, "standard deviation, 1 is white; uniform in 0...0.02")]
    noise_place: Annotated[Tensor, Range(0, 1, "which noise; uniform")]
    eye_distance: Annotated[Tensor, Range(4.8, 6.2, "pixels from the nose to an eye; bell-shaped")]
    eye_open: Annotated[Tensor, Range(0, 1, "how far eyes are open; bell-shaped in 0.1...1")]
    gaze: Annotated[Tensor, Range(-1, 1, "from left to right; bell-shaped")]
    iris: Annotated[Tensor, Range(0, 1, "from dark brown to blue; by skin_tone")]
    brow_height: Annotated[Tensor, Range(-1, 1, "from high to low; bell-shaped")]
    brow_weight: Annotated[Tensor, Range(0, 1, "from thin to bushy; bell-shaped, by male")]
    brow_arch: Annotated[Tensor, Range(0, 1, "from flat to arched; uniform, by male")]
    nose_length: Annotated[Tensor, Range(6, 8.5, "pixels below the eyes; bell-shaped, by male")]
    nose_width: Annotated[Tensor, Range(0.75, 1.5, "times the usual; bell-shaped, by male, tone")]
    mouth_width: Annotated[Tensor, Range(3.5, 5.5, "pixels from middle to corner; bell-shaped")]
    smile: Annotated[Tensor, Range(-0.4, 1, "from corners down to corners up; uniform in -0.3...1")]
    mouth_open: Annotated[Tensor, Range(0, 1, "from closed to wide open; by smile")]
    lip_fullness: Annotated[Tensor, Range(0, 1, "from thin to full; bell-shaped, by skin_tone")]
    lipstick: Annotated[Tensor, Range(0, 1, "share of its colour; 80% of women, none else")]
    stubble: Annotated[Tensor, Range(0, 1, "shadow of a beard; 27% of men, none else")]
    beard: Annotated[Tensor, Range(0, 1, "density on jaw and chin; 16% of men, none else")]
    moustache: Annotated[Tensor, Range(0, 1, "density on the upper lip; with most beards")]
    hair_style: Annotated[Tensor, Range(0, 3, "code: straight, wavy, curly, tied; by male, tone")]
    hair_length: Annotated[Tensor, Range(0, 1, "from cropped to the chest; by male, bald")]
    hair_volume: Annotated[Tensor, Range(0.03, 0.4, "share it adds to the head; bell-shaped")]
    hairline: Annotated[Tensor, Range(-0.95, -0.3, "height, crown at -1; by male, age")]
    fringe: Annotated[Tensor, Range(0, 1, "share of the brow it covers; 0 or more, by male")]
    parting: Annotated[Tensor, Range(-0.6, 0.6, "from left to right; uniform in -0.45...0.45")]
    bald: Annotated[Tensor, Range(0, 1, "0, or 0.5 and more: how little is left; by male, age")]
    melanin: Annotated[Tensor, Range(0, 1, "hair from blond to black; uniform, by skin_tone")]
    red: Annotated[Tensor, Range(0, 1, "share of red hair; 8%")]
    gray: Annotated[Tensor, Range(0, 1, "hair from its colour to gray and white; by age")]
    glasses: Annotated[Tensor, Range(0, 2, "code: none, clear, sunglasses; by male, age")]
    frame_shape: Annotated[Tensor, Range(0, 1, "from round to square; uniform")]
    frame_colour: Annotated[Tensor, Range(0, 1, "from wire over brown to black; uniform")]
    hat: Annotated[Tensor, Range(0, 3, "code: none, beanie, visor cap, hat with a brim; by male")]
    hat_hue: Annotated[Tensor, Range(0, 1, "once around the circle of colours; uniform")]
    hat_value: Annotated[Tensor, Range(0, 1, "from dark to light; uniform in 0.08...0.9")]
    earrings: Annotated[Tensor, Range(0, 1, "0 or their size; 30% of women, 2% of men")]
    cloth_hue: Annotated[Tensor, Range(0, 1, "once around the circle of colours; uniform")]
    cloth_saturation: Annotated[Tensor, Range(0, 1, "from gray to coloured; mostly little")]
    cloth_value: Annotated[Tensor, Range(0, 1, "from dark to light; uniform in 0.05...0.95")]
    neckline: Annotated[Tensor, Range(0, 1, "from closed to open; uniform")]
    tie: Annotated[Tensor, Range(0, 1, "0, or 1 with shirt and tie; by male")]
    back_hue: Annotated[Tensor, Range(0, 1, "once around the circle of colours; uniform")]
    back_saturation: Annotated[Tensor, Range(0, 1, "from gray to coloured; mostly little")]
    back_value: Annotated[Tensor, Range(0, 1, "from dark to light; mostly one of them")]
    back_slope: Annotated[Tensor, Range(0, 1, "gradient of light across it; uniform")]
    back_turn: Annotated[Tensor, Range(0, 1, "direction of the gradient, in turns; uniform")]
    back_clutter: Annotated[Tensor, Range(0, 1, "from plain to full of blurred things; uniform")]
    back_place: Annotated[Tensor, Range(0, 1, "which things; uniform")]

    def __post_init__(self) -> None:
        n = self.yaw.numel()
        for name in RANGES:
            value = getattr(self, name)
            if value.shape != (n,) or value.dtype != torch.float32:
                raise InputError(
                    f"{name} is {value.dtype} of shape {tuple(value.shape)}; it must be"
                    f" torch.float32 of shape ({n},), one value for each value of yaw"
                )
        values = torch.stack([getattr(self, name) for name in RANGES])
        low, high = values.new_tensor(list(RANGES.values())).T[..., None]
        outside = ~((values >= low) & (values <= high))  # NaN as well
        if outside.any():
            row, face = outside.nonzero()[0].tolist()
            name = list(RANGES)[row]
            least, most = RANGES[name]
            value = float(values[row, face])
            raise InputError(f"{name} is {value:g}; it must lie between {least:g} and {most:g}")
        for name in CODES:
            value = getattr(self, name)
            if not torch.equal(value, value.round()):
                wrong = float(value[value != value.round()][0])
                raise InputError(f"{name} is {wrong:g}; it is a code, a whole number")

    def __len__(self) -> int:
        return len(self.yaw)

    def __getitem__(self, part: slice | Tensor) -> "Factors":
        """The factors of some of the faces: a slice, or a tensor of indices or a mask."""
        return Factors(**{name: getattr(self, name)[part] for name in RANGES})

    def to(self, device: torch.device | str) -> "Factors":
        """The factors on another device, where `render` then draws."""
        return Factors(**{name: getattr(self, name).to(device) for name in RANGES})


CODES = ("hair_style", "glasses", "hat")
_RANGES: dict[str, Range] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Factors, include_extras=True).items()
}
DESCRIPTIONS = {name: described.description for name, described in _RANGES.items()}
RANGES = {name: (described.low, described.high) for name, described in _RANGES.items()}


# A face looking at us, plain enough to show what any factor does to it.
PLAIN_FACE = {
    "age": 0.4, "skin_tone": 0.3, "face_width": 10.8, "jaw_width": -0.05, "eye_distance": 5.4,
    "eye_open": 0.6, "brow_weight": 0.4, "brow_arch": 0.4, "nose_length": 7.0, "nose_width": 1.0,
    "mouth_width": 4.5, "lip_fullness": 0.4, "smile": 0.2, "hair_length": 0.6, "hair_volume": 0.15,
    "hairline": -0.7, "parting": -0.2, "melanin": 0.55, "iris": 0.6, "light_azimuth": 25,
    "light_height": 25, "light_strength": 0.5, "exposure": 1, "size": 1, "cloth_hue": 0.6,
    "cloth_saturation": 0.4, "cloth_value": 0.45, "neckline": 0.3, "back_hue": 0.1,
    "back_saturation": 0.15, "back_value": 0.75, "back_slope": 0.3, "back_turn": 0.1,
    "back_place": 0.3, "frame_colour": 1, "hat_hue": 0.55, "hat_value": 0.5,
}  # fmt: skip
SHORT_HAIRED_MAN = {"hair_length": 0.0, "male": 1.0}
# What else a face needs, or must not have, for a factor to be seen.
VISIBLE_WITH: dict[str, dict[str, float]] = {
    "frame_shape": {"glasses": CLEAR},
    "frame_colour": {"glasses": CLEAR},
    "hat_hue": {"hat": VISOR},
    "hat_value": {"hat": BRIM},
    "noise_place": {"noise": 0.05},
    "back_hue": {"back_saturation": 0.6},
    "back_turn": {"back_slope": 1.0},
    "back_place": {"back_clutter": 1.0},
    "cloth_hue": {"cloth_saturation": 0.8},
    "earrings": {"hair_style": TIED},
    "bald": SHORT_HAIRED_MAN,
    "beard": SHORT_HAIRED_MAN,
    "moustache": SHORT_HAIRED_MAN,
    "stubble": SHORT_HAIRED_MAN,
    "tie": SHORT_HAIRED_MAN,
    "hairline": SHORT_HAIRED_MAN,
}


def traverse(face: Factors, name: str, steps: int) -> Factors:
    """A face many times over, with one factor running over its range and all others held.

    A code runs over its whole numbers, whatever `steps` is. Raises InputError for an
    unknown factor, and for more than one face.
    """
    if name not in RANGES:
        raise InputError(f"there is no factor {name!r}; choose from {', '.join(RANGES)}")
    if len(face) != 1:
        raise InputError(f"{len(face)} faces were given; a traversal is of one")
    low, high = RANGES[name]
    steps = int(high) + 1 if name in CODES else steps
    held = {other: getattr(face, other).expand(steps).clone() for other in RANGES}
    return Factors(**{**held, name: torch.linspace(low, high, steps)})


def example_face(name: str) -> Factors:
    """A plain face on which this factor can be seen."""
    values = {**dict.fromkeys(RANGES, 0.0), **PLAIN_FACE, **VISIBLE_WITH.get(name, {})}
    return Factors(**{factor: torch.tensor([float(value)]) for factor, value in values.items()})
