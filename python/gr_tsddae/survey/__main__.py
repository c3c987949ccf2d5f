# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gr_tsddae.survey`: every signal of a wide recording, offline and without GNU Radio.

`survey CAPTURE` finds, measures and recognises; `survey evaluate` scores the survey on scenes.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from gr_tsddae.command import Parser, number, sentence
from gr_tsddae.files import print_any_text
from gr_tsddae.iq.captures import Capture, CaptureError, open_capture
from gr_tsddae.survey import evaluation, files
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.stream import survey_capture
from gr_tsddae.zoo import ModelError

NO_MODEL = "none"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(
        prog="python -m gr_tsddae.survey",
        description="Find, measure and recognise every signal of a wide recording. "
        "`python -m gr_tsddae.survey evaluate --help` scores the survey itself.",
    )
    top.add_argument("capture", help="recording: .sigmf-meta, .cf32, .cu8, .wav, ...")
    top.add_argument("--dtype", help="sample format of a raw file: cf32, ci16, ci8, cu8")
    top.add_argument("--rate", type=number, metavar="HZ", help="sample rate, if the file has none")
    top.add_argument("--center", type=number, metavar="HZ", help="centre frequency, likewise")
    top.add_argument(
        "--model",
        default="amc-nano",
        help="name or folder of the model that names what has a symbol rate; none: only measure "
        "(default: amc-nano)",
    )
    top.add_argument(
        "--threshold", type=number, default=0.6, help="confidence below it: unknown (default: 0.6)"
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
    top.add_argument("--only", nargs="+", metavar="LABEL", help="keep these labels")
    top.add_argument("--min-snr", type=number, metavar="DB", help="keep what is at least as strong")
    top.add_argument(
        "--band", type=number, nargs=2, metavar=("LO", "HI"), help="keep what lies within, in Hz"
    )
    top.add_argument("--quiet", action="store_true", help="no progress bar")
    return top


def run(arguments: argparse.Namespace) -> None:
    """Survey one recording and show what was found in every form asked for."""
    if not 0 <= arguments.threshold <= 1:
        raise ValueError(f"--threshold is {arguments.threshold}: choose from 0 to 1")
    if arguments.band and not arguments.band[0] < arguments.band[1]:
        raise ValueError(f"--band {arguments.band[0]:g} {arguments.band[1]:g}: LO must be below HI")
    if arguments.png and importlib.util.find_spec("matplotlib") is None:
        raise RuntimeError("--png needs matplotlib: pip install matplotlib")
    with open_capture(
        arguments.capture,
        dtype=arguments.dtype,
        sample_rate_hz=arguments.rate,
        center_frequency_hz=arguments.center,
    ) as capture:
        emissions = _found(capture, quiet=arguments.quiet)
        emissions = [e for e in emissions if _is_wanted(e, arguments)]
        if arguments.model != NO_MODEL:
            emissions = _recognised(capture, emissions, arguments)
        if arguments.only:
            emissions = [e for e in emissions if e.label in arguments.only]
        if arguments.json:
            print(files.json_document(capture, emissions))
        else:
            print_table(emissions)
        _write(capture, emissions, arguments)


def _found(capture: Capture, *, quiet: bool) -> list[Emission]:
    from tqdm import tqdm

    with tqdm(
        total=capture.sample_count, unit="sample", unit_scale=True, leave=False,
        disable=quiet or not sys.stderr.isatty(), desc="surveying",
    ) as bar:  # fmt: skip
        return survey_capture(capture, progress=bar.update)


def _is_wanted(emission: Emission, arguments: argparse.Namespace) -> bool:
    if arguments.min_snr is not None and emission.snr_db < arguments.min_snr:
        return False
    if not arguments.band:
        return True
    values = emission.as_dict()
    return arguments.band[0] <= values["low_hz"] and values["high_hz"] <= arguments.band[1]


def _recognised(
    capture: Capture, emissions: list[Emission], arguments: argparse.Namespace
) -> list[Emission]:
    from gr_tsddae.inference.recognizer import Recognizer
    from gr_tsddae.survey.recognition import isolator, recognise

    recognizer = Recognizer(arguments.model, device=arguments.device)
    cutter = isolator(capture)
    return [
        recognise(emission, recognizer, cutter, capture.sample_rate_hz, arguments.threshold)
        for emission in emissions
    ]


def _write(capture: Capture, emissions: list[Emission], arguments: argparse.Namespace) -> None:
    if arguments.png:
        from gr_tsddae.survey.picture import draw

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
            files.write_cut_out(emission, cutter, capture.sample_rate_hz, arguments.cut_out)
        print(f"wrote {len(emissions)} recordings to {arguments.cut_out}", file=sys.stderr)


def print_table(emissions: Sequence[Emission]) -> None:
    """A line per emission, for people."""
    print(f"{'id':>4} {'from s':>9} {'to s':>9} {'MHz':>13} {'kHz wide':>9}  {'SNR':>5}  "
          f"{'Bd':>10}  label")  # fmt: skip
    for emission in emissions:
        center_mhz = ((emission.band_center_hz or 0.0) + emission.center_hz) / 1e6
        rate = f"{emission.symbol_rate_hz:.6g}" if emission.symbol_rate_hz else "-"
        label = emission.label
        if label != "unknown":
            label += f" {emission.confidence:.2f}"
        extra = ""
        if "burst_s" in emission.measured:
            timing = emission.measured
            extra = f"  {timing['bursts']} bursts of {timing['burst_s'] * 1e3:.3g} ms"
        print(
            f"{emission.id:>4} {emission.start_s:>9.4f} {emission.stop_s:>9.4f} "
            f"{center_mhz:>13.6f} {emission.bandwidth_hz / 1e3:>9.3f}  {emission.snr_db:>5.1f}  "
            f"{rate:>10}  {label}{extra}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when it said something, 1 with one clear line when it could not."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    print_any_text()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["evaluate"]:
            evaluation.run(evaluation.parser().parse_args(words[1:]))
        else:
            run(parser().parse_args(words))
    except (CaptureError, ModelError, ValueError, OSError, RuntimeError, ImportError) as error:
        print("error:", sentence(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
