# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae classify -`: name the signal that another program sends, while it sends."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np

from gr_tsddae.command import tell_end
from gr_tsddae.condition import conditioned, signal_options
from gr_tsddae.files import json_text
from gr_tsddae.inference.decision import Decider, Decision, Origin
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.captures import Capture
from gr_tsddae.iq.formats.live import ended_by_ctrl_c
from gr_tsddae.iq.sigmf.model_annotation import ModelAnnotation
from gr_tsddae.iq.windows import cut
from gr_tsddae.zoo.input_rate import RATE_TOLERANCE, wants_one_rate

INTERVAL_S = 0.01  # of a decision: a burst of 20 ms is seen
LONGEST_LINE_S = 1.0  # after so long, a line is printed though the label has not changed
_WINDOWS_WITHOUT_RATE = 64
_READ_SAMPLES = 1 << 16


def classify_live(capture: Capture, arguments: argparse.Namespace) -> None:
    """Print a line for each stretch of one label as soon as it is over; with --json, a decision.

    Args:
        capture: Live.
        arguments: Of `classify`.

    Raises:
        ValueError: For what a stream cannot give: --png, --annotations.
    """
    if arguments.png or arguments.annotations or arguments.annotation is not None:
        raise ValueError(
            "--png, --annotations and --annotation need a recording, and - is a stream; record it"
        )
    recognizer = Recognizer(arguments.model, device=arguments.device)
    with contextlib.ExitStack() as stack:
        stack.enter_context(ended_by_ctrl_c())
        rate_hz = capture.sample_rate_hz
        blocks = (iq for _, iq in capture.blocks(_READ_SAMPLES))
        card = recognizer.card
        resampled = wants_one_rate(card) and (
            arguments.offset
            or (rate_hz is not None and abs(card.sample_rate_hz / rate_hz - 1) > RATE_TOLERANCE)
        )
        if resampled or arguments.symbol_rate is not None or arguments.bandwidth is not None:
            options = signal_options(arguments)
            rate_hz, blocks = stack.enter_context(conditioned(capture, **options))
        if arguments.interval is not None and rate_hz is None:
            raise ValueError("--interval is in seconds and needs the sample rate: add --rate")
        window = recognizer.window_samples
        interval_samples = _WINDOWS_WITHOUT_RATE * window
        if rate_hz is not None:
            interval_samples = max(window, round((arguments.interval or INTERVAL_S) * rate_hz))
        decider = recognizer.decider(interval_samples, arguments.threshold)
        origin = Origin(center_frequency_hz=capture.center_frequency_hz, sample_rate_hz=rate_hz)
        hop = window if arguments.hop is None else arguments.hop
        left_out: Counter[str] = Counter()
        decisions = decided(blocks, recognizer, decider, origin, hop, left_out)
        if arguments.json:
            for decision in decisions:
                print(json_text(decision.as_dict()), flush=True)
        else:
            _print_lines(decisions, rate_hz)
        if count := left_out["windows"]:
            print(
                f"warning: {count} windows with NaN or infinite samples were left out",
                file=sys.stderr,
            )
        tell_end(capture, strict=arguments.strict)


def decided(
    blocks: Iterator[np.ndarray],
    recognizer: Recognizer,
    decider: Decider,
    origin: Origin,
    hop_samples: int,
    left_out: Counter[str],
) -> Iterator[Decision]:
    """Decide over a stream, block by block; windows with NaN or infinity are left out.

    Blocks are samples in order, complex64 (n,). What is left out is counted under `windows`.
    """
    window = recognizer.window_samples
    waiting, first, passed_over = np.zeros(0, np.complex64), 0, 0
    for block in blocks:
        begin = min(passed_over, len(block))  # a hop may reach beyond what has come
        passed_over -= begin
        waiting = np.concatenate([waiting, block[begin:]])
        count = max(0, (len(waiting) - window) // hop_samples + 1)
        if not count:
            continue
        windows = cut(waiting[: (count - 1) * hop_samples + window], window, hop_samples)
        finite = np.isfinite(windows).all(1)
        if finite.any():
            numbers = first + hop_samples * np.flatnonzero(finite)
            usable = windows[finite]
            probabilities, scores = recognizer.judge(usable)
            yield from decider.add(probabilities, numbers, origin, scores, usable)
        left_out["windows"] += int((~finite).sum())
        passed_over = max(0, count * hop_samples - len(waiting))
        waiting, first = waiting[count * hop_samples :], first + count * hop_samples
    yield from decider.flush()


def _print_lines(decisions: Iterator[Decision], rate_hz: float | None) -> None:
    unit, per_unit = ("s", rate_hz) if rate_hz else ("sample", 1)
    print(f"{'from ' + unit:>14} {'to ' + unit:>14}  {'label':<10} confidence", flush=True)

    def line(said: ModelAnnotation) -> None:
        span = (at / per_unit for at in (said.first_sample, said.end_sample))
        begin, end = (f"{at:.4f}" if rate_hz else f"{at:.0f}" for at in span)
        print(f"{begin:>14} {end:>14}  {said.label:<10} {said.confidence:.2f}", flush=True)

    said: ModelAnnotation | None = None
    for decision in decisions:
        note = ModelAnnotation.of(decision)
        long = said and rate_hz and said.sample_count >= LONGEST_LINE_S * rate_hz
        if said and (long or not said.take_in(note)):
            line(said)
            said = None
        said = said or note
    if said:
        line(said)
