# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting an emission out of a wide band: filtered, moved to 0 Hz, resampled by any ratio.

Overlapping blocks of the band are transformed once; every emission is cut out of these spectra. A
slice of a spectrum, through a shorter inverse transform, is the emission at a lower rate.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from scipy import fft

from gr_tsddae.survey.history import KEPT_S, MOST_KEPT_SAMPLES

OVERLAP = 8  # an eighth of a block, at either end, is cut off again
EDGE_SHARE = 0.15  # of the bandwidth: how wide the filter's edges are


Read = Callable[[int, int], tuple[np.ndarray, bool]]


class Isolator:
    """Cuts emissions out of a stream of which the recent part can be read.

    Args:
        read: gives complex64 samples [first, first + count), with zeros where there are none, and
            whether none of them is still to come.
        rate_hz: of the stream.
        block_samples: length of a transform, a multiple of 8.
    """

    def __init__(
        self,
        read: Read,
        rate_hz: float,
        block_samples: int,
    ):
        self._read = read
        self._rate_hz = rate_hz
        self._block = block_samples
        self._hop = block_samples - 2 * (block_samples // OVERLAP)
        self._spectra: OrderedDict[int, np.ndarray] = OrderedDict()
        self._band: tuple[int, int, int] | None = None  # that was cut out last, and its stretches
        self._pieces: dict[int, np.ndarray] = {}
        # As many as cover what a stream keeps: emissions are cut out of all of it, one by one.
        kept = min(KEPT_S * rate_hz, MOST_KEPT_SAMPLES)
        self._most_spectra = 3 + math.ceil(kept / self._hop)

    def cut(
        self,
        low_hz: float,
        high_hz: float,
        first: int,
        stop: int,
        *,
        oversampling: float = 4.0,
        above_stream: bool = False,
    ) -> tuple[np.ndarray, float]:
        """Samples [first, stop) of the band from `low_hz` to `high_hz`.

        Args:
            low_hz: lower edge, passed without loss; the filter falls outside.
            high_hz: upper edge.
            first: sample of the stream.
            stop: one past the last.
            oversampling: output rate over bandwidth; at least 1.3 keeps the filter's edges.
            above_stream: whether the output rate may exceed that of the stream.

        Returns:
            complex64 (n,) and its sample rate, which is that of the stream times a ratio.
        """
        bin_hz = self._rate_hz / self._block
        center = round((low_hz + high_hz) / 2 / bin_hz)
        half = max(2, math.ceil((high_hz - low_hz) / 2 / bin_hz))
        edge = max(2, math.ceil(2 * EDGE_SHARE * half))
        reach = min(half + edge, self._block // 2 - 1)
        points = max(2 * reach + 2, round(oversampling * 2 * half), 2 * OVERLAP)
        points = OVERLAP * fft.next_fast_len(-(-points // OVERLAP))
        if not above_stream:
            points = min(points, self._block)
        bins = np.arange(-reach, reach + 1)
        gain = np.clip((half + edge - np.abs(bins)) / edge, 0, 1)
        gain = (np.sin(np.pi / 2 * gain) ** 2 * points / self._block).astype(np.float32)
        if (center, half, points) != self._band:
            self._band = center, half, points
            self._pieces.clear()
        blocks = range(first // self._hop, -(-stop // self._hop))
        pieces = [self._piece(block, center, bins, gain, points) for block in blocks]
        iq = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
        ratio = points / self._block
        offset = blocks.start * self._hop
        return iq[round((first - offset) * ratio) : round((stop - offset) * ratio)], (
            self._rate_hz * ratio
        )

    def _piece(
        self, block: int, center: int, bins: np.ndarray, gain: np.ndarray, points: int
    ) -> np.ndarray:
        """A block's own stretch of the band: bursts of one emission share blocks."""
        if block in self._pieces:
            return self._pieces[block]
        short = np.zeros(points, np.complex64)
        # The block begins an overlap before its own stretch.
        start = block * self._hop - self._block // OVERLAP
        turn = np.exp(-2j * np.pi * ((center * start) % self._block) / self._block)
        short[bins] = self._spectrum(block)[(bins + center) % self._block] * gain
        lead = points // OVERLAP
        piece = fft.ifft(short, overwrite_x=True)[lead : points - lead] * np.complex64(turn)
        if block in self._spectra:  # else samples of it are still to come
            self._pieces[block] = piece
            if len(self._pieces) > self._most_spectra:
                del self._pieces[min(self._pieces)]
        return piece

    def at_rate(
        self,
        center_hz: float,
        passband_hz: float,
        start_s: float,
        stop_s: float,
        wanted_hz: float,
        *,
        tolerance: float = 1e-5,
    ) -> np.ndarray:
        """Cut a band out, bring its centre to 0 Hz exactly, and give it a sample rate.

        Args:
            center_hz: Centre of the band.
            passband_hz: Its width.
            start_s: Seconds from the first sample of the stream.
            stop_s: The end, likewise.
            wanted_hz: Sample rate, any number above `passband_hz`.
            tolerance: Share by which the rate may be another one.

        Returns:
            complex64 (n,).
        """
        low_hz, high_hz = center_hz - passband_hz / 2, center_hz + passband_hz / 2
        first, stop = round(start_s * self._rate_hz), round(stop_s * self._rate_hz)
        oversampling = max(1.4, wanted_hz / passband_hz)
        iq, got_hz = self.cut(
            low_hz, high_hz, first, stop, oversampling=oversampling, above_stream=True
        )
        moved_hz = self.center_hz(low_hz, high_hz) - center_hz
        iq = iq * np.exp(2j * np.pi * moved_hz / got_hz * np.arange(len(iq)))
        if abs(got_hz / wanted_hz - 1) >= tolerance and len(iq) >= 2:
            from scipy.interpolate import CubicSpline

            at = np.arange(0, len(iq) - 1, got_hz / wanted_hz)
            # Far from its Nyquist rate, a straight line between samples would do; a cubic one does.
            iq = CubicSpline(np.arange(len(iq)), iq)(at)
        return iq.astype(np.complex64)

    def center_hz(self, low_hz: float, high_hz: float) -> float:
        """Where 0 Hz of what is cut out lies in the band."""
        bin_hz = self._rate_hz / self._block
        return round((low_hz + high_hz) / 2 / bin_hz) * bin_hz

    def _spectrum(self, block: int) -> np.ndarray:
        if block in self._spectra:
            self._spectra.move_to_end(block)
            return self._spectra[block]
        start = block * self._hop - self._block // OVERLAP
        samples, complete = self._read(start, self._block)
        spectrum = fft.fft(samples)
        if complete:
            self._spectra[block] = spectrum
        while len(self._spectra) > self._most_spectra:
            self._spectra.popitem(last=False)
        return spectrum
