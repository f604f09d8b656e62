"""Where a result came from: versions, machine and commit."""

import functools
import platform
import re
import subprocess
from pathlib import Path

import numpy
import torch

from vaelib.support import paths


@functools.cache
def commit() -> str:
    """The project's commit, with "+changes" if vaelib differs from it; "unknown" outside git."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD").strip()
        changed = _git("status", "--porcelain", "--", "vaelib")
        if _git("rev-parse", "--show-prefix").strip():
            return "unknown"  # a copy inside another project's repository
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+changes" if changed else head


def _git(*arguments: str) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=paths.PACKAGE.parent, check=True, capture_output=True, text=True
    )
    return result.stdout


def environment(device: torch.device) -> dict[str, str | int]:
    """Versions and machine, as they are written beside every trained model."""
    accelerator = {"cuda": torch.cuda, "xpu": torch.xpu}.get(device.type)
    name = accelerator.get_device_name(device) if accelerator else processor()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": platform.system(),
        "device": name,
        "threads": torch.get_num_threads(),
        "commit": commit(),
    }


def processor() -> str:
    """The processor's name as the system has it, else its architecture."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        cpuinfo = ""
    named = re.search(r"^model name\s*: (.+)", cpuinfo, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()
