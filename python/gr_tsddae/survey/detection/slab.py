# SPDX-License-Identifier: GPL-3.0-or-later
"""A slab: the stretch of a stream that is looked at together, and its spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gr_tsddae.survey.detection import filled
from gr_tsddae.survey.detection.clipping import clipping_of, smoothed
from gr_tsddae.survey.detection.image import image_of
from gr_tsddae.survey.detection.spectrum import (
    LONG_RATIO,
    Grid,
    floor_under,
    power_frames,
    quiet_level,
)

LEAST_CARRIER, CARRIER_RATIO = 0.1, 400.0  # of what lies at 0 Hz: amplitude, power over the rest


@dataclass(frozen=True)
class Slab:
    """Samples that are looked at together, and what they show without a look at others.

    Attributes:
        samples: complex64 (n,), with the lookahead.
        dc_is_sent: whether what lies at 0 Hz is a carrier, and not the receiver's own.
        level_samples: the samples, without the receiver's DC and mirror image.
        coarse: power frames (T, F), half a frame apart.
        fine: power frames (T2, LONG_RATIO * F), likewise.
        step: of the converter, as `filled.step_of` finds it.
        most_noise: the most noise that there may be, as `filled.most_noise` finds it.
        level: of each bin while it is quiet, (F,).
        quieter: the same over the quieter frames of a band that is filled at times; None elsewhere.
        clipping: as `coarse` and `fine`, what clipping may have added; None where nothing clips.
    """

    samples: np.ndarray
    dc_is_sent: bool
    level_samples: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray
    step: float
    most_noise: float
    level: np.ndarray
    quieter: np.ndarray | None
    clipping: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, samples: np.ndarray, frames: int, grid: Grid) -> Slab:
        """Transform samples into `frames` coarse frames, and the fine ones that fit."""
        inside = samples[: grid.slab_samples]
        mean = inside.mean()
        rest = float(np.mean(np.square(np.abs(inside - mean))))
        # No receiver's own DC takes a tenth of its range and drowns all that it hears.
        dc_is_sent = bool(abs(mean) > LEAST_CARRIER and abs(mean) ** 2 > CARRIER_RATIO * rest)
        level_samples = samples if dc_is_sent else samples - mean
        image = image_of(level_samples, grid.coarse_samples)
        if image:
            level_samples = level_samples - np.complex64(image) * level_samples.conj()
        fitting = (len(samples) - grid.fine_samples) // (grid.fine_samples // 2) + 1
        fine_frames = max(0, min(frames // LONG_RATIO, fitting))

        def spectra(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if not fine_frames:
                fine = np.zeros((0, grid.fine_samples), np.float32)
            else:
                fine = power_frames(line, grid.fine_samples, fine_frames)
            return power_frames(line, grid.coarse_samples, frames), fine

        coarse, fine = spectra(level_samples)
        clipping = clipping_of(samples)
        step = filled.step_of(level_samples)
        level = np.maximum(quiet_level(coarse), 1e-30)
        quieter = filled.quieter_level(coarse, floor_under(level), step)
        return cls(
            samples, dc_is_sent, level_samples, coarse, fine, step,
            filled.most_noise(level_samples, step), level,
            None if quieter is None else np.maximum(quieter, 1e-30),
            None if clipping is None else tuple(map(smoothed, spectra(clipping))),
        )  # fmt: skip
