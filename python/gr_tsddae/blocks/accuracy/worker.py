# SPDX-License-Identifier: GPL-3.0-or-later
"""The two halves of the accuracy probe: a sink that reads truth tags, a block that hears messages.

They are two because GNU Radio ends a block, messages and all, as soon as its stream ends, and a
classifier's last results come after that.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.blocks.accuracy.judge import Judge
from gr_tsddae.blocks.accuracy.page import page
from gr_tsddae.blocks.accuracy.truth import Truth
from gr_tsddae.blocks.listening.last_words import hear_last_words
from gr_tsddae.files import write_json

log = logging.getLogger(__name__)

REPORT_INTERVAL_S = 1.0
TICK_S = 0.1
# After the classifier and the stream have ended, another sender's last words may be under way, and
# messages of one port may overtake "done". So long without a word, and all has been said.
QUIET_S = 0.5
LAST_WORDS_S = 0.05  # for our own subscribers, likewise

_LABEL, _SNR = pmt.intern("label"), pmt.intern("snr_db")


class TruthSink(gr.sync_block):
    """Writes what `label` and `snr_db` tags say into a `Truth`."""

    def __init__(self, truth: Truth):
        gr.sync_block.__init__(self, name="truth_sink", in_sig=[np.complex64], out_sig=None)
        self._truth = truth
        self._label: str | None = None
        self.ended = True  # not connected, it has nothing to say

    def start(self) -> bool:
        self._truth.restart()
        self._label = None
        self.ended = False
        return True

    def stop(self) -> bool:
        self.ended = True
        return True

    def work(self, input_items: list, output_items: list) -> int:
        try:
            return self._read(len(input_items[0]))
        except Exception:  # raised from here, it would hang the flowgraph
            log.exception("truth tags cannot be read; the stream ends here")
            return -1

    def _read(self, count: int) -> int:
        first = self.nitems_read(0)
        labels = {tag.offset: tag.value for tag in self.get_tags_in_window(0, 0, count, _LABEL)}
        levels = {tag.offset: tag.value for tag in self.get_tags_in_window(0, 0, count, _SNR)}
        for offset in sorted(labels | levels):
            if offset in labels:
                value = labels[offset]
                self._label = pmt.symbol_to_string(value) if pmt.is_symbol(value) else None
            level = levels.get(offset, pmt.PMT_NIL)
            is_number = pmt.is_real(level) or pmt.is_integer(level)
            self._truth.tell(offset, self._label, pmt.to_double(level) if is_number else None)
        self._truth.reached(first + count)
        return count


class AccuracyWorker(gr.basic_block):
    """Message-only block: hears results and decisions, says and writes how right they are.

    Args:
        truth: what is right.
        sink: that fills the truth in; the end is not before its end.
        rename, among: see `Judge`.
        file: to write the report to; None: nowhere.
    """

    def __init__(
        self,
        truth: Truth,
        sink: TruthSink,
        *,
        rename: dict[str, str],
        among: tuple[str, ...],
        file: Path | None,
    ):
        gr.basic_block.__init__(self, name="accuracy_worker", in_sig=None, out_sig=None)
        self._truth, self._sink, self._file = truth, sink, file
        self._rename, self._among = rename, among
        self._lock = threading.Lock()  # of all below
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._done_message: pmt.pmt_base | None = None
        self._forget()
        self._port = pmt.intern("accuracy")
        self.message_port_register_out(self._port)
        for name, handler in (("results", self._on_results), ("decisions", self._on_decision)):
            self.message_port_register_in(pmt.intern(name))
            self.set_msg_handler(pmt.intern(name), handler)
        self.set_msg_handler(pmt.intern("system"), self._on_system)

    def _forget(self) -> None:
        self._judge = Judge(self._truth, self._rename, self._among)
        self._errors, self._last_error = 0, ""
        self._heard_at = 0.0
        self._concluded = False
        self._written: dict[str, Any] | None = None

    def report(self) -> dict[str, Any]:
        """The figures so far; see the block's documentation."""
        with self._lock:
            self._judge.judge()
            return self._report()

    def _report(self) -> dict[str, Any]:
        return self._judge.report() | {"errors": self._errors, "last_error": self._last_error}

    # --- called by the scheduler --------------------------------------------------------------

    def start(self) -> bool:
        # What came after a stop is about a stream that is no more, and so is its "done".
        for port in ("results", "decisions", "system"):
            while self.delete_head_nowait(pmt.intern(port)) is not None:
                pass
        with self._lock:
            self._forget()
        self._done_message = None
        self._stopped.clear()
        self._thread = threading.Thread(target=self._tick, name="tsddae accuracy", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            if not self._concluded:
                hear_last_words(self._hear_queued)
            self._conclude()
        return True

    def _hear_queued(self) -> bool:
        """A stopped block's messages stay in its queue, and the classifier says its last now."""
        heard = False
        for port, hear in (("results", self._on_results), ("decisions", self._on_decision)):
            while (message := self.delete_head_nowait(pmt.intern(port))) is not None:
                hear(message)
                heard = True
        return heard

    def _on_system(self, message: pmt.pmt_base) -> None:
        """A neighbour is done, or `_tick` says that we are.

        By default the first would end this block, though a sender at another port may still have
        words to say, and though what came last may wait for its truth.
        """
        if pmt.is_pair(message):
            self._heard_at = time.monotonic()
            self._done_message = message
            return
        # Subscribers look through their ports one by one; "done" must not overtake the last words.
        time.sleep(LAST_WORDS_S)
        self.gateway.system_handler(self._done_message)

    def _on_results(self, message: pmt.pmt_base) -> None:
        self._hear(message, self._results)

    def _on_decision(self, message: pmt.pmt_base) -> None:
        self._hear(message, self._decision)

    def _results(self, message: pmt.pmt_base) -> None:
        about = pmt.to_python(pmt.car(message))
        vector = np.asarray(pmt.to_python(pmt.cdr(message)), np.float32)
        self._judge.hear_results(about, vector)

    def _decision(self, message: pmt.pmt_base) -> None:
        self._judge.hear_decision(pmt.to_python(message))

    def _hear(self, message: pmt.pmt_base, take: Any) -> None:
        with self._lock:
            try:
                take(message)
            except Exception as error:  # a handler that raises would end the block's thread
                self._report_error("message not judged", error)
            self._heard_at = time.monotonic()

    # --- the thread that reports --------------------------------------------------------------

    def _tick(self) -> None:
        report_at = time.monotonic()
        while not self._stopped.wait(TICK_S):
            if self._all_said():
                self._conclude()
                self.to_basic_block()._post(pmt.intern("system"), pmt.intern("concluded"))
                return
            if time.monotonic() - report_at >= REPORT_INTERVAL_S:
                report_at = time.monotonic()
                self._publish(self.report())

    def _all_said(self) -> bool:
        quiet_s = time.monotonic() - self._heard_at
        return self._done_message is not None and self._sink.ended and quiet_s > QUIET_S

    def _conclude(self) -> None:
        with self._lock:
            if self._concluded:
                return
            self._concluded = True
            self._judge.judge(everything=True)
            report = self._report()
        self._publish(report)
        print(page(report), flush=True)

    def _publish(self, report: dict[str, Any]) -> None:
        self.message_port_pub(self._port, pmt.to_pmt(report))
        if self._file is None or report == self._written:
            return
        try:
            write_json(self._file, report)
            self._written = report
        except OSError as error:
            self._report_error("report not written", error)

    def _report_error(self, what: str, error: BaseException) -> None:
        self._errors += 1
        text = f"{what}: {type(error).__name__}: {error}"
        if text != self._last_error:  # the same failure on every message is said once
            log.error("%s", text)
        self._last_error = text
