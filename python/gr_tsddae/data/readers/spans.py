# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled spans of recordings: without conflicts, and cut out at one rate at their edges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gr_tsddae.data.dataset import DatasetError
from gr_tsddae.iq.captures import Capture
from gr_tsddae.iq.cut_out import OVERSAMPLING, cut_out

WHOLE_BAND = 0.5  # of the sample rate: a signal as wide as this is the recording's own
_CENTRED = 0.1  # of the sample rate: how far from 0 Hz it may then be


@dataclass(frozen=True)
class Span:
    """Samples of a recording with one label.

    Attributes:
        first: first sample.
        end: one past the last.
        label: None where nobody gave one.
        band_hz: edges of the signal relative to the recording's centre, None for the whole band.
    """

    first: int
    end: int
    label: str | None
    band_hz: tuple[float, float] | None = None


Recorded = tuple[Capture, list[Span]]


def at_one_rate(
    recorded: Sequence[Recorded], cut_rate_hz: float | None
) -> tuple[list[Capture], list[list[Span]], int]:
    """Resolve conflicts, and cut spans out at their frequency edges.

    Args:
        recorded: recordings with their spans.
        cut_rate_hz: sample rate of what is cut out; None is 4 times the widest signal.

    Returns:
        Captures, the spans of each, and how many samples two labels claimed. A span that was cut
        out is a capture of its own. Without an edge that matters, the captures are the recordings.

    Raises:
        DatasetError: spans with and without edges would come at different rates.
    """
    widths_hz = [
        span.band_hz[1] - span.band_hz[0]
        for capture, spans in recorded
        for span in spans
        if _is_narrow(capture, span)
    ]
    if not widths_hz and cut_rate_hz is None:
        resolved = [_without_conflicts(spans) for _, spans in recorded]
        return (
            [capture for capture, _ in recorded],
            [clear for clear, _ in resolved],
            sum(torn for _, torn in resolved),
        )
    rate_hz = cut_rate_hz or OVERSAMPLING * max(widths_hz)
    captures, inside, torn_samples = [], [], 0
    for capture, spans in recorded:
        parts, torn = _parts(capture, spans)
        torn_samples += torn
        for first, end, band_hz, labelled in parts:
            if band_hz is None:
                if cut_rate_hz is None and any(span.label for span in labelled):
                    raise DatasetError(
                        f"{capture.path} has a label for the whole band, and other labels have "
                        "frequency edges: they would come at different rates; annotate it with "
                        "core:freq_lower_edge and core:freq_upper_edge, or give cut_rate_hz="
                    )
                band_hz = (-rate_hz / 2, rate_hz / 2)
            part = cut_out(capture, first, end - first, band_hz, rate_hz)
            captures.append(part)
            inside.append(
                [
                    replace(
                        span,
                        first=-(-(span.first - first) // part.decimation),
                        end=min((span.end - first) // part.decimation, part.sample_count),
                        band_hz=None,
                    )
                    for span in labelled
                ]
            )
    return captures, inside, torn_samples


def tunings_of(capture: Capture) -> Iterator[tuple[int, int]]:
    """Yield first sample and end of each tuning; what lies before the first one belongs to it."""
    begin = 0
    for _, end in capture.tunings():
        yield begin, end
        begin = end


def _is_narrow(capture: Capture, span: Span) -> bool:
    """Tell whether a signal is to be cut out of its recording."""
    if span.band_hz is None:
        return False
    if capture.sample_rate_hz is None:
        raise DatasetError(
            f"{capture.path} has labels with frequency edges and does not say its sample rate; "
            "give sample_rate_hz="
        )
    low_hz, high_hz = (edge / capture.sample_rate_hz for edge in span.band_hz)
    return high_hz - low_hz < WHOLE_BAND or abs(low_hz + high_hz) / 2 > _CENTRED


# First sample, end, band (None for all of it), the spans inside.
_Part = tuple[int, int, "tuple[float, float] | None", list[Span]]


def _parts(capture: Capture, spans: Sequence[Span]) -> tuple[list[_Part], int]:
    """List each narrow span by itself, and what has the whole band, by tuning; count torn ones."""
    narrow, others = [], []
    for span in spans:
        (narrow if _is_narrow(capture, span) else others).append(span)
    wide, torn_samples = _without_conflicts(others)
    parts: list[_Part] = []
    for begin, until in tunings_of(capture):
        for neighbours in _in_one_band(_within(narrow, begin, until)):
            clear, torn = _without_conflicts(neighbours)
            parts += [(span.first, span.end, span.band_hz, [span]) for span in clear]
            torn_samples += torn
        if inside := _within(wide, begin, until):
            parts.append((begin, until, None, inside))
    return parts, torn_samples


def _within(spans: Sequence[Span], begin: int, until: int) -> list[Span]:
    return [
        replace(span, first=max(span.first, begin), end=min(span.end, until))
        for span in spans
        if span.first < until and span.end > begin
    ]


def _in_one_band(spans: Sequence[Span]) -> list[list[Span]]:
    """Group spans whose bands overlap, one with the next."""
    groups: list[list[Span]] = []
    high_hz = float("-inf")
    for span in sorted(spans, key=lambda each: each.band_hz):
        if span.band_hz[0] >= high_hz:
            groups.append([])
        groups[-1].append(span)
        high_hz = max(high_hz, span.band_hz[1])
    return groups


def _without_conflicts(spans: Sequence[Span]) -> tuple[list[Span], int]:
    """Join overlapping spans of one label; take out, and count, samples that have two labels.

    Spans that only touch stay apart: each is an event of its own.
    """
    joined: list[Span] = []
    for span in sorted(spans, key=lambda each: (str(each.label), each.first, each.end)):
        before = joined[-1] if joined else None
        if before and before.label == span.label and span.first < before.end:
            band_hz = None
            if before.band_hz and span.band_hz:
                lows, highs = zip(before.band_hz, span.band_hz, strict=True)
                band_hz = (min(lows), max(highs))
            joined[-1] = replace(before, end=max(span.end, before.end), band_hz=band_hz)
        else:
            joined.append(span)
    changes = Counter({sample: 0 for span in joined for sample in (span.first, span.end)})
    for span in joined:
        changes[span.first] += 1
        changes[span.end] -= 1
    contested: list[tuple[int, int]] = []
    depth, previous = 0, 0
    for sample in sorted(changes):
        if depth > 1:
            contested.append((previous, sample))
        depth, previous = depth + changes[sample], sample
    clear: list[Span] = []
    for span in sorted(joined, key=lambda each: each.first):
        first = span.first
        for a, b in contested:
            if a >= span.end or b <= first:
                continue
            if a > first:
                clear.append(replace(span, first=first, end=a))
            first = b
        if first < span.end:
            clear.append(replace(span, first=first))
    return clear, sum(b - a for a, b in contested)
