# SPDX-License-Identifier: GPL-3.0-or-later
"""Spectra of a stream, on the stream's own time, for a widget to take; and its message ports."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.blocks.display.state import Inbox

log = logging.getLogger(__name__)

TUNE = pmt.intern("tune")
TUNED = pmt.intern("tuned")


class SpectrumSink(gr.sync_block):
    """Rows of dB in, lowest frequency first; message `tuned` in, `tune` out."""

    def __init__(
        self,
        inbox: Inbox,
        *,
        bins: int,
        row_s: float,
        sample_rate_hz: float,
        about: Mapping[str, Any],
        first: Mapping[str, float] | None,
    ):
        gr.sync_block.__init__(self, "spectrum sink", [(np.float32, bins)], None)
        self._inbox, self._row_s, self._half_hz = inbox, row_s, sample_rate_hz / 2
        self._about, self._first = about, first
        self._rows = 0
        self.message_port_register_out(TUNE)
        self.message_port_register_in(TUNED)
        self.set_msg_handler(TUNED, self._on_tuned)

    def start(self) -> bool:
        self._rows = 0
        if self._first is not None:
            self.publish(dict(self._first))
        return super().start()

    def work(self, input_items: list[np.ndarray], output_items: list[np.ndarray]) -> int:
        center_hz = self._about["center_frequency_hz"] or None
        for row in input_items[0]:
            about = {
                "start_s": self._rows * self._row_s,
                "stop_s": (self._rows + 1) * self._row_s,
                "low_hz": (center_hz or 0.0) - self._half_hz,
                "high_hz": (center_hz or 0.0) + self._half_hz,
                "center_frequency_hz": center_hz,
            }
            spectrum = about, row.copy()
            self._inbox.put("spectrum", lambda spectrum=spectrum: spectrum)
            self._rows += 1
        return len(input_items[0])

    def publish(self, message: dict[str, float]) -> None:
        """Send where to tune."""
        self.message_port_pub(TUNE, pmt.to_pmt(message))

    def _on_tuned(self, message: pmt.pmt_base) -> None:
        self._inbox.put("tuned", lambda: pmt.to_python(message))
