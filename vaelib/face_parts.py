"""What is painted on the head and around it, from the background forward.

Every function takes factors (n,) and paints into a batch of images (n, 3, 64, 48) in 0 - 1.
Colours are (n, 3, 1, 1); lengths are pixels in the head's coordinates (see vaelib.face_shapes).
"""

import torch
from torch import Tensor

from vaelib.face_shapes import (
    HALF_DEPTH,
    HALF_HEIGHT,
    HEIGHT,
    WIDTH,
    Factors,
    Head,
    background,
    bell,
    hue,
    inside,
    lit,
    paint,
    palette,
    per_image,
    place_head,
    rgb,
    step,
)

EYES = slice(18, 48)  # rows that eyes, brows and glasses can reach
MOUTH = slice(32, 64)  # rows that the mouth can reach
BODY = slice(14, 64)  # rows that ears, neck, shoulders and long hair can reach

# From very pale to deep brown, in the order of the Monk skin tone scale.
SKIN = (
    (248, 217, 200), (242, 198, 173), (230, 180, 152), (211, 156, 126), (187, 128, 98),
    (162, 103, 74), (130, 80, 56), (100, 61, 44), (72, 45, 35),
)  # fmt: skip
# From blond to black.
HAIR = (
    (236, 212, 160), (204, 166, 108), (158, 114, 70), (106, 70, 44), (66, 44, 32), (38, 28, 24),
    (20, 17, 18),
)  # fmt: skip
IRIS = ((58, 36, 24), (96, 64, 36), (104, 110, 70), (86, 128, 150), (110, 150, 190))
FRAMES = ((88, 74, 64), (70, 40, 24), (20, 18, 20))  # from wire to heavy


def hair_colour(f: Factors) -> Tensor:
    """Colour of the hair (n, 3, 1, 1): melanin, then red, then gray."""
    red, gray = f.red[:, None, None, None], f.gray[:, None, None, None]
    colour = torch.lerp(palette(HAIR, f.melanin), rgb(158, 66, 32), red)
    silver = rgb(192, 190, 188) + 0.12 * (0.5 - f.melanin[:, None, None, None])
    return torch.lerp(colour, silver, gray)


def side_light(f: Factors, x: Tensor) -> Tensor:
    """Brightness of what is not modelled in depth: it falls off away from the light."""
    slant = 1 - per_image(f.light_azimuth).deg2rad().sin() * x / 9
    return 1 - 0.32 * per_image(f.light_strength) * slant


def draw_body(f: Factors, head: Head, image: Tensor, skin: Tensor) -> None:
    """Neck, clothes and ears, in place."""
    x, y = head.px[:, BODY], head.py[:, BODY]
    part = image[:, :, BODY]
    yaw, male = per_image(f.yaw).deg2rad(), per_image(f.male)
    neck_x = x - 3.0 * yaw.sin()
    away = neck_x.abs()
    light = side_light(f, neck_x)
    under_chin = 0.5 + 0.5 * step((y - 19.5 - 0.05 * neck_x**2) / 8)
    throat = inside(5.9 + 1.6 * male + 2.0 * step((y - 19) / 9) - away, 1.3) * inside(y - 8)
    paint(part, skin * (light * under_chin)[:, None], throat)
    # Shoulders fall away from the neck; a neckline opens in a V on skin, or on shirt and tie.
    shoulder = 24.5 - 2.0 * male + 0.055 * away**1.6 - 0.05 * away
    opening = 22 + 13 * per_image(f.neckline) - (0.9 + per_image(f.neckline)) * away
    dress = (skin * (light * (0.7 + 0.3 * under_chin))[:, None]).contiguous()
    collar = inside(y - 23.5 - 0.5 * (6 - away).clamp(min=0)) * per_image(f.shirt)
    paint(dress, rgb(232, 234, 240) * light[:, None], collar)
    tie = inside(0.9 + 0.06 * (y - 24) - away) * collar * male
    paint(
        dress,
        hue((f.cloth_hue + 0.5) % 1, torch.full_like(f.shirt, 0.7), 0.5 * f.back_value + 0.1),
        tie,
    )
    fold = light * (1.12 - 0.32 * step((away - 8) / 16)) + 0.05 * torch.cos(0.5 * neck_x + 0.4 * y)
    cloth = hue(f.cloth_hue, f.cloth_saturation, f.cloth_value)
    paint(dress, cloth * fold[:, None], inside(y - opening, 1.2))
    paint(part, dress, inside(y - shoulder, 1.2))
    for side in (-1.0, 1.0):  # an ear on the outline; the head hides what lies behind it
        ear_x = side * per_image(f.face_width) * yaw.cos() - 1.5 * yaw.sin()
        shape = 1 - (((x - ear_x) / 1.9) ** 2 + ((y - 2.6) / 3.9) ** 2).sqrt()
        paint(part, skin * (0.82 * light)[:, None], inside(shape * 2))


def draw_long_hair(f: Factors, head: Head, image: Tensor, hair: Tensor) -> None:
    """Hair that falls beside the neck and over the shoulders, in place."""
    x, y = head.px[:, BODY], head.py[:, BODY]
    length, grown = per_image(f.hair_length), per_image(f.hair_volume)
    wave = per_image(f.hair_wave) * torch.sin(0.5 * y + 9 * per_image(f.parting))
    half = (per_image(f.face_width) + 0.8) * (1 + grown) + 0.7 * wave
    half = half + 4 * length * step((y + 4) / 22)
    ends = 42 * length - 6 - 0.025 * x * x
    hang = inside(half - x.abs(), 2.0) * inside(ends - y, 5.0) * inside(y + 4, 6)
    hang = hang * inside(x.abs() - 5.2 * step((y - 8) / 8) + 0.4 * wave, 2.5)
    strands = torch.sin(1.1 * x + 1.2 * wave + 20 * per_image(f.parting))
    strands = strands + torch.sin(2.6 * x - wave)
    inner = 1 - 0.35 * step((10.5 - x.abs()) / 5)
    tone = side_light(f, x) * inner * (0.82 + 0.08 * strands)
    paint(image[:, :, BODY], hair * tone[:, None], hang * step((length - 0.12) * 8))


def draw_head(f: Factors, head: Head, image: Tensor, skin: Tensor, hair: Tensor) -> None:
    """Head with all that is painted on it, in place."""
    x, y, out = head.x, head.y, head.side * head.x
    nose_x, nose_y = nose(f, head)
    albedo = skin.expand(-1, -1, HEIGHT, WIDTH).clone()
    rosy = 0.16 * bell((out - 5.8) / 2.6, (y - 7) / 2.6)
    rosy = rosy + 0.12 * bell(nose_x / 2, (y - nose_y) / 1.6)
    paint(albedo, skin * rgb(255, 170, 160), rosy)
    # The near ear of a turned head: a rim and a hollow.
    ear = (((head.z + 2.2) / 2.7) ** 2 + ((y - 2.6) / 4.0) ** 2).sqrt()
    paint(albedo, skin * rgb(190, 140, 130), 0.6 * bell((ear - 0.95) / 0.25))
    paint(albedo, skin * rgb(150, 100, 95), 0.6 * inside((0.45 - ear) * 3))
    draw_beard(f, head, albedo, hair)
    draw_eyes(f, head, albedo, skin, hair)
    draw_mouth(f, head, albedo, skin)
    # Shadows on skin are warmer than the skin; the tip of the nose and the forehead shine.
    shade = relief(f, head)[:, None]
    shine = 0.10 * bell((nose_x + 0.3) / 0.9, (y - nose_y + 1) / 1.6)
    shine = (shine + 0.05 * bell(x / 5, (y + 12) / 4)) * per_image(f.light_strength)
    tint = torch.tensor([0.10, -0.01, -0.06]).view(1, 3, 1, 1) * (1.05 - shade)
    paint(image, albedo * (shade + tint) + shine[:, None], head.cover)


def nose(f: Factors, head: Head) -> tuple[Tensor, Tensor]:
    """Distance from the ridge of the nose, which stands off a turned face; and where it ends."""
    stands = 2.4 * per_image(f.yaw).deg2rad().sin() * step((head.y + 3) / 10)
    return head.x - stands, per_image(f.nose_length)


def relief(f: Factors, head: Head) -> Tensor:
    """Brightness of the skin (n, 64, 48): nose, sockets, cheeks and chin tilt its normal."""
    x, y, side = head.x, head.y, head.side
    out = side * x
    nose_x, nose_y = nose(f, head)
    wing, smile = per_image(f.nose_width), per_image(f.smile)
    ridge = bell(nose_x / (1.5 * wing)) * step((y + 3) / 9) * step((nose_y + 1.6 - y) / 2)
    beside = out - per_image(f.eye_distance)
    socket = bell(beside / 3.4, (y + 0.6) / 2.6)
    cheek = bell((out - 5.4) / 3.2, (y - 7) / 3.6) * (0.5 + 0.5 * smile)
    chin = bell(x / 3.2, (y - 17) / 2.6)
    nx = x * HALF_DEPTH / per_image(f.face_width) ** 2 + 1.1 * ridge * nose_x
    nx = nx + 0.07 * side * (cheek * (out - 5.4) - socket * beside)
    ny = y * HALF_DEPTH / HALF_HEIGHT**2 - 0.22 * socket * (y + 0.6)
    ny = ny + 0.08 * cheek * (y - 7) + 0.12 * chin * (y - 17)
    # Where light hardly reaches: sockets, under nose and lip, nostrils, the fold beside the mouth.
    fold = bell((out - 2.6 - 0.42 * (y - nose_y)) / 0.7)
    fold = fold * step((y - nose_y + 1) / 2) * step((13.5 - y) / 2)
    dark = 0.16 * socket + 0.20 * bell(nose_x / (1.8 * wing), (y - nose_y - 1.1) / 0.9)
    dark = dark + 0.3 * bell((nose_x.abs() - 1.3 * wing) / 0.75, (y - nose_y - 0.5) / 0.6)
    dark = dark + fold * (0.02 + 0.12 * per_image(f.age) + 0.05 * smile)
    dark = dark + 0.10 * bell(x / 3, (y - 15.2) / 0.9)
    return lit(f, head, nx, ny, head.z / HALF_DEPTH) * (1 - dark)


def draw_beard(f: Factors, head: Head, albedo: Tensor, hair: Tensor) -> None:
    """Stubble to full beard on jaw, chin and upper lip."""
    out, y = head.side * head.x, head.y
    nose_y = per_image(f.nose_length)
    jaw = inside(y - 12.5 + 0.055 * out * out - 5 * step((out - 6) / 4), 5)
    lip = bell(out / 4.2, (y - nose_y - 2.4) / 1.3)
    paint(albedo, hair * 0.9, per_image(f.beard) * torch.maximum(jaw, lip) * 0.9)


def draw_eyes(f: Factors, head: Head, albedo: Tensor, skin: Tensor, hair: Tensor) -> None:
    """Whites, iris, pupil, catchlight, lids and brows; both eyes at once, mirrored."""
    x, y, side = head.rows(EYES)
    part = albedo[:, :, EYES]
    out = side * x - per_image(f.eye_distance)  # from the eye's middle, outward
    male, tall = per_image(f.male), 0.3 + 1.05 * per_image(f.eye_open)
    across = (1 - (out / 2.9) ** 2).clamp(min=-0.5)
    lid = y + 0.06 * out
    top, bottom = lid + tall * across, 0.75 * tall * across - lid
    ball = inside(torch.minimum(top, bottom), 0.9) * inside(2.9 - out.abs())
    paint(part, rgb(222, 214, 210) * (0.45 + 0.55 * skin), ball)
    look = side * out - 0.6 * per_image(f.gaze)
    round_iris = 1.25 - (look**2 + (lid + 0.15) ** 2).sqrt()
    paint(part, palette(IRIS, f.iris), ball * inside(round_iris, 0.8))
    paint(part, rgb(12, 10, 10), ball * inside(round_iris - 0.6, 0.8))
    paint(part, rgb(255, 255, 255), 0.8 * ball * bell((look + 0.45) / 0.5, (lid + 0.5) / 0.5))
    lash = bell(top / 0.55) * inside(2.9 - out.abs())
    paint(part, rgb(28, 18, 16), lash * (0.85 - 0.25 * male))
    paint(part, skin * 0.62, 0.5 * bell((top + 1.3) / 0.6) * inside(2.9 - out.abs()))
    paint(part, skin * 0.7, 0.35 * bell((bottom + 0.5) / 0.7) * inside(2.6 - out.abs()))
    arch = y + 3.5 + 0.5 * per_image(f.brow_height) - 0.06 * (out - 0.5) ** 2 - 0.35 * male
    thick = (0.45 + 0.5 * per_image(f.brow_weight)) * (1 - 0.12 * (out - 0.2).abs())
    brow = inside(thick - arch.abs(), 1.0) * inside(3.4 - (out - 0.3).abs(), 1.5)
    paint(part, hair * 0.55 + skin * 0.12, 0.9 * brow)


def draw_mouth(f: Factors, head: Head, albedo: Tensor, skin: Tensor) -> None:
    """Lips, the line between them, and teeth where they part."""
    x, y, _ = head.rows(MOUTH)
    part = albedo[:, :, MOUTH]
    smile, gap = per_image(f.smile), per_image(f.mouth_open)
    wide = per_image(f.mouth_width) * (1 + 0.25 * smile)
    bow = (x / wide) ** 2
    across = (1 - bow).clamp(min=-0.5)
    line = y - 12.3 + smile * (2.0 * bow - 1.0)  # from the line between the lips, downward
    full = 0.5 + 0.6 * per_image(f.lip_fullness)
    upper = line + (full + 0.5 * gap) * across
    lower = (1.3 * full + 2.0 * gap) * across - line
    colour = torch.lerp(
        skin * rgb(222, 142, 138), rgb(170, 44, 58), f.lipstick[:, None, None, None]
    )
    lips = inside(torch.minimum(upper, lower), 1.2) * inside(wide - x.abs())
    paint(part, colour, lips)
    below = bell((lower + 0.9) / 0.7) * inside(wide * 0.6 - x.abs(), 3)
    paint(part, skin * 0.75, 0.4 * below)
    parted = inside(torch.minimum(line + 0.5 * gap * across, 2.0 * gap * across - line), 0.9)
    parted = parted * step(gap * 4) * inside(wide * 0.94 - x.abs())
    paint(part, rgb(66, 26, 28), parted)
    teeth = inside(gap * (0.5 + 1.4 * step(smile * 1.5)) * across - line, 0.8)
    paint(part, rgb(240, 234, 226), 0.95 * parted * teeth)
    seam = bell(line / 0.45) * inside(wide + 0.2 - x.abs()) * (1 - step(gap * 4))
    paint(part, skin * rgb(110, 60, 60), 0.75 * seam)


def draw_glasses(f: Factors, head: Head, image: Tensor) -> None:
    """Frames, bridge, arms and (tinted) lenses on the faces that wear them, in place."""
    worn = torch.nonzero(f.glasses > 0.5).flatten()
    if not len(worn):
        return
    x, y, side = (t[worn] for t in head.rows(EYES))
    cover = head.cover[worn][:, EYES]
    part = image[worn][:, :, EYES]
    tint, frame = per_image(f.tint[worn]), per_image(f.frame[worn])
    # Glasses stand off the face, so a turn shifts them a little.
    out = side * x - per_image(f.eye_distance[worn]) - 0.1
    y = y - 0.5
    box = torch.maximum(out.abs() - 3.9 - 0.4 * frame, y.abs() - 2.4 - 1.0 * frame)
    disc = (out**2 + (y * (4.1 / 3.1)) ** 2).sqrt() - 4.2 - 0.4 * frame
    edge = torch.lerp(disc, box, 0.5)
    rim = inside(0.55 + 0.3 * frame - edge.abs())
    bridge = inside(0.4 - (y + 0.7).abs()) * inside(-out - 3.6)
    arm = inside(0.4 - (y + 1.0).abs()) * inside(out - 3.9)
    lens = inside(-edge) * cover
    paint(part, rgb(24, 22, 26), tint * lens)
    paint(part, rgb(255, 255, 255), 0.14 * lens * bell((out - side * 1.2 + y) / 0.8))
    paint(
        part, palette(FRAMES, f.frame[worn]), torch.maximum(rim, torch.maximum(bridge, arm)) * cover
    )
    image[worn, :, EYES] = part


def draw_cap(f: Factors, head: Head, image: Tensor, hair: Tensor) -> None:
    """Hair on the skull: above the hairline and behind the temples, in place."""
    u, v, w = head.cap
    length, bald = per_image(f.hair_length), per_image(f.bald)
    long = step((length - 0.12) * 5)
    lowest = (2 * length - 0.3).clamp(min=0.02)
    parted = u - per_image(f.parting)
    # Distances in pixels inside the hair: over the brow, then behind the temples.
    above = 12 * (per_image(f.hairline) + (0.45 - 0.25 * long) * parted**2 - v)
    behind = torch.minimum(5 * (0.22 + 0.26 * long - w), 17 * (u.abs() - 0.62))
    behind = torch.minimum(behind, 19 * (lowest - v))
    # Hair has thickness: outside the skull's own outline there is hair down to the ears.
    reach = torch.minimum(torch.maximum(-v, u.abs() - 1.8 + long), lowest - v)
    rim = step(3 * (1 - head.cover)) * inside(reach * 15, 3.0)
    top = torch.maximum(inside(above, 1.5), rim) * (1 - step(bald * 2))
    shorn = step(bald * 2) * (1 - head.cover)  # a bald man's fringe lies close to the skull
    field = torch.maximum(top, inside(behind, 1.6) * (1 - 0.6 * bald) * (1 - shorn))
    near = torch.maximum(above * (1 - bald), behind)  # hair casts a soft shadow on the skin
    image *= (1 - 0.28 * inside(near + 1.2, 4.0) * head.cover)[:, None]
    shade = lit(f, head, u, 0.7 * v, w)
    strands = torch.sin(17 * parted + 4 * v + 2 * per_image(f.hair_wave) * torch.sin(9 * v))
    strands = strands + torch.sin(29 * parted - 6 * v)
    gleam = bell((v + 0.62 - 0.25 * parted**2) / 0.16) * (0.5 + 0.5 * shade)
    tone = shade * (0.86 + 0.07 * strands) + 0.22 * gleam * per_image(f.light_strength)
    paint(image, hair * tone[:, None] + 0.03 * gleam[:, None], field * head.cap_cover)


def draw(f: Factors) -> Tensor:
    """Faces (n, 3, 64, 48) in 0 - 1, from the background forward."""
    head = place_head(f)
    image = background(f)
    warm = torch.tensor([0.03, -0.035, -0.06]).view(1, 3, 1, 1)
    skin = palette(SKIN, f.skin_tone) * (1 + f.undertone[:, None, None, None] * warm)
    hair = hair_colour(f)
    draw_body(f, head, image, skin)
    draw_long_hair(f, head, image, hair)
    draw_head(f, head, image, skin, hair)
    draw_glasses(f, head, image)
    draw_cap(f, head, image, hair)
    image = image * f.exposure[:, None, None, None]
    bright = (image - 0.6).clamp(0, 0.8)  # highlights roll off as on film, reaching white at 1.4
    return image.clamp(0, 0.6) + bright - bright * bright / 1.6
