# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for what must happen, long enough for a busy machine; it costs nothing where it happens."""

import threading
import time

PATIENCE_S = 120.0  # a machine under load imports torch for a minute


def until(condition):
    """Wait for a condition."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


def ends(flowgraph) -> bool:
    """Tell whether a running flowgraph ends by itself; one that does not is stopped."""
    waiter = threading.Thread(target=flowgraph.wait, daemon=True)
    waiter.start()
    waiter.join(PATIENCE_S)
    ended = not waiter.is_alive()
    if not ended:
        flowgraph.stop()
        waiter.join(PATIENCE_S)
    return ended
