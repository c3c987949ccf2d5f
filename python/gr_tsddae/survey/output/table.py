# SPDX-License-Identifier: GPL-3.0-or-later
"""Emissions as lines of text for people, at most 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from gr_tsddae.labels import UNKNOWN
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.naming import baud, class_name, hertz, seconds

COLUMNS = 100
MOST_NAMES = 3
_INDENT = " " * 6


def describe(emission: Emission) -> str:
    """One line on what was measured, and what that is consistent with."""
    parts = [f"{hertz(emission.bandwidth_hz)} wide", f"SNR {emission.snr_db:.0f} dB"]
    if emission.symbol_rate_hz:
        parts.append(baud(emission.symbol_rate_hz))
    parts += timings(emission)
    if emission.label != UNKNOWN:
        parts.append(f"{class_name(emission)} with confidence {emission.confidence:.2f}")
    line = ", ".join(parts)
    return f"{line}. {consistency(emission)}" if emission.candidates else line


def timings(emission: Emission) -> list[str]:
    """Measurements beyond bandwidth, SNR and symbol rate, each in a few words."""
    measured = emission.measured
    parts = []
    if "deviation_hz" in measured:
        parts.append(f"deviation {hertz(measured['deviation_hz'])}")
    # Without a prefix the length may be chance, or a rhythm of what the model knows.
    if "ofdm_useful_s" in measured and (
        "ofdm_prefix_s" in measured or emission.label in (UNKNOWN, "OFDM")
    ):
        parts.append(f"OFDM symbols of {seconds(measured['ofdm_useful_s'])}")
    if "burst_s" in measured:
        count = f"{measured['bursts']} " if "bursts" in measured else ""  # none: pulses of one
        bursts = f"{count}bursts of {seconds(measured['burst_s'])}"
        if measured.get("period_jitter", 1.0) < 0.1:
            bursts += f" every {seconds(measured['period_s'])}"
        parts.append(bursts)
    return parts


def consistency(emission: Emission) -> str:
    """The reason of the best candidate, and the names of others; empty without any."""
    if not emission.candidates:
        return ""
    others = emission.candidates[1:MOST_NAMES]
    line = emission.reasons[0]
    if others:
        line += f"; or with {'; or '.join(others)}"
    left_out = len(emission.candidates) - MOST_NAMES
    return f"{line}; or {left_out} more" if left_out > 0 else line


def lines(emissions: Sequence[Emission]) -> Iterator[str]:
    """A header, then for each emission a line, and more where there is more to say."""
    if not emissions:
        yield "no emission found"
        return
    absolute = all(emission.band_center_hz is not None for emission in emissions)
    yield header(absolute=absolute)
    for emission in emissions:
        yield from lines_of(emission, absolute=absolute)
    if not absolute:
        yield "Frequencies count from the centre of the recording; --center HZ makes them absolute."


def header(*, absolute: bool) -> str:
    """Name the columns; `absolute` tells whether frequencies do not count from the centre."""
    where = "centre MHz" if absolute else "offset MHz"
    return (
        f"{'id':>4} {'from s':>10} {'to s':>10} {where:>13} {'width':>9} {'SNR dB':>7} "
        f"{'symbol rate':>14}  label"
    )


def lines_of(emission: Emission, *, absolute: bool, goes_on: bool = False) -> Iterator[str]:
    """One line of figures, and more where there is more to say."""
    stop = "goes on" if goes_on else f"{emission.stop_s:.4f}"
    sign = "" if absolute else "+"
    mhz = ((emission.band_center_hz or 0.0) + emission.center_hz) / 1e6
    rate = baud(emission.symbol_rate_hz) if emission.symbol_rate_hz else "-"
    label = class_name(emission)
    if emission.label != UNKNOWN:
        label += f" {emission.confidence:.2f}"
    yield (
        f"{emission.id:>4} {emission.start_s:>10.4f} {stop:>10} "
        f"{mhz:>{sign}13.6f} {hertz(emission.bandwidth_hz):>9} {emission.snr_db:>7.1f} "
        f"{rate:>14}  {label}"
    )
    for more in (", ".join(timings(emission)), consistency(emission)):
        yield from textwrap.wrap(
            more, COLUMNS, initial_indent=_INDENT, subsequent_indent=_INDENT + "  "
        )
