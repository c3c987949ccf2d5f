# SPDX-License-Identifier: GPL-3.0-or-later
"""A slab: the stretch of a stream that is looked at together, and its spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gr_tsddae.survey.detection import filled
from gr_tsddae.survey.detection.clipping import clipping_of, smoothed
from gr_tsddae.survey.detection.image import image_of
from gr_tsddae.survey.detection.pulses import Pulses, find_pulses
from gr_tsddae.survey.detection.spectrum import (
    LONG_RATIO,
    Grid,
    floor_under,
    power_frames,
    quiet_level,
)

LEAST_CARRIER, CARRIER_RATIO = 0.1, 400.0  # of what lies at 0 Hz: amplitude, power over the rest
FLOOR_MEMORY = 0.7  # of the level before, per slab
LEVEL_JUMP_DB = 1.5  # the receiver's gain was changed: the floor is learned anew


@dataclass(frozen=True)
class Slab:
    """Samples that are looked at together, and what they show before anything is looked for.

    Attributes:
        samples: complex64 (n,), with the lookahead.
        dc_is_sent: whether what lies at 0 Hz is a carrier, and not the receiver's own.
        level_samples: the samples, without the receiver's DC and mirror image.
        coarse: power frames (T, F), half a frame apart.
        fine: power frames (T2, LONG_RATIO * F), likewise.
        step: of the converter, as `filled.step_of` finds it.
        most_noise: the most noise that there may be, as `filled.most_noise` finds it.
        level: of each bin while it is quiet, (F,), learned from this slab and those before.
        floor: the noise floor under it, (F,).
        pulses: too short for a frame, where there are any.
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
    floor: np.ndarray
    pulses: Pulses | None
    clipping: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(
        cls,
        samples: np.ndarray,
        frames: int,
        grid: Grid,
        level_before: Callable[[], np.ndarray | None],
    ) -> Slab:
        """Transform samples into `frames` coarse frames, and the fine ones that fit.

        `level_before` gives the level of the slab before, None before the first. It is called late,
        and may wait for another thread.
        """
        inside = samples[: grid.slab_samples]
        mean = inside.mean()
        # No receiver's own DC takes a tenth of its range and drowns all that it hears.
        dc_is_sent = bool(
            abs(mean) > LEAST_CARRIER
            and abs(mean) ** 2 > CARRIER_RATIO * np.mean(np.square(np.abs(inside - mean)))
        )
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
        level, floor = _learned(coarse, step, level_before)
        return cls(
            samples, dc_is_sent, level_samples, coarse, fine, step,
            filled.most_noise(level_samples, step), level, floor,
            find_pulses(level_samples[: grid.slab_samples], grid.coarse_samples),
            None if clipping is None else tuple(map(smoothed, spectra(clipping))),
        )  # fmt: skip


def _learned(
    coarse: np.ndarray, step: float, level_before: Callable[[], np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """The level of each bin while it is quiet, and the floor under it, both (F,)."""
    here = np.maximum(quiet_level(coarse), 1e-30)
    floor = floor_under(here)
    level = filled.quieter_level(coarse, floor, step)
    if level is not None:  # a band that is filled at times
        level = np.maximum(level, 1e-30)
        return level, floor_under(level)
    before = level_before()
    if before is None or abs(_jump_db(before, here)) >= LEVEL_JUMP_DB:
        return here, floor
    level = np.exp(FLOOR_MEMORY * np.log(before) + (1 - FLOOR_MEMORY) * np.log(here))
    return level, floor_under(level)


def _jump_db(before: np.ndarray, after: np.ndarray) -> float:
    return float(10 * np.log10(np.median(after) / np.median(before)))
