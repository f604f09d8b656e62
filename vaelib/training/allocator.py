"""Memory that one step frees is kept for the next, where the C library can be told so.

glibc gives large blocks back to the system at once, and every page that is asked for again costs
the time to clear it.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt(3) and their defaults.
M_TRIM_THRESHOLD, TRIM_THRESHOLD = -1, 128 * 1024
M_MMAP_MAX, MMAP_MAX = -4, 65_536
NEVER = -1


def can_be_kept() -> bool:
    """Whether this process has an allocator that can be told."""
    return platform.libc_ver()[0] == "glibc"


@contextmanager
def kept() -> Iterator[None]:
    """What is freed in this block stays with this process until the block ends."""
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        library.mallopt(M_MMAP_MAX, MMAP_MAX)
        library.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
        library.malloc_trim(0)
