"""The lit ellipsoid on which a face is drawn, the wall behind it, and how shapes are painted.

The head is an ellipsoid seen without perspective. For each pixel we find the point of the
ellipsoid in front of it, in the head's own coordinates; eyes, nose, mouth and hairline are
functions of that point, so a turned head narrows on its far side without any rule for it.
Lengths are in pixels of a 64 x 48 image: x to the right, y down, z towards the viewer, with the
origin between the eyes. Edges fade over about one pixel, so nothing needs supersampling.

Pictures are (3, ...), colours first: (3, n, h, w) or (3, p). What fills the frame is drawn on whole
images; what is on the head is drawn on its pixels alone, gathered in a list: a quarter of them all.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaelib.config import IMAGE_SHAPE
from vaelib.faces.factors import CURLY, Factors

_, HEIGHT, WIDTH = IMAGE_SHAPE
EYE_LINE = 32.6  # row between the eyes, measured on CelebA at this size
HALF_HEIGHT, HALF_DEPTH = 21.0, 13.5  # of the head; its half width is a factor

Vector = tuple[Tensor, Tensor, Tensor]


def per_image(values: Tensor) -> Tensor:
    """(n,) to (n, 1, 1) and colours (3, n) to (3, n, 1, 1), to stand beside images."""
    return values[..., None, None]


def smoothstep(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, smooth in between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def coverage(distance: Tensor, soft: float = 1.0) -> Tensor:
    """How much of a pixel a shape covers whose edge is this far away (positive: inside)."""
    return (distance / soft + 0.5).clamp(0, 1)


def bump(x: Tensor, y: Tensor | float = 0.0) -> Tensor:
    """A round bump like exp(-x^2 - y^2), but 0 beyond a distance of 2; and four times as fast."""
    near = (1 - 0.25 * (x * x + y * y)).clamp(min=0).square()
    return near * near


def rgb(red: float, green: float, blue: float) -> Tensor:
    """A colour of 0 - 255 as a (3, 1) tensor of 0 - 1."""
    return torch.tensor([[red], [green], [blue]]) / 255


def palette_colour(colours: tuple[tuple[int, int, int], ...], where: Tensor) -> Tensor:
    """Colours (3, n) in 0 - 1, `where` (n,) in 0 - 1 of the way along the list."""
    table = torch.tensor(colours, dtype=torch.float32).T / 255
    position = where * (len(colours) - 1)
    low = position.floor().clamp(0, len(colours) - 2).long()
    return torch.lerp(table[:, low], table[:, low + 1], position - low)


def hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Colours (3, n) from hue, saturation and value (n,), each in 0 - 1."""
    thirds = torch.tensor([[0.0], [2 / 3], [1 / 3]])
    wave = ((hue + thirds) % 1 * 6 - 3).abs().sub(1).clamp(0, 1)
    return value * (1 - saturation * (1 - wave))


def paint(picture: Tensor, colour: Tensor, alpha: Tensor) -> None:
    """Lay a colour (or picture) over a picture (3, ...), in place; alpha is (...)."""
    picture.lerp_(colour.expand_as(picture), alpha.expand_as(picture))


def to_head(yaw: Tensor, pitch: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Vector:
    """Turn a vector from the viewer's coordinates to the head's; angles in radians."""
    ahead = yaw.sin() * x + yaw.cos() * z
    return (
        yaw.cos() * x - yaw.sin() * z,
        pitch.cos() * y + pitch.sin() * ahead,
        pitch.cos() * ahead - pitch.sin() * y,
    )


@dataclass(frozen=True)
class Plane:
    """The image plane (n, 64, 48), and where each pixel's line of sight passes the head."""

    x: Tensor  # position about the head's centre, roll undone
    y: Tensor
    start: Vector  # a point of the line; divided by its half axes the head is the unit sphere
    ray: Vector  # (n, 1, 1): the direction of the line, divided by the same half axes
    distance2: Tensor  # squared distance of the line from the head's centre: 1 on the outline
    depth: Tensor  # how far the start is from the point nearest to the centre
    hair_radius: Tensor  # (n,)


def place_head(f: Factors) -> Plane:
    """Find the head in front of every pixel."""
    yaw, pitch, roll = (per_image(t).deg2rad() for t in (f.yaw, f.pitch, f.roll))
    x = torch.arange(WIDTH).view(1, 1, -1) + 0.5 - WIDTH / 2 - per_image(f.shift_x)
    y = torch.arange(HEIGHT).view(1, -1, 1) + 0.5 - EYE_LINE - per_image(f.shift_y)
    x, y = x / per_image(f.size), y / per_image(f.size)
    # CelebA is aligned by the eyes: a turned head swings about them, not about its centre.
    head_x = roll.cos() * x + (roll.sin() * y + 0.8 * HALF_DEPTH * yaw.sin() * pitch.cos())
    head_y = roll.cos() * y - (roll.sin() * x + 0.9 * HALF_DEPTH * pitch.sin())
    # The head is no ellipsoid: what is read off one at (ex, ey) is drawn at (head_x, head_y).
    widening = per_image(f.jaw_width) * smoothstep(head_y / 12)
    ex = head_x / (1 + widening + 0.2 * smoothstep(head_y / -16))
    chin = per_image(f.jaw_length) / HALF_HEIGHT
    below = head_y * (1 - chin / (1 + chin) * smoothstep(head_y / 14))
    ey = torch.where(head_y < 0, 1.09 * head_y, below)  # eyes lie below the middle of the head
    ahead = yaw.sin() * ex
    u = ex * (yaw.cos() / per_image(f.face_width))
    v = (pitch.cos() * ey + pitch.sin() * ahead) / HALF_HEIGHT
    w = (pitch.cos() * ahead - pitch.sin() * ey) / HALF_DEPTH
    rx = -yaw.sin() / per_image(f.face_width)
    ry = pitch.sin() * yaw.cos() / HALF_HEIGHT
    rz = pitch.cos() * yaw.cos() / HALF_DEPTH
    depth = u * rx + v * ry + w * rz
    distance2 = u * u + v * v + w * w - depth * depth / (rx * rx + ry * ry + rz * rz)
    hair_radius = 1 + f.hair_volume + 0.05 * (f.hair_style == CURLY)
    return Plane(head_x, head_y, (u, v, w), (rx, ry, rz), distance2, depth, hair_radius)


@dataclass(frozen=True)
class Pixels:
    """Some pixels of some faces, in one list of length p."""

    faces: Factors
    image: Tensor  # which face a pixel belongs to
    position: Tensor  # of the pixel among those of all faces, (n, 64, 48) flattened

    def at(self, per_face: Tensor) -> Tensor:
        """What a value (n,) or a colour (3, n) of the faces is at these pixels: (p,) or (3, p)."""
        return per_face.index_select(-1, self.image)

    def of(self, plane: Tensor) -> Tensor:
        """A copy of these pixels of a plane (n, 64, 48) or of pictures (3, n, 64, 48)."""
        return plane.flatten(-3).index_select(-1, self.position)

    def put(self, image: Tensor, part: Tensor) -> None:
        """Write these pixels (3, p) into pictures (3, n, 64, 48)."""
        image.view(3, -1).index_copy_(1, self.position, part)

    def select(self, indices: Tensor) -> "Pixels":
        """Those of the pixels at these positions in the list."""
        image, position = self.image, self.position
        return Pixels(self.faces, image.index_select(0, indices), position.index_select(0, indices))


def pixels_where(f: Factors, mask: Tensor) -> Pixels:
    """The pixels that a mask (n, 64, 48) marks."""
    position = mask.flatten().nonzero().flatten()
    return Pixels(f, position // (HEIGHT * WIDTH), position)


def intersect_sphere(p: Pixels, plane: Plane, radius: Tensor | float) -> Vector:
    """The foremost point of a sphere of this radius, where the head is the unit sphere."""
    rx, ry, rz = (p.at(component.flatten()) for component in plane.ray)
    length2 = rx * rx + ry * ry + rz * rz
    half_chord2 = (radius * radius - p.of(plane.distance2)).clamp(min=0)
    depth = ((half_chord2 * length2).sqrt() - p.of(plane.depth)) / length2
    u, v, w = plane.start
    return p.of(u) + rx * depth, p.of(v) + ry * depth, p.of(w) + rz * depth


def distance_from_centre(p: Pixels, plane: Plane) -> Tensor:
    """Distance (p,) of the line of sight from the head's centre: 1 on the outline."""
    return p.of(plane.distance2).clamp(min=1e-6).sqrt()


def head_coverage(distance: Tensor) -> Tensor:
    """How much of a pixel the head covers whose line of sight is so far from its centre."""
    return coverage((1 - distance) * 11.5, 1.3)


def lighting(p: Pixels, nx: Tensor, ny: Tensor, nz: Tensor) -> Tensor:
    """Brightness of a surface with this (unnormalised) normal, soft as under a large lamp."""
    f = p.faces
    azimuth, height = f.light_azimuth.deg2rad(), f.light_height.deg2rad()
    x, y, z = azimuth.sin() * height.cos(), -height.sin(), azimuth.cos() * height.cos()
    light = to_head(f.yaw.deg2rad(), f.pitch.deg2rad(), x, y, z)
    lx, ly, lz = (p.at(component) for component in light)
    facing = (nx * lx + ny * ly + nz * lz) * torch.rsqrt(nx * nx + ny * ny + nz * nz + 1e-6)
    return 1.02 + p.at(f.light_strength) * (1.15 * smoothstep((facing + 0.35) / 1.35) - 1)


def side_light(f: Factors, x: Tensor) -> Tensor:
    """Brightness of what is not modelled in depth: it falls off away from the light."""
    slant = 1 - per_image(f.light_azimuth).deg2rad().sin() * x / 9
    return 1 - 0.32 * per_image(f.light_strength) * slant


def background(f: Factors) -> Tensor:
    """Pictures (3, n, 64, 48): a wall, light sloping across it, soft clutter, an upright edge."""
    x = torch.arange(WIDTH).view(1, 1, -1) / WIDTH - 0.5
    y = torch.arange(HEIGHT).view(1, -1, 1) / HEIGHT - 0.5
    turn, place = 6.2832 * per_image(f.back_turn), 6.2832 * per_image(f.back_place)
    slope = per_image(f.back_slope) * (turn.cos() * x + turn.sin() * y)
    blobs = torch.cos(9 * x + 7 * place) * torch.cos(7 * y + 4 * x + 11 * place)
    panel = torch.tanh(24 * (x - 0.45 * torch.cos(5 * place) + 0.2 * torch.sin(turn) * y))
    clutter = per_image(f.back_clutter) * (0.22 * blobs + 0.16 * panel)
    wall = hsv(f.back_hue, f.back_saturation, f.back_value) * rgb(262, 255, 246)
    second = hsv((f.back_hue + 0.45) % 1, f.back_saturation, 0.9 - 0.6 * f.back_value)
    picture = per_image(wall) * (1 + 0.9 * slope + clutter)
    paint(picture, per_image(second), smoothstep(2.2 * clutter))
    return picture
