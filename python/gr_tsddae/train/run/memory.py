# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that a step has freed, kept for the next one."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
NEVER = -1


def keep_freed_memory() -> bool:
    """Have this process keep what it frees, which is for a command, not for a library, to say.

    A training step on a CPU allocates and frees the same tensors again and again. The C library
    returns large ones to the kernel, which hands them out anew page by page, each a fault and
    zeroed: a quarter of the time of a small network. The process keeps the most it ever needed.

    Returns:
        Whether the C library is one that can be told (glibc).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none by this way
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))
