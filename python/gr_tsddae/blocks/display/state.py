# SPDX-License-Identifier: GPL-3.0-or-later
"""The state that the display shows: messages in, plain values out; no GNU Radio and no Qt here.

Message threads only put messages into an `Inbox`. The GUI's thread takes them out and decodes
them. So no message can hold up the GUI, and no lock is needed.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from gr_tsddae.blocks.display.history import History
from gr_tsddae.iq.receiver_time import UNIX_TIME_FROM_S

INBOX_MESSAGES = 256  # read per update: about 30 ms of work; what is more was too fast to see
STALE_S = 3.0  # without a decision for so long (or three decisions long), the label is old
QUIET_LAG_S = 2.0  # decisions may lag so far behind the counters in `status`


Message = Callable[[], Any]  # decodes a message: gives its value, or raises


class Inbox:
    """Messages for the GUI's thread; when too many come, the oldest are dropped and counted."""

    def __init__(self) -> None:
        self._messages: deque[tuple[str, Message]] = deque(maxlen=INBOX_MESSAGES)
        self._put = 0
        self._taken = 0

    def put(self, port: str, message: Message) -> None:
        """Add a message, from any thread; never block, never fail."""
        self._messages.append((port, message))
        self._put += 1

    def take(self) -> list[tuple[str, Message]]:
        """Take what has come since the last time, oldest first; for the GUI's thread only."""
        messages = []
        # No more than fit: a sender that is faster than this loop must not keep it going.
        while self._messages and len(messages) < INBOX_MESSAGES:
            messages.append(self._messages.popleft())
        self._taken += len(messages)
        return messages

    @property
    def skipped(self) -> int:
        """Count the messages that were never looked at."""
        return max(0, self._put - self._taken - len(self._messages))


class DisplayState:
    """The newest decision, the history, and the classifier's status.

    Attributes:
        history: The visible past.
        decision: The newest one, or None.
        decided_at_s: When it came, on the caller's clock.
        status: The newest status message, or empty.
        previous_status: The one before it, or empty.
        model: The running one, by the newest message that names it; or empty.
        asked_for: A model that is being loaded, or empty.
        errors_before: Errors that `status` counts from before the user's last choice of a model.
        malformed: Messages that could not be decoded; last_malformed says why.
    """

    def __init__(self, history_s: float):
        self.history = History(history_s)
        self.decision: dict[str, Any] | None = None
        self.decided_at_s = -math.inf
        self.status: dict[str, Any] = {}
        self.previous_status: dict[str, Any] = {}
        self.model = self.asked_for = ""
        self.errors_before = 0
        self.malformed = 0
        self.last_malformed = ""
        self._quiet_from: tuple[int, float] | None = None  # samples_in, axis time

    def read(self, port: str, message: Message, now_s: float) -> None:
        """Decode one message and take it in; count it when it is malformed."""
        try:
            value = message()
            if not isinstance(value, dict):
                raise ValueError(f"a dictionary is wanted, not {type(value).__name__}")
            if port == "decisions":
                decision = checked_decision(value)
                self.history.add(decision, now_s)
                self.decision, self.decided_at_s = decision, now_s
                self._quiet_from = None
            else:
                self.previous_status, self.status = self.status, checked_status(value)
                if self.change("errors") > 0:  # it may be about the model that was asked for
                    self.asked_for = ""
                self._follow_quiet_stream(now_s)
            if model := str(value.get("model", "")):
                self._notice_model(model, self.previous_status if port == "status" else self.status)
        except Exception as error:
            self.malformed += 1
            self.last_malformed = f"{port}: {error}"

    def ask_for(self, model: str) -> None:
        """Note that the user has chosen a model."""
        self.asked_for = "" if model == self.model else model

    def _notice_model(self, model: str, status_before: dict[str, Any]) -> None:
        if model == self.model:
            return
        if self.asked_for:
            self.errors_before = status_before.get("errors", 0)
        self.model, self.asked_for = model, ""

    def _follow_quiet_stream(self, now_s: float) -> None:
        """Scroll on while the stream does but nothing is decided: its power gate is closed."""
        rate_hz = self.decision and self.decision["sample_rate_hz"]
        samples_in = self.status.get("samples_in")
        if not rate_hz or samples_in is None or now_s - self.decided_at_s < QUIET_LAG_S:
            return
        if self._quiet_from is None:
            self._quiet_from = samples_in, self.history.edge_s
        since, edge_s = self._quiet_from
        self.history.quiet_until(edge_s + (samples_in - since) / rate_hz)

    def stale_s(self, now_s: float) -> float:
        """Tell for how long there has been no decision; 0 while decisions come as they should."""
        decision = self.decision
        if decision is None:
            return 0.0
        length_s = decision["sample_count"] / (decision["sample_rate_hz"] or math.inf)
        age_s = now_s - self.decided_at_s
        return age_s if age_s > max(STALE_S, 3 * length_s) else 0.0

    def change(self, counter: str) -> float:
        """Tell how much a counter in `status` grew between the last two messages."""
        if not self.previous_status:
            return self.status.get(counter, 0)
        return self.status.get(counter, 0) - self.previous_status.get(counter, 0)

    def share(self, fate: str) -> float | None:
        """Compute the share of one fate among the samples decided between two status messages.

        Args:
            fate: "classified", "gated", "dropped" or "flushed".

        Returns:
            0..1; None when there were no such samples.
        """
        fates = {
            name: self.change(f"samples_{name}")
            for name in ("classified", "gated", "dropped", "flushed")
        }
        total = sum(fates.values())
        return min(max(fates[fate] / total, 0.0), 1.0) if total > 0 else None


def checked_number(
    value: Any, name: str, *, low: float = -math.inf, high: float = math.inf
) -> float:
    """Return a number of a message, or raise ValueError if it is none, or out of its range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}: a number from {low} to {high} is wanted")
    return value


def checked_decision(value: dict[str, Any]) -> dict[str, Any]:
    """Check a decision, and put its classes in the model's order.

    Raises:
        ValueError, KeyError: If an entry is missing, or is not of the classifier's form.
    """
    probabilities = value["probabilities"]
    if not isinstance(probabilities, dict) or not probabilities:
        raise ValueError("probabilities must be a dictionary class -> 0..1")
    # A pmt dictionary grows at its front, so that what was first put in comes out last.
    ordered = {
        str(name): checked_number(p, f"the probability of {name}", low=0.0, high=1.001)
        for name, p in reversed(probabilities.items())
    }
    best = value["best"]
    if best not in ordered:
        raise ValueError(f"best is {best!r}, which is none of the classes")
    label = str(value["label"])
    for name, text in (("label", label), ("best", best)):
        if not text:
            raise ValueError(f"{name} is empty: the name of a class is wanted")
    optional: dict[str, float | None] = {}
    for name, low in (("time_s", -1e11), ("center_frequency_hz", -1e18), ("sample_rate_hz", 0.0)):
        told = value.get(name)
        optional[name] = None if told is None else checked_number(told, name, low=low, high=1e18)
    if optional["time_s"] is not None and optional["time_s"] < UNIX_TIME_FROM_S:
        optional["time_s"] = None
    return optional | {
        "model": str(value.get("model", "")),
        "label": label,
        "best": best,
        "confidence": checked_number(value["confidence"], "confidence", low=0.0, high=1.001),
        "probabilities": ordered,
        "windows": int(checked_number(value.get("windows", 0), "windows", low=0)),
        "first_sample": int(
            checked_number(value["first_sample"], "first_sample", low=0, high=2**62)
        ),
        "sample_count": int(
            checked_number(value["sample_count"], "sample_count", low=1, high=2**62)
        ),
    }


def checked_status(value: dict[str, Any]) -> dict[str, Any]:
    """Check that the numbers of a status message are numbers, and return it."""
    for name in ("rate_in_samples_per_s", "rate_classified_samples_per_s", "latency_p50_s",
                 "latency_p99_s", "samples_in", "samples_classified", "samples_gated",
                 "samples_dropped", "samples_flushed", "errors"):  # fmt: skip
        if name in value:
            checked_number(value[name], name, low=0)
    return value
