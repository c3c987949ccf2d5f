# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey of a stretch of stream: from one retune, change of rate or long gap to the next."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gr_tsddae.inference.decision import Origin
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.stream import Event, Survey

MOST_BURSTS_TOLD = 32  # the latest, so that messages stay small
MOST_LOST_S = 3.0  # in a row: what was there before a longer gap may be something else behind it


class Stretch:
    """A `Survey`, and where its samples lie in the stream.

    Args:
        first_sample: number in the stream of the first sample.
        origin: tuning, rate and time of the samples; all of them share it.
        on_frames: called with this stretch, the coarse spectra of each slab, float32 (T, F), and
            the number within the stretch of the sample that they begin at.

    Attributes:
        end_sample: one past the last sample that was pushed, counted in the stream.
    """

    def __init__(
        self,
        first_sample: int,
        origin: Origin,
        on_frames: Callable[[Stretch, np.ndarray, int], None],
    ):
        self.origin = origin
        self.first_sample = self.end_sample = first_sample
        # Else the two would refer to each other, and a second of samples would stay in memory
        # until Python looks for such circles.
        this = weakref.ref(self)
        self.survey = Survey(
            origin.sample_rate_hz, on_frames=lambda power, first: on_frames(this(), power, first)
        )

    @property
    def rate_hz(self) -> float:
        """Samples per second."""
        return self.survey.rate_hz

    def goes_on(self, first_sample: int, origin: Origin) -> bool:
        """Tell whether samples follow those of this stretch, with few lost between them at most."""
        lost = first_sample - self.end_sample
        return origin == self.origin and 0 <= lost <= MOST_LOST_S * self.rate_hz

    def events(self, iq: np.ndarray, first_sample: int) -> Iterator[Event]:
        """Take the samples that follow, complex64 (N,), which nobody changes any more.

        All events must be asked for.
        """
        lost = first_sample - self.end_sample
        if lost:
            yield from self.survey.skip(lost)
        self.end_sample = first_sample + len(iq)
        yield from self.survey.events(iq)

    def end(self) -> list[Event]:
        """End all emissions: no more samples follow."""
        return self.survey.flush()

    def seconds(self, sample: float) -> float:
        """Seconds from the stream's first sample, of a sample that is counted in the stretch."""
        return (self.first_sample + sample) / self.rate_hz

    def where(self, first: int, count: int) -> dict[str, Any]:
        """Say where samples lie that are counted in the stretch: in stream, time and frequency."""
        sample = self.first_sample + first
        return {
            "first_sample": sample,
            "sample_count": count,
            "time_s": self.origin.time_of(sample),
            "center_frequency_hz": self.origin.center_frequency_hz,
            "sample_rate_hz": self.rate_hz,
        }

    def placed(self, emission: Emission) -> Emission:
        """Count the seconds of one of this stretch's emissions in the stream, and tell its band."""
        start_s = self.seconds(0)
        return replace(
            emission,
            start_s=start_s + emission.start_s,
            stop_s=start_s + emission.stop_s,
            bursts=[(start_s + a, start_s + b) for a, b in emission.bursts],
            band_center_hz=self.origin.center_frequency_hz,
        )

    def describe(self, emission: Emission) -> dict[str, Any]:
        """Describe one of this stretch's emissions: the fields of JSON, and where it lies."""
        first = round(emission.start_s * self.rate_hz)
        count = max(1, round(emission.stop_s * self.rate_hz) - first)
        short = replace(emission, bursts=emission.bursts[-MOST_BURSTS_TOLD:])
        return self.placed(short).as_dict() | self.where(first, count)
