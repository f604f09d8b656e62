"""Hair, hats and glasses.

Shapes as in vaelib.faces.body and vaelib.faces.features. What only some faces have is painted on
those alone.
"""

import torch
from torch import Tensor

from vaelib.faces.factors import BEANIE, BRIM, CURLY, SUNGLASSES, TIED, VISOR, WAVY, Factors
from vaelib.faces.geometry import (
    HALF_DEPTH,
    HALF_HEIGHT,
    Pixels,
    Plane,
    bump,
    coverage,
    distance_from_centre,
    head_coverage,
    hsv,
    intersect_sphere,
    lighting,
    paint,
    palette_colour,
    per_image,
    pixels_where,
    rgb,
    side_light,
    smoothstep,
)

LONG_HAIR_ROWS = slice(12, 64)  # rows that long hair can reach
BUN_ROWS = slice(0, 26)  # rows that a bun can reach
HAT_ROWS = slice(0, 42)  # rows that visor and brim can reach

# From blond to black.
HAIR_COLOURS = (
    (236, 212, 160), (204, 166, 108), (158, 114, 70), (106, 70, 44), (66, 44, 32), (38, 28, 24),
    (20, 17, 18),
)  # fmt: skip
FRAME_COLOURS = ((88, 74, 64), (70, 40, 24), (20, 18, 20))  # from wire to heavy


def hair_colour(f: Factors) -> Tensor:
    """Colour of the hair (3, n): melanin, then red, then gray, which is white in fair hair."""
    colour = torch.lerp(palette_colour(HAIR_COLOURS, f.melanin), rgb(158, 66, 32), f.red)
    silver = rgb(192, 190, 188) + 0.3 * (0.5 - f.melanin)
    return torch.lerp(colour, silver, f.gray)


def waviness(style: Tensor) -> Tensor:
    """How much strands of hair of this style wave, 0 - 1."""
    return 0.15 + 0.75 * (style == WAVY) + 0.35 * (style == CURLY)


def curl_pattern(x: Tensor, y: Tensor) -> Tensor:
    """A pattern of curls between -1 and 1."""
    across = torch.sin(1.05 * x + 1.2 * torch.sin(0.55 * y))
    return across * torch.sin(1.1 * y + 1.2 * torch.sin(0.6 * x + 1))


def draw_long_hair(f: Factors, plane: Plane, image: Tensor, hair: Tensor) -> None:
    """Hair that falls beside the neck and over the shoulders, in place."""
    loose = ((f.hair_length > 0.1) & (f.hair_style != TIED)).nonzero().flatten()
    g, x, y = f[loose], plane.x[loose, LONG_HAIR_ROWS], plane.y[loose, LONG_HAIR_ROWS]
    length, volume = per_image(g.hair_length), per_image(g.hair_volume)
    curly = (g.hair_style == CURLY).nonzero().flatten()
    curls = torch.zeros_like(x)
    curls[curly] = curl_pattern(x[curly], y[curly])
    wave = per_image(waviness(g.hair_style)) * torch.sin(0.5 * y + 9 * per_image(g.parting))
    wave = wave + 1.2 * curls
    far = x.abs()
    half = (per_image(g.face_width) + 0.8) * (1 + volume) + 1.2 * wave
    half = half + 4 * length * smoothstep((y + 4) / 22)
    ends = 42 * length - 6 - 0.025 * x * x
    hang = coverage(half - far, 2.0) * coverage(ends - y, 5.0) * coverage(y + 4, 6)
    hang = hang * coverage(far - 5.2 * smoothstep((y - 8) / 8) + 0.4 * wave, 2.5)
    strands = torch.sin(1.1 * x + 1.2 * wave + 20 * per_image(g.parting))
    strands = strands + torch.sin(2.6 * x - wave) + 2 * curls
    tone = side_light(g, x) * (1 - 0.35 * smoothstep((10.5 - far) / 5)) * (0.82 + 0.08 * strands)
    part = image[:, loose, LONG_HAIR_ROWS]
    paint(part, per_image(hair[:, loose]) * tone, hang * smoothstep((length - 0.12) * 8))
    image[:, loose, LONG_HAIR_ROWS] = part


def draw_bun(f: Factors, plane: Plane, image: Tensor, hair: Tensor) -> None:
    """Tied hair, gathered behind the crown, in place."""
    tied = ((f.hair_style == TIED) & (f.hair_length > 0.1) & (f.hat == 0)).nonzero().flatten()
    g, part = f[tied], image[:, tied, BUN_ROWS]
    size = 2.6 + 3 * per_image(g.hair_length)
    x = plane.x[tied, BUN_ROWS] + 9 * per_image(g.yaw).deg2rad().sin()
    y = plane.y[tied, BUN_ROWS] + 22 + 9 * per_image(g.hair_volume)
    away = (x * x + y * y).sqrt()
    tone = 0.84 + 0.1 * torch.sin(1.5 * x - 1.1 * y)
    tone = tone * side_light(g, x) * (1 - 0.3 * smoothstep(away / size - 0.3))
    paint(part, per_image(hair[:, tied]) * tone, coverage(size - away, 1.4))
    image[:, tied, BUN_ROWS] = part


def draw_glasses(f: Factors, plane: Plane, image: Tensor) -> None:
    """Frames, bridge, arms and lenses, clear or dark, in place."""
    on_face = (plane.distance2 < 1.12) & (plane.y.abs() < 14)
    p = pixels_where(f, on_face & per_image(f.glasses > 0))
    u, v, w = intersect_sphere(p, plane, 1.0)
    x, y = u * p.at(f.face_width), v * HALF_HEIGHT - 0.5
    cover = head_coverage(distance_from_centre(p, plane))
    cover = cover * coverage(w * HALF_DEPTH + 1, 3)  # the arms end behind the ears
    outward = x.abs() - p.at(f.eye_distance) - 0.1
    frame = p.at(f.frame_colour)
    box = torch.maximum(outward.abs() - 3.9 - 0.4 * frame, y.abs() - 2.4 - 1.0 * frame)
    disc = (outward**2 + (y * (4.1 / 3.1)) ** 2).sqrt() - 4.2 - 0.4 * frame
    edge = torch.lerp(disc, box, p.at(f.frame_shape))
    rim = coverage(0.55 + 0.3 * frame - edge.abs())
    bridge = coverage(0.4 - (y + 0.7).abs()) * coverage(-outward - 3.6)
    arm = coverage(0.4 - (y + 1.0).abs()) * coverage(outward - 3.9)
    lens = coverage(-edge) * cover
    part = p.of(image)
    paint(part, rgb(24, 22, 26), 0.9 * (p.at(f.glasses) == SUNGLASSES) * lens)
    gleam = bump((outward - torch.where(x < 0, -1.2, 1.2) + y) / 0.8)
    paint(part, rgb(255, 255, 255), 0.14 * lens * gleam)
    wire = torch.maximum(rim, torch.maximum(bridge, arm))
    paint(part, p.at(palette_colour(FRAME_COLOURS, f.frame_colour)), wire * cover)
    p.put(image, part)


def draw_scalp_hair(f: Factors, plane: Plane, image: Tensor, hair: Tensor) -> None:
    """Hair on the skull: above the hairline and behind the temples, in place."""
    lowest = torch.where(f.hair_length > 0.1, 60.0, 10.0)  # rows below the eyes
    within = plane.distance2 < per_image((plane.hair_radius + 0.15) ** 2)
    p = pixels_where(f, within & (plane.y < per_image(lowest)))
    radius, distance = p.at(plane.hair_radius), distance_from_centre(p, plane)
    u, v, w = (axis / radius for axis in intersect_sphere(p, plane, radius))
    field, shadow = _hair_field(p, u, v, w, distance)
    hairy = ((field > 0) | (shadow > 0)).nonzero().flatten()  # what follows is slow
    p = p.select(hairy)
    values = (u, v, w, field, shadow, radius - distance)
    u, v, w, field, shadow, rim = (value.index_select(0, hairy) for value in values)
    curls = torch.zeros_like(u)
    curly = (p.at(f.hair_style) == CURLY).nonzero().flatten()
    curly_pixels = p.select(curly)
    pattern = curl_pattern(curly_pixels.of(plane.x), curly_pixels.of(plane.y))
    curls.index_copy_(0, curly, pattern)
    parted = u - p.at(f.parting)
    part = p.of(image) * (1 - shadow)
    shade = lighting(p, u, 0.7 * v, w)
    strands = torch.sin(17 * parted + 4 * v + 2 * p.at(waviness(f.hair_style)) * torch.sin(9 * v))
    strands = strands + torch.sin(29 * parted - 6 * v) + 2.2 * curls
    gleam = bump((v + 0.62 - 0.25 * parted**2) / 0.16) * (0.5 + 0.5 * shade)
    tone = shade * (0.86 + 0.07 * strands) + 0.22 * gleam * p.at(f.light_strength)
    field = field * coverage(rim * 11.5 + 0.9 * curls, 1.5)
    paint(part, p.at(hair) * tone + 0.03 * gleam, field)
    p.put(image, part)


def _hair_field(
    p: Pixels, u: Tensor, v: Tensor, w: Tensor, distance: Tensor
) -> tuple[Tensor, Tensor]:
    """How much of each pixel hair covers, and how dark its shadow on the skin is."""
    f = p.faces
    length = f.hair_length * (f.hair_style != TIED)
    loose = smoothstep((length - 0.12) * 5)
    long, bare, bald = p.at(loose), p.at(smoothstep(f.bald * 2)), p.at(f.bald)
    lowest = p.at((2 * length - 0.3).clamp(min=0.02))
    cover = head_coverage(distance)
    # Distances in pixels inside the hair: over the brow, then behind the temples.
    combed = p.at(0.36 * f.fringe - 0.64 - 9 * (f.fringe == 0)) + 0.02 * torch.sin(21 * u)
    hairline = p.at(f.hairline) + p.at(0.45 - 0.25 * loose) * (u - p.at(f.parting)) ** 2
    above = 12 * (torch.maximum(hairline, combed) - v)
    behind = torch.minimum(5 * (p.at(0.22 + 0.26 * loose) - w), 17 * (u.abs() - 0.62))
    behind = torch.minimum(behind, 19 * (lowest - v))
    # Hair has thickness: outside the skull's own outline there is hair down to the ears.
    reach = torch.minimum(torch.maximum(-v, u.abs() - 1.8 + long), lowest - v)
    rim = smoothstep(3 * (1 - cover)) * coverage(reach * 15, 3.0)
    top = torch.maximum(coverage(above, 1.5), rim) * (1 - bare)
    shorn = bare * (1 - cover)  # a bald man's fringe lies close to the skull
    field = torch.maximum(top, coverage(behind, 1.6) * (1 - 0.6 * bald) * (1 - shorn))
    near = torch.maximum(above - 40 * bare, behind)
    return field, 0.28 * coverage(near + 1.2, 4.0) * cover


def draw_hat(f: Factors, plane: Plane, image: Tensor) -> None:
    """A beanie, a cap with a visor or a hat with a brim, in place."""
    colour = hsv(f.hat_hue, 0.45 * (1 - 0.5 * f.hat_value), f.hat_value)
    within = plane.distance2 < per_image((plane.hair_radius + 0.08) ** 2)
    p = pixels_where(f, within & per_image(f.hat > 0))
    radius = p.at(plane.hair_radius)
    u, v, w = (axis / radius for axis in intersect_sphere(p, plane, radius))
    beanie, visor, brim = ((p.at(f.hat) == kind).float() for kind in (BEANIE, VISOR, BRIM))
    ribs = 1 + 0.05 * beanie * torch.sin(26 * u)
    edge = -0.36 * beanie - 0.46 * visor - 0.44 * brim
    band = 1 - 0.22 * bump((v - edge + 0.07) / 0.07) * (1 - visor)
    tone = lighting(p, u, 0.7 * v, w) * ribs * band
    cover = coverage((radius - distance_from_centre(p, plane)) * 11.5, 1.5)
    part = p.of(image)
    paint(part, p.at(colour) * tone, coverage(19 * (edge - v), 1.2) * cover)
    p.put(image, part)
    _draw_visor(f, plane, image, colour)


def _draw_visor(f: Factors, plane: Plane, image: Tensor, colour: Tensor) -> None:
    """Visor and brim, in place: discs seen nearly from the side, the visor out in front."""
    worn = (f.hat > BEANIE).nonzero().flatten()
    g, part = f[worn], image[:, worn, HAT_ROWS]
    yaw, pitch = per_image(g.yaw).deg2rad(), per_image(g.pitch).deg2rad()
    visor, brim = per_image((g.hat == VISOR).float()), per_image((g.hat == BRIM).float())
    x = plane.x[worn, HAT_ROWS] - visor * 15 * yaw.sin()
    y = plane.y[worn, HAT_ROWS] + 9.6 - 0.9 * visor + 14 * pitch.sin()
    y = y + (0.02 * visor - 0.012 * brim) * x * x
    wide, tall = 10.5 * visor + 17.5 * brim, 2.4 + 5 * pitch.sin().abs()
    away = ((x / wide) ** 2 + (y / tall) ** 2).sqrt()
    part *= 1 - 0.35 * bump((y - 3.4) / 2.4) * coverage(wide - x.abs(), 4)
    light = side_light(g, x) * (0.78 - 0.16 * visor - 0.14 * torch.tanh(0.8 * y))
    paint(part, per_image(colour[:, worn]) * light, coverage((1 - away) * 2.4))
    image[:, worn, HAT_ROWS] = part
