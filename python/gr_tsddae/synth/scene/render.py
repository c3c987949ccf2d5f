# SPDX-License-Identifier: GPL-3.0-or-later
"""Emitters, a channel for each, and the receiver: one array of samples."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from gr_tsddae.synth.emission.parts import at_rate, occupied
from gr_tsddae.synth.scene.layout import Placed, lay_out
from gr_tsddae.synth.scene.recipes import SceneRecipe

CARRIER_BANDWIDTH_HZ = 1000.0  # in which the SNR of an unmodulated carrier is meant
MOST_SAMPLES = 1 << 27


@dataclass(frozen=True)
class Truth:
    """What is true of one emitter of a scene; frequencies are from the band's centre."""

    label: str
    start_s: float
    stop_s: float
    low_hz: float
    high_hz: float
    snr_db: float
    bursts: tuple[tuple[float, float], ...]
    details: dict

    @property
    def center_hz(self) -> float:
        return (self.low_hz + self.high_hz) / 2

    @property
    def bandwidth_hz(self) -> float:
        return self.high_hz - self.low_hz


@dataclass(frozen=True)
class Scene:
    """A recording and its truth.

    Attributes:
        iq: complex64 (N,), full scale 1.
        rate_hz: samples per second.
        truths: one per emitter.
    """

    iq: np.ndarray
    rate_hz: float
    truths: tuple[Truth, ...]


def make_scene(
    recipe: SceneRecipe, *, seconds: float, rate_hz: float, emitters: int, seed: int
) -> Scene:
    """Draw a scene; the same arguments give the same samples.

    Raises:
        ValueError: for a length, rate or number of emitters out of range, or without room.
    """
    samples = round(seconds * rate_hz) if seconds > 0 and rate_hz > 0 else 0
    if not 64 <= samples <= MOST_SAMPLES:
        raise ValueError(
            f"{seconds:g} s at {rate_hz:g} samples/s are {samples} samples: choose from 64 to "
            f"{MOST_SAMPLES}"
        )
    if emitters < 0:
        raise ValueError(f"{emitters} emitters: the number must be at least 0")
    rng = np.random.default_rng(seed)
    placed = lay_out(recipe, rng, seconds=seconds, rate_hz=rate_hz, emitters=emitters)
    size = fft.next_fast_len(samples)
    duration_s = size / rate_hz
    frequency_hz = fft.fftfreq(size, 1 / rate_hz)
    # White noise has unit density per DFT bin here; the receiver's filter shapes all it hears.
    slope_db = rng.uniform(-recipe.slope_db, recipe.slope_db)
    slope = 10 ** (slope_db * (frequency_hz / rate_hz) / 20)
    spectrum = (
        (rng.standard_normal(size) + 1j * rng.standard_normal(size)) * np.sqrt(0.5) * slope
    ).astype(np.complex64)
    truths = []
    for one in placed:
        density = 10 ** (slope_db * (one.center_hz / rate_hz) / 10)
        truths.append(_add(spectrum, one, recipe, rng, density, duration_s))
    edge_db, edge_share = rng.uniform(*recipe.edge_db), rng.uniform(*recipe.edge_share)
    inside = np.clip((0.5 - np.abs(frequency_hz) / rate_hz) / edge_share, 0, 1)
    spectrum *= 10 ** (-edge_db / 20 * (1 - np.sin(np.pi / 2 * inside) ** 2))
    iq = fft.ifft(spectrum, overwrite_x=True)[:samples] * np.float32(np.sqrt(size))
    image = 10 ** (rng.uniform(*recipe.image_db) / 20) * np.exp(2j * np.pi * rng.random())
    iq = iq + np.complex64(image) * iq.conj()
    if recipe.dc_db is not None:
        iq += np.complex64(
            10 ** (rng.uniform(*recipe.dc_db) / 20) * np.exp(2j * np.pi * rng.random())
        )
    rms = np.sqrt(np.mean(np.abs(iq) ** 2))
    iq *= np.float32(10 ** (rng.uniform(*recipe.level_dbfs) / 20) / rms)
    iq = np.clip(iq.real, -1, 1) + 1j * np.clip(iq.imag, -1, 1)
    return Scene(iq.astype(np.complex64), rate_hz, tuple(truths))


def _add(
    spectrum: np.ndarray,
    one: Placed,
    recipe: SceneRecipe,
    rng: np.random.Generator,
    density: float,
    duration_s: float,
) -> Truth:
    """Add an emitter to the DFT of the recording, whose noise has `density` per bin."""
    emission = one.emission
    count = fft.next_fast_len(round(duration_s * emission.rate_hz))
    rate_hz = count / duration_s  # differs by less than 1e-4 from what the emission was made for
    scale = rate_hz / emission.rate_hz
    sent = emission.iq
    splatters = rng.random() < recipe.splatter_share
    if splatters:  # the amplifier's third order; spreads amplitude-modulated emissions
        sent = sent * (1 - rng.uniform(0.02, 0.1) * np.minimum(np.abs(sent) ** 2, 4))
        sent = sent / np.sqrt(np.mean(np.abs(sent) ** 2))
    low_hz, high_hz = (
        (emission.low_hz, emission.high_hz)
        if not splatters or emission.bandwidth_hz == 0
        else occupied(sent, emission.rate_hz)
    )
    line = np.zeros(count, complex)
    bursts, taken = [], 0
    for start_s, stop_s in one.bursts:
        first = round(start_s * rate_hz)
        piece = sent[taken : taken + max(1, round((stop_s - start_s) * rate_hz))][: count - first]
        taken += len(piece)
        ramp = 0 if splatters else max(1, min(len(piece) // 50, round(rate_hz * 200e-6)))
        edge = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / max(ramp, 1)) ** 2
        gain = np.ones(len(piece))
        if 0 < ramp < len(piece) // 2:
            if first > 0:
                gain[:ramp] = edge
            if first + len(piece) < count - 1:
                gain[-ramp:] = edge[::-1]
        line[first : first + len(piece)] = piece * gain
        bursts.append((first / rate_hz, (first + len(piece)) / rate_hz))
    if rng.random() < recipe.fading_share:
        line *= _fading(rng, count, rate_hz)
        if emission.bandwidth_hz > 50e3:
            echo = int(rng.integers(1, max(2, round(3e-6 * rate_hz) + 1)))
            line[echo:] += rng.uniform(0.1, 0.5) * np.exp(2j * np.pi * rng.random()) * line[:-echo]
    if rng.random() < recipe.drift_share:
        drift_hz_per_s = rng.uniform(-1, 1) * min(200.0, 0.02 * max(emission.bandwidth_hz, 500))
        times_s = np.arange(count) / rate_hz
        line *= np.exp(1j * np.pi * drift_hz_per_s * times_s**2)
    bandwidth_hz = (high_hz - low_hz) * scale
    wanted = 10 ** (one.snr_db / 10) * density * (bandwidth_hz or CARRIER_BANDWIDTH_HZ) * duration_s
    # `wanted` is the energy in DFT bins (orthonormal) that equals the SNR while it is on.
    size = len(spectrum)
    drawn = fft.fft(line) / np.sqrt(count)
    on_share = sum(stop - start for start, stop in bursts) / duration_s
    amplitude = np.sqrt(wanted * on_share / max(np.sum(np.abs(drawn) ** 2), 1e-20))
    kept = min(count, size)
    bins = np.arange(-(kept // 2), (kept + 1) // 2)
    shift = round(one.center_hz * duration_s)
    inside = np.abs(bins + shift) < size // 2
    spectrum[(bins + shift)[inside] % size] += (amplitude * drawn[bins[inside]]).astype(
        np.complex64
    )
    details = dict(emission.truth)
    for key in ("symbol_rate_hz", "deviation_hz"):
        if details.get(key):
            details[key] *= scale
    center_hz = shift / duration_s
    return Truth(
        emission.label,
        bursts[0][0],
        bursts[-1][1],
        center_hz + low_hz * scale,
        center_hz + high_hz * scale,
        one.snr_db,
        tuple(bursts),
        details,
    )


def _fading(rng: np.random.Generator, count: int, rate_hz: float) -> np.ndarray:
    """Ricean gain of unit mean power that moves with 0.5 to 15 Hz: complex (count,)."""
    doppler_hz = rng.uniform(0.5, 15)
    knots = max(8, int(2 * doppler_hz * count / rate_hz) + 4)
    scattered = (rng.standard_normal(knots) + 1j * rng.standard_normal(knots)) * np.sqrt(0.5)
    smooth = at_rate(scattered, 1.0, count / knots, count)
    direct = rng.uniform(1, 4)
    return (direct + smooth) / np.sqrt(direct**2 + 1)
