# SPDX-License-Identifier: GPL-3.0-or-later
"""Half-overlapping windows joined to a stream: one sample out for each sample in.

A sample of the stream is the weighted mean of the windows that cover it. Two windows cover it, or
one beside a lost window or a gap; a sample that no window covers is zero. The weights are a Hann
window whose halves add up to one. Its zeros lie between samples, so that even the first sample of
a stream has a weight.
"""

from collections.abc import Iterator

import numpy as np

PIECE_SAMPLES = 65536  # a long gap comes out in pieces of zeros of this size


class OverlapAdd:
    """Join windows of L samples, L/2 apart, to one stream from sample 0 on, without a gap.

    Args:
        window_samples: L, even.

    Attributes:
        hop_samples: L/2.
        position: number of the next sample of the stream.

    Raises:
        ValueError: If L is odd or under 2.
    """

    def __init__(self, window_samples: int):
        if window_samples < 2 or window_samples % 2:
            raise ValueError(
                f"window_samples is {window_samples}: halves can overlap only with an even number, "
                "so take a model with windows of an even length"
            )
        self.hop_samples = window_samples // 2
        phase = (np.arange(window_samples) + 0.5) / window_samples
        self._weight = (np.sin(np.pi * phase) ** 2).astype(np.float32)  # (L,)
        self.restart()

    def restart(self) -> None:
        """Begin another stream, at sample 0."""
        self.position = 0
        # The last window's share of the samples [position, position + L/2), and its weight there.
        self._tail = np.zeros(self.hop_samples, np.complex64)
        self._tail_weight = np.zeros(self.hop_samples, np.float32)

    def add(self, windows: np.ndarray, first_samples: np.ndarray) -> Iterator[np.ndarray]:
        """Add windows in stream order.

        Args:
            windows: complex64 (B, L).
            first_samples: number of each window's first sample, (B,), rising, L/2 or more apart,
                none in front of `position`.

        Yields:
            complex64 (n,), read-only: samples that no later window can change. `position` is the
            end of those that were yielded last.

        Raises:
            ValueError: If a window comes too late.
        """
        firsts = np.asarray(first_samples, np.int64)
        edges = np.flatnonzero(np.diff(firsts) != self.hop_samples) + 1
        for start, stop in zip([0, *edges], [*edges, len(firsts)], strict=True):
            if start == stop:
                return
            if firsts[start] < self.position:
                raise ValueError(
                    f"a window starts at sample {firsts[start]}, but the stream has come to "
                    f"{self.position}"
                )
            yield from self.advance(int(firsts[start]))
            yield self._add_run(windows[start:stop])

    def advance(self, sample: int) -> Iterator[np.ndarray]:
        """Yield all samples before `sample`: no later window starts before it.

        Yields:
            complex64 (n,), read-only; nothing if `sample` is not behind `position`.
        """
        count = min(sample - self.position, self.hop_samples)
        if count > 0:
            piece = _mean(self._tail[:count], self._tail_weight[:count])
            for kept in (self._tail, self._tail_weight):
                kept[: -count or None] = kept[count:].copy()
                kept[-count:] = 0
            self.position += count
            yield piece
        while (count := min(sample - self.position, PIECE_SAMPLES)) > 0:
            self.position += count
            yield _zeros(count)

    def _add_run(self, windows: np.ndarray) -> np.ndarray:
        """Add windows without a gap between them, (B, L); the first begins at `position`."""
        hop = self.hop_samples
        count = len(windows) * hop
        weighted = windows * self._weight
        total = np.zeros(count + hop, np.complex64)
        weight = np.zeros(count + hop, np.float32)
        total[:hop], weight[:hop] = self._tail, self._tail_weight
        total[:count] += weighted[:, :hop].reshape(-1)
        total[hop:] += weighted[:, hop:].reshape(-1)
        weight[:count] += np.tile(self._weight[:hop], len(windows))
        weight[hop:] += np.tile(self._weight[hop:], len(windows))
        self._tail, self._tail_weight = total[count:].copy(), weight[count:].copy()
        self.position += count
        return _mean(total[:count], weight[:count])


def _mean(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)


def _zeros(count: int) -> np.ndarray:
    """Return complex zeros (count,) that take no memory."""
    return np.broadcast_to(np.complex64(0), (count,))
