# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver's tags of windows (rx_time, rx_freq, rx_rate): where they change, and as tags."""

import numpy as np
import pmt

from gr_tsddae.blocks.receiver.stream_tags import tag_of_time

SampleTag = tuple[int, str, pmt.pmt_base]  # absolute sample, key, value


def changes(info: np.ndarray) -> np.ndarray:
    """Find the windows whose time tag, frequency or rate differ from the window before.

    Args:
        info: window_info (B,).

    Returns:
        Numbers of these windows, int (n,), without 0.
    """
    told = np.stack(
        [
            info["has_time"].astype(np.float64),
            info["rx_time_sample"].astype(np.float64),
            np.nan_to_num(info["rx_freq_hz"], nan=-1.0),
            np.nan_to_num(info["rx_rate_hz"], nan=-1.0),
        ]
    )  # (4, B)
    return np.flatnonzero((told[:, 1:] != told[:, :-1]).any(0)) + 1


class WindowTags:
    """Repeat the receiver's tags at the samples where they were.

    The first window behind a tag starts exactly there. If that window was lost, the tag stays at
    its sample while that sample has not left yet; else it moves to the first window that was not
    lost. A time that moves needs the rate, and is left out without it.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None  # (1,), the window that came last

    def news(self, info: np.ndarray, position: int) -> list[SampleTag]:
        """Give the tags that are due with windows, in stream order.

        Args:
            info: window_info (B,), B at least 1.
            position: number of samples that have left already.
        """
        tags = [] if self._before is not None else _between(None, info[0], position)
        known = info if self._before is None else np.concatenate((self._before, info))
        for at in changes(known):
            tags += _between(known[at - 1], known[at], position)
        self._before = info[-1:].copy()
        return tags


def _between(before: np.void | None, now: np.void, position: int) -> list[SampleTag]:
    """Give the tags for what is new in a window."""

    def same(*fields: str) -> bool:
        return before is not None and all(before[field] == now[field] for field in fields)

    new_time = now["has_time"] and not same("has_time", "rx_time_sample")
    tagged, first = int(now["rx_time_sample"]), int(now["first_sample"])
    at = tagged if new_time and tagged >= position else first
    tags: list[SampleTag] = []
    if new_time:
        full_s, frac_s = int(now["rx_time_full_s"]), float(now["rx_time_frac_s"])
        if at != tagged:
            frac_s += (at - tagged) / float(now["rx_rate_hz"])  # NaN when it is unknown
        if not np.isnan(frac_s):
            whole_s = int(frac_s)
            tags.append((at, "rx_time", tag_of_time(full_s + whole_s, frac_s - whole_s)))
    for key in ("rx_freq", "rx_rate"):
        value = float(now[f"{key}_hz"])
        if not np.isnan(value) and (new_time or not same(f"{key}_hz")):
            tags.append((at, key, pmt.from_double(value)))
    return tags
