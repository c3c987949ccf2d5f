# SPDX-License-Identifier: GPL-3.0-or-later
"""The two halves of the accuracy probe: a sink that reads truth tags, and a message block.

GNU Radio ends a block that has a stream with its stream, messages included. A classifier's last
results come after that, so the messages need a block of their own.
"""

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.blocks.accuracy.judge import Judge
from gr_tsddae.blocks.accuracy.page import page
from gr_tsddae.blocks.accuracy.truth import Truth
from gr_tsddae.blocks.listening.content import content_of
from gr_tsddae.blocks.listening.message_block import MessageBlock
from gr_tsddae.blocks.receiver.stream_tags import number_of_tag
from gr_tsddae.files import write_json

log = logging.getLogger(__name__)

REPORT_INTERVAL_S = 1.0

_LABEL, _SNR = pmt.intern("label"), pmt.intern("snr_db")


class TruthSink(gr.sync_block):
    """Write what `label` and `snr_db` tags say into a `Truth`."""

    def __init__(self, truth: Truth):
        gr.sync_block.__init__(self, name="truth_sink", in_sig=[np.complex64], out_sig=None)
        self._truth = truth
        self._label: str | None = None
        self.ended = threading.Event()
        self.ended.set()  # while it is not connected, it has nothing to say

    def start(self) -> bool:
        self._truth.restart()
        self._label = None
        self.ended.clear()
        return True

    def stop(self) -> bool:
        self.ended.set()
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
            self._truth.tell(offset, self._label, number_of_tag(level))
        self._truth.reached(first + count)
        return count


class AccuracyWorker(MessageBlock):
    """Messages `results` and `decisions` in, message `accuracy` out.

    Compare what was called with the truth; publish and write how often it was right.

    Args:
        truth: label and level of each sample.
        sink: fills the truth in; this block does not end before it.
        rename, among: see `Judge`.
        file: file for the report; None: none.
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
        super().__init__(
            "accuracy_worker",
            hears={"results": self._on_results, "decisions": self._on_decision},
            stream_ended=sink.ended,
            thread_name="tsddae accuracy",
        )
        self._truth, self._file = truth, file
        self._rename, self._among = rename, among
        self._lock = threading.Lock()  # of all below
        self._forget()
        self._port = pmt.intern("accuracy")
        self.message_port_register_out(self._port)

    def _forget(self) -> None:
        self._judge = Judge(self._truth, self._rename, self._among)
        self._errors, self._last_error = 0, ""
        self._written: dict[str, Any] | None = None

    def report(self) -> dict[str, Any]:
        """Give the figures so far; the block's documentation names them."""
        with self._lock:
            self._judge.judge()
            return self._report()

    def _report(self) -> dict[str, Any]:
        return self._judge.report() | {"errors": self._errors, "last_error": self._last_error}

    # --- called by the scheduler --------------------------------------------------------------

    def start(self) -> bool:
        with self._lock:
            self._forget()
        return super().start()

    def _on_results(self, message: pmt.pmt_base) -> None:
        self._hear(message, self._results)

    def _on_decision(self, message: pmt.pmt_base) -> None:
        self._hear(message, self._decision)

    def _results(self, message: pmt.pmt_base) -> None:
        about = content_of(pmt.car(message))
        vector = np.asarray(content_of(pmt.cdr(message)), np.float32)
        self._judge.hear_results(about, vector)

    def _decision(self, message: pmt.pmt_base) -> None:
        self._judge.hear_decision(content_of(message))

    def _hear(self, message: pmt.pmt_base, take: Any) -> None:
        with self._lock:
            try:
                take(message)
            except Exception as error:  # an exception would end the block's thread
                self._report_error("message not judged", error)

    # --- the thread that reports --------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.wait(REPORT_INTERVAL_S):
            self._publish(self.report())

    def _conclude(self) -> None:
        with self._lock:
            self._judge.judge(everything=True)
            report = self._report()
        self._publish(report | {"page": page(report)})

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
        if text != self._last_error:  # a failure at every message is logged once
            log.error("%s", text)
        self._last_error = text
