# SPDX-License-Identifier: GPL-3.0-or-later
"""What rx_time, rx_freq and rx_rate tags say about a stream, as segments of a recording."""

from __future__ import annotations

from typing import Any

import pmt

UNIX_TIME_FROM_S = 1e9  # 2001: what is earlier is a receiver's time since it was switched on


class ReceiverTags:
    """Follows the tags of one run.

    Args:
        rate_hz: samples per second until a tag says another; None: unknown.
        center_hz: frequency until a tag says another; None: unknown.
        time_s: Unix time of sample 0 until a tag says another; None: unknown.
    """

    def __init__(self, rate_hz: float | None, center_hz: float | None, time_s: float | None):
        self.rate_hz = rate_hz
        self.rate_changed_from: float | None = None
        self._rate_tagged = False
        self._center_hz = center_hz
        self._time = None if time_s is None else (0, int(time_s), time_s % 1)

    def take(self, offset: int, values: dict[str, Any]) -> bool:
        """The tags of one sample; whether they say anything new."""
        new = False
        self.rate_changed_from = None
        if "rx_rate" in values and pmt.is_number(values["rx_rate"]):
            told_hz = pmt.to_double(values["rx_rate"])
            if told_hz > 0 and told_hz != self.rate_hz:
                new = True
                self.rate_changed_from = self.rate_hz if self._rate_tagged else None
                self.rate_hz = told_hz
            self._rate_tagged = True
        if "rx_freq" in values and pmt.is_number(values["rx_freq"]):
            told_hz = pmt.to_double(values["rx_freq"])
            new |= told_hz != self._center_hz
            self._center_hz = told_hz
        if "rx_time" in values and pmt.is_tuple(values["rx_time"]):
            whole_s = pmt.to_uint64(pmt.tuple_ref(values["rx_time"], 0))
            part_s = pmt.to_double(pmt.tuple_ref(values["rx_time"], 1))
            new |= not self._is_expected(offset, whole_s, part_s)
            self._time = (offset, whole_s, part_s) if whole_s >= UNIX_TIME_FROM_S else None
        return new

    def segment(self, offset: int) -> tuple[int, float | None, float | None]:
        """First sample, frequency and Unix time of a segment that begins here."""
        return offset, self._center_hz, self._time_at(offset)

    def _time_at(self, offset: int) -> float | None:
        if self._time is None:
            return None
        at, whole_s, part_s = self._time
        if offset != at and self.rate_hz is None:
            return None
        return whole_s + (part_s + ((offset - at) / self.rate_hz if offset != at else 0.0))

    def _is_expected(self, offset: int, whole_s: int, part_s: float) -> bool:
        """Receivers repeat their time now and then; it is news only after a gap."""
        if self._time is None or self.rate_hz is None or offset == 0:
            return False
        at, then_s, then_part_s = self._time
        passed_s = (whole_s - then_s) + (part_s - then_part_s)
        return abs(passed_s * self.rate_hz - (offset - at)) < 1
