"""What is worn and what grows on the skull: hair, hats and glasses.

Shapes as in vaelib.faces.features. What only some faces have is painted on those alone.
"""

import torch
from torch import Tensor

from vaelib.faces.factors import BEANIE, BRIM, CURLY, SUNGLASSES, TIED, VISOR, WAVY, Factors
from vaelib.faces.features import side_light
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

FALL = slice(12, 64)  # rows that long hair can reach
CROWN = slice(0, 26)  # rows that a bun can reach
HATS = slice(0, 42)  # rows that visor and brim can reach

# From blond to black.
HAIR = (
    (236, 212, 160), (204, 166, 108), (158, 114, 70), (106, 70, 44), (66, 44, 32), (38, 28, 24),
    (20, 17, 18),
)  # fmt: skip
FRAMES = ((88, 74, 64), (70, 40, 24), (20, 18, 20))  # from wire to heavy


def hair_colour(f: Factors) -> Tensor:
    """Colour of the hair (3, n): melanin, then red, then gray, which is white in fair hair."""
    colour = torch.lerp(palette(HAIR, f.melanin), rgb(158, 66, 32), f.red)
    silver = rgb(192, 190, 188) + 0.3 * (0.5 - f.melanin)
    return torch.lerp(colour, silver, f.gray)


def waviness(style: Tensor) -> Tensor:
    """How much strands of hair of this style wave, 0 - 1."""
    return 0.15 + 0.75 * (style == WAVY) + 0.35 * (style == CURLY)


def ringlets(x: Tensor, y: Tensor) -> Tensor:
    """A pattern of curls between -1 and 1."""
    across = torch.sin(1.05 * x + 1.2 * torch.sin(0.55 * y))
    return across * torch.sin(1.1 * y + 1.2 * torch.sin(0.6 * x + 1))


def draw_long_hair(f: Factors, plane: Plane, image: Tensor, hair: Tensor) -> None:
    """Hair that falls beside the neck and over the shoulders, in place."""
    some = ((f.hair_length > 0.1) & (f.hair_style != TIED)).nonzero().flatten()
    g, x, y = f[some], plane.px[some, FALL], plane.py[some, FALL]
    length, grown = per_image(g.hair_length), 1 + per_image(g.hair_volume)
    curls, curly = torch.zeros_like(x), (g.hair_style == CURLY).nonzero().flatten()
    curls[curly] = ringlets(x[curly], y[curly])
    wave = per_image(waviness(g.hair_style)) * torch.sin(0.5 * y + 9 * per_image(g.parting))
    wave = wave + 1.2 * curls
    far = x.abs()
    half = (per_image(g.face_width) + 0.8) * grown + 1.2 * wave + 4 * length * step((y + 4) / 22)
    ends = 42 * length - 6 - 0.025 * x * x
    hang = inside(half - far, 2.0) * inside(ends - y, 5.0) * inside(y + 4, 6)
    hang = hang * inside(far - 5.2 * step((y - 8) / 8) + 0.4 * wave, 2.5)
    strands = torch.sin(1.1 * x + 1.2 * wave + 20 * per_image(g.parting))
    strands = strands + torch.sin(2.6 * x - wave) + 2 * curls
    tone = side_light(g, x) * (1 - 0.35 * step((10.5 - far) / 5)) * (0.82 + 0.08 * strands)
    part = image[:, some, FALL]
    paint(part, everywhere(hair[:, some]) * tone, hang * step((length - 0.12) * 8))
    image[:, some, FALL] = part


def draw_bun(f: Factors, plane: Plane, image: Tensor, hair: Tensor) -> None:
    """Tied hair, gathered behind the crown, in place."""
    some = ((f.hair_style == TIED) & (f.hair_length > 0.1) & (f.hat == 0)).nonzero().flatten()
    g, part = f[some], image[:, some, CROWN]
    size = 2.6 + 3 * per_image(g.hair_length)
    x = plane.px[some, CROWN] + 9 * per_image(g.yaw).deg2rad().sin()
    y = plane.py[some, CROWN] + 22 + 9 * per_image(g.hair_volume)
    away = (x * x + y * y).sqrt()
    tone = 0.84 + 0.1 * torch.sin(1.5 * x - 1.1 * y)
    tone = tone * side_light(g, x) * (1 - 0.3 * step(away / size - 0.3))
    paint(part, everywhere(hair[:, some]) * tone, inside(size - away, 1.4))
    image[:, some, CROWN] = part


def draw_glasses(f: Factors, plane: Plane, image: Tensor) -> None:
    """Frames, bridge, arms and lenses, clear or dark, in place."""
    some = f.glasses.nonzero().flatten()
    p = Pixels(f, (plane.away[some] < 1.12) & (plane.py[some].abs() < 14), some)
    u, v, w = meet(p, plane, 1.0)
    x, y, side = u * p.face_width, v * HALF_HEIGHT - 0.5, torch.where(u < 0, -1.0, 1.0)
    cover = covered(off_centre(p, plane))
    cover = cover * inside(w * HALF_DEPTH + 1, 3)  # the arms end behind the ears
    out = side * x - p.eye_distance - 0.1
    frame = p.frame_colour
    box = torch.maximum(out.abs() - 3.9 - 0.4 * frame, y.abs() - 2.4 - 1.0 * frame)
    disc = (out**2 + (y * (4.1 / 3.1)) ** 2).sqrt() - 4.2 - 0.4 * frame
    edge = torch.lerp(disc, box, p.frame_shape)
    rim = inside(0.55 + 0.3 * frame - edge.abs())
    bridge = inside(0.4 - (y + 0.7).abs()) * inside(-out - 3.6)
    arm = inside(0.4 - (y + 1.0).abs()) * inside(out - 3.9)
    lens = inside(-edge) * cover
    part = p.take(image)
    paint(part, rgb(24, 22, 26), 0.9 * (p.glasses == SUNGLASSES) * lens)
    paint(part, rgb(255, 255, 255), 0.14 * lens * bell((out - side * 1.2 + y) / 0.8))
    wire = torch.maximum(rim, torch.maximum(bridge, arm))
    paint(part, p.colours(palette(FRAMES, f.frame_colour)), wire * cover)
    p.put(image, part)


def draw_cap(f: Factors, plane: Plane, image: Tensor, hair: Tensor) -> None:
    """Hair on the skull: above the hairline and behind the temples, in place."""
    lowest = torch.where(f.hair_length > 0.1, 60.0, 10.0)  # rows below the eyes
    within = plane.away < per_image((plane.grown + 0.15) ** 2)
    p = Pixels(f, within & (plane.py < per_image(lowest)))
    grown, radius = p.at(plane.grown), off_centre(p, plane)
    u, v, w = (axis / grown for axis in meet(p, plane, grown))
    field, shadow = _hair_field(p, u, v, w, radius)
    some = ((field > 0) | (shadow > 0)).nonzero().flatten()  # what follows is slow
    p, parts = p.some(some), (u, v, w, field, shadow, grown - radius)
    u, v, w, field, shadow, rim = (part.index_select(0, some) for part in parts)
    curls = torch.zeros_like(u)
    curly = (p.hair_style == CURLY).nonzero().flatten()
    few = p.some(curly)
    curls.index_copy_(0, curly, ringlets(few.of(plane.px), few.of(plane.py)))
    parted = u - p.parting
    part = p.take(image) * (1 - shadow)
    shade = lit(p, u, 0.7 * v, w)
    strands = torch.sin(17 * parted + 4 * v + 2 * p.at(waviness(f.hair_style)) * torch.sin(9 * v))
    strands = strands + torch.sin(29 * parted - 6 * v) + 2.2 * curls
    gleam = bell((v + 0.62 - 0.25 * parted**2) / 0.16) * (0.5 + 0.5 * shade)
    tone = shade * (0.86 + 0.07 * strands) + 0.22 * gleam * p.light_strength
    field = field * inside(rim * 11.5 + 0.9 * curls, 1.5)
    paint(part, p.colours(hair) * tone + 0.03 * gleam, field)
    p.put(image, part)


def _hair_field(
    p: Pixels, u: Tensor, v: Tensor, w: Tensor, radius: Tensor
) -> tuple[Tensor, Tensor]:
    """How much of each pixel hair covers, and how dark its shadow on the skin is."""
    f = p.faces
    length = f.hair_length * (f.hair_style != TIED)
    loose = step((length - 0.12) * 5)
    long, bare, bald = p.at(loose), p.at(step(f.bald * 2)), p.bald
    lowest = p.at((2 * length - 0.3).clamp(min=0.02))
    cover = covered(radius)
    # Distances in pixels inside the hair: over the brow, then behind the temples.
    combed = p.at(0.36 * f.fringe - 0.64 - 9 * (f.fringe == 0)) + 0.02 * torch.sin(21 * u)
    line = torch.maximum(p.hairline + p.at(0.45 - 0.25 * loose) * (u - p.parting) ** 2, combed)
    above = 12 * (line - v)
    behind = torch.minimum(5 * (p.at(0.22 + 0.26 * loose) - w), 17 * (u.abs() - 0.62))
    behind = torch.minimum(behind, 19 * (lowest - v))
    # Hair has thickness: outside the skull's own outline there is hair down to the ears.
    reach = torch.minimum(torch.maximum(-v, u.abs() - 1.8 + long), lowest - v)
    rim = step(3 * (1 - cover)) * inside(reach * 15, 3.0)
    top = torch.maximum(inside(above, 1.5), rim) * (1 - bare)
    shorn = bare * (1 - cover)  # a bald man's fringe lies close to the skull
    field = torch.maximum(top, inside(behind, 1.6) * (1 - 0.6 * bald) * (1 - shorn))
    near = torch.maximum(above - 40 * bare, behind)
    return field, 0.28 * inside(near + 1.2, 4.0) * cover


def draw_hat(f: Factors, plane: Plane, image: Tensor) -> None:
    """A beanie, a cap with a visor or a hat with a brim, in place."""
    colour = hue(f.hat_hue, 0.45 * (1 - 0.5 * f.hat_value), f.hat_value)
    some = f.hat.nonzero().flatten()
    p = Pixels(f, plane.away[some] < per_image((plane.grown[some] + 0.08) ** 2), some)
    grown = p.at(plane.grown)
    u, v, w = (axis / grown for axis in meet(p, plane, grown))
    beanie, visor, brim = ((p.hat == kind).float() for kind in (BEANIE, VISOR, BRIM))
    ribs = 1 + 0.05 * beanie * torch.sin(26 * u)
    edge = -0.36 * beanie - 0.46 * visor - 0.44 * brim
    band = 1 - 0.22 * bell((v - edge + 0.07) / 0.07) * (1 - visor)
    tone = lit(p, u, 0.7 * v, w) * ribs * band
    cover = inside((grown - off_centre(p, plane)) * 11.5, 1.5)
    part = p.take(image)
    paint(part, p.colours(colour) * tone, inside(19 * (edge - v), 1.2) * cover)
    p.put(image, part)
    _draw_visor(f, plane, image, colour)


def _draw_visor(f: Factors, plane: Plane, image: Tensor, colour: Tensor) -> None:
    """Visor and brim, in place: discs seen nearly from the side, the visor out in front."""
    some = (f.hat > BEANIE).nonzero().flatten()
    g, part = f[some], image[:, some, HATS]
    yaw, pitch = per_image(g.yaw).deg2rad(), per_image(g.pitch).deg2rad()
    visor, brim = per_image((g.hat == VISOR).float()), per_image((g.hat == BRIM).float())
    x = plane.px[some, HATS] - visor * 15 * yaw.sin()
    y = plane.py[some, HATS] + 9.6 - 0.9 * visor + 14 * pitch.sin()
    y = y + (0.02 * visor - 0.012 * brim) * x * x
    wide, tall = 10.5 * visor + 17.5 * brim, 2.4 + 5 * pitch.sin().abs()
    away = ((x / wide) ** 2 + (y / tall) ** 2).sqrt()
    part *= 1 - 0.35 * bell((y - 3.4) / 2.4) * inside(wide - x.abs(), 4)
    light = side_light(g, x) * (0.78 - 0.16 * visor - 0.14 * torch.tanh(0.8 * y))
    paint(part, everywhere(colour[:, some]) * light, inside((1 - away) * 2.4))
    image[:, some, HATS] = part
