# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae survey`: every signal of a wide recording, offline and without GNU Radio.

`survey CAPTURE` finds, measures, recognises and names; `survey evaluate` scores the survey.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from gr_tsddae.command import (
    Parser,
    add_recording_options,
    exit_status,
    number,
    open_recording,
    tell_end,
)
from gr_tsddae.files import json_text
from gr_tsddae.iq.captures import Capture, CaptureError
from gr_tsddae.iq.formats.live import STANDARD_INPUT, LiveCapture
from gr_tsddae.labels import match_class
from gr_tsddae.progress import Progress
from gr_tsddae.survey import DEFAULT_MODEL, DEFAULT_THRESHOLD
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.live import survey_live
from gr_tsddae.survey.naming import CLASSES, Signal, load_signals
from gr_tsddae.survey.output import files, table
from gr_tsddae.survey.recording import survey_recording
from gr_tsddae.survey.stream import Event
from gr_tsddae.survey.truth import recordings, scenes
from gr_tsddae.zoo import add_model_option, find

if TYPE_CHECKING:
    from gr_tsddae.inference.recognizer import Recognizer

NO_MODEL = "none"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(
        prog="tsddae survey",
        description="Find, measure, recognise and name every signal of a wide recording. "
        "`tsddae survey evaluate --help` scores the survey itself.",
        epilog="Frequencies are absolute where the recording or --center says the centre, and "
        "count from the centre otherwise.",
    )
    add_recording_options(top)
    add_model_option(top, DEFAULT_MODEL, "none: only measure; ")
    top.add_argument(
        "--threshold",
        type=number,
        default=DEFAULT_THRESHOLD,
        help=f"confidence below it: unknown (default: {DEFAULT_THRESHOLD})",
    )
    top.add_argument(
        "--signals",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="more known signals, in the form of the package's signals.yaml (may be repeated)",
    )
    top.add_argument("--device", default="auto", help="auto, cpu, cuda")
    top.add_argument("--json", action="store_true", help="all emissions as JSON on stdout")
    top.add_argument("--png", type=Path, metavar="FILE", help="draw them into a spectrogram")
    top.add_argument(
        "--annotations", type=Path, metavar="OUT", help="write a SigMF recording that shows them"
    )
    top.add_argument(
        "--cut-out", type=Path, metavar="DIR", help="write each as a SigMF recording of its own"
    )
    top.add_argument(
        "--only", nargs="+", metavar="NAME", help="keep what has one of these labels or candidates"
    )
    top.add_argument("--min-snr", type=number, metavar="DB", help="keep what is at least as strong")
    top.add_argument(
        "--band",
        type=number,
        nargs=2,
        metavar=("LO", "HI"),
        help="keep what lies within, in Hz; where the centre is known, numbers that lie outside "
        "the recording's band count from the centre",
    )
    top.add_argument("--quiet", action="store_true", help="no progress bar")
    return top


def run(arguments: argparse.Namespace) -> None:
    """Survey one recording and show what was found in every form asked for."""
    if not 0 <= arguments.threshold <= 1:
        raise ValueError(f"--threshold is {arguments.threshold}: choose from 0 to 1")
    if arguments.min_snr is not None and math.isnan(arguments.min_snr):
        raise ValueError(f"--min-snr is {arguments.min_snr}: give a number of decibels")
    if arguments.band and not arguments.band[0] < arguments.band[1]:
        raise ValueError(f"--band {arguments.band[0]:g} {arguments.band[1]:g}: LO must be below HI")
    written = arguments.png or arguments.annotations or arguments.cut_out
    if arguments.capture == STANDARD_INPUT and written:
        raise ValueError(
            "--png, --annotations and --cut-out need a recording, and - is a stream; record it"
        )
    if arguments.png and importlib.util.find_spec("matplotlib") is None:
        raise RuntimeError("--png needs matplotlib: pip install matplotlib")
    signals = load_signals(arguments.signals)
    with ThreadPoolExecutor(1) as pool, open_recording(arguments) as capture:
        # Loading torch and a model takes seconds: another core does it while the survey begins.
        recognizer = _recognizer(arguments, pool)
        only = [_known(name, _classes(recognizer), signals) for name in arguments.only or ()]
        if capture.sample_rate_hz is None:
            raise CaptureError(f"{capture.path} does not say its sample rate: add --rate")
        band_hz, least_snr_db = arguments.band, arguments.min_snr
        absolute = band_hz is not None and _is_absolute(capture, band_hz)

        def is_wanted(emission: Emission) -> bool:
            strong = least_snr_db is None or emission.snr_db >= least_snr_db
            return strong and (not band_hz or _is_within(emission, band_hz, absolute=absolute))

        if isinstance(capture, LiveCapture):
            live = survey_live(
                capture,
                recognizer,
                signals,
                threshold=arguments.threshold,
                wanted=is_wanted,
                quiet=arguments.quiet,
            )
            _print_live((e for e in live if _is_named(e.emission, only)), capture, arguments)
            tell_end(capture, strict=arguments.strict)
            return
        found = survey_recording(
            capture,
            recognizer,
            signals,
            threshold=arguments.threshold,
            wanted=is_wanted,
            quiet=arguments.quiet,
        )
        emissions = [e for e in found.emissions if _is_named(e, only)]
        if arguments.json:
            print(
                files.json_document(capture, emissions, samples_not_finite=found.samples_not_finite)
            )
        else:
            print(*table.lines(emissions), sep="\n")
        if found.samples_not_finite:
            count, whole = found.samples_not_finite, capture.sample_count
            print(f"{count} of {whole} samples are not finite: taken for 0", file=sys.stderr)
        _write(capture, emissions, arguments)


def _is_named(emission: Emission, names: Sequence[str]) -> bool:
    return not names or bool({emission.label, *emission.candidates} & {*names})


def _print_live(events: Iterable[Event], capture: Capture, arguments: argparse.Namespace) -> None:
    """Print each emission when it comes: as in the table, or as a line of JSON."""
    absolute = capture.center_frequency_hz is not None
    if not arguments.json:
        print(table.header(absolute=absolute), flush=True)
    for event in events:
        lines = table.lines_of(event.emission, absolute=absolute, goes_on=event.kind != "ended")
        content = {"kind": event.kind, **event.emission.as_dict()}
        text = json_text(content) if arguments.json else "\n".join(lines)
        with Progress.external_write_mode():  # not into the line of progress
            print(text, flush=True)


def _recognizer(
    arguments: argparse.Namespace, pool: ThreadPoolExecutor
) -> Callable[[], Recognizer] | None:
    """Begin to load the model; what is returned waits for it.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    if arguments.model == NO_MODEL:
        return None
    find(arguments.model)

    def load() -> Recognizer:
        from gr_tsddae.inference.recognizer import Recognizer

        return Recognizer(arguments.model, device=arguments.device)

    return pool.submit(load).result


def _classes(recognizer: Callable[[], Recognizer] | None) -> list[str]:
    return [*CLASSES, *(recognizer().classes if recognizer else ())]


def _known(name: str, classes: Sequence[str], signals: Sequence[Signal]) -> str:
    """The class or signal that a user means.

    Raises:
        ValueError: there is none.
    """
    choices = list(dict.fromkeys([*classes, *(signal.name for signal in signals)]))
    found = match_class(name, choices)
    if found is None:
        close = difflib.get_close_matches(name, choices, 1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(classes)}"
        raise ValueError(f"--only {name}: no class and no signal has that name; {hint}")
    return choices[found]


def _is_absolute(capture: Capture, band_hz: Sequence[float]) -> bool:
    """Whether a band means absolute frequencies: it does where the recording reaches into it.

    Raises:
        ValueError: the band lies outside the recording either way.
    """
    half_hz = capture.sample_rate_hz / 2
    centers_hz = [segment.frequency_hz for segment in capture.segments]
    for absolute in (True, False):
        for center_hz in centers_hz:
            middle_hz = (center_hz or 0.0) if absolute else 0.0
            if band_hz[0] < middle_hz + half_hz and band_hz[1] > middle_hz - half_hz:
                return absolute
    middle_hz = centers_hz[0] or 0.0
    raise ValueError(
        f"--band {band_hz[0]:.10g} {band_hz[1]:.10g} lies outside the recording, which reaches "
        f"from {middle_hz - half_hz:.10g} to {middle_hz + half_hz:.10g} Hz"
    )


def _is_within(emission: Emission, band_hz: Sequence[float], *, absolute: bool) -> bool:
    center_hz = (emission.band_center_hz or 0.0) if absolute else 0.0
    return band_hz[0] <= center_hz + emission.low_hz and center_hz + emission.high_hz <= band_hz[1]


def _write(capture: Capture, emissions: list[Emission], arguments: argparse.Namespace) -> None:
    if arguments.png:
        from gr_tsddae.survey.output.picture import draw

        draw(capture, emissions, arguments.png)
        print(f"wrote {arguments.png}", file=sys.stderr)
    if arguments.annotations:
        name = "survey" if arguments.model == NO_MODEL else arguments.model
        written = files.write_annotations(
            capture, emissions, arguments.annotations, model_name=Path(name).name
        )
        print(f"wrote {written}", file=sys.stderr)
    if arguments.cut_out:
        from gr_tsddae.survey.recognition import isolator

        cutter = isolator(capture)
        for emission in emissions:
            files.write_cut_out(emission, cutter, capture, arguments.cut_out)
        print(f"wrote {len(emissions)} recordings to {arguments.cut_out}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when it said something, 1 with one clear line when it could not."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    make_parser, act = parser, run
    if words[:1] == ["evaluate"]:
        words = words[1:]
        on_recordings = any(word.startswith("--recordings") for word in words)
        module = recordings if on_recordings else scenes
        make_parser, act = module.parser, module.run
    return exit_status(lambda: act(make_parser().parse_args(words)))


if __name__ == "__main__":
    sys.exit(main())
