"""
What the process keeps of the memory that it frees.

By itself, glibc gives the end of its heap back to the system as soon as some of it is
free. A server that is sent large messages would take the same pages again and again,
each of them cleared anew: at 1 MiB that takes longer than all the rest.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

__all__ = ["KEPT_SIZE", "keepFreedMemory"]

KEPT_SIZE: Final = 16 * 1024 * 1024
"""
Bytes at the heap's end that are kept.
"""

_HEAP_SIZE: Final = 4 * 1024 * 1024
"""
Bytes from which on something has pages of its own, which are given back when it goes.
"""

# <malloc.h>
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keepFreedMemory() -> bool:
    """
    Have the process keep L{KEPT_SIZE} of what it frees.

    This is about the whole process: the command does it, for those who mount the
    server in a process of their own it is their choice. The environment's word
    (mallopt(3)) comes first.

    @return: whether it was done; not where another C library than glibc runs.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "MALLOC_TRIM_THRESHOLD_" in os.environ or "glibc.malloc" in tunables:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _HEAP_SIZE) and mallopt(_M_TRIM_THRESHOLD, KEPT_SIZE)
    )
