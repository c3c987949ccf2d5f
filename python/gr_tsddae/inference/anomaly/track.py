# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores as a stream that keeps step with time: one per hop, NaN where no window was scored."""

import numpy as np


class ScoreTrack:
    """Puts scores at their places in the stream.

    Score i of the stream is that of the window which starts in samples [iH, (i + 1)H). After a
    retune windows start out of step with the hop, so it need not start at iH exactly.

    Attributes:
        position: Number of the score that comes out next.
    """

    def __init__(self, window_samples: int, hop_samples: int):
        self.window_samples = window_samples
        self.hop_samples = hop_samples
        self.restart()

    def restart(self) -> None:
        """Begin another stream, at sample 0."""
        self.position = 0

    def add(self, scores: np.ndarray, first_samples: np.ndarray) -> np.ndarray:
        """Take scores (B,) in stream order, and the numbers of their windows' first samples (B,).

        Returns:
            float32 (n,), up to the last of them. Of two that claim one place, which takes a hop
            longer than a window and a retune, the higher stays, or the one that came out already.
        """
        places = np.asarray(first_samples, np.int64) // self.hop_samples - self.position
        if not len(places) or places[-1] < 0:
            return np.empty(0, np.float32)
        track = np.full(places[-1] + 1, np.nan, np.float32)
        early = places < 0
        np.fmax.at(track, places[~early], np.asarray(scores, np.float32)[~early])
        self.position += len(track)
        return track

    def advance(self, samples: int) -> np.ndarray:
        """Return NaN (n,) for missing windows, when all within the first `samples` have come."""
        return self._lost_until((samples - self.window_samples + 1) // self.hop_samples)

    def finish(self, samples: int) -> np.ndarray:
        """End the stream after so many samples; return NaN (n,) for the missing windows."""
        return self._lost_until((samples - self.window_samples) // self.hop_samples + 1)

    def _lost_until(self, place: int) -> np.ndarray:
        lost = np.full(max(0, place - self.position), np.nan, np.float32)
        self.position += len(lost)
        return lost
