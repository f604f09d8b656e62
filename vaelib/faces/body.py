"""What is painted beside the head and below it: neck, clothes, ears and earrings.

Whole images are (3, n, h, w), with positions (n, h, w) in the image plane.
"""

import torch
from torch import Tensor

from vaelib.faces.factors import Factors
from vaelib.faces.geometry import (
    Plane,
    bump,
    coverage,
    hsv,
    paint,
    per_image,
    rgb,
    side_light,
    smoothstep,
)

EAR_ROWS = slice(18, 54)  # rows that ears and their rings can reach
BODY_ROWS = slice(31, 64)  # rows that neck and shoulders can reach


def draw_body(f: Factors, plane: Plane, image: Tensor, skin: Tensor) -> None:
    """Neck and clothes, in place."""
    x, y = plane.x[:, BODY_ROWS], plane.y[:, BODY_ROWS]
    part, skin = image[:, :, BODY_ROWS], per_image(skin)
    neck_x = x - 3.0 * per_image(f.yaw).deg2rad().sin()
    away, male = neck_x.abs(), per_image(f.male)
    light = side_light(f, neck_x)
    under_chin = 0.5 + 0.5 * smoothstep((y - 19.5 - 0.05 * neck_x**2) / 8)
    neck_width = 5.9 + 1.6 * male + 2.0 * smoothstep((y - 19) / 9)
    neck = coverage(neck_width - away, 1.3) * coverage(y - 8)
    paint(part, skin * (light * under_chin), neck)
    # Shoulders fall away from the neck; a neckline opens in a V on skin, or on shirt and tie.
    shoulder = 24.5 - 2.0 * male + 0.055 * away**1.6 - 0.05 * away
    neckline = per_image(torch.maximum(f.neckline, 0.75 * f.tie))
    opening = 22 + 13 * neckline - (0.9 + neckline) * away
    folds = 0.05 * torch.cos(0.5 * neck_x + 0.4 * y)
    shade = light * (1.12 - 0.32 * smoothstep((away - 8) / 16)) + folds
    cloth = per_image(hsv(f.cloth_hue, f.cloth_saturation, f.cloth_value))
    dress = torch.lerp(
        skin * (light * (0.7 + 0.3 * under_chin)),
        cloth * shade,
        coverage(y - opening, 1.2),
    )
    tie = f.tie.nonzero().flatten()
    dress[:, tie] = _shirt(f[tie], dress[:, tie], y[tie], away[tie], light[tie], opening[tie])
    paint(part, dress, coverage(y - shoulder, 1.2))


def _shirt(
    f: Factors, dress: Tensor, y: Tensor, away: Tensor, light: Tensor, opening: Tensor
) -> Tensor:
    """The dress with a white collar and a tie in its opening."""
    collar = coverage(y - 23.5 - 0.5 * (6 - away).clamp(min=0)) * per_image(f.tie)
    collar = collar * (1 - coverage(y - opening, 1.2))
    paint(dress, per_image(rgb(232, 234, 240)) * light, collar)
    tie = coverage(1.1 + 0.06 * (y - 24) - away) * collar
    silk = hsv((f.cloth_hue + 0.5) % 1, 0.7 * f.tie, 0.6 - 0.45 * f.cloth_value)
    paint(dress, per_image(silk), tie)
    return dress


def draw_ears(f: Factors, plane: Plane, image: Tensor, skin: Tensor) -> None:
    """An ear on each side of the outline; the head hides what lies behind it. In place."""
    x, y, part = plane.x[:, EAR_ROWS], plane.y[:, EAR_ROWS], image[:, :, EAR_ROWS]
    yaw = per_image(f.yaw).deg2rad()
    middle = per_image(f.face_width) * yaw.cos()
    near = (((x + 1.5 * yaw.sin()).abs() - middle) / 1.9) ** 2  # both ears at once
    shape = 1 - (near + ((y - 2.6) / 3.9) ** 2).sqrt()
    paint(part, per_image(skin) * (0.82 * side_light(f, x)), coverage(shape * 2))


def draw_earrings(f: Factors, plane: Plane, image: Tensor, near: bool) -> None:
    """Rings below the ears: behind the head, or in front of it on the side turned to us."""
    worn = f.earrings.nonzero().flatten()
    turn, ring = per_image(f.yaw[worn]).deg2rad().sin(), per_image(f.earrings[worn])
    x, y, part = plane.x[worn, EAR_ROWS], plane.y[worn, EAR_ROWS], image[:, worn, EAR_ROWS]
    middle = (per_image(f.face_width[worn]) + 0.4) * (1 - turn * turn).sqrt()
    size, across = 0.5 + 0.9 * ring, x + 1.5 * turn
    outward = across.abs() - middle
    away = (outward * outward + (y - 7.2 - size) ** 2).sqrt()
    visible = smoothstep(0.5 - 4 * across.sign() * turn) if near else 1.0
    gleam = 0.75 + 0.5 * bump((outward + 0.4) / size, (y - 7) / size)
    paint(part, per_image(rgb(236, 206, 120)) * gleam, coverage(size - away) * visible)
    image[:, worn, EAR_ROWS] = part
