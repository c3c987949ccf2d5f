# SPDX-License-Identifier: GPL-3.0-or-later
"""The emissions that a survey has told of: checked, kept by number, and forgotten in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gr_tsddae.blocks.display.state import checked_number
from gr_tsddae.iq.receiver_time import UNIX_TIME_FROM_S
from gr_tsddae.labels import UNKNOWN

MOST_KEPT = 500
SILENT_S = 3.0  # of stream: an emission without news for so long grows no more


@dataclass(frozen=True)
class HeardEmission:
    """What a message says of an emission, checked.

    Attributes:
        id: number within the run of the survey.
        start_s, stop_s: in seconds of the stream.
        low_hz, high_hz: edges; absolute where `band_center_hz` is known, else from the centre.
        snr_db: in the occupied bandwidth.
        ended: whether it is over.
        label: class, or "unknown".
        confidence: of the label, 0 to 1.
        symbol_rate_hz: None where none was measured.
        candidates: names of signals that the measurements are consistent with, the best first.
        reasons: for each candidate a sentence on what fits; may be shorter.
        measured: further measurements.
        time_s: Unix time of the begin, or None.
        band_center_hz: absolute frequency of the band's centre, or None.
        model: name of the model that gave the label.
        first_sample, sample_count: where it lies in the stream, for a recorder.
    """

    id: int
    start_s: float
    stop_s: float
    low_hz: float
    high_hz: float
    snr_db: float
    ended: bool = False
    label: str = UNKNOWN
    confidence: float = 0.0
    symbol_rate_hz: float | None = None
    candidates: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    time_s: float | None = None
    band_center_hz: float | None = None
    model: str = ""
    first_sample: int = 0
    sample_count: int = 0

    @property
    def center_hz(self) -> float:
        return (self.low_hz + self.high_hz) / 2

    @property
    def bandwidth_hz(self) -> float:
        return self.high_hz - self.low_hz

    @property
    def duration_s(self) -> float:
        return self.stop_s - self.start_s

    @property
    def offset_hz(self) -> float:
        """Where its centre lies, from the centre of the band."""
        return self.center_hz - (self.band_center_hz or 0.0)

    @property
    def known(self) -> bool:
        return self.label != UNKNOWN


def checked_emission(value: Mapping[str, Any]) -> HeardEmission:
    """Check the message of an emission.

    Raises:
        ValueError, KeyError, TypeError: If an entry is missing, or is not of the survey's form.
    """
    if value["kind"] not in ("begun", "updated", "ended"):
        raise ValueError(f"kind is {value['kind']!r}: begun, updated or ended is wanted")
    start_s, stop_s = _number(value, "start_s"), _number(value, "stop_s")
    low_hz, high_hz = _number(value, "low_hz"), _number(value, "high_hz")
    if stop_s < start_s or high_hz < low_hz:
        raise ValueError(
            f"an emission from {start_s} to {stop_s} s and {low_hz} to {high_hz} Hz: each range "
            "must rise"
        )
    time_s = _optional(value, "time_s")
    measured = value.get("measured") or {}
    if not isinstance(measured, Mapping):
        raise ValueError(f"measured is {measured!r}: a dictionary is wanted")
    return HeardEmission(
        id=int(_number(value, "id")),
        start_s=start_s,
        stop_s=stop_s,
        low_hz=low_hz,
        high_hz=high_hz,
        snr_db=_number(value, "snr_db"),
        ended=value["kind"] == "ended",
        label=str(value.get("label") or UNKNOWN),
        confidence=_number(value, "confidence") if "confidence" in value else 0.0,
        symbol_rate_hz=_optional(value, "symbol_rate_hz") or None,
        candidates=tuple(map(str, value.get("candidates") or ())),
        reasons=tuple(map(str, value.get("reasons") or ())),
        measured=dict(measured),
        time_s=time_s if time_s is not None and time_s >= UNIX_TIME_FROM_S else None,
        band_center_hz=_optional(value, "center_frequency_hz"),
        model=str(value.get("model") or ""),
        first_sample=int(_optional(value, "first_sample") or 0),
        sample_count=int(_optional(value, "sample_count") or 0),
    )


class EmissionLog:
    """The newest emissions by their number: all that last, and of the ended ones the last.

    Attributes:
        emissions: by id, in the order of their first message.
        changed: ids with news since the last `news`.
        removed: ids forgotten since then.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self.emissions: dict[int, HeardEmission] = {}
        self.changed: set[int] = set()
        self.removed: set[int] = set()

    def take(self, emission: HeardEmission) -> None:
        """Take in what is now known of an emission."""
        self.emissions[emission.id] = emission
        self.changed.add(emission.id)
        self.removed.discard(emission.id)
        if len(self.emissions) > self._most:
            self._forget()

    def withdraw(self, number: int) -> None:
        """Forget an emission that was none of its own."""
        if self.emissions.pop(number, None) is not None:
            self.changed.discard(number)
            self.removed.add(number)

    def clear(self) -> None:
        """Forget all."""
        self.removed |= set(self.emissions)
        self.emissions.clear()
        self.changed.clear()

    def news(self) -> tuple[set[int], set[int]]:
        """Give the ids that have changed, and those that were forgotten, since the last call."""
        news = self.changed, self.removed
        self.changed, self.removed = set(), set()
        return news

    def _forget(self) -> None:
        """Forget the emission that ended first; the oldest, where none has ended."""
        oldest = min(self.emissions.values(), key=lambda each: (not each.ended, each.stop_s))
        self.withdraw(oldest.id)


def lasts(emission: HeardEmission, newest_s: float) -> bool:
    """Whether an emission goes on at `newest_s`, as far as anybody knows."""
    return not emission.ended and newest_s - emission.stop_s <= SILENT_S


def _number(value: Mapping[str, Any], name: str) -> float:
    return checked_number(value[name], name, low=-1e18, high=1e18)


def _optional(value: Mapping[str, Any], name: str) -> float | None:
    return None if value.get(name) is None else float(_number(value, name))
