# SPDX-License-Identifier: GPL-3.0-or-later
"""The life cycle of a block that has message ports and no stream.

GNU Radio ends such a block with the first neighbour that ends, and keeps for ever what is sent to
a block that was stopped. A `MessageBlock` answers the scheduler itself. docs/ARCHITECTURE.md,
"Starting, ending, stopping", explains why.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

import pmt
from gnuradio import gr

from gr_tsddae.blocks.listening.senders import senders_of

log = logging.getLogger(__name__)

# A subscriber looks through its ports one by one: "done" must not overtake the last message at a
# port that it has just left. It is back there within this time.
OVERTAKING_S = 0.05
# A block of somebody else's may publish in its stop(), which GNU Radio calls after it has told the
# listeners "done". Nothing tells when; after this time without a message none is expected.
QUIET_S = 0.3
TICK_S = 0.01  # how often an ending block looks into its queues

SYSTEM = pmt.intern("system")
DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))

# Aliases of the message blocks that may still publish: from start() to the end of stop(). A block
# that was ever in it says "done" after its last message.
_at_work: set[str] = set()
_ours: set[str] = set()


def at_work() -> bool:
    """Tell whether a message block of this process runs, or has not ended yet."""
    return bool(_at_work)


class MessageBlock(gr.basic_block):
    """End after the last message of the last sender, or with a stream; publish, then say "done".

    A subclass may override `_all_said`, `_conclude`, `_run`, and `start` and `stop`, which it then
    calls here too: `start` last, since it starts the thread, `stop` first.

    Args:
        name: of the block.
        hears: message port -> its handler, a method that never raises. Each message that comes
            before the end is handled, and none that comes after it.
        stream_ended: set while the stream that this block accompanies does not run. The block
            ends after it.
        thread_name: of the thread for `_run`; empty: no thread.
    """

    def __init__(
        self,
        name: str,
        *,
        hears: Mapping[str, Callable[[pmt.pmt_base], None]] | None = None,
        stream_ended: threading.Event | None = None,
        thread_name: str = "",
    ):
        gr.basic_block.__init__(self, name=name, in_sig=None, out_sig=None)
        self._hears = {pmt.intern(port): handler for port, handler in (hears or {}).items()}
        self._stream_ended = stream_ended
        self._thread_name = thread_name
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._senders: list[str] = []
        self._done_count = 0
        self._concluded = True
        for port, handler in self._hears.items():
            self.message_port_register_in(port)
            self.set_msg_handler(port, handler)
        self.set_msg_handler(SYSTEM, self._on_system)

    # --- what a subclass adds -----------------------------------------------------------------

    def _run(self) -> None:
        """Work on a thread until `_stopping` is set, or until there is nothing to do."""

    def _all_said(self) -> bool:
        """Tell whether no sender speaks any more; asked whenever a neighbour is done."""
        return bool(self._senders) and self._done_count >= len(self._senders)

    def _conclude(self) -> None:
        """Publish the last messages of a run. All were heard, and the thread has ended."""

    # --- called by the scheduler, on the block's thread ---------------------------------------

    def start(self) -> bool:
        for port in (SYSTEM, *self._hears):  # what was sent after the run before is not of this
            while self.delete_head_nowait(port) is not None:
                pass
        _at_work.add(self.alias())
        _ours.add(self.alias())
        self._done_count, self._concluded = 0, False
        self._stopping.clear()
        if self._hears:
            self._senders = senders_of(self)
            if not self._senders and self._stream_ended is not None:
                self.to_basic_block()._post(SYSTEM, pmt.intern("alone"))
        if self._thread_name:
            self._thread = threading.Thread(target=self._run, name=self._thread_name, daemon=True)
            self._thread.start()
        return True

    def stop(self) -> bool:
        if not self._concluded:
            self._hear_last_words()
            self._end()
        _at_work.discard(self.alias())
        return True

    def _on_system(self, message: pmt.pmt_base) -> None:
        """A neighbour is done, or `start` says that there is none to wait for."""
        told = pmt.is_pair(message)
        self._done_count += told
        if self._concluded or (told and not self._all_said()):
            return
        if _ours.issuperset(self._senders):
            self._hear_queued()
        else:
            self._hear_last_words()
        self._end()
        time.sleep(OVERTAKING_S)
        self.gateway.system_handler(DONE)

    def _end(self) -> None:
        if self._stream_ended is not None:
            self._stream_ended.wait()
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._concluded = True
        try:
            self._conclude()
        except Exception:  # whatever it is, the flowgraph must end
            log.exception("the last messages of %s are incomplete", self.name())

    def _hear_queued(self) -> bool:
        """Handle what lies in the queues; return whether there was anything."""
        heard = False
        for port, handler in self._hears.items():
            while (message := self.delete_head_nowait(port)) is not None:
                handler(message)
                heard = True
        return heard

    def _hear_last_words(self) -> None:
        """Listen until the senders have stopped, and said nothing for a while.

        When a user stops all blocks at once, each on its own thread, a classifier works on its
        backlog, which takes as long as its network needs.
        """
        heard_at = time.monotonic()
        while self._hears:
            speaking = not _at_work.isdisjoint(self._senders)
            if self._hear_queued() or speaking:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at >= QUIET_S:
                return
            time.sleep(TICK_S)
