# SPDX-License-Identifier: GPL-3.0-or-later
"""Pace: batches as large as a latency target allows, and no larger.

A pass through the network has a fixed cost, so large batches are cheap; but a window waits until
its batch is full, and until the network is free. The latency of a batch's oldest window is at most

    max(wait, pass) + pass

when no other batch waits: it lies in the open batch for `wait`, or until the pass before is over.
So with a pass of half the target and a wait of what is left, the target is met with the fewest
passes: small load gives small batches in time, high load full ones without a wait. What has waited
for so long that its result would be late is dropped, where the policy is to drop the oldest.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gr_tsddae.bindings import window_batcher

TARGET_SHARE = 0.9  # of the target; the rest is for threads to wake up
MEMORY = 0.95  # what a pass counts for at the next one
SCATTERS = 4.0  # mean deviations that a long pass is longer than the usual one


class PassTimes:
    """Duration of a pass, as a line over its windows fitted to the last few dozen passes."""

    def __init__(self) -> None:
        self._weight = self._n = self._t = self._nn = self._nt = 0.0  # weighted sums
        self._scatter_s = 0.0

    def __bool__(self) -> bool:
        return self._weight > 0

    def add(self, windows: int, seconds: float) -> None:
        if self:
            deviation_s = abs(seconds - self.usual_s(windows))
            self._scatter_s = MEMORY * self._scatter_s + (1 - MEMORY) * deviation_s
        self._weight = MEMORY * self._weight + 1
        self._n = MEMORY * self._n + windows
        self._t = MEMORY * self._t + seconds
        self._nn = MEMORY * self._nn + windows * windows
        self._nt = MEMORY * self._nt + windows * seconds

    def _line(self) -> tuple[float, float]:
        """Compute seconds of a pass of no windows and seconds per window; neither is negative."""
        windows, seconds = self._n / self._weight, self._t / self._weight
        steepest = seconds / windows
        variance = self._nn / self._weight - windows * windows
        if variance < (0.05 * windows) ** 2:  # all alike: nothing is known of other sizes,
            return 0.0, steepest  # which is the careful guess for larger ones
        slope = (self._nt / self._weight - windows * seconds) / variance
        slope = min(max(slope, 0.0), steepest)
        return seconds - slope * windows, slope

    def usual_s(self, windows: int) -> float:
        """Compute the usual seconds of a pass of so many windows."""
        fixed_s, each_s = self._line()
        return fixed_s + each_s * windows

    def long_s(self, windows: int) -> float:
        """Compute the seconds of a long pass of so many windows."""
        return self.usual_s(windows) + SCATTERS * self._scatter_s

    def windows_within(self, seconds: float, at_most: int) -> int:
        """Count the windows that even a long pass gets done in this time; 0 when none."""
        fixed_s, each_s = self._line()
        left_s = seconds - fixed_s - SCATTERS * self._scatter_s
        if left_s <= 0:
            return 0
        return at_most if left_s >= each_s * at_most else int(left_s / each_s)


class Pacer:
    """Sets a batcher's pace after each pass.

    Args:
        batcher: The one to pace.
        step_windows: Passes are padded to a multiple of this, so a batch of less is no cheaper.
        max_latency_ms: The target; 0: none.

    Attributes:
        max_latency_ms: The target; 0: none, the pace is the batcher's own.
    """

    def __init__(self, batcher: window_batcher, step_windows: int, max_latency_ms: float = 0.0):
        self._batcher, self._step = batcher, step_windows
        self._lock = threading.Lock()  # the target is set by other threads
        self._times = PassTimes()
        self.max_latency_ms = 0.0
        self.set_max_latency_ms(max_latency_ms)

    def set_max_latency_ms(self, value: float) -> None:
        """Change the target; 0: none. Raises ValueError when it is no number of milliseconds."""
        if not 0 <= value < float("inf"):
            raise ValueError(
                f"max_latency_ms is {value}: give milliseconds, such as 50, or 0 for no target"
            )
        with self._lock:
            self.max_latency_ms = float(value)
            self._apply()

    def add_pass(self, windows: int, seconds: float) -> None:
        """Note how long a batch of so many windows took, from being taken to its result."""
        with self._lock:
            self._times.add(self._padded(windows), seconds)
            if self.max_latency_ms:
                self._apply()

    def network_changed(self, step_windows: int) -> None:
        """Forget the passes: another network takes over."""
        with self._lock:
            self._times, self._step = PassTimes(), step_windows
            self._apply()

    @property
    def batch_limit_windows(self) -> int:
        """Number of windows at which a batch is full now."""
        return self._batcher.pace()[0]

    def _padded(self, windows: int) -> int:
        return windows + -windows % self._step

    def _apply(self) -> None:
        batcher = self._batcher
        largest = batcher.batch_windows
        if not self.max_latency_ms:
            batcher.set_pace(largest, batcher.max_wait_s)
            return
        target_s = TARGET_SHARE * self.max_latency_ms / 1e3
        limit = min(self._step, largest)
        wait_s = late_s = target_s / 2
        if self._times:
            within = self._times.windows_within(target_s / 2, largest)
            limit = max(limit, within - within % self._step)
            wait_s = max(0.0, target_s - self._times.long_s(self._padded(limit)))
            # Given up only when a usual pass would be too late: a long one may not come.
            late_s = max(0.0, self.max_latency_ms / 1e3 - self._times.usual_s(self._padded(limit)))
        batcher.set_pace(limit, min(wait_s, batcher.max_wait_s), late_s)
