"""What is painted on the head and below it: neck, clothes, skin, eyes, nose, mouth and beard.

Whole images are (3, n, h, w) with positions (n, h, w) in the image plane; pixels of the head are
(3, p), with points (p,) of the head in its own coordinates (see vaelib.faces.geometry).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaelib.faces.factors import Factors
from vaelib.faces.geometry import (
    HALF_DEPTH,
    HALF_HEIGHT,
    Pixels,
    Plane,
    bell,
    covered,
    everywhere,
    hue,
    inside,
    lit,
    meet,
    off_centre,
    paint,
    palette,
    per_image,
    rgb,
    step,
)

EARS = slice(18, 54)  # rows that ears and their rings can reach
BODY = slice(31, 64)  # rows that neck and shoulders can reach

# From very pale to deep brown, in the order of the Monk skin tone scale.
SKIN = (
    (248, 217, 200), (242, 198, 173), (230, 180, 152), (211, 156, 126), (187, 128, 98),
    (162, 103, 74), (130, 80, 56), (104, 65, 47), (82, 53, 41),
)  # fmt: skip
IRIS = ((58, 36, 24), (96, 64, 36), (104, 110, 70), (86, 128, 150), (110, 150, 190))


def skin_colour(f: Factors) -> Tensor:
    """Colour of the skin (3, n): a tone, cooler or warmer."""
    warm = torch.tensor([[0.03], [-0.035], [-0.06]])
    return palette(SKIN, f.skin_tone) * (1 + f.undertone * warm)


def side_light(f: Factors, x: Tensor) -> Tensor:
    """Brightness of what is not modelled in depth: it falls off away from the light."""
    slant = 1 - per_image(f.light_azimuth).deg2rad().sin() * x / 9
    return 1 - 0.32 * per_image(f.light_strength) * slant


def draw_body(f: Factors, plane: Plane, image: Tensor, skin: Tensor) -> None:
    """Neck and clothes, in place."""
    x, y = plane.px[:, BODY], plane.py[:, BODY]
    part, skin = image[:, :, BODY], everywhere(skin)
    neck_x = x - 3.0 * per_image(f.yaw).deg2rad().sin()
    away, male = neck_x.abs(), per_image(f.male)
    light = side_light(f, neck_x)
    under_chin = 0.5 + 0.5 * step((y - 19.5 - 0.05 * neck_x**2) / 8)
    throat = inside(5.9 + 1.6 * male + 2.0 * step((y - 19) / 9) - away, 1.3) * inside(y - 8)
    paint(part, skin * (light * under_chin), throat)
    # Shoulders fall away from the neck; a neckline opens in a V on skin, or on shirt and tie.
    shoulder = 24.5 - 2.0 * male + 0.055 * away**1.6 - 0.05 * away
    neckline = per_image(torch.maximum(f.neckline, 0.75 * f.tie))
    opening = 22 + 13 * neckline - (0.9 + neckline) * away
    fold = light * (1.12 - 0.32 * step((away - 8) / 16)) + 0.05 * torch.cos(0.5 * neck_x + 0.4 * y)
    cloth = everywhere(hue(f.cloth_hue, f.cloth_saturation, f.cloth_value))
    dress = torch.lerp(
        skin * (light * (0.7 + 0.3 * under_chin)),
        cloth * fold,
        inside(y - opening, 1.2),
    )
    tied = f.tie.nonzero().flatten()
    planes = (plane[tied] for plane in (y, away, light, opening))
    dress[:, tied] = _shirt(f[tied], dress[:, tied], *planes)
    paint(part, dress, inside(y - shoulder, 1.2))


def _shirt(
    f: Factors, dress: Tensor, y: Tensor, away: Tensor, light: Tensor, opening: Tensor
) -> Tensor:
    """The dress with a white collar and a tie in its opening."""
    collar = inside(y - 23.5 - 0.5 * (6 - away).clamp(min=0)) * per_image(f.tie)
    collar = collar * (1 - inside(y - opening, 1.2))
    paint(dress, everywhere(rgb(232, 234, 240)) * light, collar)
    tie = inside(1.1 + 0.06 * (y - 24) - away) * collar
    silk = hue((f.cloth_hue + 0.5) % 1, 0.7 * f.tie, 0.6 - 0.45 * f.cloth_value)
    paint(dress, everywhere(silk), tie)
    return dress


def draw_ears(f: Factors, plane: Plane, image: Tensor, skin: Tensor) -> None:
    """An ear on each side of the outline; the head hides what lies behind it. In place."""
    x, y, part = plane.px[:, EARS], plane.py[:, EARS], image[:, :, EARS]
    yaw = per_image(f.yaw).deg2rad()
    middle = per_image(f.face_width) * yaw.cos()
    near = (((x + 1.5 * yaw.sin()).abs() - middle) / 1.9) ** 2  # both ears at once
    shape = 1 - (near + ((y - 2.6) / 3.9) ** 2).sqrt()
    paint(part, everywhere(skin) * (0.82 * side_light(f, x)), inside(shape * 2))


def draw_earrings(f: Factors, plane: Plane, image: Tensor, near: bool) -> None:
    """Rings below the ears: behind the head, or in front of it on the side turned to us."""
    some = f.earrings.nonzero().flatten()
    turn, ring = per_image(f.yaw[some]).deg2rad().sin(), per_image(f.earrings[some])
    x, y, part = plane.px[some, EARS], plane.py[some, EARS], image[:, some, EARS]
    middle = (per_image(f.face_width[some]) + 0.4) * (1 - turn * turn).sqrt()
    size, across = 0.5 + 0.9 * ring, x + 1.5 * turn
    out = across.abs() - middle
    away = (out * out + (y - 7.2 - size) ** 2).sqrt()
    seen = step(0.5 - 4 * across.sign() * turn) if near else 1.0
    gleam = 0.75 + 0.5 * bell((out + 0.4) / size, (y - 7) / size)
    paint(part, everywhere(rgb(236, 206, 120)) * gleam, inside(size - away) * seen)
    image[:, some, EARS] = part


@dataclass(frozen=True)
class Skull:
    """The pixels of the heads, and the point (p,) of the head at each, in its own coordinates."""

    p: Pixels
    x: Tensor
    y: Tensor
    z: Tensor
    side: Tensor  # -1 left of the nose, +1 right of it
    nose_x: Tensor  # distance from the ridge of the nose, which stands off a turned face

    def some(self, where: Tensor) -> "Skull":
        """Those of the pixels at these positions in the list."""
        parts = (self.x, self.y, self.z, self.side, self.nose_x)
        x, y, z, side, nose_x = (part.index_select(0, where) for part in parts)
        return Skull(self.p.some(where), x, y, z, side, nose_x)


def draw_head(f: Factors, plane: Plane, image: Tensor, skin: Tensor, hair: Tensor) -> None:
    """Head with all that is painted on it, in place."""
    p = Pixels(f, plane.away < 1.12)
    u, v, w = meet(p, plane, 1.0)
    x, y, z = u * p.face_width, v * HALF_HEIGHT, w * HALF_DEPTH
    stands = 2.4 * p.yaw.deg2rad().sin() * step((y + 3) / 10)
    s = Skull(p, x, y, z, torch.where(u < 0, -1.0, 1.0), x - stands)
    skin = p.colours(skin)
    albedo = skin.clone()
    out, nose_y = s.side * x, p.nose_length
    rosy = (0.16 + 0.5 * p.rouge) * bell((out - 5.8) / 2.6, (y - 7) / 2.6)
    rosy = rosy + 0.12 * bell(s.nose_x / 2, (y - nose_y) / 1.6)
    paint(albedo, skin * rgb(255, 170, 160), rosy)
    for draw, where in (
        (draw_ear, (z < 4) & ((y - 2.6).abs() < 6)),
        (draw_beard, (y > 5) & (p.stubble + p.beard + p.moustache > 0)),
        (draw_eyes, (y > -8) & (y < 5)),
        (draw_mouth, (y > 6) & (y < 19) & (out < 9)),
    ):
        few = where.nonzero().flatten()
        part = albedo.index_select(1, few)
        draw(s.some(few), part, skin.index_select(1, few), hair)
        albedo.index_copy_(1, few, part)
    # Shadows on skin are warmer than the skin; the tip of the nose and the forehead shine.
    shade = relief(s)
    shine = 0.10 * bell((s.nose_x + 0.3) / 0.9, (y - nose_y + 1) / 1.6)
    shine = (shine + 0.05 * bell(x / 5, (y + 12) / 4)) * p.light_strength
    tint = torch.tensor([[0.10], [-0.01], [-0.06]]) * (1.05 - shade)
    cover = covered(off_centre(p, plane))
    part = p.take(image)
    paint(part, albedo * (shade + tint) + shine, cover)
    p.put(image, part)


def relief(s: Skull) -> Tensor:
    """Brightness of the skin (p,): nose, sockets, cheeks and chin tilt its normal."""
    p, x, y, side, nose_x, nose_y = s.p, s.x, s.y, s.side, s.nose_x, s.p.nose_length
    out = side * x
    ridge = bell(nose_x / (1.5 * p.nose_width)) * step((y + 3) / 9) * step((nose_y + 1.6 - y) / 2)
    beside = out - p.eye_distance
    socket = bell(beside / 3.4, (y + 0.6) / 2.6)
    cheek = bell((out - 5.4) / 3.2, (y - 7) / 3.6) * (0.4 + 0.9 * p.smile)
    chin = bell(x / 3.2, (y - 17) / 2.6)
    nx = x * HALF_DEPTH / p.face_width**2 + 1.1 * ridge * nose_x
    nx = nx + 0.07 * side * (cheek * (out - 5.4) - socket * beside)
    ny = y * (HALF_DEPTH / HALF_HEIGHT**2) - 0.22 * socket * (y + 0.6)
    ny = ny + 0.08 * cheek * (y - 7) + 0.12 * chin * (y - 17)
    # Where light hardly reaches: sockets, under nose and lip, nostrils, the fold beside the mouth.
    fold = bell((out - 2.6 - 0.42 * (y - nose_y)) / 0.7)
    fold = fold * step((y - nose_y + 1) / 2) * step((13.5 - y) / 2)
    dark = 0.16 * socket + 0.20 * bell(nose_x / (1.8 * p.nose_width), (y - nose_y - 1.1) / 0.9)
    nostril = (nose_x.abs() - 1.3 * p.nose_width) / 0.75
    dark = dark + 0.3 * bell(nostril, (y - nose_y - 0.5) / 0.6)
    dark = dark + fold * (0.02 + 0.2 * p.age + 0.1 * p.smile.clamp(min=0))
    dark = dark + 0.10 * bell(x / 3, (y - 15.2) / 0.9)
    return lit(p, nx, ny, s.z / HALF_DEPTH) * (1 - dark)


def draw_ear(s: Skull, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """The near ear of a turned head: a rim and a hollow."""
    ear = (((s.z + 2.2) / 2.7) ** 2 + ((s.y - 2.6) / 4.0) ** 2).sqrt()
    paint(albedo, skin * rgb(190, 140, 130), 0.6 * bell((ear - 0.95) / 0.25))
    paint(albedo, skin * rgb(150, 100, 95), 0.6 * inside((0.45 - ear) * 3))


def draw_beard(s: Skull, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """A shadow of stubble, a beard on jaw and chin, a moustache."""
    p, out, y, hair = s.p, s.side * s.x, s.y, s.p.colours(hair)
    jaw = inside(y - 12.5 + 0.055 * out * out - 5 * step((out - 6) / 4), 5)
    lip = bell(out / 4.4, (y - p.nose_length - 2.3) / 1.4)
    paint(albedo, rgb(70, 72, 84) * (0.5 + 0.5 * hair), 0.42 * p.stubble * torch.maximum(jaw, lip))
    paint(albedo, hair * 0.9, 0.9 * p.beard * jaw)
    paint(albedo, hair * 0.85, p.moustache * lip)


def draw_eyes(s: Skull, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """Whites, iris, pupil, catchlight, lids and brows; both eyes at once, mirrored."""
    p, y = s.p, s.y
    out = s.side * s.x - p.eye_distance  # from the eye's middle, outward
    tall = 0.3 + 1.05 * p.eye_open * (1 - 0.25 * p.smile.clamp(min=0))
    across = (1 - (out / 2.9) ** 2).clamp(min=-0.5)
    lid = y + 0.06 * out
    top, bottom = lid + tall * across, 0.75 * tall * across - lid
    within = inside(2.9 - out.abs())
    ball = inside(torch.minimum(top, bottom), 0.9) * within
    paint(albedo, rgb(222, 214, 210) * (0.45 + 0.55 * skin), ball)
    look = s.side * out - 0.6 * p.gaze
    round_iris = 1.25 - (look**2 + (lid + 0.15) ** 2).sqrt()
    paint(albedo, p.colours(palette(IRIS, p.faces.iris)), ball * inside(round_iris, 0.8))
    paint(albedo, rgb(12, 10, 10), ball * inside(round_iris - 0.6, 0.8))
    paint(albedo, rgb(255, 255, 255), 0.8 * ball * bell((look + 0.45) / 0.5, (lid + 0.5) / 0.5))
    paint(albedo, rgb(28, 18, 16), bell(top / 0.55) * within * (0.85 - 0.25 * p.male))
    paint(albedo, skin * 0.62, 0.5 * bell((top + 1.3) / 0.6) * within)
    paint(albedo, skin * 0.7, 0.35 * bell((bottom + 0.5) / 0.7) * inside(2.6 - out.abs()))
    bend = 0.02 + 0.09 * p.brow_arch
    arch = y + 3.3 + 0.5 * p.brow_height + 3 * bend - bend * (out - 0.5) ** 2 - 0.35 * p.male
    thick = (0.35 + 0.7 * p.brow_weight) * (1 - 0.12 * (out - 0.2).abs())
    brow = inside(thick - arch.abs(), 1.0) * inside(3.4 - (out - 0.3).abs(), 1.5)
    paint(albedo, p.colours(hair) * 0.55 + skin * 0.12, 0.9 * brow)


def draw_mouth(s: Skull, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """Lips, the line between them, and teeth where they part."""
    p, x, y = s.p, s.x, s.y
    smile, gap = p.smile, p.mouth_open
    wide = p.mouth_width * (1 + 0.32 * smile)
    bow = (x / wide) ** 2
    across = (1 - bow).clamp(min=-0.5)
    line = y - 12.2 + smile * (3.6 * bow - 1.7)  # from the line between the lips, downward
    full = 0.5 + 0.6 * p.lip_fullness
    upper = line + (full + 0.5 * gap) * across
    lower = (1.3 * full + 2.0 * gap) * across - line
    colour = torch.lerp(skin * rgb(222, 142, 138), rgb(170, 44, 58), p.lipstick)
    paint(albedo, colour, inside(torch.minimum(upper, lower), 1.2) * inside(wide - x.abs()))
    below = bell((lower + 0.9) / 0.7) * inside(wide * 0.6 - x.abs(), 3)
    paint(albedo, skin * 0.75, 0.4 * below)
    parted = inside(torch.minimum(line + 0.5 * gap * across, 2.0 * gap * across - line), 0.9)
    parted = parted * step(gap * 4) * inside(wide * 0.94 - x.abs())
    paint(albedo, rgb(66, 26, 28), parted)
    teeth = inside(gap * (0.5 + 1.4 * step(smile * 1.5)) * across - line, 0.8)
    paint(albedo, rgb(240, 234, 226), 0.95 * parted * teeth)
    seam = bell(line / 0.45) * inside(wide + 0.2 - x.abs()) * (1 - step(gap * 4))
    paint(albedo, skin * rgb(110, 60, 60), 0.75 * seam)
