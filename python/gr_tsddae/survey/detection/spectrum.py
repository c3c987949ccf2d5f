# SPDX-License-Identifier: GPL-3.0-or-later
"""Spectra of a stretch of samples at two resolutions, and the noise floor under them."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, signal, special

from gr_tsddae.survey.detection import short

LONG_RATIO = 8  # bins of the fine spectrum per bin of the coarse one
SLAB_FRAMES = 256  # coarse frames, half a frame apart, in a slab
CACHED_SAMPLES = 1 << 16  # transformed at once: a core's cache holds them
FLOOR_GROUP = 8  # frames averaged before the quiet ones are chosen
FLOOR_QUANTILE = 0.25
FLOOR_SMOOTH_SHARE = 1 / 200  # of the band
# Of the floor across the band, in nepers of power.
FLOOR_TILTS = np.linspace(-3.0, 3.0, 17, dtype=np.float32)
DOME_BINS = 128  # enough to see the bend of a filter's passband
DOME_ERROR, DOME_SHARE = (
    0.12,
    0.7,
)  # nepers of power that the line may differ, and where it must not
DOME_MOST = 4.0  # nepers
WIDEST_SHARE = 0.6  # of the band: what is wider than this is floor at first


@dataclass(frozen=True)
class Grid:
    """How a stream is cut into slabs, frames and bins.

    Attributes:
        rate_hz: samples per second.
        coarse_samples: frame of the coarse spectrum, which resolves bursts.
    """

    rate_hz: float
    coarse_samples: int

    @classmethod
    def of(cls, rate_hz: float, most_samples: int | None = None) -> Grid:
        """The grid for a sample rate, or for a recording of only `most_samples`.

        Frames last as long as bins are wide, in units people meet: 0.85 ms and 1.2 kHz at
        2.4 MS/s.
        """
        size = 2 ** round(math.log2(1.32 * math.sqrt(rate_hz)))
        if most_samples is not None:
            size = min(size, 2 ** int(math.log2(max(1.0, math.sqrt(most_samples / 2)))))
        return cls(rate_hz, min(16384, max(16, size)))

    @property
    def fine_samples(self) -> int:
        """Frame of the fine spectrum, which resolves carriers and narrow emissions."""
        return LONG_RATIO * self.coarse_samples

    @property
    def hop_samples(self) -> int:
        """From one coarse frame to the next."""
        return self.coarse_samples // 2

    @property
    def slab_samples(self) -> int:
        """What is looked at in one go."""
        return SLAB_FRAMES * self.hop_samples

    @property
    def lookahead_samples(self) -> int:
        """What frames that begin in a slab need beyond its end."""
        return self.fine_samples

    @property
    def coarse_hz(self) -> float:
        return self.rate_hz / self.coarse_samples

    @property
    def fine_hz(self) -> float:
        return self.rate_hz / self.fine_samples


@functools.cache
def _window(samples: int) -> np.ndarray:
    """Hann window that keeps white noise of unit power at unit power per bin."""
    window = signal.get_window("hann", samples)
    return (window / np.sqrt(np.sum(window**2))).astype(np.float32)


def power_frames(samples: np.ndarray, size: int, frames: int) -> np.ndarray:
    """Power spectra of frames half a frame apart.

    Args:
        samples: complex64, at least (frames + 1) * size / 2.
        size: samples per frame.
        frames: how many.

    Returns:
        float32 (frames, size), lowest frequency first; white noise of unit power gives ones.
    """
    step, half = samples.strides[0], size // 2
    cut = np.lib.stride_tricks.as_strided(samples, (frames, size), (step * half, step))
    power = np.empty((frames, size), np.float32)
    together = max(1, CACHED_SAMPLES // size)
    for first in range(0, frames, together):
        rows = slice(first, first + together)
        spectrum = fft.fft(cut[rows] * _window(size), axis=1, overwrite_x=True)
        squares = spectrum.view(np.float32)
        np.square(squares, out=squares)
        np.add(squares[:, :size:2], squares[:, 1:size:2], out=power[rows, half:])
        np.add(squares[:, size::2], squares[:, size + 1 :: 2], out=power[rows, :half])
    return power


@functools.cache
def _quiet_bias(frames: int) -> float:
    """What the quantile of `frames` means of noise is, per unit of noise."""
    return float(special.gammaincinv(frames, FLOOR_QUANTILE) / frames)


def quiet_level(power: np.ndarray) -> np.ndarray:
    """Level of each bin while it is quiet: float32 (T, F) -> (F,), without bias on pure noise."""
    group = min(FLOOR_GROUP, len(power))
    kept = len(power) // group * group
    means = power[:kept].reshape(-1, group, power.shape[1]).mean(1)
    rank = min(len(means) - 1, int(FLOOR_QUANTILE * len(means)))
    if len(means) < 4:  # too few to choose from
        return means.mean(0)
    return np.partition(means, rank, axis=0)[rank] / _quiet_bias(group)


def floor_under(level: np.ndarray, widest_share: float = WIDEST_SHARE) -> np.ndarray:
    """The noise floor: what is left of a spectrum without peaks narrower than a share of the band.

    A flat opening keeps slopes and the edges of a receiver's filter as they are.

    Args:
        level: power per bin, (F,), some noise.
        widest_share: widest emission that is taken off.
    """
    size = len(level)
    smooth = max(1, round(FLOOR_SMOOTH_SHARE * size)) | 1
    line = np.log(np.maximum(ndimage.uniform_filter1d(level, smooth, mode="nearest"), 1e-30))
    widest = max(3, round(widest_share * size))
    dome = _dome(line)
    line = line - dome
    slopes = FLOOR_TILTS[:, None] * np.linspace(-0.5, 0.5, size, dtype=np.float32)
    # Each opening lies under the line, so the highest of them does; a tilted one fits a slope.
    lowest = ndimage.minimum_filter1d(line - slopes, widest, mode="nearest")
    opened = ndimage.maximum_filter1d(lowest, widest, mode="nearest", origin=widest % 2 - 1)
    opened = np.max(opened + slopes, axis=0)
    near = line - opened
    close = near[near < 0.3]  # an opening finds the lowest of the noise, not its middle
    opened += np.median(close) if len(close) else 0.0
    # Within a filter's steep edge neighbours differ more than the noise does.
    steep = np.abs(np.gradient(ndimage.uniform_filter1d(opened, smooth))) * smooth
    return np.exp(dome + opened + np.minimum(0.5 * steep, 1.0)).astype(np.float32)


@functools.cache
def _legendre(size: int) -> np.ndarray:
    """Legendre polynomials up to the fourth across a band, (size, 5)."""
    return np.polynomial.legendre.legvander(np.linspace(-1, 1, size), 4)


def _dome(line: np.ndarray) -> np.ndarray | float:
    """The bend of a decimating filter's passband, (F,), where most of a spectrum follows one.

    An opening takes the top of a dome for an emission.

    Args:
        line: logarithm of power per bin, smooth.
    """
    size = len(line)
    if size < DOME_BINS:
        return 0.0
    every = size // DOME_BINS
    thin = line[::every]
    powers = _legendre(len(thin))
    inside = np.ones(len(thin), bool)
    for _ in range(8):
        weights = np.linalg.lstsq(powers[inside], thin[inside], rcond=None)[0]
        rest = np.abs(thin - powers @ weights)
        within = max(DOME_ERROR, short.median(rest))
        before, inside = inside, rest < within
        if (inside == before).all():
            break
    if within > DOME_ERROR or inside.mean() < DOME_SHARE:
        return 0.0
    bend = _legendre(size)[:, 2:] @ weights[2:]
    # A dome is highest in its middle, and not higher than filters make it.
    middle, edges = bend[size // 4 : -(size // 4)], np.r_[bend[: size // 8], bend[-(size // 8) :]]
    if not 0.1 < middle.mean() - edges.mean() < DOME_MOST:
        return 0.0
    return bend.astype(line.dtype)
