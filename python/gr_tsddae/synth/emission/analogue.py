# SPDX-License-Identifier: GPL-3.0-or-later
"""Carriers, and amplitude and frequency modulation by audio."""

import numpy as np
from scipy import signal

from gr_tsddae.synth.emission import audio
from gr_tsddae.synth.emission.parts import Draw, at_rate

STEREO_RATE_HZ = 384_000  # a whole multiple of the audio rate; the broadcast needs 260 kHz
PILOT_HZ = 19_000
BROADCAST_DEVIATION_HZ = 75_000
NARROW_TOP_HZ = 60_000  # a wider FM is a broadcast


def carrier(draw: Draw) -> tuple[np.ndarray, float, dict]:
    """An unmodulated carrier."""
    rate_hz = 1000.0
    return np.ones(draw.samples(rate_hz), complex), rate_hz, {}


def am_dsb(draw: Draw) -> tuple[np.ndarray, float, dict]:
    """Both sidebands and the carrier. Bandwidth is twice the audio's."""
    rng = draw.rng
    top_hz = draw.bandwidth_hz(5e3, 12e3) / 2
    rate_hz = 8 * top_hz
    sound = at_rate(
        audio.either(rng, draw.seconds, top_hz=top_hz),
        audio.RATE_HZ,
        rate_hz,
        draw.samples(rate_hz),
    )
    depth = rng.uniform(0.25, 0.5)
    envelope = np.maximum(1 + depth * np.clip(sound, -2.5, 2.5), 0.0)
    return envelope.astype(complex), rate_hz, {"modulation_depth": round(depth, 3)}


def am_ssb(draw: Draw) -> tuple[np.ndarray, float, dict]:
    """One sideband of speech, without carrier. The suppressed carrier is at 0 Hz here."""
    rng = draw.rng
    top_hz = draw.bandwidth_hz(2.4e3, 3.2e3) + 300
    rate_hz = 8 * top_hz
    count = draw.samples(rate_hz)
    sound = audio.speech(rng, draw.seconds, top_hz=top_hz)
    sound = sound / (1 + 0.3 * np.abs(sound))  # a compressor, and the crystal filter after it
    band_hz = (300, min(top_hz, 0.45 * audio.RATE_HZ))
    crystal = signal.butter(8, band_hz, "bandpass", fs=audio.RATE_HZ, output="sos")
    sound = at_rate(signal.sosfilt(crystal, sound), audio.RATE_HZ, rate_hz, count)
    iq = signal.hilbert(sound, N=2 ** int(np.ceil(np.log2(count))))[:count]
    upper = bool(rng.random() < 0.5)
    return (iq if upper else iq.conj()), rate_hz, {"sideband": "upper" if upper else "lower"}


def fm(draw: Draw) -> tuple[np.ndarray, float, dict]:
    """Frequency modulation: narrow by speech, or a stereo broadcast with pre-emphasis."""
    wanted_hz = draw.bandwidth_hz(8e3, 16e3, odd_one_out=(130e3, 200e3))
    return _broadcast(draw, wanted_hz) if wanted_hz > NARROW_TOP_HZ else _narrow(draw, wanted_hz)


def _narrow(draw: Draw, wanted_hz: float) -> tuple[np.ndarray, float, dict]:
    rng = draw.rng
    peak_hz = 0.25 * wanted_hz  # Carson: 2 (deviation + audio), the audio as wide as the peak
    rate_hz = 4 * wanted_hz
    sound = audio.speech(rng, draw.seconds, top_hz=min(3000.0, max(600.0, 0.25 * wanted_hz)))
    sound = np.clip(_emphasis(sound, 530e-6), -2.2, 2.2) / 2.2  # a limiter in front
    sound = at_rate(sound, audio.RATE_HZ, rate_hz, draw.samples(rate_hz))
    tone_hz = rng.uniform(67, 250)  # squelch tone
    n = np.arange(len(sound))
    sound = 0.85 * sound + 0.15 * np.sin(2 * np.pi * tone_hz * n / rate_hz)
    return _modulated(sound, peak_hz, rate_hz), rate_hz, {"deviation_hz": peak_hz}


def _broadcast(draw: Draw, wanted_hz: float) -> tuple[np.ndarray, float, dict]:
    rng, rate_hz = draw.rng, float(STEREO_RATE_HZ)
    count = draw.samples(rate_hz)
    tau_s = (50e-6, 75e-6)[rng.integers(2)]
    left, right = (
        at_rate(
            np.tanh(0.7 * _emphasis(audio.either(rng, draw.seconds, top_hz=15e3), tau_s)),
            audio.RATE_HZ,
            rate_hz,
            count,
        )
        for _ in range(2)
    )
    turn = 2 * np.pi * PILOT_HZ * np.arange(count) / rate_hz
    stereo = rng.random() < 0.8
    programme = 0.45 * (left + right)
    if stereo:
        programme += 0.45 * rng.uniform(0.2, 1) * (left - right) * np.sin(2 * turn)
        programme += 0.09 * np.sin(turn)
        bits = rng.integers(0, 2, int(count / rate_hz * 2375) + 2) * 2 - 1  # biphase radio data
        data = np.repeat(bits, int(rate_hz / 2375) + 1)[:count]
        programme[: len(data)] += 0.04 * data * np.sin(3 * turn[: len(data)])
    peak_hz = BROADCAST_DEVIATION_HZ * min(1.0, wanted_hz / 180e3)
    truth = {"deviation_hz": peak_hz, "stereo": bool(stereo)}
    return _modulated(np.clip(programme, -1, 1), peak_hz, rate_hz), rate_hz, truth


def _emphasis(sound: np.ndarray, tau_s: float) -> np.ndarray:
    """Pre-emphasis of time constant `tau_s`, levelled to the same rms."""
    step = np.diff(sound, prepend=0.0) * tau_s * audio.RATE_HZ
    louder = sound + step
    return louder * np.sqrt(np.mean(sound**2) / max(np.mean(louder**2), 1e-20))


def _modulated(sound: np.ndarray, peak_hz: float, rate_hz: float) -> np.ndarray:
    return np.exp(2j * np.pi * np.cumsum(peak_hz * sound / rate_hz))
