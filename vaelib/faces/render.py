"""Procedural portraits: known factors in, photographs of people who do not exist out.

They need no download, and being made from known factors they let a study ask what a photograph
cannot answer: which way does this head really turn? Framing and attribute frequencies follow
CelebA (eyes at 51 % of the height, mouth at 71 %, head and hair over 60 % of the width).
"""

import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelib.config import IMAGE_SHAPE
from vaelib.faces.factors import ABOUT, RANGES, STRAIGHT, TIED, Factors, showing, traverse
from vaelib.faces.features import draw_body, draw_earrings, draw_ears, draw_head, skin_colour
from vaelib.faces.geometry import background, per_image, place_head
from vaelib.faces.hair_and_hats import (
    draw_bun,
    draw_cap,
    draw_glasses,
    draw_hat,
    draw_long_hair,
    hair_colour,
)
from vaelib.faces.sampling import Streams, sample

__all__ = [
    "ABOUT", "ATTRIBUTES", "RANGES", "Factors", "attributes", "generate", "render", "sample",
    "showing", "traverse",
]  # fmt: skip

NOISES = 65  # cut-outs of the sheet of noise in each direction
BATCH = 192  # faces drawn at once: more would leave the processor's cache, fewer cost time
BATCH_ON_GPU = 4096  # there it is the number of steps that costs time


def draw(f: Factors) -> Tensor:
    """Faces (3, n, 64, 48) in 0 - 1, from the background forward."""
    plane, image = place_head(f), background(f)
    skin, hair = skin_colour(f), hair_colour(f)
    draw_bun(f, plane, image, hair)
    draw_body(f, plane, image, skin)
    draw_ears(f, plane, image, skin)
    draw_earrings(f, plane, image, near=False)
    draw_long_hair(f, plane, image, hair)
    draw_head(f, plane, image, skin, hair)
    draw_earrings(f, plane, image, near=True)
    draw_glasses(f, plane, image)
    draw_cap(f, plane, image, hair)
    draw_hat(f, plane, image)
    image *= per_image(f.exposure)
    bright = (image - 0.6).clamp_(0, 0.8)  # highlights roll off as on film, reaching white at 1.4
    image = image.clamp_(0, 0.6).add_(bright).addcmul_(bright, bright, value=-1 / 1.6)
    return image.add_(noise(f)).clamp_(0, 1)


@functools.cache
def _noises(device: torch.device) -> Tensor:
    """All cut-outs (3, 65, 65, 64, 48) of one sheet of noise of deviation 1, as a view of it."""
    _, height, width = IMAGE_SHAPE
    tall, wide = height + NOISES - 1, width + NOISES - 1
    with torch.device("cpu"):
        sheet = 6 * Streams(3 * tall * wide, seed=0).bell("noise", -0.5, 0.5)
    sheet = sheet.view(3, tall, wide).to(device)
    return sheet.unfold(1, height, 1).unfold(2, width, 1)


def noise(f: Factors) -> Tensor:
    """Noise of a camera (3, n, 64, 48), where noise_place cuts it from a sheet."""
    place = (f.noise_place * (NOISES * NOISES - 1)).long()
    return _noises(f.yaw.device)[:, place // NOISES, place % NOISES] * per_image(f.noise)


def render(factors: Factors) -> Tensor:
    """The faces as uint8 (n, 3, 64, 48), on the factors' device.

    The same whatever the number of threads; on a GPU the same within one grey level.
    """
    device = factors.yaw.device
    size = BATCH if device.type == "cpu" else BATCH_ON_GPU
    pictures = torch.empty((len(factors), *IMAGE_SHAPE), dtype=torch.uint8, device=device)

    def fill(low: int) -> None:
        with torch.inference_mode(), contextlib.nullcontext() if device.type == "cpu" else device:
            faces = draw(factors[low : low + size]).mul_(255).round_().to(torch.uint8)
            pictures[low : low + size] = faces.transpose(0, 1)

    # A thread draws whole batches alone: sharing out every small operation among the threads
    # instead is many times slower as soon as other programs use the processor as well.
    before = torch.get_num_threads()
    threads = before if device.type == "cpu" else 1
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(fill, range(0, len(factors), size)))
    finally:
        torch.set_num_threads(before)  # new threads would inherit the 1
    return pictures


def generate(n: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The first n faces of a seed: pixels uint8 (n, 3, 64, 48) and ATTRIBUTES bool (n, 30).

    Beyond these arrays it needs the memory of a few batches. Raises InputError as `sample`
    does.
    """
    factors = sample(n, seed)
    return render(factors).numpy(), attributes(factors).numpy()


# What CelebA calls a face, told from its factors. Hair has a colour unless gray, bald or hidden.
ATTRIBUTES: tuple[str, ...] = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Bald", "Bangs", "Big_Lips", "Big_Nose", "Black_Hair",
    "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Eyeglasses", "Gray_Hair", "Male",
    "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin",
    "Receding_Hairline", "Rosy_Cheeks", "Smiling", "Straight_Hair", "Wavy_Hair",
    "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necktie", "Young",
)  # fmt: skip


def attributes(factors: Factors) -> Tensor:
    """Which of ATTRIBUTES each face has: bool (n, 30), by thresholds on its factors."""
    f = factors
    bald, gray, bare = f.bald >= 0.5, f.gray > 0.5, f.hat == 0
    coloured = ~bald & ~gray & bare & (f.red <= 0.5)
    long = (f.hair_length > 0.1) & (f.hair_style != TIED)
    told = {
        "5_o_Clock_Shadow": f.stubble > 0,
        "Arched_Eyebrows": f.brow_arch > 0.56,
        "Bald": bald & bare,
        "Bangs": (f.fringe > 0) & bare,
        "Big_Lips": f.lip_fullness > 0.55,
        "Big_Nose": f.nose_width > 1.14,
        "Black_Hair": coloured & (f.melanin > 0.845),
        "Blond_Hair": coloured & (f.melanin < 0.238),
        "Brown_Hair": coloured & (f.melanin >= 0.34) & (f.melanin < 0.67),
        "Bushy_Eyebrows": f.brow_weight > 0.7,
        "Chubby": (f.face_width > 11.4) & (f.jaw_width > 0.06),
        "Eyeglasses": f.glasses > 0,
        "Gray_Hair": gray & ~bald & bare,
        "Male": f.male > 0.5,
        "Mouth_Slightly_Open": f.mouth_open > 0.15,
        "Mustache": f.moustache > 0,
        "Narrow_Eyes": f.eye_open < 0.36,
        "No_Beard": f.stubble + f.beard + f.moustache == 0,
        "Oval_Face": (f.jaw_width < -0.02) & (f.jaw_length > -0.3),
        "Pale_Skin": f.skin_tone < 0.03,
        "Receding_Hairline": (f.hairline < -0.785) & ~bald & (f.fringe == 0) & bare,
        "Rosy_Cheeks": f.rouge > 0.6,
        "Smiling": f.smile > 0.373,
        "Straight_Hair": long & (f.hair_style == STRAIGHT) & bare,
        "Wavy_Hair": long & (f.hair_style > STRAIGHT) & bare,
        "Wearing_Earrings": f.earrings > 0,
        "Wearing_Hat": ~bare,
        "Wearing_Lipstick": f.lipstick > 0.15,
        "Wearing_Necktie": f.tie > 0.5,
        "Young": f.age < 0.774,
    }
    return torch.stack([told[name] for name in ATTRIBUTES], dim=1)
