# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when a user stops a flowgraph: who still speaks, and how long to listen.

All blocks are stopped at once, each on its own thread. A classifier then finishes its backlog,
which takes as long as the network needs; its listeners' threads have ended, and what it says lies
in their queues.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_S = 0.3  # so long without a word, and none at work on last windows: nothing will come
TICK_S = 0.01

_lock = threading.Lock()
_finishing = 0  # workers of this process that have their last windows, and are still at work


@contextmanager
def finishing() -> Iterator[None]:
    """Around what a speaker still does when its stream has ended or it was told to stop."""
    global _finishing
    with _lock:
        _finishing += 1
    try:
        yield
    finally:
        with _lock:
            _finishing -= 1


def hear_last_words(hear: Callable[[], bool]) -> None:
    """Listen until nobody speaks any more.

    Args:
        hear: takes all that lies in the queues; whether there was anything.
    """
    heard_at = time.monotonic()
    while _finishing or time.monotonic() - heard_at < QUIET_S:
        if hear() or _finishing:
            heard_at = time.monotonic()
        time.sleep(TICK_S)
