#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gain of a denoiser on signals it never saw, beside a Wiener filter that knows the noise.

    .venv/bin/python benchmarks/denoise.py [MODEL]

Clean synthetic windows get white noise of a known level. The gain is the ratio of signal to
everything else after denoising (SDR) less that before (SNR), in dB, averaged over windows. Below
0, denoising hurts. Writes benchmarks/results/denoise.json and prints a table.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gr_tsddae.bench.machine import describe
from gr_tsddae.files import write_json
from gr_tsddae.inference.denoiser import Denoiser
from gr_tsddae.iq.windows import to_complex, unit_power
from gr_tsddae.synth import CLASSES, RECIPES, Recipe, draw
from gr_tsddae.synth.channel import band_limit

SEED = 4_000_002_000  # far from the seeds of training
SNRS_DB = (-20, -15, -10, -5, 0, 5, 10, 15, 20, 25, 30)
WINDOWS = 100  # per class and SNR
SMOOTHED_BINS = (1, 3, 5, 9, 17)
METHODS = ("known_snr", "estimated_snr", "wiener")


def clean_windows(recipe: Recipe, window_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw windows of unit power without noise, complex64 (N, L), and their classes, (N,)."""
    held = [i for i, name in enumerate(CLASSES) if name != "noise"]
    label = torch.tensor(held).repeat_interleave(WINDOWS)
    generator = torch.Generator().manual_seed(SEED)
    endless = torch.full((len(label),), math.inf)
    rows = draw(recipe, label, endless, window_samples=window_samples, generator=generator)
    return to_complex(unit_power(rows)).numpy(), np.array(CLASSES)[label.numpy()]


def white(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Draw complex64 noise of unit power."""
    pair = np.random.default_rng(seed).standard_normal((2, *shape), np.float32) / np.sqrt(2)
    return pair[0] + 1j * pair[1]


def wiener(windows: np.ndarray, noise_power: float, smoothed_bins: int) -> np.ndarray:
    """Filter each bin by its share of signal, 1 - N/P; P is averaged over bins."""
    bins = np.fft.fft(windows, norm="ortho")
    near = range(-(smoothed_bins // 2), smoothed_bins // 2 + 1)
    power = np.mean([np.roll(np.abs(bins) ** 2, shift, 1) for shift in near], 0)
    return np.fft.ifft(bins * np.clip(1 - noise_power / power, 0, 1), norm="ortho")


def sdr_db(found: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Compute the SDR of each window, (N,)."""
    error = (np.abs(found - clean) ** 2).mean(1)
    return 10 * np.log10((np.abs(clean) ** 2).mean(1) / error)


def gains_db(
    denoiser: Denoiser, clean: np.ndarray, noise: np.ndarray, snr_db: float
) -> dict[str, np.ndarray]:
    """Compute the gain of every method on each window, (N,); of the Wiener filters, the best."""
    noise_power = 10 ** (-snr_db / 10)
    noisy = (clean + math.sqrt(noise_power) * noise).astype(np.complex64)
    filtered = [sdr_db(wiener(noisy, noise_power, bins), clean) for bins in SMOOTHED_BINS]
    found = {
        "known_snr": sdr_db(denoiser.denoise(noisy, snr_db), clean),
        "estimated_snr": sdr_db(denoiser.denoise(noisy), clean),
        "wiener": max(filtered, key=np.mean),
    }
    before = sdr_db(noisy, clean)
    return {name: values - before for name, values in found.items()}


def measure(denoiser: Denoiser) -> dict[str, dict]:
    """Compute mean gains per method, modulation and SNR, and on signals unlike the training."""
    recipe = RECIPES["noise-free"]
    clean, names = clean_windows(recipe, denoiser.window_samples)
    by_class: dict[str, dict] = {method: {} for method in METHODS}
    for snr_db in SNRS_DB:
        gains = gains_db(denoiser, clean, white(clean.shape, SEED + snr_db), snr_db)
        for method, values in gains.items():
            for name in ("all", *dict.fromkeys(names)):
                mine = slice(None) if name == "all" else names == name
                by_class[method].setdefault(name, {})[snr_db] = round(float(values[mine].mean()), 2)

    def elsewhere(clean: np.ndarray, noise: np.ndarray) -> dict[int, dict[str, float]]:
        return {
            snr_db: {
                method: round(float(values.mean()), 2)
                for method, values in gains_db(denoiser, clean, noise, snr_db).items()
            }
            for snr_db in SNRS_DB
        }

    other = {
        f"{sps:g} samples per symbol": elsewhere(
            clean := clean_windows(
                replace(recipe, samples_per_symbol=sps), denoiser.window_samples
            )[0],
            white(clean.shape, SEED),
        )
        for sps in (2.5, 4.0, 16.0)
    }
    # A receiver's channel filter leaves noise in half of the band.
    noise = torch.from_numpy(white(clean.shape, SEED))
    width, centre = torch.full((len(clean),), 0.5), torch.zeros(len(clean))
    other["noise in half of the band"] = elsewhere(clean, band_limit(noise, width, centre).numpy())
    return {"gain_db": by_class, "gain_elsewhere_db": other}


def suppression_db(denoiser: Denoiser) -> float:
    """Compute how much weaker windows of noise alone come out."""
    noise = white((1000, denoiser.window_samples), SEED)
    return round(float(-10 * np.log10((np.abs(denoiser.denoise(noise)) ** 2).mean())), 1)


def main() -> None:
    denoiser = Denoiser(sys.argv[1] if len(sys.argv) > 1 else "denoise-mini")
    result = {
        "machine": describe(denoiser.device),
        "model": denoiser.card.name,
        "weights_sha256": denoiser.card.weights_sha256,
        "precision": denoiser.precision,
        "windows_per_class_and_snr": WINDOWS,
        "noise_suppression_db": suppression_db(denoiser),
        **measure(denoiser),
    }
    print(f"{'gain, dB':<34}" + "".join(f"{snr:>6}" for snr in SNRS_DB) + "  dB SNR")
    for method, classes in result["gain_db"].items():
        for name, gains in classes.items():
            print(f"{method:<20}{name:<14}" + "".join(f"{g:>6.1f}" for g in gains.values()))
    for name, levels in result["gain_elsewhere_db"].items():
        print(name)
        for method in METHODS:
            print(f"  {method:<32}" + "".join(f"{g[method]:>6.1f}" for g in levels.values()))
    print(f"noise alone comes out {result['noise_suppression_db']} dB lower")
    path = Path(__file__).parent / "results" / "denoise.json"
    write_json(path, result)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
