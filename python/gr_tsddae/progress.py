# SPDX-License-Identifier: GPL-3.0-or-later
"""One look of long work: a bar on a terminal, a plain line now and then elsewhere, on stderr."""

import io
import sys
from collections.abc import Iterable, Sized
from typing import Any

from tqdm import tqdm

PLAIN_SECONDS = 30.0  # between lines where there is no terminal; shorter work says nothing there
_COUNTS = "{n_fmt} of {total_fmt}{unit}s, {rate_fmt}, {remaining} left{postfix}"
_BAR = "{desc}: {percentage:3.0f} % |{bar:20}| " + _COUNTS
_LINE = "{desc}: {percentage:.0f} %, " + _COUNTS
_OPEN = "{desc}: {n_fmt}{unit}s, {rate_fmt}{postfix}"  # where nobody knows the end


class Progress(tqdm):
    """How far work has come, its rate, the time that is left, and a metric (`set_postfix_str`).

    Args:
        what: What is done, as "training".
        unit: What is counted, in the singular.
        total: How many there are; None where nobody knows.
        over: What to iterate over, where each turn is one of them.
        begun: How many were done before, by an earlier run.
        quiet: Whether to show nothing.
    """

    disable, _plain = True, True  # so that one whose making Ctrl-C ended is closed without a word

    def __init__(
        self,
        what: str,
        unit: str,
        total: int | None = None,
        *,
        over: Iterable[Any] | None = None,
        begun: int = 0,
        quiet: bool = False,
    ):
        self._plain = not sys.stderr.isatty()
        if total is None and isinstance(over, Sized):
            total = len(over)
        pace: dict[str, Any] = {"mininterval": PLAIN_SECONDS} if self._plain else {}
        look = _OPEN if total is None else _LINE if self._plain else _BAR
        super().__init__(
            over, desc=what, unit=f" {unit}", total=total, initial=begun, disable=quiet,
            leave=False,
            unit_scale=(total or 0) >= 10_000 or total is None, bar_format=look,
            dynamic_ncols=True, file=sys.stderr, **pace,
        )  # fmt: skip

    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        """Show the bar; where there is no terminal, write a line once there is something to say."""
        if not self._plain:
            return super().display(msg, pos)
        if msg is None and self.n > self.initial and self._elapsed() >= PLAIN_SECONDS:
            print(self, file=sys.stderr, flush=True)
        return True

    def close(self) -> None:
        """End; what the bar wipes itself away with goes nowhere where there is no terminal."""
        if self._plain:
            self.fp = io.StringIO()
        super().close()

    def _elapsed(self) -> float:
        return self._time() - self.start_t
