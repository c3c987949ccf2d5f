# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Survey Display shows: messages in, plain values out; no GNU Radio and no Qt here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gr_tsddae.blocks.display.state import Message
from gr_tsddae.blocks.display.units import si
from gr_tsddae.blocks.survey_view.emissions import EmissionLog, checked_emission
from gr_tsddae.blocks.survey_view.waterfall import Waterfall
from gr_tsddae.iq.receiver_time import UNIX_TIME_FROM_S

RESTART_S = 0.5  # a stream whose time goes back by more begins anew


class SurveyState:
    """The waterfall, the emissions and the survey's status.

    Attributes:
        waterfall: spectra of the visible past.
        log: the emissions.
        status: the newest status message, or empty.
        band_center_hz: absolute frequency of the band's centre, or None.
        utc_offset_s: Unix time minus stream time, or None.
        malformed: messages that could not be read; last_malformed says why.
    """

    def __init__(self, history_s: float):
        self.waterfall = Waterfall(history_s)
        self.log = EmissionLog()
        self.status: dict[str, Any] = {}
        self.previous_status: dict[str, Any] = {}
        self.band_center_hz: float | None = None
        self.utc_offset_s: float | None = None
        self.malformed = 0
        self.last_malformed = ""
        self._emissions_until_s = 0.0

    @property
    def newest_s(self) -> float:
        """The newest moment of the stream that anything was said about."""
        return max(self.waterfall.newest_s, self._emissions_until_s)

    def read(self, port: str, message: Message) -> None:
        """Decode one message and take it in; count it when it is malformed."""
        try:
            value = message()
            if port == "spectrum":
                self._take_spectrum(*value)
            elif not isinstance(value, dict):
                raise ValueError(f"a dictionary is wanted, not {type(value).__name__}")
            elif port == "emissions":
                emission = checked_emission(value)
                self._emissions_until_s = max(self._emissions_until_s, emission.stop_s)
                if value.get("withdrawn"):
                    self.log.withdraw(emission.id)
                else:
                    self.log.take(emission)
            else:
                self.previous_status, self.status = self.status, value
        except Exception as error:
            self.malformed += 1
            self.last_malformed = f"{port}: {error}"

    def set_history_s(self, history_s: float) -> None:
        """Keep more or less of the past; the waterfall begins anew."""
        if history_s != self.waterfall.span_s:
            self.waterfall = Waterfall(history_s)

    def change(self, counter: str) -> float:
        """Tell how much a counter in `status` grew between the last two messages."""
        return self.status.get(counter, 0) - self.previous_status.get(counter, 0)

    def foot(self, skipped: int = 0) -> tuple[str, bool]:
        """Write the line at the foot, and tell whether it is a warning."""
        faults = []
        if self.status.get("warning"):
            faults.append(str(self.status["warning"]))
        if self.status.get("errors"):
            faults.append(f"{self.status['errors']:.0f} error(s): {self.status.get('last_error')}")
        if self.previous_status and self.change("samples_dropped") > 0:
            dropped = si(self.status["samples_dropped"], "", 3).strip()
            faults.append(f"dropping: {dropped} samples so far")
        if self.malformed:
            faults.append(f"{self.malformed} unreadable message(s): {self.last_malformed}")
        if skipped:
            faults.append(f"{skipped} messages came too fast to show")
        if faults:
            return "   ".join("⚠ " + " ".join(fault.split()) for fault in faults), True
        pieces = []
        if self.band_center_hz is not None:
            pieces.append(f"{self.band_center_hz / 1e6:.10g} MHz")
        rate_hz = self.status.get("sample_rate_hz")
        if rate_hz:
            pieces.append(si(rate_hz, "S/s"))
        if self.status.get("model"):
            pieces.append(f"model {self.status['model']}")
        if "samples_dropped" in self.status:
            pieces.append(f"dropped {si(self.status['samples_dropped'], '', 3).strip()}")
        if "lag_s" in self.status:
            pieces.append(f"behind by {self.status['lag_s']:.2g} s")
        return "  ·  ".join(pieces) or "waiting for a survey", False

    def _take_spectrum(self, about: Mapping[str, Any], power_db: Any) -> None:
        power_db = np.asarray(power_db, float)
        start_s, stop_s = float(about["start_s"]), float(about["stop_s"])
        low_hz, high_hz = float(about["low_hz"]), float(about["high_hz"])
        if power_db.ndim != 1 or not len(power_db):
            raise ValueError(f"a spectrum of shape {power_db.shape}: one row is wanted")
        if not (math.isfinite(start_s) and start_s <= stop_s < 1e12):
            raise ValueError(f"a spectrum from {start_s} to {stop_s} s: the range must rise")
        if not (math.isfinite(low_hz) and low_hz < high_hz < 1e18):
            raise ValueError(f"a spectrum from {low_hz} to {high_hz} Hz: the range must rise")
        self._notice_restart(start_s)
        self.waterfall.add(start_s, stop_s, low_hz, high_hz, power_db)
        center_hz, time_s = about.get("center_frequency_hz"), about.get("time_s")
        self.band_center_hz = None if center_hz is None else float(center_hz)
        known = time_s is not None and time_s >= UNIX_TIME_FROM_S
        self.utc_offset_s = float(time_s) - start_s if known else None

    def _notice_restart(self, start_s: float) -> None:
        """Begin anew when the stream does: the flowgraph was stopped and started."""
        if start_s < self.waterfall.newest_s - RESTART_S:
            self.waterfall.clear()
            self.log.clear()
            self._emissions_until_s = 0.0
