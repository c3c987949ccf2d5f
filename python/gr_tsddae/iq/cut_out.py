# SPDX-License-Identifier: GPL-3.0-or-later
"""One band of a recording as a recording: moved to 0 Hz, filtered, decimated by a whole number."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gr_tsddae.iq.formats.capture import Capture, Segment

OVERSAMPLING = 4.0
"""Sample rate of a cut over the bandwidth of the signal, where the caller has no other wish."""

PASSBAND = 2.0  # times the bandwidth: the floor on both sides of the signal is still seen
_FLATTEST_EDGE = 1 / 16  # of the output rate; the filter's length grows with the steepness


@dataclass
class CutOut(Capture):
    """Samples of a band of another capture; `cut_out` makes it.

    Attributes:
        source: The wide capture.
        source_first: Sample of `source` at which the cut begins.
        shift_hz: Frequency of the source that lies at 0 Hz here, from the source's centre.
        decimation: Samples of the source per sample.
        half_band_hz: Where the filter falls to half, on either side.
    """

    source: Capture = field(kw_only=True)
    source_first: int = field(kw_only=True)
    shift_hz: float = field(kw_only=True)
    decimation: int = field(kw_only=True)
    half_band_hz: float = field(kw_only=True)

    @property
    def is_contiguous(self) -> bool:
        return False

    def read(self, first_sample: int, count: int) -> np.ndarray:
        from scipy.signal import upfirdn

        first_sample, count = self._checked(first_sample, count)
        if not count:
            return np.zeros(0, np.complex64)
        reach = len(self._taps) // 2
        begin = self.source_first + first_sample * self.decimation - reach
        end = begin + (count - 1) * self.decimation + 2 * reach + 1
        inside = slice(max(0, begin), min(end, self.source.sample_count))
        iq = np.zeros(end - begin, np.complex128)
        iq[inside.start - begin : inside.stop - begin] = self.source.read(
            inside.start, inside.stop - inside.start
        )
        turns = self.shift_hz / self.source.sample_rate_hz * np.arange(begin, end)
        iq *= np.exp(-2j * np.pi * (turns % 1))
        settled = 2 * reach // self.decimation
        return upfirdn(self._taps, iq, 1, self.decimation)[settled:][:count].astype(np.complex64)

    def close(self) -> None:
        super().close()
        self.source.close()

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"source": copy(self.source)}

    @cached_property
    def _taps(self) -> np.ndarray:
        """Taps of the filter, (2 n + 1,) where n is a multiple of the decimation."""
        from scipy.signal import firwin

        rate_hz = self.source.sample_rate_hz
        edge_hz = max(self.half_band_hz / 2, _FLATTEST_EDGE * self.sample_rate_hz)
        reach = math.ceil(1.65 * rate_hz / edge_hz)  # Hamming: 3.3 over the width of the edge
        reach = self.decimation * math.ceil(reach / self.decimation)
        return firwin(2 * reach + 1, min(self.half_band_hz, 0.49 * rate_hz), fs=rate_hz)


def cut_out(
    source: Capture,
    first_sample: int,
    sample_count: int,
    band_hz: tuple[float, float],
    rate_hz: float,
) -> Capture:
    """Cut a band out of some samples of a recording.

    Args:
        source: Open, with a known sample rate.
        first_sample: Where the cut begins.
        sample_count: How many samples of the source it covers.
        band_hz: Lower and upper edge of the signal, relative to the centre of the source.
        rate_hz: Sample rate that is wanted; the source's over a whole number comes nearest.
    """
    low_hz, high_hz = band_hz
    decimation = max(1, round(source.sample_rate_hz / rate_hz))
    out_hz = source.sample_rate_hz / decimation
    center_hz = source.center_frequency_at(first_sample)
    shift_hz = (low_hz + high_hz) / 2
    return CutOut(
        path=source.path,
        data_path=source.data_path,
        format=source.format,
        sample_format=source.sample_format,
        sample_count=-(-sample_count // decimation),
        sample_rate_hz=out_hz,
        segments=(Segment(0, None if center_hz is None else center_hz + shift_hz),),
        metadata=source.metadata,
        source=source,
        source_first=first_sample,
        shift_hz=shift_hz,
        decimation=decimation,
        half_band_hz=min(PASSBAND * (high_hz - low_hz) / 2, 0.45 * out_hz),
    )


def band_from_center(
    capture: Capture, first_sample: int, band_hz: tuple[float, float]
) -> tuple[float, float]:
    """Return the edges of a signal relative to the centre of its recording, in Hz.

    Edges are absolute where SigMF is followed. Some programs write them relative to the centre,
    which shows where absolute ones would lie outside the recorded band.
    """
    center_hz = capture.center_frequency_at(first_sample) or 0.0
    low_hz, high_hz = (edge - center_hz for edge in band_hz)
    half_hz = (capture.sample_rate_hz or math.inf) / 2
    if not -half_hz <= (low_hz + high_hz) / 2 <= half_hz:
        low_hz, high_hz = band_hz
    return max(low_hz, -half_hz), min(high_hz, half_hz)
