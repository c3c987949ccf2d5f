# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn rx_time, rx_freq and rx_rate tags into the segments of a recording."""

from typing import Any

import pmt

from gr_tsddae.blocks.receiver.stream_tags import number_of_tag, time_of_tag
from gr_tsddae.iq.receiver_time import UNIX_TIME_FROM_S, UNIX_TIME_UNTIL_S


class ReceiverTags:
    """Follow the tags of one run. Tags that cannot be true are ignored.

    Args:
        rate_hz: samples per second until a tag gives another rate; None: unknown.
        center_hz: centre until a tag gives another frequency; None: unknown.
        time_s: Unix time of sample 0 until a tag gives another time; None: unknown.

    Attributes:
        rate_changed_from: the rate before, if the last `take` changed it.
        ignored: the keys that the last `take` ignored, each with the reason of its first time.
    """

    def __init__(self, rate_hz: float | None, center_hz: float | None, time_s: float | None):
        self.rate_hz = rate_hz
        self.rate_changed_from: float | None = None
        self.ignored: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        self._rate_tagged = False
        self._center_hz = center_hz
        self._time = None if time_s is None else (0, int(time_s), time_s % 1)

    def take(self, offset: int, values: dict[str, Any]) -> bool:
        """Take the tags of one sample; return whether they say anything new."""
        new = False
        self.rate_changed_from = None
        self.ignored = {}
        if "rx_rate" in values:
            told_hz = number_of_tag(values["rx_rate"])
            if told_hz is None or told_hz <= 0:
                self._ignore("rx_rate", values, "a finite number above 0")
            else:
                if told_hz != self.rate_hz:
                    new = True
                    self.rate_changed_from = self.rate_hz if self._rate_tagged else None
                    self.rate_hz = told_hz
                self._rate_tagged = True
        if "rx_freq" in values:
            told_hz = number_of_tag(values["rx_freq"])
            if told_hz is None:
                self._ignore("rx_freq", values, "a finite number")
            else:
                new |= told_hz != self._center_hz
                self._center_hz = told_hz
        if "rx_time" in values:
            told = time_of_tag(values["rx_time"])
            if told is None:
                expected = "a tuple of whole seconds (before the year 9892) and a fraction"
                self._ignore("rx_time", values, expected)
            else:
                new |= not self._is_expected(offset, *told)
                self._time = (offset, *told) if told[0] >= UNIX_TIME_FROM_S else None
        return new

    def segment(self, offset: int) -> tuple[int, float | None, float | None]:
        """Give first sample, frequency and Unix time of a segment that begins here."""
        return offset, self._center_hz, self._time_at(offset)

    def _time_at(self, offset: int) -> float | None:
        if self._time is None:
            return None
        at, whole_s, part_s = self._time
        if offset != at and self.rate_hz is None:
            return None
        time_s = whole_s + (part_s + ((offset - at) / self.rate_hz if offset != at else 0.0))
        return time_s if time_s < UNIX_TIME_UNTIL_S else None

    def _ignore(self, key: str, values: dict[str, Any], expected: str) -> None:
        text = pmt.write_string(values[key])[:100]
        reason = f"it says {text}, and is ignored; let the source send {expected}"
        self.ignored[key] = self._reasons.setdefault(key, reason)  # the log needs it once

    def _is_expected(self, offset: int, whole_s: int, part_s: float) -> bool:
        """Receivers repeat their time now and then. A time is news only after a gap."""
        if self._time is None or self.rate_hz is None or offset == 0:
            return False
        at, then_s, then_part_s = self._time
        passed_s = (whole_s - then_s) + (part_s - then_part_s)
        return abs(passed_s * self.rate_hz - (offset - at)) < 1
