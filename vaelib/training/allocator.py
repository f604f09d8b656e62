"""Freed memory stays with the process for the next step, where the C library offers that.

glibc returns large blocks to the system at once, and every page that is asked for again costs the
time to clear it.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt(3) and their defaults.
M_TRIM_THRESHOLD, TRIM_THRESHOLD = -1, 128 * 1024
M_MMAP_MAX, MMAP_MAX = -4, 65_536
NEVER = -1


def can_keep_memory() -> bool:
    """Whether this process has an allocator with these settings."""
    return platform.libc_ver()[0] == "glibc"


@contextmanager
def memory_kept() -> Iterator[None]:
    """Memory freed in this block stays with the process until the block ends."""
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        library.mallopt(M_MMAP_MAX, MMAP_MAX)
        library.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
        library.malloc_trim(0)
