# SPDX-License-Identifier: GPL-3.0-or-later
"""One recording, from its samples to named emissions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr_tsddae.iq.captures import Capture
from gr_tsddae.progress import Progress
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.naming import Signal, named
from gr_tsddae.survey.stream import survey_capture

if TYPE_CHECKING:
    from gr_tsddae.inference.recognizer import Recognizer


@dataclass(frozen=True)
class Found:
    """What a recording holds.

    Attributes:
        emissions: in order of their start.
        samples_not_finite: samples that were NaN or infinite, and were taken for 0.
    """

    emissions: list[Emission]
    samples_not_finite: int


def survey_recording(
    capture: Capture,
    recognizer: Callable[[], Recognizer] | None,
    signals: Sequence[Signal],
    *,
    threshold: float,
    wanted: Callable[[Emission], bool] = lambda emission: True,
    quiet: bool = True,
) -> Found:
    """Find, measure, recognise and name the emissions of a recording.

    Args:
        capture: open.
        recognizer: gives that of the model that is asked, and may wait for it; None: no model is
            asked.
        signals: known ones, for the candidates.
        threshold: confidence under which the label is "unknown".
        wanted: tells of a measured emission whether it is to be recognised and kept.
        quiet: whether to show no progress bar on standard error.

    Raises:
        CaptureError: when the recording does not say its sample rate, or cannot be read.
    """
    not_finite: list[int] = []
    with Progress("surveying", "sample", capture.sample_count, quiet=quiet) as bar:
        emissions = survey_capture(capture, progress=bar.update, not_finite=not_finite.append)
    emissions = [emission for emission in emissions if wanted(emission)]
    rate_hz = capture.sample_rate_hz
    if recognizer is not None:
        from gr_tsddae.survey.recognition import isolator, recognise

        cutter, ready = isolator(capture), recognizer()
        emissions = [
            recognise(emission, ready, cutter, rate_hz, threshold)
            for emission in Progress("recognising", "emission", over=emissions, quiet=quiet)
        ]
    emissions = [named(emission, signals, sample_rate_hz=rate_hz) for emission in emissions]
    return Found(emissions, sum(not_finite))
