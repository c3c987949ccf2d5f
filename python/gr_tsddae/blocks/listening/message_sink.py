# SPDX-License-Identifier: GPL-3.0-or-later
"""What hears decisions and status to the last word, of one classifier or of several.

The scheduler ends a block of messages with the first sender that ends, and keeps for ever what
is sent to a block that was stopped. So this block answers the scheduler itself: it ends when a
sender has ended and nobody speaks any more, and it takes the last words from its queues.
"""

from __future__ import annotations

import threading
import time

import pmt
from gnuradio import gr

from gr_tsddae.blocks.listening.last_words import hear_last_words

PORTS = ("decisions", "status")
TICK_S = 0.1
# After one sender has ended, so long without a word, and all have: status comes every second.
QUIET_S = 1.5


class MessageSink(gr.basic_block):
    """Message ports in: `decisions`, `status`. A subclass says in `_hear` what is done with them.

    A subclass that has a `start` or `stop` of its own calls the one here, too: `start` forgets what
    was said after the run before, `stop` hears what is still said.
    """

    def __init__(self, name: str):
        gr.basic_block.__init__(self, name=name, in_sig=None, out_sig=None)
        self._heard_at = 0.0
        self._stopped = threading.Event()
        self._done_message: pmt.pmt_base | None = None
        self._waiting: threading.Thread | None = None
        for port in PORTS:
            self.message_port_register_in(pmt.intern(port))
        self.set_msg_handler(pmt.intern("decisions"), self._on_decisions)
        self.set_msg_handler(pmt.intern("status"), self._on_status)
        self.set_msg_handler(pmt.intern("system"), self._on_system)

    def _hear(self, port: str, message: pmt.pmt_base) -> None:
        """One message; must not raise, which would end the block's thread."""
        raise NotImplementedError

    # --- called by the scheduler --------------------------------------------------------------

    def start(self) -> bool:
        for port in (*PORTS, "system"):
            while self.delete_head_nowait(pmt.intern(port)) is not None:
                pass
        self._stopped.clear()
        self._done_message = None
        return True

    def stop(self) -> bool:
        self._stopped.set()
        if self._waiting is not None:
            self._waiting.join()
            self._waiting = None
        hear_last_words(self._hear_queued)
        return True

    def _hear_queued(self) -> bool:
        heard = False
        for port in PORTS:
            while (message := self.delete_head_nowait(pmt.intern(port))) is not None:
                self._hear(port, message)
                heard = True
        return heard

    def _on_decisions(self, message: pmt.pmt_base) -> None:
        self._heard_at = time.monotonic()
        self._hear("decisions", message)

    def _on_status(self, message: pmt.pmt_base) -> None:
        self._heard_at = time.monotonic()
        self._hear("status", message)

    def _on_system(self, message: pmt.pmt_base) -> None:
        """A sender is done, or `_await_quiet` says that all are."""
        if not pmt.is_pair(message):
            self.gateway.system_handler(self._done_message)
            return
        self._heard_at = time.monotonic()
        self._done_message = message
        if self._waiting is None:
            self._waiting = threading.Thread(
                target=self._await_quiet, name="tsddae last sender", daemon=True
            )
            self._waiting.start()

    def _await_quiet(self) -> None:
        while not self._stopped.wait(TICK_S):
            if time.monotonic() - self._heard_at > QUIET_S:
                self.to_basic_block()._post(pmt.intern("system"), pmt.intern("quiet"))
                return
