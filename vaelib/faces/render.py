"""Procedural portraits: known factors in, photographs of people who do not exist out.

They need no download, and being made from known factors they let a study ask what a photograph
cannot answer: which way does this head really turn? Framing and attribute frequencies follow
CelebA (eyes at 51% of the height, mouth at 71%, head and hair over 60% of the width).
"""

import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelib.config import IMAGE_SHAPE
from vaelib.faces.attributes import attributes_of
from vaelib.faces.body import draw_body, draw_earrings, draw_ears
from vaelib.faces.factors import Factors
from vaelib.faces.features import draw_head, skin_colour
from vaelib.faces.geometry import background, per_image, place_head
from vaelib.faces.hair_and_hats import (
    draw_bun,
    draw_glasses,
    draw_hat,
    draw_long_hair,
    draw_scalp_hair,
    hair_colour,
)
from vaelib.faces.sampling import RandomStreams, sample
from vaelib.support.progress import Watch

NOISE_OFFSETS = 65  # places in each direction at which a face's noise is cut from a larger image
BETWEEN_REPORTS = 1_920  # faces, ten batches
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
    draw_scalp_hair(f, plane, image, hair)
    draw_hat(f, plane, image)
    image *= per_image(f.exposure)
    bright = (image - 0.6).clamp_(0, 0.8)  # highlights roll off as on film, reaching white at 1.4
    image = image.clamp_(0, 0.6).add_(bright).addcmul_(bright, bright, value=-1 / 1.6)
    return image.add_(noise(f)).clamp_(0, 1)


def noise(f: Factors) -> Tensor:
    """Noise of a camera (3, n, 64, 48), where noise_place cuts it from a larger image."""
    offset = (f.noise_place * (NOISE_OFFSETS * NOISE_OFFSETS - 1)).long()
    windows = _noise_windows(f.yaw.device)[:, offset // NOISE_OFFSETS, offset % NOISE_OFFSETS]
    return windows * per_image(f.noise)


@functools.cache
def _noise_windows(device: torch.device) -> Tensor:
    """All windows (3, 65, 65, 64, 48) of one image of noise of standard deviation 1, as a view."""
    _, height, width = IMAGE_SHAPE
    tall, wide = height + NOISE_OFFSETS - 1, width + NOISE_OFFSETS - 1
    with torch.device("cpu"):
        values = 6 * RandomStreams(3 * tall * wide, seed=0).bell_shaped("noise", -0.5, 0.5)
    image = values.view(3, tall, wide).to(device)
    return image.unfold(1, height, 1).unfold(2, width, 1)


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


def generate(
    n: int, seed: int, watch: Watch | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The first n faces of a seed: pixels uint8 (n, 3, 64, 48) and ATTRIBUTE_NAMES bool (n, 30).

    Beyond these arrays it needs the memory of a few batches. watch: is told now and then how many
    are drawn. Raises InputError as `sample` does.
    """
    factors = sample(n, seed)
    pixels = np.empty((n, *IMAGE_SHAPE), dtype=np.uint8)
    for low in range(0, n, BETWEEN_REPORTS):
        if watch:
            watch(low, "")
        pixels[low : low + BETWEEN_REPORTS] = render(factors[low : low + BETWEEN_REPORTS]).numpy()
    if watch:
        watch(n, "")
    return pixels, attributes_of(factors).numpy()
