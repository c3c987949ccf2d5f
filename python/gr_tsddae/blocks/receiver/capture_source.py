# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream source that plays a recording of any format that `iq` reads, with receiver tags."""

import math

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.blocks.receiver.stream_tags import tag_of_time
from gr_tsddae.iq.formats.capture import Capture


class CaptureSource(gr.sync_block):
    """Complex stream out: the samples of an open capture, from first to last.

    Every segment's first sample has the tags `rx_rate`, `rx_freq` and `rx_time`, as far as they are
    known.

    Attributes:
        finished: whether the capture was read to its end.
        stopping: set this to end the stream early.
        error: the error that ended the stream early, if it was not stopped.
    """

    def __init__(self, capture: Capture):
        gr.sync_block.__init__(self, name="Capture Source", in_sig=None, out_sig=[np.complex64])
        self._capture = capture
        self._segments = {segment.first_sample: segment for segment in capture.segments}
        self.finished = False
        self.stopping = False
        self.error: Exception | None = None

    def work(self, input_items, output_items):
        first = self.nitems_written(0)
        count = min(len(output_items[0]), self._capture.sample_count - first)
        if count == 0:
            self.finished = True
        if count == 0 or self.stopping:
            return int(gr.WORK_DONE)
        try:
            iq = self._capture.read(first, count)
            count = len(iq)  # of a live one, as many as have come
            output_items[0][:count] = iq
            for sample, segment in self._segments.items():
                if first <= sample < first + count:
                    self._tag(sample, segment.frequency_hz)
        except Exception as error:  # raised here, it would hang the flowgraph
            self.error = error
            return int(gr.WORK_DONE)
        if count == 0:  # a live one has ended
            self.finished = True
            return int(gr.WORK_DONE)
        return count

    def _tag(self, sample: int, frequency_hz: float | None) -> None:
        told = {"rx_rate": self._capture.sample_rate_hz, "rx_freq": frequency_hz}
        values = {key: pmt.from_double(value) for key, value in told.items() if value is not None}
        time_s = self._capture.time_at(sample)
        if time_s is not None and time_s >= 0:
            part_s, whole_s = math.modf(time_s)
            values["rx_time"] = tag_of_time(int(whole_s), part_s)
        for key, value in values.items():
            self.add_item_tag(0, sample, pmt.intern(key), value)
