"""What decides a face, the lit ellipsoid on which it is drawn, and the wall behind it.

The head is an ellipsoid seen without perspective. For each pixel we find the point of the
ellipsoid in front of it, in the head's own coordinates; eyes, nose, mouth and hairline are
functions of that point, so a turned head narrows on its far side without any rule for it.
Lengths are in pixels of a 64 x 48 image: x to the right, y down, z towards the viewer, with the
origin between the eyes. Edges fade over about one pixel, so nothing needs supersampling.
"""

from dataclasses import dataclass
from typing import Annotated, get_type_hints

import torch
from torch import Tensor

from vaelib.config import IMAGE_SHAPE
from vaelib.errors import InputError

_, HEIGHT, WIDTH = IMAGE_SHAPE
EYE_LINE = 32.6  # row between the eyes, measured on CelebA at this size
HALF_HEIGHT, HALF_DEPTH = 21.0, 13.5  # of the head; its half width is a factor


@dataclass(frozen=True)
class Factors:
    """All that decides a face: float32 tensors of one length n, each with its range.

    Angles are in degrees, lengths in pixels; left and right are the viewer's. Raises InputError
    for a value that is out of range or not finite, and for a tensor of another shape or type.
    """

    yaw: Annotated[Tensor, -45, 45]  # positive: turned to the right
    pitch: Annotated[Tensor, -15, 15]  # positive: looking up
    roll: Annotated[Tensor, -15, 15]
    shift_x: Annotated[Tensor, -3, 3]
    shift_y: Annotated[Tensor, -3, 3]
    size: Annotated[Tensor, 0.85, 1.15]
    male: Annotated[Tensor, 0, 1]  # 0 or 1 as sampled; in between is allowed
    age: Annotated[Tensor, 0, 1]
    face_width: Annotated[Tensor, 9.5, 12.5]  # half the head's width
    jaw: Annotated[Tensor, -0.2, 0.2]  # positive: broad
    skin_tone: Annotated[Tensor, 0, 1]  # from very pale to deep brown
    undertone: Annotated[Tensor, -1, 1]  # from cool to warm
    light_azimuth: Annotated[Tensor, -75, 75]  # positive: from the right
    light_height: Annotated[Tensor, -20, 60]
    light_strength: Annotated[Tensor, 0, 0.8]
    exposure: Annotated[Tensor, 0.5, 1.5]
    eye_distance: Annotated[Tensor, 4.8, 6.2]  # from the nose to the middle of an eye
    eye_open: Annotated[Tensor, 0, 1]
    iris: Annotated[Tensor, 0, 1]  # from dark brown to blue
    gaze: Annotated[Tensor, -1, 1]
    brow_height: Annotated[Tensor, -1, 1]
    brow_weight: Annotated[Tensor, 0, 1]
    nose_length: Annotated[Tensor, 6, 8.5]
    nose_width: Annotated[Tensor, 0.75, 1.35]
    mouth_width: Annotated[Tensor, 3.5, 5.5]
    smile: Annotated[Tensor, -0.4, 1]
    mouth_open: Annotated[Tensor, 0, 1]
    lip_fullness: Annotated[Tensor, 0, 1]
    lipstick: Annotated[Tensor, 0, 1]
    beard: Annotated[Tensor, 0, 1]
    hair_length: Annotated[Tensor, 0, 1]
    hair_volume: Annotated[Tensor, 0.03, 0.4]
    hair_wave: Annotated[Tensor, 0, 1]
    hairline: Annotated[Tensor, -0.95, -0.3]  # height on the skull: the crown is at -1
    parting: Annotated[Tensor, -0.6, 0.6]
    bald: Annotated[Tensor, 0, 1]
    melanin: Annotated[Tensor, 0, 1]  # hair from blond to black
    red: Annotated[Tensor, 0, 1]
    gray: Annotated[Tensor, 0, 1]
    glasses: Annotated[Tensor, 0, 1]  # worn above 0.5
    tint: Annotated[Tensor, 0, 1]
    frame: Annotated[Tensor, 0, 1]
    cloth_hue: Annotated[Tensor, 0, 1]
    cloth_saturation: Annotated[Tensor, 0, 1]
    cloth_value: Annotated[Tensor, 0, 1]
    neckline: Annotated[Tensor, 0, 1]
    shirt: Annotated[Tensor, 0, 1]
    back_hue: Annotated[Tensor, 0, 1]
    back_saturation: Annotated[Tensor, 0, 1]
    back_value: Annotated[Tensor, 0, 1]
    back_slope: Annotated[Tensor, 0, 1]
    back_turn: Annotated[Tensor, 0, 1]
    back_clutter: Annotated[Tensor, 0, 1]
    back_place: Annotated[Tensor, 0, 1]

    def __post_init__(self) -> None:
        n = self.yaw.numel()
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value.shape != (n,) or value.dtype != torch.float32:
                raise InputError(
                    f"{name} is {value.dtype} of shape {tuple(value.shape)}; it must be"
                    f" torch.float32 of shape ({n},), one value for each value of yaw"
                )
            wrong = value[~((value >= low) & (value <= high))]  # catches NaN as well
            if len(wrong):
                raise InputError(
                    f"{name} is {float(wrong[0]):g}; it must lie between {low:g} and {high:g}"
                )

    def __len__(self) -> int:
        return len(self.yaw)

    def __getitem__(self, part: slice | Tensor) -> "Factors":
        """The factors of some of the faces: a slice, or a tensor of indices or choices."""
        return Factors(**{name: getattr(self, name)[part] for name in RANGES})


RANGES: dict[str, tuple[float, float]] = {
    name: (float(hint.__metadata__[0]), float(hint.__metadata__[1]))
    for name, hint in get_type_hints(Factors, include_extras=True).items()
}


def per_image(values: Tensor) -> Tensor:
    """(n,) to (n, 1, 1), to stand beside images."""
    return values[:, None, None]


def step(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, smooth in between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def inside(distance: Tensor, soft: float = 1.0) -> Tensor:
    """How much of a pixel a shape covers whose edge is this far away (positive: inside)."""
    return (distance / soft + 0.5).clamp(0, 1)


def bell(x: Tensor, y: Tensor | float = 0.0) -> Tensor:
    """A round bump like exp(-x^2 - y^2), but 0 beyond a distance of 2; and four times as fast."""
    near = (1 - 0.25 * (x * x + y * y)).clamp(min=0).square()
    return near * near


def rgb(red: float, green: float, blue: float) -> Tensor:
    """A colour of 0 - 255 as a (1, 3, 1, 1) tensor of 0 - 1."""
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1) / 255


def palette(colours: tuple[tuple[int, int, int], ...], where: Tensor) -> Tensor:
    """Colours (n, 3, 1, 1) in 0 - 1, `where` (n,) in 0 - 1 of the way along the list."""
    table = torch.tensor(colours, dtype=torch.float32) / 255
    place = where * (len(colours) - 1)
    low = place.floor().clamp(0, len(colours) - 2).long()
    return torch.lerp(table[low], table[low + 1], (place - low)[:, None])[:, :, None, None]


def hue(angle: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Colours (n, 3, 1, 1) from hue, saturation and value (n,), each in 0 - 1."""
    third = torch.tensor([0.0, 2 / 3, 1 / 3])
    wave = ((angle[:, None] + third) % 1 * 6 - 3).abs().sub(1).clamp(0, 1)
    return (value[:, None] * (1 - saturation[:, None] * (1 - wave)))[:, :, None, None]


def paint(image: Tensor, colour: Tensor, alpha: Tensor) -> None:
    """Lay a colour (or picture) over part of an image, in place; alpha is (n, h, w)."""
    image.lerp_(colour.expand_as(image), alpha[:, None].expand_as(image))


@dataclass(frozen=True)
class Head:
    """Where each pixel (n, 64, 48) meets the head, and how it is lit there."""

    px: Tensor  # position in the image plane about the head's centre, roll undone
    py: Tensor
    x: Tensor  # the point of the head, in the head's own coordinates
    y: Tensor
    z: Tensor
    side: Tensor  # -1 left of the nose, +1 right of it
    cap: tuple[Tensor, Tensor, Tensor]  # the point of the hair's ellipsoid, on the unit sphere
    cover: Tensor  # how much of the pixel the head covers
    cap_cover: Tensor  # the same for the ellipsoid of the hair
    light: tuple[Tensor, Tensor, Tensor]  # towards the light, in the head's coordinates, (n, 1, 1)

    def rows(self, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        """x, y and side in some rows only."""
        return self.x[:, part], self.y[:, part], self.side[:, part]


def to_head(f: Factors, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Turn a vector from the viewer's coordinates to the head's."""
    yaw, pitch = per_image(f.yaw).deg2rad(), per_image(f.pitch).deg2rad()
    ahead = yaw.sin() * x + yaw.cos() * z
    return (
        yaw.cos() * x - yaw.sin() * z,
        pitch.cos() * y + pitch.sin() * ahead,
        pitch.cos() * ahead - pitch.sin() * y,
    )


def place_head(f: Factors) -> Head:
    """Find the head under every pixel."""
    yaw, pitch, roll = (per_image(t).deg2rad() for t in (f.yaw, f.pitch, f.roll))
    x = torch.arange(WIDTH).view(1, 1, -1) + 0.5 - WIDTH / 2 - per_image(f.shift_x)
    y = torch.arange(HEIGHT).view(1, -1, 1) + 0.5 - EYE_LINE - per_image(f.shift_y)
    x, y = x / per_image(f.size), y / per_image(f.size)
    # CelebA is aligned by the eyes: a turned head swings about them, not about its centre.
    px = roll.cos() * x + roll.sin() * y + 0.8 * HALF_DEPTH * yaw.sin() * pitch.cos()
    py = roll.cos() * y - roll.sin() * x - 0.9 * HALF_DEPTH * pitch.sin()
    shape = 1 + per_image(f.jaw) * step((py - 2) / 13) + 0.2 * step(-py / 16)
    flat = px / shape
    deep = torch.where(py < 0, 1.09 * py, py)  # eyes lie below the middle of head and hair
    # In the head's coordinates, divided by its half axes, the ellipsoid is the unit sphere.
    half, zero = per_image(f.face_width), torch.zeros_like(yaw)
    ox, oy, oz = to_head(f, flat, deep, zero)
    rx, ry, rz = to_head(f, zero, zero, zero + 1)
    start = (ox / half, oy / HALF_HEIGHT, oz / HALF_DEPTH)
    ray = (rx / half, ry / HALF_HEIGHT, rz / HALF_DEPTH)
    long = ray[0] ** 2 + ray[1] ** 2 + ray[2] ** 2
    along = start[0] * ray[0] + start[1] * ray[1] + start[2] * ray[2]
    away = start[0] ** 2 + start[1] ** 2 + start[2] ** 2 - along**2 / long  # 1 on the outline
    grown = 1 + per_image(f.hair_volume)

    def meet(size: Tensor | float) -> list[Tensor]:
        depth = ((size * size - away).clamp(min=0) * long).sqrt() - along
        return [o + r * (depth / long) for o, r in zip(start, ray, strict=True)]

    u, v, w = meet(1.0)
    cap = meet(grown)
    radius = away.clamp(min=1e-6).sqrt()
    azimuth, height = per_image(f.light_azimuth).deg2rad(), per_image(f.light_height).deg2rad()
    towards = (azimuth.sin() * height.cos(), -height.sin(), azimuth.cos() * height.cos())
    return Head(
        px, py, u * half, v * HALF_HEIGHT, w * HALF_DEPTH, torch.where(u < 0, -1.0, 1.0),
        (cap[0] / grown, cap[1] / grown, cap[2] / grown),
        inside((1 - radius) * 11.5, 1.3), inside((grown - radius) * 11.5, 1.5),
        to_head(f, *towards),
    )  # fmt: skip


def lit(f: Factors, head: Head, nx: Tensor, ny: Tensor, nz: Tensor) -> Tensor:
    """Brightness of a surface with this (unnormalised) normal, soft as under a large lamp."""
    lx, ly, lz = head.light
    facing = (nx * lx + ny * ly + nz * lz) * torch.rsqrt(nx * nx + ny * ny + nz * nz + 1e-6)
    strength = per_image(f.light_strength)
    return 1.02 - strength + strength * 1.15 * step((facing + 0.35) / 1.35)


def background(f: Factors) -> Tensor:
    """A wall, a slope of light across it, and soft clutter with one upright edge."""
    x = torch.arange(WIDTH).view(1, 1, -1) / WIDTH - 0.5
    y = torch.arange(HEIGHT).view(1, -1, 1) / HEIGHT - 0.5
    turn, place = 6.2832 * per_image(f.back_turn), 6.2832 * per_image(f.back_place)
    slope = per_image(f.back_slope) * (turn.cos() * x + turn.sin() * y)
    blobs = torch.cos(9 * x + 7 * place) * torch.cos(7 * y + 4 * x + 11 * place)
    panel = torch.tanh(24 * (x - 0.45 * torch.cos(5 * place) + 0.2 * torch.sin(turn) * y))
    clutter = per_image(f.back_clutter) * (0.22 * blobs + 0.16 * panel)
    wall = hue(f.back_hue, f.back_saturation, f.back_value) * rgb(262, 255, 246)
    other = hue((f.back_hue + 0.45) % 1, f.back_saturation, 0.9 - 0.6 * f.back_value)
    image = wall * (1 + 0.9 * slope + clutter)[:, None]
    paint(image, other, step(2.2 * clutter))
    return image
