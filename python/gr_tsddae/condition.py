# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae condition CAPTURE OUT`: cut one signal out of a wide recording.

The Conditioner block runs over a file and writes a SigMF recording, for `classify` or for teaching
a model.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gr_tsddae.command import (
    Parser,
    add_recording_options,
    exit_status,
    number,
    open_recording,
    tell_end,
)
from gr_tsddae.iq.captures import Capture, CaptureError, open_capture
from gr_tsddae.iq.formats.live import LiveCapture
from gr_tsddae.zoo import add_model_option, find, read_card
from gr_tsddae.zoo.input_rate import wants_one_rate


def condition_capture(capture: Capture, out: str | os.PathLike[str], **options: Any) -> Path:
    """Cut one signal out of a recording and bring it to the sample rate that a model wants.

    Args:
        capture: Open, with a known sample rate.
        out: Recording to write; NAME-2, NAME-3, ... where it exists.
        options: Arguments of `gr_tsddae.blocks.conditioner`, such as `symbol_rate_hz`.

    Returns:
        The path of the .sigmf-meta file.

    Raises:
        ImportError: Without GNU Radio.
        CaptureError: If the capture has no sample rate, or is too short to give a sample.
        ValueError: For an argument out of its range.
        OSError: If it could not be read or written whole.
        KeyboardInterrupt: If Ctrl-C ended it. Whatever ends it early leaves no recording.
    """
    source, conditioner = _source_and_conditioner(capture, **options)
    from gnuradio import gr

    from gr_tsddae import blocks

    recorder = blocks.sigmf_annotator(
        str(out), record="block", sample_rate_hz=conditioner.output_rate_hz
    )
    top = gr.top_block("condition")
    top.connect(source, conditioner, recorder)

    def stop() -> None:
        source.stopping = True

    try:
        with _on_ctrl_c(stop):
            top.run()
        if source.error is not None:
            raise OSError(f"{capture.path} could be read in part only: {source.error}")
        if not source.finished:
            raise KeyboardInterrupt
        writer = recorder.recorder.writer
        if writer is None or writer.failed:
            raise OSError(f"{out} could not be written; is the disk full?")
        if not writer.samples_written:
            raise CaptureError(
                f"{capture.path} has {capture.sample_count} samples, too few for one at "
                f"{conditioner.output_rate_hz:g} samples per second; record more"
            )
    except BaseException:  # a part would look like the whole
        if recorder.recording_path is not None:
            for suffix in (".sigmf-meta", ".sigmf-data"):
                recorder.recording_path.with_suffix(suffix).unlink(missing_ok=True)
        raise
    return recorder.recording_path


@contextlib.contextmanager
def conditioned(capture: Capture, **options: Any) -> Iterator[tuple[float, Iterator[np.ndarray]]]:
    """Cut one signal out of a live stream, as `condition_capture` does out of a recording.

    Args:
        capture: Live, with a known sample rate.
        options: As for `condition_capture`.

    Yields:
        The sample rate of the signal, and its samples in blocks: complex64 (n,).

    Raises:
        ImportError, CaptureError, ValueError: As `condition_capture`.
    """
    source, conditioner = _source_and_conditioner(capture, **options)
    from gnuradio import gr

    from gr_tsddae.blocks.receiver.queue_sink import QueueSink

    sink = QueueSink()
    top = gr.top_block("condition")
    top.connect(source, conditioner, sink)
    top.start()
    try:
        yield conditioner.output_rate_hz, sink.blocks()
    finally:
        source.stopping = True
        sink.close()
        top.stop()
        top.wait()


def _source_and_conditioner(capture: Capture, **options: Any) -> tuple[Any, Any]:
    """Make the block that plays a recording or stream, and the one that cuts the signal out."""
    from gr_tsddae import blocks
    from gr_tsddae.blocks.receiver.capture_source import CaptureSource

    if capture.sample_rate_hz is None:
        name = "the standard input" if isinstance(capture, LiveCapture) else capture.path
        raise CaptureError(f"{name} does not say its sample rate: add --rate")
    conditioner = blocks.conditioner(sample_rate_hz=capture.sample_rate_hz, **options)
    return CaptureSource(capture), conditioner


@contextlib.contextmanager
def _on_ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """Have Ctrl-C call `stop` instead of raising, where it would raise.

    An exception between a flowgraph's start and GNU Radio's wait would leave it running, and
    Python waiting for its end.
    """
    before = signal.getsignal(signal.SIGINT)
    ours = before not in (signal.SIG_IGN, None)  # a shell's background jobs ignore it
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def add_signal_options(top: argparse.ArgumentParser) -> None:
    """Add the options that say where in the recording the signal is, and for which model."""
    add_model_option(top, "amc-nano")
    top.add_argument(
        "--symbol-rate",
        type=number,
        metavar="HZ",
        help="symbol rate of the signal; for FM voice 12.5e3, for broadcast FM 25e3 to 50e3",
    )
    top.add_argument(
        "--bandwidth",
        type=number,
        metavar="HZ",
        help="for a model that wants a multiple of the bandwidth: occupied bandwidth of the "
        "signal; for other models: width of the band that is let through (default: the widest)",
    )
    top.add_argument(
        "--offset",
        type=number,
        default=0.0,
        metavar="HZ",
        help="frequency of the signal relative to the recording's centre (default: 0)",
    )
    top.add_argument(
        "--samples-per-symbol",
        type=number,
        default=0.0,
        metavar="N",
        help="samples per symbol of the result (default: those in the model's card)",
    )


def check_signal_options(arguments: argparse.Namespace) -> None:
    """Check that what is told of the signal is what the model wants.

    Raises:
        ValueError: If it is not; the message names the option.
        ModelError: If the model's card cannot be read.
    """
    card = read_card(find(arguments.model))
    if wants_one_rate(card) and not arguments.samples_per_symbol:
        if arguments.symbol_rate is not None:
            raise ValueError(
                f"{card.name} wants {card.sample_rate_hz:g} samples per second of every signal: "
                "leave --symbol-rate out"
            )
        return
    if arguments.samples_per_symbol or not card.bandwidth_multiple:
        if arguments.symbol_rate is None:
            wants = arguments.samples_per_symbol or card.samples_per_symbol
            why = f"{card.name} wants {wants:g} samples per symbol: " if wants else ""
            raise ValueError(f"{why}give --symbol-rate")
        return
    wants = f"{card.name} wants {card.bandwidth_multiple:g} times the bandwidth of the signal"
    if arguments.symbol_rate is not None:
        raise ValueError(f"{wants}, which --symbol-rate does not tell: give --bandwidth instead")
    if arguments.bandwidth is None:
        raise ValueError(f"{wants}: give --bandwidth, which `tsddae survey` measures")


def signal_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Check what is told of the signal, as `check_signal_options` does; return it for a block."""
    check_signal_options(arguments)
    return {
        "symbol_rate_hz": arguments.symbol_rate or 0.0,
        "bandwidth_hz": arguments.bandwidth or 0.0,
        "offset_hz": arguments.offset,
        "samples_per_symbol": arguments.samples_per_symbol,
        "model": arguments.model,
    }


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    top = Parser(
        prog="tsddae condition",
        description="Cut one signal out of a recording, and resample it to the rate that a model "
        "wants. The command writes SigMF. It needs GNU Radio.",
    )
    add_recording_options(top)
    top.add_argument("out", type=Path, help="recording to write; it must not exist")
    add_signal_options(top)
    return top


def run(arguments: argparse.Namespace) -> None:
    """Cut out what the command line says; errors as of `condition_capture`."""
    options = signal_options(arguments)
    with open_recording(arguments) as capture:
        written = condition_capture(capture, arguments.out, **options)
    if isinstance(capture, LiveCapture):
        tell_end(capture, strict=arguments.strict)
    with open_capture(written) as made:
        print(f"wrote {written}: {made.duration_s:.3f} s at {made.sample_rate_hz:g} samples/s")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 after one line about the error."""
    return exit_status(lambda: run(parser().parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
