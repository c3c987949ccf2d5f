# SPDX-License-Identifier: GPL-3.0-or-later
"""One band of a recording as a recording: moved to 0 Hz, filtered, at a lower or higher rate."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from gr_tsddae.iq.formats.capture import Capture, Segment
from gr_tsddae.iq.formats.capture_errors import CaptureRangeError

OVERSAMPLING = 4.0
"""Sample rate of a cut over the bandwidth of the signal, where the caller has no other wish."""

PASSBAND = 2.0  # times the bandwidth: the floor on both sides of the signal is still seen
_MOST_FACTOR = 8  # the smaller one of interpolation and decimation: ratios are met within 1 %
_FLATTEST_EDGE = 1 / 16  # of the output rate; the filter's length grows with the steepness


@dataclass
class CutOut(Capture):
    """Samples of a band of another capture; `cut_out` makes it.

    Attributes:
        source: The wide capture.
        source_first: Sample of `source` at which the cut begins.
        shift_hz: Frequency of the source that lies at 0 Hz here, from the source's centre.
        decimation: Samples of the source per `interpolation` samples.
        interpolation: 1, or more where the rate is met more closely.
        half_band_hz: Where the filter falls to half, on either side.
    """

    source: Capture = field(kw_only=True)
    source_first: int = field(kw_only=True)
    shift_hz: float = field(kw_only=True)
    decimation: int = field(kw_only=True)
    half_band_hz: float = field(kw_only=True)
    interpolation: int = field(kw_only=True, default=1)

    @property
    def is_contiguous(self) -> bool:
        return False

    def read(self, first_sample: int, count: int) -> np.ndarray:
        from scipy.signal import upfirdn

        first_sample, count = self._checked(first_sample, count)
        if not count:
            return np.zeros(0, np.complex64)
        up, down, reach = self.interpolation, self.decimation, len(self._taps) // 2
        # Counted in steps of 1 / `up` of a source sample, from the begin of the cut.
        first_step = first_sample * down - reach
        last_step = (first_sample + count - 1) * down + reach
        begin = self.source_first + first_step // up
        end = self.source_first + last_step // up + 1
        inside = slice(max(0, begin), min(end, self.source.sample_count))
        iq = np.zeros(end - begin, np.complex128)
        iq[inside.start - begin : inside.stop - begin] = self.source.read(
            inside.start, inside.stop - inside.start
        )
        turns = self.shift_hz / self.source.sample_rate_hz * np.arange(begin, end)
        iq *= np.exp(-2j * np.pi * (turns % 1))
        late = 2 * reach + first_step % up  # steps from the first of `iq` to the first output's end
        taps = np.concatenate((np.zeros(-late % down), self._taps))
        settled = -(-late // down)
        return upfirdn(taps, iq, up, down)[settled:][:count].astype(np.complex64)

    def close(self) -> None:
        super().close()
        self.source.close()

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"source": copy(self.source)}

    @cached_property
    def _taps(self) -> np.ndarray:
        """Taps of the filter at the source's rate times the interpolation, (2 n + 1,)."""
        from scipy.signal import firwin

        rate_hz = self.source.sample_rate_hz * self.interpolation
        slowest_hz = min(self.sample_rate_hz, self.source.sample_rate_hz)
        edge_hz = max(self.half_band_hz / 2, _FLATTEST_EDGE * slowest_hz)
        reach = math.ceil(1.65 * rate_hz / edge_hz)  # Hamming: 3.3 over the width of the edge
        taps = firwin(2 * reach + 1, min(self.half_band_hz, 0.49 * rate_hz), fs=rate_hz)
        return self.interpolation * taps


def cut_out(
    source: Capture,
    first_sample: int,
    sample_count: int,
    band_hz: tuple[float, float],
    rate_hz: float,
    *,
    passband_hz: float | None = None,
    exact: bool = False,
) -> CutOut:
    """Cut a band out of some samples of a recording.

    Args:
        source: Open, with a known sample rate.
        first_sample: Where the cut begins.
        sample_count: How many samples of the source it covers.
        band_hz: Lower and upper edge of the signal, relative to the centre of the source.
        rate_hz: Sample rate that is wanted.
        passband_hz: Width of the band that passes; 2 times that of the signal when None.
        exact: Whether to meet the rate within 1 %, also above that of the source. Else it is the
            source's over the nearest whole number, at most the source's.
    """
    low_hz, high_hz = band_hz
    ratio = source.sample_rate_hz / rate_hz
    up, down = 1, max(1, round(ratio))
    if exact:
        nearest = Fraction(max(ratio, 1 / ratio)).limit_denominator(_MOST_FACTOR)
        down, up = (nearest if ratio >= 1 else 1 / nearest).as_integer_ratio()
    out_hz = source.sample_rate_hz * up / down
    center_hz = source.center_frequency_at(first_sample)
    shift_hz = (low_hz + high_hz) / 2
    return CutOut(
        path=source.path,
        data_path=source.data_path,
        format=source.format,
        sample_format=source.sample_format,
        sample_count=-(-sample_count * up // down),
        sample_rate_hz=out_hz,
        segments=(Segment(0, None if center_hz is None else center_hz + shift_hz),),
        metadata=source.metadata,
        source=source,
        source_first=first_sample,
        shift_hz=shift_hz,
        decimation=down,
        interpolation=up,
        half_band_hz=min(
            (passband_hz or PASSBAND * (high_hz - low_hz)) / 2,
            0.45 * min(out_hz, source.sample_rate_hz),
        ),
    )


def band_from_center(
    capture: Capture, first_sample: int, band_hz: tuple[float, float]
) -> tuple[float, float]:
    """Return the edges of a signal relative to the centre of its recording, in Hz.

    Edges are absolute where SigMF is followed. Some programs write them relative to the centre,
    which shows where absolute ones would lie outside the recorded band.

    Raises:
        CaptureRangeError: If the signal lies outside the recorded band either way.
    """
    center_hz = capture.center_frequency_at(first_sample) or 0.0
    half_hz = (capture.sample_rate_hz or math.inf) / 2
    for reference_hz in (center_hz, 0.0):
        low_hz, high_hz = (edge - reference_hz for edge in band_hz)
        if low_hz < half_hz and high_hz > -half_hz:
            return max(low_hz, -half_hz), min(high_hz, half_hz)
    raise CaptureRangeError(
        f"{capture.path}: the label at sample {first_sample} reaches from {band_hz[0]:.12g} to "
        f"{band_hz[1]:.12g} Hz, outside the recorded {center_hz - half_hz:.12g} to "
        f"{center_hz + half_hz:.12g} Hz; mend its edges, or give center_frequency_hz= if that of "
        "the recording is wrong"
    )
