"""
Memory that the process keeps for itself after freeing it.

By default, glibc returns the end of its heap to the system as soon as it is free. With
large messages, the same pages are then requested and cleared again and again: at 1 MiB,
this takes longer than everything else.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

__all__ = ["KEPT_SIZE", "keepFreedMemory"]

KEPT_SIZE: Final = 16 * 1024 * 1024
"""
Free bytes at the end of the heap that are kept.
"""

_HEAP_SIZE: Final = 4 * 1024 * 1024
"""
The size in bytes from which on an allocation gets pages of its own, which are returned
to the system when it is freed.
"""

# <malloc.h>
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keepFreedMemory() -> bool:
    """
    Keep up to L{KEPT_SIZE} freed bytes in the process.

    This affects the whole process: C{twistd wsplug} calls it; if you embed the server,
    you decide. Settings in the environment (mallopt(3)) take precedence.

    @return: whether it was done: only with glibc.
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
