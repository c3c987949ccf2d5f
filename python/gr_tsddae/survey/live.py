# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae survey -`: emissions of what another program sends, told as they end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gr_tsddae.iq.captures import Capture
from gr_tsddae.iq.formats.live import ended_by_ctrl_c
from gr_tsddae.progress import Progress
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.isolation import Isolator
from gr_tsddae.survey.naming import Signal, named
from gr_tsddae.survey.stream import Event, Survey

if TYPE_CHECKING:
    from gr_tsddae.inference.recognizer import Recognizer

READ_SAMPLES = 1 << 16
LASTING_S = 10.0  # after which an emission that goes on is told of
JUDGED_S = 5.0  # of the stream: a stretch in which the survey keeps up, or does not


def survey_live(
    capture: Capture,
    recognizer: Callable[[], Recognizer] | None,
    signals: Sequence[Signal],
    *,
    threshold: float,
    wanted: Callable[[Emission], bool] = lambda emission: True,
    quiet: bool = True,
) -> Iterator[Event]:
    """Yield each emission of a stream when it has ended, recognised and named.

    One that goes on after 10 s is told of then, too ("updated"), by the number it ends with.
    The end of the stream, and Ctrl-C, end all emissions. The last second of an emission is
    recognised: older samples are gone. The sender waits while the survey works.

    Args:
        capture: live, of a known sample rate.
        recognizer, signals, threshold, wanted: as for `survey_recording`.
        quiet: whether to show no line of progress on standard error.
    """
    rate_hz = capture.sample_rate_hz
    survey = Survey(rate_hz)
    cutter = Isolator(
        lambda first, count: survey.history.read(first, count),
        rate_hz,
        max(4096, survey.grid.slab_samples),
    )
    told = 0
    number_of: dict[int, int] = {}  # those that were told of and go on

    def told_of(events: list[Event]) -> Iterator[Event]:
        nonlocal told
        for event in events:
            emission = event.emission
            if event.kind == "withdrawn":
                number_of.pop(emission.id, None)
            lasted_s = emission.stop_s - emission.start_s
            lasts = event.kind == "updated" and lasted_s >= LASTING_S
            is_news = event.kind == "ended" or (lasts and emission.id not in number_of)
            if not is_news or not wanted(emission):
                continue
            number = number_of.pop(emission.id, 0)
            if not number:
                number = told = told + 1
            if lasts:
                number_of[emission.id] = number
            if recognizer is not None:
                from gr_tsddae.survey.recognition import recognise

                since_s = survey.history.first_sample / rate_hz
                emission = recognise(
                    emission, recognizer(), cutter, rate_hz, threshold, since_s=since_s
                )
            emission = replace(emission, id=number, band_center_hz=capture.center_frequency_hz)
            yield Event(event.kind, named(emission, signals, sample_rate_hz=rate_hz))

    quiet = quiet or not sys.stderr.isatty()
    pace = Pace()
    with (
        ended_by_ctrl_c(),
        Progress("surveying", "sample", quiet=quiet) as bar,
    ):
        for _, iq in capture.blocks(READ_SAMPLES):
            at_s = time.monotonic()
            events = survey.push(iq)
            bar.set_postfix_str(f"{survey.open_count} on the air", refresh=False)
            bar.update(len(iq))
            yield from told_of(events)
            pace.add(time.monotonic() - at_s, len(iq) / rate_hz)
        yield from told_of(survey.flush())
    if survey.not_finite:
        count, whole = survey.not_finite, survey.samples_seen
        print(f"{count} of {whole} samples are not finite: taken for 0", file=sys.stderr)


@dataclass
class Pace:
    """Tells once that the survey does not keep up, when it was slow in two stretches in a row."""

    busy_s: float = 0.0
    stream_s: float = 0.0
    slow: int = 0

    def add(self, busy_s: float, stream_s: float) -> None:
        self.busy_s += busy_s
        self.stream_s += stream_s
        if self.stream_s < JUDGED_S:
            return
        self.slow = self.slow + 1 if self.busy_s > self.stream_s else 0
        if self.slow == 2:  # the first may have waited for the model
            print(
                f"warning: the survey of {self.stream_s:.1f} s took {self.busy_s:.1f} s; a radio "
                "does not wait, and loses samples: lower its rate, or record first",
                file=sys.stderr,
            )
        self.busy_s = self.stream_s = 0.0
