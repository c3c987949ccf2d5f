# SPDX-License-Identifier: GPL-3.0-or-later
"""Receiver tags that stay true behind a tuner and resampler.

Stock blocks move a tag to the right sample and keep its value: behind a decimator `rx_rate` is
still the receiver's. A block that believes tags, as the classifier does, would be misled.
"""

import logging
import math

import numpy as np
import pmt
from gnuradio import gr

from gr_tsddae.blocks.receiver.stream_tags import number_of_tag, tag_of_time, time_of_tag
from gr_tsddae.iq.receiver_time import receiver_time

log = logging.getLogger(__name__)

RX_TIME, RX_RATE, RX_FREQ = (pmt.intern(key) for key in ("rx_time", "rx_rate", "rx_freq"))
TUNED = pmt.intern("rot_phase_inc")  # what blocks.rotator_cc says when its frequency changes
KNOWN = (RX_TIME, RX_RATE, RX_FREQ, TUNED)


class Retagger(gr.sync_block):
    """Complex stream in and out, with `rx_rate`, `rx_freq` and `rx_time` rewritten.

    The tags account for what was done to the stream before this block. At the first sample the
    block itself tells the rate, and the frequency if it is known, where the source did not. Other
    tags pass, and so does a malformed one, which is logged.

    Args:
        input_rate_hz: samples per second where the tags come from.
        output_rate_hz: samples per second here.
        center_frequency_hz: the receiver's centre while no `rx_freq` tag was seen; 0: unknown.
        offset_hz: distance from the receiver's centre that lies at 0 Hz here.
    """

    def __init__(
        self,
        *,
        input_rate_hz: float,
        output_rate_hz: float,
        center_frequency_hz: float,
        offset_hz: float,
    ):
        gr.sync_block.__init__(self, "retagger", [np.complex64], [np.complex64])
        self.set_tag_propagation_policy(gr.TPP_DONT)
        self._input_rate_hz = input_rate_hz
        self._output_rate_hz = output_rate_hz
        self._nominal_hz = center_frequency_hz
        self._offset_hz = offset_hz
        self._tagged_hz: float | None = None
        self._warned: set[str] = set()  # keys
        self._news = False  # the nominal frequency changed
        self._rate_news = False  # the output rate changed
        self._offset_news = False  # the offset changed
        self._offset_told = False  # by `set_offset_hz`: tags no longer count
        self.delay_s = 0.0  # delay of the filters before this block

    def set_center_frequency_hz(self, value: float) -> None:
        """Change the centre from the next samples on, unless the source tags it."""
        self._nominal_hz = value
        self._news = True

    def set_offset_hz(self, value: float) -> None:
        """Tell of another offset with the next samples.

        The tags of the rotator are for this as long as the output rate stays what it was. Then GNU
        Radio moves them to wrong samples, since it multiplies all that went before by the new rate.
        """
        self._offset_hz = value
        self._offset_told = self._offset_news = True

    def set_output_rate_hz(self, value: float) -> None:
        """Tell of another output rate with the next samples."""
        self._output_rate_hz = value
        self._rate_news = True

    def start(self) -> bool:
        self._tagged_hz = None  # another run may have another source
        return True

    def work(self, input_items, output_items):
        count = len(input_items[0])
        output_items[0][:] = input_items[0]
        first = self.nitems_read(0)
        try:
            self._pass_tags(first, count)
        except Exception:  # raised here, it would hang the flowgraph
            log.exception("tags near sample %d lost", first)
        return count

    def _pass_tags(self, first: int, count: int) -> None:
        news, self._news = self._news, False  # first, since more news may come meanwhile
        tags = self.get_tags_in_window(0, 0, count)
        at_first = [tag.key for tag in tags if tag.offset == first]
        rate_news, self._rate_news = self._rate_news or first == 0, False
        if rate_news and not any(pmt.eq(key, RX_RATE) for key in at_first):
            self._say(first, RX_RATE, pmt.from_double(self._output_rate_hz))
        told = self._tagged_hz is not None or any(pmt.eq(key, RX_FREQ) for key in at_first)
        offset_news, self._offset_news = self._offset_news, False
        if ((first == 0 or news) and not told) or offset_news:
            self._say_frequency(first)
        for tag in tags:
            self._pass(tag)

    def _pass(self, tag: gr.tag_t) -> None:
        key, value = tag.key, tag.value
        told = time_of_tag(value) if pmt.eq(key, RX_TIME) else number_of_tag(value)
        if told is None and any(pmt.eq(key, known) for known in KNOWN):
            self._warn(
                "tag %s at sample %d passes unchanged: it says %s, which is no %s",
                pmt.symbol_to_string(key), tag.offset, pmt.write_string(value)[:100],
                "time" if pmt.eq(key, RX_TIME) else "finite number",
            )  # fmt: skip
        elif pmt.eq(key, TUNED):
            if self._offset_told:
                return
            self._offset_hz = -told * self._input_rate_hz / (2 * math.pi)
            self._say_frequency(tag.offset)
            return
        elif pmt.eq(key, RX_FREQ):
            self._tagged_hz = told
            self._say_frequency(tag.offset)
            return
        elif pmt.eq(key, RX_RATE):
            if abs(told / self._input_rate_hz - 1) > 1e-3:
                log.warning(
                    "the stream comes at %g samples per second, but sample_rate_hz is %g: symbol "
                    "rate, offset and bandwidth are wrong by that; set sample_rate_hz to %g",
                    told, self._input_rate_hz, told,
                )  # fmt: skip
            value = pmt.from_double(told * self._output_rate_hz / self._input_rate_hz)
        elif pmt.eq(key, RX_TIME):
            # The filters hold a sample back: what leaves them now arrived `delay_s` before.
            earlier = receiver_time(told[0], told[1] - self.delay_s) or told
            value = tag_of_time(*earlier)
        self._say(tag.offset, key, value)

    def _warn(self, text: str, key: str, *more: object) -> None:
        if key not in self._warned:  # a source that says nonsense once says it again
            log.warning(text, key, *more)
        self._warned.add(key)

    def _say_frequency(self, offset: int) -> None:
        centre_hz = self._nominal_hz if self._tagged_hz is None else self._tagged_hz
        if centre_hz:
            self._say(offset, RX_FREQ, pmt.from_double(centre_hz + self._offset_hz))

    def _say(self, offset: int, key: pmt.pmt_base, value: pmt.pmt_base) -> None:
        self.add_item_tag(0, offset, key, value)
