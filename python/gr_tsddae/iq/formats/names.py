# SPDX-License-Identifier: GPL-3.0-or-later
"""What the name of a recording says, as the programs that write recordings make names.

A pattern is bound to what is peculiar to its program, so that the numbers in other names are not
taken for frequencies.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "G": 1e9}
_TIME = r"(?P<date>\d{8})[_T](?P<clock>\d{6})Z?"
_CENTER, _RATE = r"(?P<center>\d+(?:\.\d+)?)", r"(?P<rate>\d+(?:\.\d+)?)"
_URH = r"-(?P<center>\d+(?:_\d+)?)(?P<center_unit>[kMG]?)Hz-(?P<rate>\d+(?:_\d+)?)"
_HZ = r" ?(?P<center_unit>[kMG]?)H[zZ]"
_LETTER = r" ?(?P<center_unit>[MG]|k?(?=H))(?:H[zZ])?"  # MHz, M, kHz or Hz
_SPS = r" ?(?P<rate_unit>[kKmMG]?)(?:[Ss](?:ps|PS|/s))"
_EXPONENT = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_APART = r"(?:[ _(-]|$)"  # what may follow the last number

_BY_UNIT, _BY_SIZE = "by its unit", "by the size of its numbers"
_HIGHEST_RATE_HZ = 100e6  # that a number without "samples/s" is believed to be

# Program, pattern, how samples are stored where the extension does not say it.
_PATTERNS = (
    ("gqrx", rf"(?:^|\W)(?i:gqrx)_{_TIME}_{_CENTER}_{_RATE}(?:_fc|$)", "cf32"),
    ("gqrx", rf"^(?P<audio>gqrx)_{_TIME}_{_CENTER}$", None),
    ("rtl_433", rf"(?:^|_){_CENTER}(?P<center_unit>M)_{_RATE}(?P<rate_unit>k){_APART}", None),
    ("rtl_433", r"\.(?P<audio>am|fm)$", None),  # NAME.am.s16: an envelope, no samples of a radio
    ("osmocom_fft", rf"(?:^|-)f(?P<center>{_EXPONENT})-s(?P<rate>{_EXPONENT})-t\d+", "cf32"),
    # SDR#, HDSDR, SDRuno, airspy_rx and hackrf_transfer: RF or IQ at the end, AF for audio
    ("SDR#, HDSDR or SDRuno", rf"^[\w#+-]*_{_TIME}_{_CENTER}{_HZ}(?:_(?P<audio>AF))?", None),
    ("SDR#", rf"^\d\d[-_]\d\d[-_]\d\d_{_CENTER}{_HZ}", None),
    ("SDR++", rf"^(?:baseband|(?P<audio>audio))_{_CENTER}{_HZ}_\d\d-\d\d-\d\d_", None),
    ("SDR Console", rf"^\d\d-[A-Z][a-z]{{2}}-\d{{4}} \d{{6}}[.\d]* {_CENTER}{_HZ}", None),
    ("SatDump", rf"^\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d.*_{_RATE}{_SPS}_{_CENTER}{_HZ}", None),
    ("KiwiSDR", rf"^{_TIME}_{_CENTER}_.*(?:_iq|(?P<audio>_(?:am|amn|usb|lsb|cw|cwn|nbfm)))$", None),
    ("Universal Radio Hacker", rf"-\d{{8}}_\d{{6}}{_URH}{_SPS}", "cf32"),
    (_BY_UNIT, rf"(?:^|[ _-]){_CENTER}{_LETTER}[ _-]{_RATE}{_SPS}{_APART}", None),
    (_BY_UNIT, rf"(?:^|[ _-]){_RATE}{_SPS}(?:[ _-]{_CENTER}{_LETTER})?{_APART}", None),
    (_BY_SIZE, rf"(?:^|[ _-]){_CENTER}{_LETTER}[ _-]{_RATE}(?P<rate_unit>[kKM]){_APART}", None),
)


@dataclass(frozen=True)
class NameSays:
    """What a name says; None where it does not.

    Attributes:
        program: That makes such names.
        dtype: How samples are stored.
        sample_rate_hz: Samples per second.
        center_frequency_hz: Centre frequency.
        datetime: ISO 8601 time of the first sample (UTC).
        is_audio: Whether the samples are demodulated already.
    """

    program: str
    dtype: str | None = None
    sample_rate_hz: float | None = None
    center_frequency_hz: float | None = None
    datetime: str | None = None
    is_audio: bool = False


def told_by_name(path: Path) -> NameSays | None:
    """Read the name of a recording; None where it is not a name that a known program makes."""
    for program, pattern, dtype in _PATTERNS:
        found = re.search(pattern, path.stem)
        if found is None:
            continue
        fields = found.groupdict()
        rate_hz = _hz(fields.get("rate"), fields.get("rate_unit"))
        center_hz = _hz(fields.get("center"), fields.get("center_unit"))
        if program == _BY_UNIT and center_hz and center_hz <= (rate_hz or 0):
            center_hz = None  # a bandwidth, which is below the sample rate
        if program == _BY_SIZE and not (rate_hz or 0) < min(center_hz or 0, _HIGHEST_RATE_HZ):
            continue  # a bandwidth and a rate, or two frequencies
        return NameSays(
            program=program,
            dtype=dtype,
            sample_rate_hz=rate_hz,
            center_frequency_hz=center_hz,
            datetime=_utc(fields.get("date"), fields.get("clock")),
            is_audio=bool(fields.get("audio")),
        )
    return None


def _hz(number: str | None, unit: str | None) -> float | None:
    try:
        value = float((number or "").replace("_", ".")) * _FACTORS[unit or ""]
    except ValueError:  # no number, or one of several points
        return None
    return round(value, 3) if 0 < value < math.inf else None


def _utc(date: str | None, clock: str | None) -> str | None:
    try:
        return datetime.strptime(f"{date}{clock}", "%Y%m%d%H%M%S").isoformat() + "Z"
    except ValueError:
        return None
