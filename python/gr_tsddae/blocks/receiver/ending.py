# SPDX-License-Identifier: GPL-3.0-or-later
"""A flowgraph whose receiver no longer answers ends all the same."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from typing import Any

from gr_tsddae.blocks.listening.message_block import at_work

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
POLL_S = 0.02
MOST_PERIODS = 12  # of patience, for blocks of this module that still work


def end_in_time(top: Any, patience_s: float = PATIENCE_S) -> None:
    """Let a flowgraph end even if one of its blocks never returns.

    gr-osmosdr waits without an end for the bytes of an rtl_tcp server that has gone, so GNU Radio
    waits for gr-osmosdr, and neither the window nor a signal ends the program. All other blocks
    stop meanwhile, and close their files. What is left after some seconds is only this wait: then
    the process leaves, says so, and returns 1. While blocks of this module still work on the last
    samples, as they do on a slow computer, they get more time. `wait` may be called while another
    call waits, as GNU Radio's handler of signals does.

    Args:
        top: the flowgraph. Its methods `stop` and `wait` are replaced.
        patience_s: how long blocks may take to stop.
    """
    stop, wait = top.stop, top.wait
    stopping: list[threading.Event] = []  # set when it has stopped
    waiting: list[threading.Thread] = []

    def watch(ended: threading.Event) -> None:
        for _ in range(MOST_PERIODS):
            if ended.wait(patience_s):
                return
            if not at_work():
                log.error(
                    "the flowgraph did not stop within %g s: its receiver does not answer (has the "
                    "rtl_tcp server gone?); leaving without it",
                    patience_s,
                )
                break
        else:
            log.error(
                "blocks of the flowgraph still work %g s after its stop; leaving without them, so "
                "files may lack their last samples",
                MOST_PERIODS * patience_s,
            )
        with contextlib.suppress(OSError, ValueError):  # standard output may be closed
            sys.stdout.flush()
        os._exit(1)

    def stop_in_time() -> None:
        if not stopping:
            stopping.append(threading.Event())
            threading.Thread(target=watch, args=stopping, daemon=True).start()
        stop()

    def wait_in_time() -> None:
        # A signal may come while the main thread waits, and its handler waits too. GNU Radio cannot
        # do both at once: it then fails to join a thread, and the first wait never returns.
        if not waiting:
            waiting.append(threading.Thread(target=wait, daemon=True))
            waiting[0].start()
        thread = waiting[0]
        while thread.is_alive():
            time.sleep(POLL_S)  # a lock would not do: the handler runs inside the first wait
        waiting.clear()
        while stopping:
            stopping.pop().set()

    top.stop, top.wait = stop_in_time, wait_in_time
