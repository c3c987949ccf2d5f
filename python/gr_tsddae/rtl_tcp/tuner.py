# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording as a dongle hears it: at the dongle's frequency, in its band, in eight bits.

The tuner works block by block in the frequency domain. It moves the bins of the recording to their
place in the dongle's band. This one step tunes, filters and resamples. Blocks overlap by tapered
margins, so that their edges do not show.
"""

import cmath
import math
from fractions import Fraction

import numpy as np

from gr_tsddae.iq.captures import Capture

FULL_SCALE = 127.5
LEVEL = 0.7  # of full scale, for a sample that all but one in a thousand stay below
FLOOR = 0.7 / FULL_SCALE  # receiver noise, rms of I and of Q: it dithers the last bit
BLOCKS_PER_S = 32
SURVEY_SAMPLES = 1 << 16


class Tuner:
    """Turn a recording into cu8 blocks for a frequency and a rate, which may change between blocks.

    Args:
        capture: the recording.
        rate_hz: samples per second of the blocks.
        repeat: start again at the end of the recording; else noise follows.

    Raises:
        ValueError: If the recording does not say its sample rate.
    """

    def __init__(self, capture: Capture, rate_hz: float, *, repeat: bool):
        if capture.sample_rate_hz is None:
            raise ValueError(
                f"{capture.path} does not say its sample rate: give it (--recording-rate)"
            )
        self._capture, self._repeat = capture, repeat
        self._gain = LEVEL / max(_usual_peak(capture), 1e-20)
        self._offset_hz = 0.0  # where the recording's centre lies in the band
        self._rng = np.random.default_rng(1)
        self._position = 0  # in the recording
        self.set_rate(rate_hz)

    def set_rate(self, rate_hz: float) -> None:
        """Change the rate, from the next block on."""
        self.rate_hz = float(rate_hz)
        ratio = Fraction(self.rate_hz / self._capture.sample_rate_hz)
        largest = max(1000, math.ceil(10 / ratio))  # not 0 over 1, far below the recording's rate
        up, down = ratio.limit_denominator(largest).as_integer_ratio()  # a dongle's clock is worse
        longest = max(self.rate_hz, self._capture.sample_rate_hz) / BLOCKS_PER_S
        unit = 1 << max(3, int(math.log2(longest / max(up, down) + 1)))  # multiple of 8
        self._in, self._out = down * unit, up * unit  # samples of a block, with margins
        self._margin_in, self._margin_out = self._in // 8, self._out // 8
        edge = np.sin(np.pi / 2 * (np.arange(self._margin_in) + 0.5) / self._margin_in) ** 2
        flat = np.ones(self._in - 2 * self._margin_in)
        self._taper = np.concatenate((edge, flat, edge[::-1])).astype(np.float32)
        self._floor = self._rng.normal(scale=FLOOR, size=4 * self._out).astype(np.float32)

    def set_frequency(self, frequency_hz: float) -> None:
        """Tune, from the next block on."""
        centre_hz = self._capture.center_frequency_hz
        self._offset_hz = 0.0 if centre_hz is None else centre_hz - frequency_hz

    def skip(self, seconds: float) -> int:
        """Skip part of the recording; return how many samples that would have given."""
        self._position += round(seconds * self._capture.sample_rate_hz)
        return round(seconds * self.rate_hz)

    def block(self) -> np.ndarray:
        """Return the next samples: cu8 (2 * N,), I and Q in turn."""
        first = self._position - self._margin_in
        spectrum = np.fft.fftshift(np.fft.fft(self._read(first, self._in) * self._taper))
        bins = round(self._offset_hz / self._capture.sample_rate_hz * self._in)
        # Both spectra have bins of the same width; 0 Hz is at the middle of each.
        shift = self._out // 2 - self._in // 2 + bins
        low, high = max(0, shift), min(self._out, shift + self._in)
        heard = np.zeros(self._out, np.complex128)
        if low < high:
            heard[low:high] = spectrum[low - shift : high - shift]
        # The block's own clock starts anew; the oscillator's does not.
        turn = cmath.exp(2j * math.pi * (bins * first % self._in) / self._in)
        scale = turn * self._gain * self._out / self._in
        iq = np.fft.ifft(np.fft.ifftshift(heard)) * scale  # (out,)
        iq = iq[self._margin_out : -self._margin_out].astype(np.complex64)
        self._position += self._in - 2 * self._margin_in
        parts = iq.view(np.float32)  # (2 * N,)
        start = self._rng.integers(len(self._floor) - len(parts))
        parts += self._floor[start : start + len(parts)]
        return np.rint(parts * FULL_SCALE + FULL_SCALE).clip(0, 255).astype(np.uint8)

    def _read(self, first: int, count: int) -> np.ndarray:
        """Read samples of the recording, (count,) complex64; before and after it they are 0."""
        total = self._capture.sample_count
        out = np.zeros(count, np.complex64)
        done = 0
        while done < count:
            start = first + done
            if self._repeat:
                start %= total
            if start >= total:
                break
            stop = min(start + count - done, total) if start >= 0 else min(0, start + count - done)
            if start >= 0:
                out[done : done + stop - start] = self._capture.read(start, stop - start)
            done += stop - start
        return np.nan_to_num(out, copy=False, posinf=0, neginf=0)


def _usual_peak(capture: Capture) -> float:
    """Return the magnitude that all but one in a thousand samples stay below."""
    starts = np.linspace(0, max(0, capture.sample_count - SURVEY_SAMPLES), 16).astype(int)
    count = min(SURVEY_SAMPLES, capture.sample_count)
    magnitudes = np.concatenate([np.abs(capture.read(int(s), count)) for s in np.unique(starts)])
    finite = magnitudes[np.isfinite(magnitudes)]
    return float(np.quantile(finite, 0.999, method="lower")) if len(finite) else 0.0
