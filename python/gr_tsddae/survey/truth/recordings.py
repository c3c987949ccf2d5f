# SPDX-License-Identifier: GPL-3.0-or-later
"""What the survey says of recordings, beside what they hold.

A table lists the recordings. Each holds one kind of signal, and the emission of the greatest energy
is judged; how many emissions were found is shown beside it.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr_tsddae.command import Parser, number, tell
from gr_tsddae.iq.captures import open_capture
from gr_tsddae.labels import NOISE, UNKNOWN
from gr_tsddae.progress import Progress
from gr_tsddae.survey import DEFAULT_MODEL
from gr_tsddae.survey.naming import CLASSES, SYNONYMS, Signal, baud, hertz, load_signals
from gr_tsddae.survey.recording import survey_recording
from gr_tsddae.zoo import add_model_option

if TYPE_CHECKING:
    from gr_tsddae.inference.recognizer import Recognizer

COLUMNS = ("path", "dtype", "sample_rate_hz", "center_frequency_hz", "label")
SURE = 0.9  # a wrong label of a higher confidence is worse than another
VERDICTS = ("right", "unknown", "wrong", "nothing found")


@dataclass(frozen=True)
class Row:
    """A recording and its truth.

    Attributes:
        path: of the recording, from the root folder.
        dtype: sample format; None where the file says it.
        sample_rate_hz: None where the file says it.
        center_frequency_hz: None where it is not known.
        labels: the classes that are right; none: the signal is of no class. `noise`: there is no
            signal.
        names: of the candidates that are right; none: candidates are not judged.
    """

    path: str
    dtype: str | None
    sample_rate_hz: float | None
    center_frequency_hz: float | None
    labels: tuple[str, ...]
    names: tuple[str, ...]


@dataclass
class Outcome:
    """What the survey said of a recording; empty where it found nothing."""

    path: str
    truth: str
    verdict: str
    emissions: int = 0
    label: str | None = None
    confidence: float | None = None
    bandwidth_hz: float | None = None
    snr_db: float | None = None
    symbol_rate_hz: float | None = None
    candidates: list[str] = field(default_factory=list)
    named: str | None = None  # right, none or wrong; None where names are not judged


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(
        prog="tsddae survey evaluate",
        description="Survey recordings and compare what is found with what they hold.",
    )
    top.add_argument(
        "--recordings",
        type=Path,
        required=True,
        metavar="TABLE.csv",
        help=f"columns {', '.join(COLUMNS)} (several classes with | between them; empty: a signal "
        "of no class; noise: no signal) and, if wanted, names (of candidates)",
    )
    top.add_argument(
        "--root", type=Path, metavar="DIR", help="what paths start from (default: the table's)"
    )
    add_model_option(top, DEFAULT_MODEL)
    top.add_argument("--threshold", type=number, default=0.6, help="default: 0.6")
    top.add_argument(
        "--strict", action="store_true", help="refuse a recording that has a fault of any kind"
    )
    top.add_argument("--device", default="cpu", help="auto, cpu, cuda (default: cpu)")
    top.add_argument("--json", action="store_true", help="everything as JSON on stdout")
    top.add_argument("--markdown", action="store_true", help="a table for a page")
    return top


def run(arguments: argparse.Namespace) -> None:
    """Survey the recordings of a table and print the comparison.

    Raises:
        ValueError: the table has a fault, or no recording of it exists.
    """
    from gr_tsddae.inference.recognizer import Recognizer

    rows = read_table(arguments.recordings)
    root = arguments.root or arguments.recordings.parent
    missing = [row.path for row in rows if not (root / row.path).exists()]
    if len(missing) == len(rows):
        raise ValueError(f"{root} holds none of the {len(rows)} recordings: add --root DIR")
    if missing:
        print(f"left out, since {root} lacks them: {', '.join(missing)}", file=sys.stderr)
    recognizer = Recognizer(arguments.model, device=arguments.device)
    signals = load_signals(user_file=False)
    outcomes = [
        judged(row, root, recognizer, signals, arguments.threshold, strict=arguments.strict)
        for row in Progress("surveying", "recording", over=rows)
        if row.path not in missing
    ]
    figures = {"model": arguments.model, "threshold": arguments.threshold} | counts(outcomes)
    if arguments.json:
        print(json.dumps(figures | {"recordings": [asdict(each) for each in outcomes]}, indent=1))
    else:
        print(*lines(outcomes, markdown=arguments.markdown), sep="\n")
        print(f"\n{', '.join(f'{name}: {value}' for name, value in figures.items())}")


def read_table(path: Path) -> list[Row]:
    """Read a table of recordings.

    Raises:
        ValueError: it lacks a column, or a field is not what it should be.
        OSError: it cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        absent = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if absent:
            raise ValueError(
                f"the first line of {path} lacks {len(absent)} of the columns that "
                "`evaluate --recordings x --help` lists"
            )
        rows = []
        for line, entry in enumerate(reader, 2):
            try:
                rows.append(_row(entry))
            except ValueError as error:
                raise ValueError(f"{path}, line {line}: {error}") from error
    if not rows:
        raise ValueError(f"{path} lists no recording")
    return rows


def _row(entry: dict[str, str]) -> Row:
    labels = _split(entry["label"])
    for label in labels:
        if label not in CLASSES or label == UNKNOWN:
            raise ValueError(f"{label!r} is no class; choose from {', '.join(CLASSES[:-1])}")
    rate_hz, center_hz = entry["sample_rate_hz"], entry["center_frequency_hz"]
    return Row(
        path=entry["path"],
        dtype=entry["dtype"] or None,
        sample_rate_hz=number(rate_hz) if rate_hz else None,
        center_frequency_hz=number(center_hz) if center_hz else None,
        labels=labels,
        names=_split(entry.get("names") or ""),
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|") if part.strip())


def judged(
    row: Row,
    root: Path,
    recognizer: Recognizer,
    signals: Sequence[Signal],
    threshold: float,
    *,
    strict: bool = False,
) -> Outcome:
    """Survey one recording and compare; what is wrong with it is printed.

    Raises:
        CaptureError: it cannot be read.
    """
    with open_capture(
        root / row.path,
        dtype=row.dtype,
        sample_rate_hz=row.sample_rate_hz,
        center_frequency_hz=row.center_frequency_hz,
        strict=strict,
    ) as capture:
        tell(capture)
        ready = None if recognizer is None else lambda: recognizer
        emissions = survey_recording(capture, ready, signals, threshold=threshold).emissions
    truth = " or ".join(row.labels) or UNKNOWN
    if not emissions:
        verdict = "right" if row.labels == (NOISE,) else "nothing found"
        return Outcome(row.path, truth, verdict)
    best = max(emissions, key=lambda emission: emission.energy)
    label = SYNONYMS.get(best.label, best.label)
    return Outcome(
        path=row.path,
        truth=truth,
        verdict=_verdict(label, row.labels),
        emissions=len(emissions),
        label=label,
        confidence=round(best.confidence, 3),
        bandwidth_hz=round(best.bandwidth_hz, 1),
        snr_db=round(best.snr_db, 1),
        symbol_rate_hz=best.symbol_rate_hz and round(best.symbol_rate_hz, 2),
        candidates=best.candidates,
        named=_named(best.candidates, row.names) if row.names else None,
    )


def _verdict(label: str, labels: Sequence[str]) -> str:
    if label in (labels or (UNKNOWN,)):
        return "right"
    return "unknown" if label == UNKNOWN else "wrong"


def _named(candidates: Sequence[str], names: Sequence[str]) -> str:
    if not candidates:
        return "none"
    return "right" if set(candidates) & set(names) else "wrong"


def counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How often each verdict fell."""
    verdicts = collections.Counter(outcome.verdict for outcome in outcomes)
    sure = [o for o in outcomes if o.verdict == "wrong" and (o.confidence or 0) > SURE]
    names = collections.Counter(outcome.named for outcome in outcomes if outcome.named)
    return {
        "count": len(outcomes),
        **{verdict: verdicts[verdict] for verdict in VERDICTS},
        f"wrong above {SURE}": len(sure),
        "right among candidates": names["right"],
        "no candidate": names["none"],
        "other candidates only": names["wrong"],
    }


def lines(outcomes: Sequence[Outcome], *, markdown: bool = False) -> Iterator[str]:
    """A header and a line for each recording."""
    head = ("recording", "holds", "found", "width", "symbol rate", "said", "", "candidates")
    table = [head, *(_cells(outcome) for outcome in outcomes)]
    if markdown:
        for number_of_line, cells in enumerate(table):
            yield f"| {' | '.join(cells)} |"
            if not number_of_line:
                yield "|" + "---|" * len(cells)
        return
    widths = [max(len(cells[i]) for cells in table) for i in range(len(head))]
    for cells in table:
        yield "  ".join(
            f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)
        ).rstrip()


def _cells(outcome: Outcome) -> tuple[str, ...]:
    if outcome.label is None:
        return (Path(outcome.path).name, outcome.truth, "0", "", "", "", outcome.verdict, "")
    said = outcome.label
    if said != UNKNOWN:
        said += f" {outcome.confidence:.2f}"
    return (
        Path(outcome.path).name,
        outcome.truth,
        str(outcome.emissions),
        hertz(outcome.bandwidth_hz or 0.0),
        baud(outcome.symbol_rate_hz) if outcome.symbol_rate_hz else "",
        said,
        outcome.verdict,
        "; ".join(outcome.candidates[:2]),
    )
