# SPDX-License-Identifier: GPL-3.0-or-later
"""The latest samples of a stream, kept for measuring and for recognition."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

KEPT_S = 1.0
MOST_KEPT_SAMPLES = 1 << 24
LEAST_KEPT_SLABS = 6


class History:
    """Slabs of a stream, each with the lookahead behind it.

    Args:
        rate_hz: samples per second.
        slab_samples: from one slab's begin to the next.
    """

    def __init__(self, rate_hz: float, slab_samples: int):
        self._slab_samples = slab_samples
        most = min(KEPT_S * rate_hz, MOST_KEPT_SAMPLES)
        self._most_slabs = max(LEAST_KEPT_SLABS, int(most / slab_samples))
        self._slabs: OrderedDict[int, np.ndarray] = OrderedDict()

    def keep(self, slab: int, samples: np.ndarray) -> None:
        """Take the samples of a slab, complex64 (n,), which nobody changes any more."""
        self._slabs[slab] = samples
        while len(self._slabs) > self._most_slabs:
            self._slabs.popitem(last=False)

    def forget(self) -> None:
        """Keep nothing of what was before: samples are missing behind it."""
        self._slabs.clear()

    def snapshot(self) -> History:
        """Give a history of the same samples that does not go on; other threads may read it."""
        other = object.__new__(History)
        other._slab_samples, other._most_slabs = self._slab_samples, self._most_slabs
        other._slabs = self._slabs.copy()
        return other

    @property
    def first_sample(self) -> int:
        """The oldest sample that is kept."""
        return min(self._slabs, default=0) * self._slab_samples

    def read(self, first: int, count: int) -> tuple[np.ndarray, bool]:
        """Read samples of the stream, for an `Isolator`.

        Returns:
            complex64 (count,) with zeros where samples are not kept, and whether none of them is
            still to come.
        """
        out = np.zeros(count, np.complex64)
        end = 0
        for slab, samples in self._slabs.items():
            start = slab * self._slab_samples
            end = start + len(samples)
            low, high = max(first, start), min(first + count, end)
            if low < high:
                out[low - first : high - first] = samples[low - start : high - start]
        return out, first + count <= end
