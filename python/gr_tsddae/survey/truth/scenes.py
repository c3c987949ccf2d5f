# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a survey finds and measures what is known to be in scenes: `survey evaluate`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gr_tsddae.command import Parser, number, whole
from gr_tsddae.labels import UNKNOWN, relatives
from gr_tsddae.progress import Progress
from gr_tsddae.survey import DEFAULT_MODEL
from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.stream import BLOCK_SAMPLES, Survey
from gr_tsddae.zoo import add_model_option

if TYPE_CHECKING:
    from gr_tsddae.inference.recognizer import Recognizer
    from gr_tsddae.synth.scene.render import Truth

BURST_BINS = 8  # bins of its own length that a burst is wide at least
RESOLUTION_HZ = 1000.0  # what is narrower counts as that wide when bands are compared
SNR_STEPS_DB = (-100, 0, 5, 10, 15, 20, 25, 30, 100)
WIDTH_STEPS_HZ = (0, 3e3, 10e3, 30e3, 100e3, 1e12)
NO_SYMBOLS = ("LoRa", "pulses")  # whose rate is not that of a linear or FSK modulation
NO_MODEL = "none"
SURE = 0.9  # confidence above which a wrong label misleads
LEAST_SHARED = 0.4  # of the wider band, for an emission to be the emitter's


@dataclass(frozen=True)
class Match:
    """An emitter, and what was found of it: the best match, or None."""

    truth: Truth
    found: Emission | None

    @property
    def center_error(self) -> float:
        """In units of the true bandwidth."""
        return abs(self.found.center_hz - self.truth.center_hz) / self.truth.bandwidth_hz

    @property
    def bandwidth_error(self) -> float:
        """Relative."""
        return abs(self.found.bandwidth_hz / self.truth.bandwidth_hz - 1)

    @property
    def symbol_rate_error(self) -> float:
        """Relative; infinite where none was measured."""
        if not self.found.symbol_rate_hz:
            return float("inf")
        return abs(self.found.symbol_rate_hz / self.truth.details["symbol_rate_hz"] - 1)


def match(
    truths: Sequence[Truth], emissions: Sequence[Emission], resolution_hz: float
) -> tuple[list[Match], list[Emission]]:
    """Find for each emitter the emission that fits best.

    An emission fits when both share time and at least `LEAST_SHARED` of the wider band; what is
    narrower than `resolution_hz` counts as that wide, and no burst is narrower than its length
    allows.

    Returns:
        A match per emitter, and the emissions that fit none: extras.
    """
    taken: set[int] = set()
    matches = []
    for truth in truths:
        best, best_shared = None, LEAST_SHARED
        for emission in emissions:
            shared = _shared_band(truth, emission, resolution_hz)
            if shared >= LEAST_SHARED and _shares_time(truth, emission):
                taken.add(emission.id)
                if shared > best_shared:
                    best, best_shared = emission, shared
        matches.append(Match(truth, best))
    return matches, [e for e in emissions if e.id not in taken]


def _shared_band(truth: Truth, emission: Emission, resolution_hz: float) -> float:
    longest_s = max(stop - start for start, stop in truth.bursts)
    resolution_hz = max(resolution_hz, BURST_BINS / longest_s)
    widths = [max(x.bandwidth_hz, resolution_hz) / 2 for x in (truth, emission)]
    low = max(truth.center_hz - widths[0], emission.center_hz - widths[1])
    high = min(truth.center_hz + widths[0], emission.center_hz + widths[1])
    return (high - low) / (2 * max(widths))


def _shares_time(truth: Truth, emission: Emission) -> bool:
    return emission.start_s < truth.stop_s and emission.stop_s > truth.start_s


def share(values: Sequence[bool]) -> float | None:
    """Percent of true ones; None of none."""
    return round(100 * float(np.mean(values)), 1) if len(values) else None


def survey_samples(iq: np.ndarray, rate_hz: float) -> list[Emission]:
    """The emissions of samples in memory."""
    survey = Survey(rate_hz)
    events = []
    for first in range(0, len(iq), BLOCK_SAMPLES):
        events += survey.push(iq[first : first + BLOCK_SAMPLES])
    events += survey.flush()
    return [event.emission for event in events if event.kind == "ended"]


@dataclass(frozen=True)
class Samples:
    """Samples in memory, which are read as a recording is: complex64 (N,)."""

    iq: np.ndarray
    sample_rate_hz: float

    @property
    def sample_count(self) -> int:
        return len(self.iq)

    def read(self, first: int, count: int) -> np.ndarray:
        return self.iq[first : first + count]


def recognised(
    matches: Sequence[Match], samples: Samples, recognizer: Recognizer, threshold: float
) -> list[Match]:
    """Ask a model about each emission that was found of an emitter."""
    from gr_tsddae.survey.recognition import isolator, recognise

    cutter = isolator(samples)
    return [
        match
        if match.found is None
        else replace(
            match,
            found=recognise(match.found, recognizer, cutter, samples.sample_rate_hz, threshold),
        )
        for match in matches
    ]


def score_labels(matches: Sequence[Match], least_db: float) -> dict[str, Any]:
    """How emitters of at least `least_db` that were found are labelled.

    A label is wrong where it is of another family (`labels.relatives`), and not "unknown".
    """
    heard = [m for m in matches if m.found is not None and m.truth.snr_db >= least_db]
    wrong = [m for m in heard if not (_is_related(m) or m.found.label == UNKNOWN)]
    confusion: dict[str, Counter[str]] = {}
    for one in heard:
        confusion.setdefault(one.truth.label, Counter())[one.found.label] += 1
    return {
        "labelled": len(heard),
        "class_right_percent": share([m.found.label == m.truth.label for m in heard]),
        "family_right_percent": share([_is_related(m) for m in heard]),
        "unknown_percent": share([m.found.label == UNKNOWN for m in heard]),
        "wrong_percent": share([m in wrong for m in heard]),
        "wrong_and_sure_percent": share([m in wrong and m.found.confidence > SURE for m in heard]),
        "family_right_by_class": _by(heard, lambda m: m.truth.label, _is_related),
        "family_right_by_snr_db": _by(heard, _step(SNR_STEPS_DB, lambda t: t.snr_db), _is_related),
        "labels": {name: dict(confusion[name].most_common()) for name in sorted(confusion)},
    }


def _is_related(match: Match) -> bool:
    return match.found.label in relatives(match.truth.label)


def score(matches: Sequence[Match], extras: Sequence[Emission], least_db: float) -> dict[str, Any]:
    """Figures of merit over the emitters of at least `least_db`, and curves over all."""
    loud = [m for m in matches if m.truth.snr_db >= least_db]
    found = [m for m in loud if m.found is not None]
    wide = [m for m in found if m.truth.bandwidth_hz > 0]
    keyed = [
        m
        for m in matches
        if m.found is not None
        and m.truth.details.get("symbol_rate_hz")
        and m.truth.label not in NO_SYMBOLS
    ]
    rated = [m for m in keyed if m.truth.snr_db >= max(10.0, least_db)]
    return {
        "emitters": len(matches),
        "extras_percent": round(100 * len(extras) / len(matches), 1) if matches else None,
        "least_snr_db": least_db,
        "found_percent": share([m.found is not None for m in loud]),
        "center_within_5_percent": share([m.center_error < 0.05 for m in wide]),
        "bandwidth_within_20_percent": share([m.bandwidth_error < 0.2 for m in wide]),
        "both_percent": share([m.center_error < 0.05 and m.bandwidth_error < 0.2 for m in wide]),
        "symbol_rate_within_1_percent": share([m.symbol_rate_error < 0.01 for m in rated]),
        "symbol_rate_by_class": _by(rated, lambda m: m.truth.label, _rate_is_right),
        "found_by_class": _by(loud, lambda m: m.truth.label, _is_found),
        "found_by_snr_db": _by(matches, _step(SNR_STEPS_DB, lambda t: t.snr_db), _is_found),
        "symbol_rate_by_snr_db": _by(
            keyed, _step(SNR_STEPS_DB, lambda t: t.snr_db), _rate_is_right
        ),
        "found_by_bandwidth_hz": _by(
            loud, _step(WIDTH_STEPS_HZ, lambda t: t.bandwidth_hz), _is_found
        ),
    }


def _is_found(match: Match) -> bool:
    return match.found is not None


def _rate_is_right(match: Match) -> bool:
    return match.symbol_rate_error < 0.01


def _step(steps: Sequence[float], value: Callable[[Truth], float]) -> Callable[[Match], str]:
    def name(match: Match) -> str:
        place = int(np.searchsorted(steps, value(match.truth), "right")) - 1
        return f"{steps[place]:g} to {steps[place + 1]:g}"

    return name


def _by(
    matches: Sequence[Match], group: Callable[[Match], str], right: Callable[[Match], bool]
) -> dict[str, tuple[float | None, int]]:
    """Percent right and count of each group."""
    groups: dict[str, list[bool]] = {}
    for one in matches:
        groups.setdefault(group(one), []).append(right(one))
    ordered = sorted(groups, key=lambda name: (_number(name), name))
    return {name: (share(groups[name]), len(groups[name])) for name in ordered}


def _number(name: str) -> float:
    try:
        return float(name.split(" to ")[0])
    except ValueError:
        return 0.0


def parser() -> argparse.ArgumentParser:
    """The command line of `survey evaluate`."""
    from gr_tsddae.synth.scene.recipes import SCENES

    top = Parser(
        prog="tsddae survey evaluate",
        description="Survey scenes and compare with their truth. `evaluate --recordings TABLE.csv` "
        "compares recordings with a table of what they hold; its --help has more.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    top.add_argument(
        "scenes", nargs="*", type=Path, help="recordings of `tsddae synth scene`; "
        "none: scenes are drawn",
    )  # fmt: skip
    top.add_argument("--recipe", nargs="+", choices=sorted(SCENES), default=["mixed"])
    top.add_argument("--seed", type=whole, default=1000, help="of the first scene")
    top.add_argument("--count", type=whole, default=10, help="scenes per recipe")
    top.add_argument("--emitters", type=whole, default=8, help="per scene")
    top.add_argument("--seconds", type=number, default=2.0, help="of each scene")
    top.add_argument("--rate", type=number, default=2.4e6, help="samples per second")
    top.add_argument("--min-snr", type=number, default=8.0, metavar="DB", help="of those scored")
    add_model_option(top, DEFAULT_MODEL, "none: only measure; ")
    top.add_argument(
        "--threshold", type=number, default=0.6, help="confidence below which a label is unknown"
    )
    top.add_argument("--json", action="store_true", help="figures as JSON on stdout")
    return top


def run(arguments: argparse.Namespace) -> None:
    """Score and print."""
    if arguments.count < 1:
        raise ValueError(f"--count is {arguments.count}: at least 1 scene is needed")
    recognizer = None
    if arguments.model != NO_MODEL:
        from gr_tsddae.inference.recognizer import Recognizer

        recognizer = Recognizer(arguments.model)
    matches: list[Match] = []
    extras: list[Emission] = []
    cpu_s = recorded_s = 0.0
    for iq, rate_hz, truths in _scenes(arguments):
        began = time.process_time()
        emissions = survey_samples(iq, rate_hz)
        cpu_s += time.process_time() - began
        recorded_s += len(iq) / rate_hz
        matched, more = match(truths, emissions, RESOLUTION_HZ)
        if recognizer is not None:
            samples = Samples(iq, rate_hz)
            matched = recognised(matched, samples, recognizer, arguments.threshold)
        matches += matched
        extras += more
    figures = score(matches, extras, arguments.min_snr)
    figures["cpu_s_per_s"] = round(cpu_s / recorded_s, 3)
    if recognizer is not None:
        figures |= score_labels(matches, arguments.min_snr)
    if arguments.json:
        json.dump(figures, sys.stdout, indent=1)
        print()
        return
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for group, of_group in value.items():
                if isinstance(of_group, dict):
                    said = ", ".join(f"{label} {count}" for label, count in of_group.items())
                    print(f"    {group:<16} {said}")
                else:
                    print(f"    {group:<16} {of_group[0]!s:>6} % of {of_group[1]}")
        else:
            print(f"{name:<32} {value}")


def _scenes(arguments: argparse.Namespace) -> Iterator[tuple[np.ndarray, float, Sequence[Truth]]]:
    if arguments.scenes:
        from gr_tsddae.iq.captures import open_capture
        from gr_tsddae.synth.scene.files import read_truth

        for path in arguments.scenes:
            with open_capture(path) as capture:
                iq = capture.read(0, capture.sample_count)
                yield iq, capture.sample_rate_hz, read_truth(capture.path)
        return
    from gr_tsddae.synth.scene import SCENES, make_scene

    plan = [
        (recipe, seed)
        for recipe in arguments.recipe
        for seed in range(arguments.seed, arguments.seed + arguments.count)
    ]
    for recipe, seed in Progress("surveying", "scene", over=plan):
        scene = make_scene(
            SCENES[recipe],
            seconds=arguments.seconds,
            rate_hz=arguments.rate,
            emitters=arguments.emitters,
            seed=seed,
        )
        levels = np.rint(scene.iq.view(np.float32) * 127.5 + 127.5)  # a dongle's eight bits
        eight_bits = ((np.clip(levels, 0, 255) - 127.5) / 127.5).astype(np.float32)
        yield eight_bits.view(np.complex64), scene.rate_hz, scene.truths
