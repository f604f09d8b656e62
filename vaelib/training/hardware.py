"""Which hardware there is, and what suits it."""

import torch

from vaelib.config import PRESETS, Precision
from vaelib.support.errors import InputError


def pick_device() -> torch.device:
    """The first CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_precision(device: torch.device) -> Precision:
    """bfloat16 where the processor multiplies it natively, else float32."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # torch 2.11 does not tell yet; such a machine trains in float32 on its CPU.
    abilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    native = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return "bfloat16" if native else "float32"


def choose_preset(preset: str) -> str:
    """The preset by its name; "auto" is full on a GPU and quick on a CPU.

    Raises InputError for a name that is none.
    """
    if preset == "auto":
        return "full" if pick_device().type == "cuda" else "quick"
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is unknown; choose auto, {', '.join(PRESETS)}")
    return preset
