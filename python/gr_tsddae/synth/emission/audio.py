# SPDX-License-Identifier: GPL-3.0-or-later
"""Audio that behaves as speech or music does: syllables, pauses, formants, notes."""

import numpy as np
from scipy import signal

RATE_HZ = 48_000


def speech(rng: np.random.Generator, seconds: float, *, top_hz: float = 3400.0) -> np.ndarray:
    """Speech-like audio with pauses between phrases.

    A voice (a comb of pitch harmonics) or breath (noise) passes through three formants that change
    from syllable to syllable.

    Returns:
        float64 (seconds * RATE_HZ,), rms 1 outside the pauses.
    """
    samples = max(16, round(seconds * RATE_HZ))
    band_hz = (300, min(top_hz, 0.45 * RATE_HZ))
    band = signal.butter(4, band_hz, "bandpass", fs=RATE_HZ, output="sos")
    while True:
        audio, loud = _phrases(rng, samples)
        audio = signal.sosfilt(band, audio)
        if np.any(audio[loud]):  # not all of it a pause
            return audio / np.sqrt(np.mean(audio[loud] ** 2))


def _phrases(rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Syllables and pauses, and where there are syllables."""
    audio, loud = np.zeros(samples), np.zeros(samples, bool)
    pitch_hz = rng.uniform(85, 230)
    at = -round(rng.uniform(0, 0.2) * RATE_HZ)
    while at < samples:
        length = round(rng.uniform(0.08, 0.3) * RATE_HZ)
        if rng.random() < 0.12:  # between phrases
            at += round(rng.uniform(0.1, 0.4) * RATE_HZ)
        span = slice(max(0, at), min(samples, at + length))
        if span.stop > span.start:
            syllable = _syllable(rng, length, pitch_hz * rng.uniform(0.8, 1.25))
            audio[span] += syllable[span.start - at : span.stop - at]
            loud[span] = True
        at += round(0.9 * length)
    return audio, loud


def _syllable(rng: np.random.Generator, samples: int, pitch_hz: float) -> np.ndarray:
    if rng.random() < 0.75:
        glide = np.linspace(1, rng.uniform(0.85, 1.15), samples)
        turns = np.cumsum(pitch_hz * glide / RATE_HZ)
        source = np.diff(np.floor(turns), prepend=0.0) * np.sqrt(RATE_HZ / pitch_hz)
        formants_hz = (rng.uniform(300, 850), rng.uniform(900, 2300), rng.uniform(2300, 3300))
    else:
        source = rng.standard_normal(samples)
        formants_hz = (rng.uniform(1800, 2500), rng.uniform(2500, 3500), rng.uniform(3500, 6000))
    out = np.zeros(samples)
    for strength, formant_hz in zip((1.0, 0.5, 0.25), formants_hz, strict=True):
        b, a = signal.iirpeak(formant_hz, rng.uniform(4, 9), fs=RATE_HZ)
        out += strength * signal.lfilter(b, a, source)
    return out * np.sin(np.pi * (np.arange(samples) + 0.5) / samples) ** 0.7


def music(rng: np.random.Generator, seconds: float, *, top_hz: float = 15_000.0) -> np.ndarray:
    """Chords of decaying notes over a soft noise: float64 (seconds * RATE_HZ,), rms 1."""
    samples = max(16, round(seconds * RATE_HZ))
    n = np.arange(samples)
    audio = 0.05 * rng.standard_normal(samples)
    for _ in range(max(4, round(8 * seconds))):
        start = rng.integers(-RATE_HZ // 2, samples)
        note_hz = 55 * 2 ** (rng.integers(0, 60) / 12)
        age_s = np.maximum(n - start, 0) / RATE_HZ
        envelope = np.exp(-age_s * rng.uniform(1, 6)) * (n >= start)
        for harmonic in range(1, 9):
            if harmonic * note_hz < top_hz:
                phase = 2 * np.pi * (harmonic * note_hz * age_s + rng.random())
                audio += envelope * rng.uniform(0.2, 1) / harmonic * np.sin(phase)
    low = signal.butter(6, min(top_hz, 0.45 * RATE_HZ), fs=RATE_HZ, output="sos")
    audio = signal.sosfilt(low, audio)
    return audio / np.sqrt(np.mean(audio**2))


def either(rng: np.random.Generator, seconds: float, *, top_hz: float) -> np.ndarray:
    """Speech or music, as often the one as the other."""
    return (speech if rng.random() < 0.5 else music)(rng, seconds, top_hz=top_hz)
