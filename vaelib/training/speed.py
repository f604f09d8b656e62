"""How fast this machine trains, and which preset that is fast enough for."""

import time

import torch

from vaelib.config import BASE, IMAGE_SHAPE, PRESETS, SEVEN, at_preset
from vaelib.support.errors import InputError
from vaelib.training import hardware
from vaelib.training.checkpoints import initial_state
from vaelib.training.step import Execution, training_step

SECONDS = 1.0  # at least, of the steps that are timed
LONGEST = 4 * 3600  # seconds of training that "auto" begins without being asked to


def images_per_second(preset: str) -> float:
    """How many images the base model sees in a second of training, in batches of this preset.

    Of noise, without compiling: an accelerator is up to several times as fast once it has compiled.
    """
    device = hardware.pick_device()
    experiment = at_preset(SEVEN[BASE], preset, 0, hardware.best_precision(device))
    plain = Execution(compile="off", graphs="off").resolved(device)
    n = experiment.batch_size
    images = torch.randint(0, 256, (n, *IMAGE_SHAPE), dtype=torch.uint8, device=device)
    mirrored = torch.zeros(n, dtype=torch.bool, device=device)
    noise = torch.randn(n, experiment.latent, device=device)
    state = initial_state(experiment, device)
    with training_step(state.model, state.optimizer, experiment, plain) as step:
        step(images, mirrored, noise).tolist()  # waits for the device; the first step is slower
        started, steps, elapsed = time.perf_counter(), 0, 0.0
        while elapsed < SECONDS:
            step(images, mirrored, noise).tolist()
            steps, elapsed = steps + 1, time.perf_counter() - started
    return steps * n / elapsed


def choose_preset(preset: str) -> str:
    """The preset by its name; "auto" is full on an accelerator that is fast enough, else quick.

    Raises InputError for a name that is none.
    """
    if preset == "auto":
        if hardware.pick_device().type == "cpu":
            return "quick"
        full = PRESETS["full"]
        seconds = len(SEVEN) * sum(full.budgets) / images_per_second("full")
        return "full" if seconds < LONGEST else "quick"
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is unknown; choose auto, {', '.join(PRESETS)}")
    return preset
