# SPDX-License-Identifier: GPL-3.0-or-later
"""The Survey Display's words: what stands at a box, in a tooltip and in the table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from gr_tsddae.blocks.display.units import si, utc
from gr_tsddae.blocks.survey_view.emissions import HeardEmission

NOTHING = "–"
BOX_NAME = 20  # letters of a candidate at a box
_MEASURED_NAMES = {
    "bursts": "bursts",
    "burst_s": "burst",
    "period_s": "period",
    "duty": "duty",
    "deviation_hz": "deviation",
    "tones": "tones",
    "chirp_hz_per_s": "chirp",
    "ofdm_useful_s": "OFDM, useful",
    "ofdm_prefix_s": "OFDM, prefix",
}


def box_texts(emission: HeardEmission) -> list[str]:
    """What may stand at a box, the best first: name and measure, name, number."""
    name = emission.label if emission.known else "?"
    if emission.candidates:
        name = f"{emission.label} {_shortened(emission.candidates[0])}?"
    if emission.symbol_rate_hz is None:
        measure = bandwidth(emission.bandwidth_hz)
    else:
        measure = si(emission.symbol_rate_hz, "Bd", 3)
    number = f"?{emission.id}"
    short = [emission.label] if emission.known else []
    return [f"{name}  {measure}", name if len(name) > 1 else number, *short, number]


def megahertz(frequency_hz: float, absolute: bool) -> str:
    """A frequency in MHz; from the band's centre with its sign, in kHz."""
    if absolute:
        return f"{frequency_hz / 1e6:.4f}"
    return f"{frequency_hz / 1e3:+.1f}"


def frequency(frequency_hz: float, absolute: bool) -> str:
    """A frequency with its unit."""
    return f"{megahertz(frequency_hz, absolute)} {'MHz' if absolute else 'kHz from the centre'}"


def bandwidth(bandwidth_hz: float) -> str:
    return si(bandwidth_hz, "Hz", 3)


def rate(symbol_rate_hz: float | None) -> str:
    """A symbol rate, or a dash."""
    return NOTHING if symbol_rate_hz is None else si(symbol_rate_hz, "Bd", 5)


def duration(seconds: float) -> str:
    """A duration with three digits, as 12 ms, 3.4 s or 2:05 min."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def moment(start_s: float, time_s: float | None) -> str:
    """When something began: UTC where it is known, else seconds of the stream."""
    return f"{start_s:.2f} s" if time_s is None else utc(time_s, "%H:%M:%S")


def label_text(emission: HeardEmission) -> str:
    if not emission.known:
        return emission.label
    return f"{emission.label} {emission.confidence:.0%}"


def details(emission: HeardEmission) -> list[tuple[str, str]]:
    """Everything that is known of an emission: names and values, for a tooltip."""
    absolute = emission.band_center_hz is not None
    lines = [
        ("label", label_text(emission)),
        ("centre", frequency(emission.center_hz, absolute)),
        ("bandwidth", bandwidth(emission.bandwidth_hz)),
        ("SNR", f"{emission.snr_db:.1f} dB"),
    ]
    if emission.symbol_rate_hz is not None:
        lines.append(("symbol rate", rate(emission.symbol_rate_hz)))
    lines.append(("began", moment(emission.start_s, emission.time_s)))
    lines.append(("lasted" if emission.ended else "lasts", duration(emission.duration_s)))
    lines += measured_lines(emission.measured)
    for number, name in enumerate(emission.candidates):
        reason = emission.reasons[number] if number < len(emission.reasons) else ""
        text = f"{name}: {reason}" if reason else name
        lines.append(("" if number else "consistent with", text))
    return lines


def measured_lines(measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Further measurements that people ask for, with their units."""
    lines = []
    for key, name in _MEASURED_NAMES.items():
        value = measured.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if not math.isfinite(value):
            continue
        if key == "duty":
            text = f"{value:.0%}"
        elif key.endswith("_hz_per_s"):
            text = si(value, "Hz/s")
        elif key.endswith("_hz"):
            text = si(value, "Hz")
        elif key.endswith("_s"):
            text = duration(value) if value >= 1e-3 else f"{1e6 * value:.4g} µs"
        else:
            text = f"{value:g}"
        lines.append((name, text))
    return lines


def tooltip(emission: HeardEmission) -> str:
    """The details as rich text."""
    rows = "".join(
        f"<tr><td style='padding-right:8px'>{name}</td><td><b>{escape(value)}</b></td></tr>"
        for name, value in details(emission)
    )
    return f"<table><tr><td>emission</td><td><b>{emission.id}</b></td></tr>{rows}</table>"


def _shortened(name: str) -> str:
    return name if len(name) <= BOX_NAME else name[: BOX_NAME - 1].rstrip() + "…"
