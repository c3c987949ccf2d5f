# SPDX-License-Identifier: GPL-3.0-or-later
"""What a survey calls the emissions of recordings that a taught model did not learn from."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gr_tsddae.inference.metrics import rounded
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.survey import DEFAULT_THRESHOLD
from gr_tsddae.survey.recognition import isolator, recognise
from gr_tsddae.train.windows.on_air import Heard


def by_survey(
    recognizer: Recognizer, heard: Sequence[Heard], labels: Sequence[str], names: Sequence[str]
) -> dict[str, Any] | None:
    """Ask a taught model about emissions, as `tsddae survey --model` does.

    Args:
        recognizer: Of the taught model.
        heard: What the survey heard in recordings that were not learned from.
        labels: What the user calls the signals: `Heard.label` counts them.
        names: Of recordings.

    Returns:
        Counts and shares of emissions and of their bursts, and `recordings`, a list of the same for
        each; None without any.
    """
    said: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for each in heard:
        cutter, rate_hz = isolator(each.capture), each.capture.sample_rate_hz
        for emission in each.emissions:
            found = recognise(emission, recognizer, cutter, rate_hz, DEFAULT_THRESHOLD)
            answers = said.setdefault((each.recording, each.label), [])
            answers.append((found.label, len(emission.bursts)))
    if not said:
        return None
    rows = []
    for (recording, label), answers in sorted(said.items()):
        truth = labels[label]
        rows.append(
            {
                "recording": Path(names[recording]).name,
                "class": truth,
                "emissions": len(answers),
                "right": sum(name == truth for name, _ in answers),
                "bursts": sum(count for _, count in answers),
                "bursts_right": sum(count for name, count in answers if name == truth),
                "said": dict(Counter(name for name, _ in answers).most_common()),
            }
        )
    return survey_sums(rows) | {"recordings": rows}


def survey_sums(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add up rows of `by_survey`."""
    emissions, right, bursts, bursts_right = (
        sum(row[key] for row in rows) for key in ("emissions", "right", "bursts", "bursts_right")
    )
    shares = [row["right"] / row["emissions"] for row in rows]
    return {
        "emissions": emissions,
        "emissions_right": rounded(right / emissions),
        "emissions_right_mean_of_recordings": rounded(sum(shares) / len(shares)),
        "bursts": bursts,
        "bursts_right": rounded(bursts_right / bursts),
    }


def survey_lines(result: dict[str, Any] | None) -> list[str]:
    """Format `by_survey` for a terminal."""
    if result is None:
        return []
    lines = [
        "a survey of recordings that were not learned from names "
        f"{100 * result['emissions_right']:.1f} % of {result['emissions']} emissions right, with "
        f"{100 * result['bursts_right']:.1f} % of {result['bursts']} bursts"
    ]
    for row in result["recordings"]:
        if row["right"] < row["emissions"]:
            called = ", ".join(f"{name} {count}" for name, count in row["said"].items())
            lines.append(f"  {row['recording']}, {row['class']}: {called}")
    return lines
