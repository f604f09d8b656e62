"""What is painted on the head: skin, ears, eyes, nose, mouth and beard.

Pixels of the head are (3, p), with points (p,) of the head in its own coordinates (see
vaelib.faces.geometry).
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
    bump,
    coverage,
    distance_from_centre,
    head_coverage,
    intersect_sphere,
    lighting,
    paint,
    palette_colour,
    pixels_where,
    rgb,
    smoothstep,
)

# From very pale to deep brown, in the order of the Monk skin tone scale.
SKIN_COLOURS = (
    (248, 217, 200), (242, 198, 173), (230, 180, 152), (211, 156, 126), (187, 128, 98),
    (162, 103, 74), (130, 80, 56), (104, 65, 47), (82, 53, 41),
)  # fmt: skip
IRIS_COLOURS = ((58, 36, 24), (96, 64, 36), (104, 110, 70), (86, 128, 150), (110, 150, 190))


def skin_colour(f: Factors) -> Tensor:
    """Colour of the skin (3, n): a tone, cooler or warmer."""
    warm = torch.tensor([[0.03], [-0.035], [-0.06]])
    return palette_colour(SKIN_COLOURS, f.skin_tone) * (1 + f.undertone * warm)


@dataclass(frozen=True)
class Surface:
    """The pixels of the heads, and the point (p,) of the head at each, in its own coordinates."""

    pixels: Pixels
    x: Tensor
    y: Tensor
    z: Tensor

    def select(self, indices: Tensor) -> "Surface":
        """Those of the pixels at these positions in the list."""
        return Surface(
            self.pixels.select(indices),
            self.x.index_select(0, indices),
            self.y.index_select(0, indices),
            self.z.index_select(0, indices),
        )


def draw_head(f: Factors, plane: Plane, image: Tensor, skin: Tensor, hair: Tensor) -> None:
    """Head with all that is painted on it, in place."""
    p = pixels_where(f, plane.distance2 < 1.12)
    u, v, w = intersect_sphere(p, plane, 1.0)
    x, y, z = u * p.at(f.face_width), v * HALF_HEIGHT, w * HALF_DEPTH
    # The ridge of the nose stands off a turned face.
    nose_x = x - 2.4 * p.at(f.yaw).deg2rad().sin() * smoothstep((y + 3) / 10)
    s = Surface(p, x, y, z)
    skin = p.at(skin)
    albedo = skin.clone()
    outward, nose_y = x.abs(), p.at(f.nose_length)
    rosy = (0.16 + 0.5 * p.at(f.rouge)) * bump((outward - 5.8) / 2.6, (y - 7) / 2.6)
    rosy = rosy + 0.12 * bump(nose_x / 2, (y - nose_y) / 1.6)
    paint(albedo, skin * rgb(255, 170, 160), rosy)
    for draw, where in (
        (draw_ear, (z < 4) & ((y - 2.6).abs() < 6)),
        (draw_beard, (y > 5) & p.at(f.stubble + f.beard + f.moustache > 0)),
        (draw_eyes, (y > -8) & (y < 5)),
        (draw_mouth, (y > 6) & (y < 19) & (outward < 9)),
    ):
        indices = where.nonzero().flatten()
        part = albedo.index_select(1, indices)
        draw(s.select(indices), part, skin.index_select(1, indices), hair)
        albedo.index_copy_(1, indices, part)
    # Shadows on skin are warmer than the skin; the tip of the nose and the forehead shine.
    shade = relief(s, nose_x)
    shine = 0.10 * bump((nose_x + 0.3) / 0.9, (y - nose_y + 1) / 1.6)
    shine = (shine + 0.05 * bump(x / 5, (y + 12) / 4)) * p.at(f.light_strength)
    tint = torch.tensor([[0.10], [-0.01], [-0.06]]) * (1.05 - shade)
    part = p.of(image)
    paint(part, albedo * (shade + tint) + shine, head_coverage(distance_from_centre(p, plane)))
    p.put(image, part)


def relief(s: Surface, nose_x: Tensor) -> Tensor:
    """Brightness of the skin (p,): nose, sockets, cheeks and chin tilt its normal.

    nose_x: (p,), distance from the ridge of the nose.
    """
    p, f, x, y = s.pixels, s.pixels.faces, s.x, s.y
    nose_width, nose_y, smile = p.at(f.nose_width), p.at(f.nose_length), p.at(f.smile)
    outward = x.abs()
    beside_eye = outward - p.at(f.eye_distance)
    ridge = bump(nose_x / (1.5 * nose_width))
    ridge = ridge * smoothstep((y + 3) / 9) * smoothstep((nose_y + 1.6 - y) / 2)
    socket = bump(beside_eye / 3.4, (y + 0.6) / 2.6)
    cheek = bump((outward - 5.4) / 3.2, (y - 7) / 3.6) * (0.4 + 0.9 * smile)
    chin = bump(x / 3.2, (y - 17) / 2.6)
    nx = x * HALF_DEPTH / p.at(f.face_width) ** 2 + 1.1 * ridge * nose_x
    tilt = 0.07 * (cheek * (outward - 5.4) - socket * beside_eye)
    nx = nx + torch.where(x < 0, -tilt, tilt)
    ny = y * (HALF_DEPTH / HALF_HEIGHT**2) - 0.22 * socket * (y + 0.6)
    ny = ny + 0.08 * cheek * (y - 7) + 0.12 * chin * (y - 17)
    # Where light hardly reaches: sockets, under nose and lip, nostrils, the fold beside the mouth.
    dark = 0.16 * socket + 0.20 * bump(nose_x / (1.8 * nose_width), (y - nose_y - 1.1) / 0.9)
    nostril = (nose_x.abs() - 1.3 * nose_width) / 0.75
    dark = dark + 0.3 * bump(nostril, (y - nose_y - 0.5) / 0.6)
    fold = bump((outward - 2.6 - 0.42 * (y - nose_y)) / 0.7)
    fold = fold * smoothstep((y - nose_y + 1) / 2) * smoothstep((13.5 - y) / 2)
    dark = dark + fold * (0.02 + 0.2 * p.at(f.age) + 0.1 * smile.clamp(min=0))
    dark = dark + 0.10 * bump(x / 3, (y - 15.2) / 0.9)
    return lighting(p, nx, ny, s.z / HALF_DEPTH) * (1 - dark)


def draw_ear(s: Surface, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """The near ear of a turned head: a rim and a hollow."""
    ear = (((s.z + 2.2) / 2.7) ** 2 + ((s.y - 2.6) / 4.0) ** 2).sqrt()
    paint(albedo, skin * rgb(190, 140, 130), 0.6 * bump((ear - 0.95) / 0.25))
    paint(albedo, skin * rgb(150, 100, 95), 0.6 * coverage((0.45 - ear) * 3))


def draw_beard(s: Surface, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """A shadow of stubble, a beard on jaw and chin, a moustache."""
    p, f, y, outward = s.pixels, s.pixels.faces, s.y, s.x.abs()
    hair = p.at(hair)
    jaw = coverage(y - 12.5 + 0.055 * outward * outward - 5 * smoothstep((outward - 6) / 4), 5)
    lip = bump(outward / 4.4, (y - p.at(f.nose_length) - 2.3) / 1.4)
    stubble = 0.42 * p.at(f.stubble) * torch.maximum(jaw, lip)
    paint(albedo, rgb(70, 72, 84) * (0.5 + 0.5 * hair), stubble)
    paint(albedo, hair * 0.9, 0.9 * p.at(f.beard) * jaw)
    paint(albedo, hair * 0.85, p.at(f.moustache) * lip)


def draw_eyes(s: Surface, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """Whites, iris, pupil, catchlight, lids and brows; both eyes at once, mirrored."""
    p, f, y = s.pixels, s.pixels.faces, s.y
    male = p.at(f.male)
    outward = s.x.abs() - p.at(f.eye_distance)  # from the eye's middle
    tall = 0.3 + 1.05 * p.at(f.eye_open) * (1 - 0.25 * p.at(f.smile).clamp(min=0))
    across = (1 - (outward / 2.9) ** 2).clamp(min=-0.5)
    lid = y + 0.06 * outward
    top, bottom = lid + tall * across, 0.75 * tall * across - lid
    within = coverage(2.9 - outward.abs())
    ball = coverage(torch.minimum(top, bottom), 0.9) * within
    paint(albedo, rgb(222, 214, 210) * (0.45 + 0.55 * skin), ball)
    look = torch.where(s.x < 0, -outward, outward) - 0.6 * p.at(f.gaze)
    iris = 1.25 - (look**2 + (lid + 0.15) ** 2).sqrt()  # distance inside its edge
    paint(albedo, p.at(palette_colour(IRIS_COLOURS, f.iris)), ball * coverage(iris, 0.8))
    paint(albedo, rgb(12, 10, 10), ball * coverage(iris - 0.6, 0.8))
    paint(albedo, rgb(255, 255, 255), 0.8 * ball * bump((look + 0.45) / 0.5, (lid + 0.5) / 0.5))
    paint(albedo, rgb(28, 18, 16), bump(top / 0.55) * within * (0.85 - 0.25 * male))
    paint(albedo, skin * 0.62, 0.5 * bump((top + 1.3) / 0.6) * within)
    paint(albedo, skin * 0.7, 0.35 * bump((bottom + 0.5) / 0.7) * coverage(2.6 - outward.abs()))
    bend = 0.02 + 0.09 * p.at(f.brow_arch)
    brow_y = y + 3.3 + 0.5 * p.at(f.brow_height) + 3 * bend - bend * (outward - 0.5) ** 2
    brow_y = brow_y - 0.35 * male
    thick = (0.35 + 0.7 * p.at(f.brow_weight)) * (1 - 0.12 * (outward - 0.2).abs())
    brow = coverage(thick - brow_y.abs(), 1.0) * coverage(3.4 - (outward - 0.3).abs(), 1.5)
    paint(albedo, p.at(hair) * 0.55 + skin * 0.12, 0.9 * brow)


def draw_mouth(s: Surface, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """Lips, the line between them, and teeth where they part."""
    p, f, x, y = s.pixels, s.pixels.faces, s.x, s.y
    smile, gap = p.at(f.smile), p.at(f.mouth_open)
    wide = p.at(f.mouth_width) * (1 + 0.32 * smile)
    bow = (x / wide) ** 2
    across = (1 - bow).clamp(min=-0.5)
    line = y - 12.2 + smile * (3.6 * bow - 1.7)  # from the line between the lips, downward
    full = 0.5 + 0.6 * p.at(f.lip_fullness)
    upper = line + (full + 0.5 * gap) * across
    lower = (1.3 * full + 2.0 * gap) * across - line
    colour = torch.lerp(skin * rgb(222, 142, 138), rgb(170, 44, 58), p.at(f.lipstick))
    paint(albedo, colour, coverage(torch.minimum(upper, lower), 1.2) * coverage(wide - x.abs()))
    below = bump((lower + 0.9) / 0.7) * coverage(wide * 0.6 - x.abs(), 3)
    paint(albedo, skin * 0.75, 0.4 * below)
    parted = coverage(torch.minimum(line + 0.5 * gap * across, 2.0 * gap * across - line), 0.9)
    parted = parted * smoothstep(gap * 4) * coverage(wide * 0.94 - x.abs())
    paint(albedo, rgb(66, 26, 28), parted)
    teeth = coverage(gap * (0.5 + 1.4 * smoothstep(smile * 1.5)) * across - line, 0.8)
    paint(albedo, rgb(240, 234, 226), 0.95 * parted * teeth)
    seam = bump(line / 0.45) * coverage(wide + 0.2 - x.abs()) * (1 - smoothstep(gap * 4))
    paint(albedo, skin * rgb(110, 60, 60), 0.75 * seam)
