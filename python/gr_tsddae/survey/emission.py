# SPDX-License-Identifier: GPL-3.0-or-later
"""An emission: what one transmitter sends, in one box of time and frequency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gr_tsddae.labels import UNKNOWN


@dataclass
class Emission:
    """What is known of an emission. Frequencies are in Hz from the centre of the band.

    Attributes:
        id: number within the survey, from 1.
        start_s: when it was first heard, in seconds from the first sample.
        stop_s: when it was last heard.
        low_hz: lower edge of the occupied bandwidth (99 % of the power).
        high_hz: upper edge.
        snr_db: in the occupied bandwidth, while it is on.
        bursts: start and stop in seconds of each stretch without a pause.
        symbol_rate_hz: None where none was measured.
        measured: further measurements, by name with unit.
        label: class, or "unknown".
        confidence: of the label, 0 to 1.
        probabilities: of each class; empty when no model was asked.
        candidates: names of signals that fit the measurements, best first.
        reasons: of each candidate, a sentence on what fits.
        band_center_hz: absolute frequency of the band's centre, where it is known.
    """

    id: int
    start_s: float
    stop_s: float
    low_hz: float
    high_hz: float
    snr_db: float
    bursts: list[tuple[float, float]]
    symbol_rate_hz: float | None = None
    measured: dict[str, Any] = field(default_factory=dict)
    label: str = UNKNOWN
    confidence: float = 0.0
    probabilities: dict[str, float] = field(default_factory=dict)
    candidates: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    band_center_hz: float | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], band_center_hz: float | None) -> Emission:
        """Read what `as_dict` gave.

        Args:
            values: `id`, `low_hz` and `high_hz` are needed; what else is absent has its default.
            band_center_hz: that the frequencies are absolute by; None: they count from the centre.
        """
        center_hz = band_center_hz or 0.0
        start_s, stop_s = values.get("start_s", 0.0), values.get("stop_s", 0.0)
        measured = dict(values.get("measured") or {})
        return cls(
            id=int(values["id"]),
            start_s=start_s,
            stop_s=stop_s,
            low_hz=float(values["low_hz"]) - center_hz,
            high_hz=float(values["high_hz"]) - center_hz,
            snr_db=float(values.get("snr_db", 0.0)),
            bursts=[(a, b) for a, b in measured.pop("bursts_s", [(start_s, stop_s)])],
            symbol_rate_hz=values.get("symbol_rate_hz"),
            measured=measured,
            label=str(values.get("label", UNKNOWN)),
            confidence=float(values.get("confidence", 0.0)),
            probabilities=dict(values.get("probabilities") or {}),
            candidates=list(values.get("candidates") or []),
            reasons=list(values.get("reasons") or []),
            band_center_hz=band_center_hz,
        )

    @property
    def energy(self) -> float:
        """Of all bursts, in units of the noise power per Hz."""
        on_s = sum(stop - start for start, stop in self.bursts)
        return 10 ** (self.snr_db / 10) * self.bandwidth_hz * on_s

    @property
    def center_hz(self) -> float:
        return (self.low_hz + self.high_hz) / 2

    @property
    def bandwidth_hz(self) -> float:
        return self.high_hz - self.low_hz

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; frequencies are absolute where the band's centre is known."""
        center_hz = self.band_center_hz or 0.0
        return {
            "id": self.id,
            "start_s": round(self.start_s, 6),
            "stop_s": round(self.stop_s, 6),
            "low_hz": round(center_hz + self.low_hz, 1),
            "high_hz": round(center_hz + self.high_hz, 1),
            "center_hz": round(center_hz + self.center_hz, 1),
            "bandwidth_hz": round(self.bandwidth_hz, 1),
            "snr_db": round(self.snr_db, 2),
            "label": self.label,
            "confidence": round(self.confidence, 4),
            "probabilities": {name: round(p, 4) for name, p in self.probabilities.items()},
            "symbol_rate_hz": self.symbol_rate_hz and round(self.symbol_rate_hz, 3),
            "candidates": self.candidates,
            "reasons": self.reasons,
            "measured": self.measured
            | {"bursts_s": [[round(start, 6), round(stop, 6)] for start, stop in self.bursts]},
        }
