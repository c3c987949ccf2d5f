# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows of labelled recordings for a model that wants a multiple of the bandwidth.

The survey finds the signal of each recording, and cuts windows as it does to ask a model. Edges
that a SigMF annotation gives take the place of measured ones.
"""

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gr_tsddae import zoo
from gr_tsddae.data import DatasetError
from gr_tsddae.data.options import as_annotated
from gr_tsddae.data.readers.labelled_captures import labelled_recordings, licence_of, read
from gr_tsddae.data.readers.spans import Span, tunings_of
from gr_tsddae.inference.pauses import is_on
from gr_tsddae.iq.captures import Capture
from gr_tsddae.iq.sigmf.opinion import CUT_FROM
from gr_tsddae.labels import NOISE
from gr_tsddae.survey import Emission, Survey
from gr_tsddae.survey.isolation import Isolator
from gr_tsddae.survey.recognition import BLOCK_SAMPLES, cut_windows, isolator, wanted_of

log = logging.getLogger(__name__)

OPTIONS = ("label", "dtype", "sample_rate_hz", "center_frequency_hz", "strict")
MOST_WINDOWS = 600  # of one signal in one recording, and as many of its pauses
MOST_BURSTS = 64
READ_SAMPLES = 1 << 20
FRAME_SAMPLES = 128  # at twice the bandwidth, over which power is averaged
LEAST_PAUSE_WINDOWS = 1.0
BLOCK_WINDOWS = 4
# What a survey measures on another day: share of the bandwidth by which it is wider, and by which
# the centre lies elsewhere. The first is as measured; windows of the others are learned from only.
ERRORS = ((0.0, 0.0), (-0.18, 0.08), (0.22, -0.08))


class Heard(NamedTuple):
    """What the survey heard of a labelled signal.

    Attributes:
        capture: In which it is.
        strongest: The emission that windows are cut of. Where an annotation gives the edges,
            nothing else of it is known.
        emissions: All of the signal, as a survey lists them; none where an annotation gives edges.
        recording: Index into `OnAir.names`.
        label: Index into `OnAir.classes`.
    """

    capture: Capture
    strongest: Emission
    emissions: list[Emission]
    recording: int = 0
    label: int = 0


@dataclasses.dataclass(frozen=True)
class OnAir:
    """Windows of labelled recordings.

    Attributes:
        classes: Their names, sorted.
        rows: Unscaled, float32 (N, 2, L).
        label: int64 (N,).
        recording: int64 (N,), index into `names`.
        burst: int64 (N,), numbered over all recordings; a pause has a number, too.
        on: bool (N,), False in pauses.
        exact: bool (N,), whether the window is cut at the edges measured.
        at_s: float64 (N,), its middle, from the first sample of the recording.
        window_s: float64 (N,), how long it lasts.
        names: Of recordings. What was cut out of one recording counts as one.
        heard: What the survey heard, without what is labelled as noise.
        left_out: Reason -> number of recordings or annotations.
        licence: That they state.
    """

    classes: tuple[str, ...]
    rows: np.ndarray
    label: np.ndarray
    recording: np.ndarray
    burst: np.ndarray
    on: np.ndarray
    exact: np.ndarray
    at_s: np.ndarray
    window_s: np.ndarray
    names: tuple[str, ...]
    heard: list[Heard]
    left_out: Mapping[str, int]
    licence: str


def cut_recordings(
    path: Path, card: zoo.Card, *, gate_db: float | None, options: Mapping[str, Any]
) -> OnAir:
    """Find the signal in each recording, and cut windows of it.

    Args:
        path: As for the data set kind "captures".
        card: Of a model that wants a multiple of the bandwidth.
        gate_db: See `is_on`; None: pauses are those that the survey sees.
        options: Of the reader, see `OPTIONS`.

    Raises:
        DatasetError: There is no recording, one cannot be read or does not say its sample rate, or
            an option does not apply.
    """
    if others := set(options) - set(OPTIONS):
        raise DatasetError(
            f"options.{min(others)} does not apply to {card.name}, for which windows are cut at "
            f"{card.bandwidth_multiple:g} times the bandwidth; options are {', '.join(OPTIONS)}"
        )
    options = as_annotated("options", read, options)  # 2.4M is a number, too
    recorded, notes = labelled_recordings(path, **options)
    classes = tuple(sorted({span.label for _, inside in recorded for span in inside if span.label}))
    names: list[str] = []
    columns: dict[str, list] = {}
    silent: list[str] = []
    heard: list[Heard] = []
    bursts = 0
    for capture, spans in recorded:
        if capture.sample_rate_hz is None:
            raise DatasetError(
                f"{capture.path} does not say its sample rate: say it in a sidecar, or give the "
                "option sample_rate_hz"
            )
        name = str(capture.metadata.get(CUT_FROM, capture.path))
        if name not in names:
            names.append(name)
        for span in spans:
            if span.label is None:
                notes["recording without a label"] += 1
                continue
            label, recording = classes.index(span.label), names.index(name)
            signals = list(_signals(capture, span))
            if span.label != NOISE:
                heard += [each._replace(recording=recording, label=label) for each in signals]
            found = False
            for signal in signals:
                for windows, (start_s, stop_s), on, exact in _windows(signal, span, card, gate_db):
                    found, count = True, len(windows)
                    bursts += exact  # windows with errors are of the same burst
                    at_s = start_s + (stop_s - start_s) * (np.arange(count) + 0.5) / count
                    for key, value in {
                        "rows": np.stack((windows.real, windows.imag), 1),
                        "label": np.full(count, label),
                        "recording": np.full(count, recording),
                        "burst": np.full(count, bursts),
                        "on": np.full(count, on),
                        "exact": np.full(count, exact),
                        "at_s": at_s,
                        "window_s": np.full(count, (stop_s - start_s) / count),
                    }.items():
                        columns.setdefault(key, []).append(value)
            if not found:
                silent.append(capture.path.name)
    if silent:
        log.warning("warning: no signal was found in %s", ", ".join(sorted(set(silent))))
        notes["recording or annotation without a signal"] = len(silent)
    if not columns:
        raise DatasetError(f"{path} has no labelled recording in which a signal was found")
    return OnAir(
        classes=classes,
        names=tuple(names),
        heard=heard,
        left_out=dict(notes),
        licence=licence_of([capture for capture, _ in recorded]),
        **{key: np.concatenate(parts) for key, parts in columns.items()},
    )


def _signals(capture: Capture, span: Span) -> Iterator[Heard]:
    """Yield what the survey heard in each tuning of the receiver."""
    for begin, until in tunings_of(capture):
        first, stop = max(span.first, begin), min(span.end, until)
        if first < stop and (found := _signal(capture, span, first, stop)) is not None:
            yield found


def _windows(
    heard: Heard, span: Span, card: zoo.Card, gate_db: float | None
) -> Iterator[tuple[np.ndarray, tuple[float, float], bool, bool]]:
    """Yield windows of a burst or pause, complex64 (n, L); its start and stop; on; exact."""
    capture, emission = heard.capture, heard.strongest
    rate_hz = capture.sample_rate_hz
    wanted = wanted_of(emission, card, rate_hz)
    window_s = card.window_samples / wanted.rate_hz
    # Blocks of some windows: short bursts take long out of long blocks.
    samples = int(BLOCK_WINDOWS * window_s * rate_hz)
    cutter = isolator(capture, min(BLOCK_SAMPLES, max(4096, 1 << samples.bit_length())))
    bursts, pauses = emission.bursts, []
    if gate_db is not None and span.label != NOISE:
        bursts, pauses = _levelled(emission, cutter, emission.start_s, emission.stop_s, gate_db)
    pauses = [(a, b) for a, b in pauses if b - a >= LEAST_PAUSE_WINDOWS * window_s]
    whole = [(a, b) for a, b in bursts if b - a >= window_s]
    for spread, on in ((whole or bursts, True), (pauses, False)):
        spread = _evenly(spread, MOST_BURSTS)
        most = max(1, MOST_WINDOWS // max(1, len(spread)))
        for burst in spread:
            for wider, moved in ERRORS:
                erring = _erring(emission, wider, moved)
                windows = cut_windows(
                    erring, [burst], card.window_samples, wanted_of(erring, card, rate_hz),
                    cutter, most if not wider else max(1, most // 3),
                )  # fmt: skip
                if len(windows):
                    yield windows, burst, on, not wider


def _erring(emission: Emission, wider: float, moved: float) -> Emission:
    half_hz = emission.bandwidth_hz * (1 + wider) / 2
    center_hz = emission.center_hz + moved * emission.bandwidth_hz
    return dataclasses.replace(emission, low_hz=center_hz - half_hz, high_hz=center_hz + half_hz)


def _evenly(items: list, most: int) -> list:
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _signal(capture: Capture, span: Span, first: int, stop: int) -> Heard | None:
    """Find what a label is about: what has its edges, else the strongest emission.

    `strongest` lasts as long as the label, and has the bursts of all emissions that are as wide.
    """
    rate_hz = capture.sample_rate_hz
    start_s, stop_s = first / rate_hz, stop / rate_hz
    band_hz = span.band_hz
    if band_hz is None and span.label == NOISE:  # there is nothing to be found
        band_hz = (-rate_hz / 8, rate_hz / 8)
    if band_hz is not None:
        annotated = Emission(
            id=0, start_s=start_s, stop_s=stop_s, low_hz=band_hz[0], high_hz=band_hz[1], snr_db=0.0,
            bursts=[(start_s, stop_s)],
        )  # fmt: skip
        return Heard(capture, annotated, [])
    survey = Survey(rate_hz)
    events = []
    for at in range(first, stop, READ_SAMPLES):
        events += survey.push(capture.read(at, min(READ_SAMPLES, stop - at)))
    events += survey.flush()
    found = [
        dataclasses.replace(
            event.emission,
            start_s=start_s + event.emission.start_s,
            stop_s=start_s + event.emission.stop_s,
            bursts=[(start_s + a, start_s + b) for a, b in event.emission.bursts],
        )
        for event in events
        if event.kind == "ended"
    ]
    if not found:
        return None
    if CUT_FROM in capture.metadata:  # the signal is in the middle; one beside it may be stronger
        found = [each for each in found if each.low_hz < 0 < each.high_hz] or found
    best = max(found, key=lambda emission: emission.energy)
    same = [each for each in found if best.low_hz < each.center_hz < best.high_hz]
    same = [each for each in same if 0.5 < each.bandwidth_hz / best.bandwidth_hz < 2]
    bursts = sorted(burst for each in same for burst in each.bursts)
    whole = dataclasses.replace(best, start_s=start_s, stop_s=stop_s, bursts=bursts)
    return Heard(capture, whole, same)


def _levelled(
    emission: Emission, cutter: Isolator, start_s: float, stop_s: float, gate_db: float
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Take pauses out of bursts by the level in the band, which noise alone may fill.

    Returns:
        Bursts and pauses: start and stop of each.
    """
    rate_hz = 2 * emission.bandwidth_hz
    frame_s = FRAME_SAMPLES / rate_hz
    count = int((stop_s - start_s) / frame_s)
    if count < 2:
        return emission.bursts, []
    power = []
    step = max(1, READ_SAMPLES // FRAME_SAMPLES // 8)
    for first in range(0, count, step):
        some = min(step, count - first)
        at_s = start_s + first * frame_s
        iq = cutter.at_rate(
            emission.center_hz, emission.bandwidth_hz, at_s, at_s + (some + 0.1) * frame_s, rate_hz
        )
        frames = iq[: some * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        power.append(np.square(np.abs(frames)).mean(1, dtype=np.float64))
    power = np.concatenate(power)
    on = is_on(power, gate_db)
    middle_s = start_s + (np.arange(len(power)) + 0.5) * frame_s
    heard = np.zeros(len(power), bool)
    for begin_s, end_s in emission.bursts:
        heard |= (middle_s >= begin_s - frame_s / 2) & (middle_s <= end_s + frame_s / 2)
    # What the survey does not hear is a pause; so is what is as weak as pauses are.
    return _runs(on & heard, start_s, frame_s), _runs(~(on & heard), start_s, frame_s)


def _runs(flags: np.ndarray, start_s: float, frame_s: float) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [
        (start_s + a * frame_s, start_s + b * frame_s)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]
