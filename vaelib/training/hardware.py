"""Which hardware there is, and what suits it."""

import os

import torch

from vaelib.config import DEVICES, Precision
from vaelib.support.errors import InputError

VARIABLE = "VAELIB_DEVICE"  # of the environment, so that kernels and workers follow the choice


def use_device(name: str) -> None:
    """Choose what `pick_device` picks, in this process and in those that it starts.

    Raises InputError for a name that is none, and for a device that is not here.
    """
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = name
    try:
        pick_device()
    except InputError:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before
        raise


def pick_device() -> torch.device:
    """The device that was chosen, else an accelerator if there is one, else the CPU.

    Raises InputError for a name that is none, and for a device that is not here.
    """
    name = os.environ.get(VARIABLE, "auto")
    if name not in DEVICES:
        raise InputError(f"device is {name!r}; choose {', '.join(DEVICES)}")
    found = torch.accelerator.current_accelerator(check_available=True)
    here = "cpu" if found is None else found.type
    if name == "auto":
        return torch.device(here if here in DEVICES else "cpu")
    if name not in ("cpu", here):
        raise InputError(f"device is {name!r}, but this machine has {here}; choose auto or {here}")
    return torch.device(name)


def best_precision(device: torch.device) -> Precision:
    """bfloat16 where the processor multiplies it natively, else float32."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "xpu":
        return "bfloat16" if torch.xpu.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "mps":
        return "float32"  # bfloat16 gains nothing there, and older chips have none
    # torch 2.11 does not tell yet; such a machine trains in float32 on its CPU.
    abilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    native = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return "bfloat16" if native else "float32"
