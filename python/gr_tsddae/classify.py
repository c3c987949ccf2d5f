# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae classify CAPTURE`: recognise the signal of a recording, offline.

Only a signal that has to be cut out of a wider band first needs GNU Radio.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gr_tsddae.command import (
    Parser,
    add_recording_options,
    exit_status,
    number,
    open_recording,
    whole,
)
from gr_tsddae.condition import (
    add_signal_options,
    check_signal_options,
    condition_capture,
    signal_options,
)
from gr_tsddae.files import json_text
from gr_tsddae.inference.decision import Decision, Origin, check_threshold
from gr_tsddae.iq.captures import Capture, CaptureError, open_capture
from gr_tsddae.iq.cut_out import CutOut, cut_out
from gr_tsddae.iq.formats.live import STANDARD_INPUT
from gr_tsddae.iq.sigmf.annotations import write_annotations
from gr_tsddae.iq.sigmf.model_annotation import merged
from gr_tsddae.progress import Progress
from gr_tsddae.zoo import find, read_card
from gr_tsddae.zoo.input_rate import RATE_TOLERANCE, wants_one_rate

if TYPE_CHECKING:
    from gr_tsddae.inference.recognizer import Recognizer

DECISIONS_PER_CAPTURE = 60  # as many as a person reads; --interval asks for more or fewer
LONGEST_INTERVAL_S = 0.01  # so that a burst of 20 ms is not averaged away
LONGEST_INTERVAL_WINDOWS = 64  # where the sample rate is not known
MIN_WINDOWS_PER_DECISION = 8
MAX_READ_SAMPLES = 1 << 22
MOST_SURVEYED_SAMPLES = 1 << 20  # before a model of bandwidths is asked


def _segments(capture: Capture) -> Iterator[tuple[int, int, Origin]]:
    """Yield first sample, end and origin of each tuning, whose ends no window may span."""
    for segment, end in capture.tunings():
        yield (
            segment.first_sample,
            end,
            Origin(
                time_s=capture.time_at(segment.first_sample),
                time_sample=segment.first_sample,
                center_frequency_hz=segment.frequency_hz,
                sample_rate_hz=capture.sample_rate_hz,
            ),
        )


def recognise_capture(
    capture: Capture,
    recognizer: Recognizer,
    *,
    hop_samples: int | None = None,
    interval_samples: int | None = None,
    confidence_threshold: float = 0.0,
    progress: bool = False,
) -> tuple[list[Decision], int]:
    """Decide over a whole capture, in memory that does not grow with it.

    Args:
        capture: Open.
        recognizer: Of any model.
        hop_samples: The window length when None.
        interval_samples: Span of one decision; None takes a sixtieth of the capture, but at
            most 10 ms and at least 8 windows.
        confidence_threshold: Under it a decision says "unknown".
        progress: Show the progress on stderr.

    Returns:
        The decisions in stream order, and how many windows were left out because they held NaN
        or infinite samples.

    Raises:
        CaptureError: If no window fits into the capture, or none is finite.
    """
    from gr_tsddae.iq.windows import cut

    window = recognizer.window_samples
    hop = window if hop_samples is None else hop_samples
    if hop < 1:
        raise ValueError(f"hop_samples is {hop}: windows must advance by at least 1 sample")
    if interval_samples is None:
        longest = LONGEST_INTERVAL_WINDOWS * window
        if capture.sample_rate_hz is not None:
            longest = round(LONGEST_INTERVAL_S * capture.sample_rate_hz)
        interval_samples = max(
            MIN_WINDOWS_PER_DECISION * window,
            min(capture.sample_count // DECISIONS_PER_CAPTURE, longest),
        )
    decider = recognizer.decider(interval_samples, confidence_threshold)
    decisions: list[Decision] = []
    seen = left_out = 0
    bar = Progress("recognising", "sample", capture.sample_count, quiet=not progress)
    # Whole batches, but never more than a few megasamples at once, however long the hop.
    step = hop * max(1, min(recognizer.batch_windows, MAX_READ_SAMPLES // hop))
    with bar:
        for segment_start, segment_end, origin in _segments(capture):
            for first in range(segment_start, segment_end - window + 1, step):
                end = min(first + step - hop + window, segment_end)
                windows = cut(capture.read(first, end - first), window, hop)
                first_samples = first + hop * np.arange(len(windows))
                finite = np.isfinite(windows).all(1)
                seen += len(windows)
                left_out += int((~finite).sum())
                if finite.any():
                    usable = windows[finite]
                    probabilities, scores = recognizer.judge(usable)
                    decisions += decider.add(
                        probabilities, first_samples[finite], origin, scores, usable
                    )
                bar.update(min(step, end - first))
            decisions += decider.flush()
    if not seen:
        raise CaptureError(
            f"{capture.path} has {capture.sample_count} samples in pieces shorter than a window "
            f"of {window}; record more, or use a model with shorter windows"
        )
    if seen == left_out:
        raise CaptureError(f"all {seen} windows of {capture.path} hold NaN or infinite samples")
    return decisions, left_out


def print_table(capture: Capture, decisions: list[Decision]) -> None:
    """Print runs of equal labels, for people."""
    rate = capture.sample_rate_hz
    unit = "s" if rate else "sample"

    def at(sample: int) -> str:
        return f"{sample / rate:.4f}" if rate else str(sample)

    print(f"{'from ' + unit:>14} {'to ' + unit:>14}  {'label':<10} confidence")
    for said in merged(decisions):
        print(
            f"{at(said.first_sample):>14} {at(said.end_sample):>14}  "
            f"{said.label:<10} {said.confidence:.2f}"
        )


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    top = Parser(
        prog="tsddae classify",
        description="Name the signal of a recording in SigMF, raw IQ (cf32, ci16, ci8, cu8) or "
        "IQ WAV. A model needs one signal, near 0 Hz, at the rate that its card asks for: "
        "samples per symbol (amc-nano: 8), a multiple of the bandwidth, or one sample rate. "
        "--offset brings the signal there, with --symbol-rate or --bandwidth. `tsddae survey` "
        "finds all three. For a model of one sample rate, a recording is resampled.",
    )
    add_recording_options(top)
    add_signal_options(top)
    top.add_argument(
        "--annotation",
        type=whole,
        metavar="N",
        help="cut out what the recording's annotation number N (from 0) marks, in time and band",
    )
    top.add_argument(
        "--hop",
        type=whole,
        metavar="SAMPLES",
        help="distance between windows (default: the window length)",
    )
    top.add_argument(
        "--interval",
        type=number,
        metavar="SECONDS",
        help="duration of one decision (default: a sixtieth of the recording, at most 0.01)",
    )
    top.add_argument(
        "--threshold",
        type=number,
        default=0.0,
        help="label decisions below this confidence unknown (default: 0)",
    )
    top.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    top.add_argument("--json", action="store_true", help="print all decisions as JSON")
    top.add_argument("--png", type=Path, metavar="FILE", help="draw a timeline into this file")
    top.add_argument(
        "--annotations",
        type=Path,
        metavar="FILE",
        help="write a SigMF recording annotated with the decisions",
    )
    top.add_argument("--quiet", action="store_true", help="show no progress bar")
    return top


def run(arguments: argparse.Namespace) -> None:
    """Recognise one capture and show it in every form asked for."""
    check_threshold(arguments.threshold)
    if arguments.hop is not None and arguments.hop < 1:
        raise ValueError(f"--hop is {arguments.hop}: windows must advance by at least 1 sample")
    if arguments.interval is not None and not arguments.interval > 0:
        raise ValueError(f"--interval is {arguments.interval}: it must be above 0 seconds")
    told = arguments.symbol_rate is not None or arguments.bandwidth is not None
    one_rate = wants_one_rate(read_card(find(arguments.model)))
    if arguments.offset and not (told or one_rate) and arguments.annotation is None:
        raise ValueError(
            "--offset needs --symbol-rate or --bandwidth: together they cut the signal out"
        )
    if arguments.capture == STANDARD_INPUT:
        from gr_tsddae.classify_live import classify_live

        classify_live(open_recording(arguments), arguments)
        return
    from gr_tsddae.inference.recognizer import Recognizer

    with _signal(arguments) as (capture, origin):
        _check_picture(arguments.png, capture)
        interval_samples = None
        if arguments.interval is not None:
            if capture.sample_rate_hz is None:
                raise ValueError("--interval is in seconds and needs the sample rate: add --rate")
            asked_samples = arguments.interval * capture.sample_rate_hz
            interval_samples = max(1, round(min(asked_samples, capture.sample_count)))
        recognizer = Recognizer(arguments.model, device=arguments.device)
        if arguments.bandwidth is None and (wrong := _misfit(capture, recognizer)):
            print(
                f"warning: {wrong}; `tsddae survey` finds and names all signals",
                file=sys.stderr,
            )
        decisions, left_out = recognise_capture(
            capture,
            recognizer,
            hop_samples=arguments.hop,
            interval_samples=interval_samples,
            confidence_threshold=arguments.threshold,
            progress=not arguments.quiet,
        )
        if left_out:
            print(
                f"warning: {left_out} windows with NaN or infinite samples were left out",
                file=sys.stderr,
            )
        _say_what_is_too_short(capture, recognizer.window_samples)
        if arguments.json:
            print(json_text([d.as_dict() for d in decisions], indent=1))
        else:
            print_table(capture, decisions)
        if arguments.png:
            from gr_tsddae.report.timeline import plot_timeline

            plot_timeline(
                capture,
                decisions,
                arguments.png,
                classes=recognizer.classes,
                confidence_threshold=arguments.threshold or None,
            )
            print(f"wrote {arguments.png}", file=sys.stderr)
        if arguments.annotations:
            written = _annotate(origin, capture, decisions, arguments.annotations)
            print(f"wrote {written}", file=sys.stderr)


def _say_what_is_too_short(capture: Capture, window_samples: int) -> None:
    """Print how many samples lie in tunings that no window fits into."""
    lengths = [end - segment.first_sample for segment, end in capture.tunings()]
    short = [length for length in lengths if length < window_samples]
    if short:
        rate_hz = capture.sample_rate_hz
        time = f" ({sum(short) / rate_hz:.6g} s)" if rate_hz else ""
        print(
            f"warning: {sum(short)} of {capture.sample_count} samples{time} were left out; they "
            f"lie in {len(short)} tunings shorter than a window of {window_samples} samples",
            file=sys.stderr,
        )


def _misfit(capture: Capture, recognizer: Recognizer) -> str:
    """Tell where the middle of a recording is not what a model of bandwidths wants."""
    if not recognizer.card.bandwidth_multiple:
        return ""
    from gr_tsddae.survey.fit import misfit

    return misfit(_middle(capture), capture.sample_rate_hz, recognizer.card)


def _middle(capture: Capture) -> np.ndarray:
    count = min(capture.sample_count, MOST_SURVEYED_SAMPLES)
    return capture.read((capture.sample_count - count) // 2, count)


@dataclass(frozen=True)
class _Place:
    """Where a signal lies in its recording: from which sample on, how far from the centre."""

    recording: Capture
    first_sample: int = 0
    shift_hz: float = 0.0


def _annotate(place: _Place, capture: Capture, decisions: list[Decision], path: Path) -> Path:
    """Write a recording annotated with decisions on a signal that may have been cut out of it."""
    from gr_tsddae.survey.fit import signal_band

    recording, rate_hz = place.recording, place.recording.sample_rate_hz
    band_hz = None
    if rate_hz is not None and capture.sample_rate_hz is not None:
        low_hz, high_hz = signal_band(_middle(capture), capture.sample_rate_hz)
        band_hz = (place.shift_hz + low_hz, place.shift_hz + high_hz)
    if capture is not recording:
        ratio = rate_hz / capture.sample_rate_hz
        decisions = [_moved(decision, place, ratio) for decision in decisions]
    model = decisions[0].model
    return write_annotations(recording, decisions, path, model_name=model, band_hz=band_hz)


def _moved(decision: Decision, place: _Place, ratio: float) -> Decision:
    """Return a decision on a cut as one on its recording, which has `ratio` samples for one."""
    recording = place.recording
    first = place.first_sample + round(decision.first_sample * ratio)
    end = place.first_sample + round((decision.first_sample + decision.sample_count) * ratio)
    first, end = (min(sample, recording.sample_count) for sample in (first, end))
    return replace(
        decision,
        first_sample=first,
        sample_count=end - first,
        center_frequency_hz=recording.center_frequency_at(first),
        sample_rate_hz=recording.sample_rate_hz,
    )


@contextlib.contextmanager
def _signal(arguments: argparse.Namespace) -> Iterator[tuple[Capture, _Place]]:
    """Open the recording, or the signal that is to be cut out of it, and say where that lies."""
    with contextlib.ExitStack() as stack:
        capture = stack.enter_context(open_recording(arguments))
        place = _Place(capture)
        if arguments.annotation is not None:
            capture = _annotated(capture, arguments)
            place = _Place(place.recording, capture.source_first, capture.shift_hz)
        elif wants_one_rate(card := read_card(find(arguments.model))):
            capture = _at_one_rate(capture, card.sample_rate_hz, arguments)
            place = _Place(place.recording, 0, arguments.offset)
        elif arguments.symbol_rate is not None or arguments.bandwidth is not None:
            options = signal_options(arguments)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tsddae-"))
            made = condition_capture(capture, Path(folder) / capture.path.name, **options)
            capture = stack.enter_context(open_capture(made))
            place = _Place(place.recording, 0, arguments.offset)
        yield capture, place


def _at_one_rate(capture: Capture, wanted_hz: float, arguments: argparse.Namespace) -> Capture:
    """Resample a recording, or the band of it that is asked for, to the one rate of a model."""
    rate_hz = capture.sample_rate_hz
    if arguments.samples_per_symbol:
        raise ValueError(
            f"{arguments.model} wants {wanted_hz:g} samples per second of every signal: leave "
            "--samples-per-symbol out"
        )
    check_signal_options(arguments)
    asked = arguments.offset or arguments.bandwidth is not None
    if rate_hz is None:
        if asked:
            raise ValueError("--offset and --bandwidth need the sample rate: add --rate")
        return capture  # taken as it is, as with every model
    if abs(arguments.offset) > rate_hz / 2:
        raise ValueError(
            f"--offset is {arguments.offset:g}: a recording of {rate_hz:g} samples per second ends "
            f"at +-{rate_hz / 2:g}"
        )
    if not asked and abs(wanted_hz / rate_hz - 1) <= RATE_TOLERANCE:
        return capture
    width_hz = rate_hz if arguments.bandwidth is None else arguments.bandwidth
    if not 0 < width_hz <= rate_hz:
        raise ValueError(
            f"--bandwidth is {width_hz:g}: it must be above 0 and at most the sample rate of the "
            f"recording, {rate_hz:g}"
        )
    band_hz = (arguments.offset - width_hz / 2, arguments.offset + width_hz / 2)
    return cut_out(
        capture, 0, capture.sample_count, band_hz, wanted_hz, passband_hz=width_hz, exact=True
    )


def _annotated(capture: Capture, arguments: argparse.Namespace) -> CutOut:
    """Cut out what an annotation marks, at the rate that the model wants."""
    from gr_tsddae.survey.labelled import labelled_signal

    number = arguments.annotation
    if not 0 <= number < len(capture.annotations):
        raise ValueError(
            f"--annotation is {number}: {capture.path} has {len(capture.annotations)} labelled "
            "annotations, counted from 0"
        )
    if capture.sample_rate_hz is None:
        raise ValueError("--annotation needs the sample rate: add --rate")
    card = read_card(find(arguments.model))
    if arguments.samples_per_symbol:
        card = replace(
            card, samples_per_symbol=arguments.samples_per_symbol, bandwidth_multiple=None
        )
    part, symbol_rate_hz = labelled_signal(
        capture,
        number,
        card,
        symbol_rate_hz=arguments.symbol_rate,
        bandwidth_hz=arguments.bandwidth,
        offset_hz=arguments.offset,
    )
    said = f"annotation {number} ({capture.annotations[number].label}) is cut out at"
    rate = f", for {symbol_rate_hz:.6g} Bd" if symbol_rate_hz else ""
    print(f"note: {said} {part.sample_rate_hz:g} samples/s{rate}", file=sys.stderr)
    if card.samples_per_symbol and not symbol_rate_hz:
        print(
            f"warning: {card.name} wants {card.samples_per_symbol:g} samples per symbol, and no "
            "symbol rate was measured: give --symbol-rate",
            file=sys.stderr,
        )
    return part


def _check_picture(png: Path | None, capture: Capture) -> None:
    """Check before the work that the picture can be drawn, and that it replaces no recording."""
    if png is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise RuntimeError("--png needs matplotlib: pip install matplotlib")
    meta = capture.data_path.with_suffix(".sigmf-meta")
    if png.resolve() in {p.resolve() for p in (capture.path, capture.data_path, meta)}:
        raise ValueError(f"--png {png} is the recording itself; choose another file")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 after one line about the error."""
    return exit_status(lambda: run(parser().parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
