# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the memory that a step has freed for the next one."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
NEVER = -1


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees; call this from a command, not from a library.

    A training step on a CPU allocates and frees the same tensors again and again. The C library
    returns large ones to the kernel, which hands them out anew page by page, each with a fault and
    zeroed: a quarter of the time of a small network. The process keeps the most it ever needed.

    Returns:
        Whether the C library supports this (glibc does).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))
