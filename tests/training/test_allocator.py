"""Freed memory stays where it was only as long as it is asked to."""

import subprocess
import sys

import pytest

from vaelib.training import allocator

# Megabytes of this process: at first, after 200 were taken and freed in the block, and after it.
MEGABYTES = """
from pathlib import Path
import torch
from vaelib.training.allocator import memory_kept

def megabytes():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024

before = megabytes()
with memory_kept():
    large = [torch.zeros(2**20) for _ in range(50)]
    del large
    kept = megabytes()
print(before, kept, megabytes())
"""


@pytest.mark.slow
@pytest.mark.skipif(not allocator.can_keep_memory(), reason="needs glibc")
def test_freed_memory_is_kept_in_the_block_and_given_back_at_its_end() -> None:
    command = [sys.executable, "-c", MEGABYTES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, kept, after = map(int, done.stdout.split())
    assert kept > before + 150
    assert after < before + 50
