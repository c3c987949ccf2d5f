# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of an experiment over its seeds, beside published ones: table.json, .csv and .md."""

import csv
import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gr_tsddae.files import write_json, write_text
from gr_tsddae.train.experiments.jobs import Job, distinct, run_all

COUNTS = ("seeds", "parameters", "windows/s", "training s")  # columns without decimal places
NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table.

    Attributes:
        name: As it is printed.
        jobs: Seed -> the run that is measured.
        published: Column -> what the paper says.
    """

    name: str
    jobs: Mapping[int, Job]
    published: Mapping[str, float | str] = field(default_factory=dict)

    def scores(self) -> dict[str, dict[int, float]]:
        """Read the finished runs: column -> seed -> score."""
        found: dict[str, dict[int, float]] = {}
        for seed, job in self.jobs.items():
            if job.finished():
                for column, value in scores_of(job.metrics()).items():
                    found.setdefault(column, {})[seed] = value
        return found


def scores_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Take a table's scores from metrics.json: areas under a ROC, and accuracies in per cent."""
    curves = metrics.get("roc", {}).items()
    areas = {f"AUC {'all' if k == 'all' else f'{k} dB'}": curve["auc"] for k, curve in curves}
    average = metrics.get("average_over_snr", metrics["accuracy"])
    scores = areas | {"average": 100 * average, "best": 100 * metrics["best"]}
    if emissions := metrics.get("emissions"):
        scores["emissions"] = 100 * emissions["average_over_snr"]
    return scores


class Difference(NamedTuple):
    """Of two rows, over the seeds both have."""

    mean: float
    standard_error: float | None  # None with one seed
    low: float | None  # 95 % interval of the mean, by Student's t
    high: float | None
    seeds: int


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Difference | None:
    """Subtract the second from the first, seed by seed; None where they have no common seed."""
    each = [first[seed] - second[seed] for seed in first if seed in second]
    if not each:
        return None
    mean = statistics.fmean(each)
    if len(each) == 1:
        return Difference(mean, None, None, None, 1)
    from scipy.stats import t

    error = statistics.stdev(each) / len(each) ** 0.5
    reach = float(t.ppf(0.975, len(each) - 1)) * error
    return Difference(mean, error, mean - reach, mean + reach, len(each))


def verdict(what: str, column: str, first: Row, second: Row) -> str | None:
    """Write one honest line on whether the first row beats the second, and by how much."""
    difference = paired(*(row.scores().get(column, {}) for row in (first, second)))
    if difference is None:
        return None
    unit, digits = ("", 4) if column.startswith("AUC") else (" points", 2)
    said = f"{what}: {column} {difference.mean:+.{digits}f}{unit} ({first.name} − {second.name})"
    if difference.standard_error is None:
        return f"{said}; one seed, so chance cannot be told from effect"
    low, high = difference.low, difference.high
    word = "it helped" if low > 0 else "it hurt" if high < 0 else "no effect beyond chance"
    return (
        f"{said}, standard error {difference.standard_error:.{digits}f} over {difference.seeds} "
        f"seeds, 95 % interval {low:+.{digits}f} to {high:+.{digits}f}: {word}"
    )


def spread(values: Mapping[Any, float]) -> dict[str, float | None]:
    """Compute mean and standard deviation; None for the deviation of a single value."""
    each = list(values.values())
    deviation = statistics.stdev(each) if len(each) > 1 else None
    return {"mean": statistics.fmean(each), "standard_deviation": deviation}


def table(
    title: str, rows: Sequence[Row], *, findings: Sequence[str | None] = (), note: str = ""
) -> dict[str, Any]:
    """Gather means and standard deviations of all rows, as plain numbers and text."""
    found = [(row, row.scores()) for row in rows]
    return {
        "title": title,
        "note": note,
        "columns": list(dict.fromkeys(c for row, f in found for c in (*f, *row.published))),
        "rows": [
            {
                "name": row.name,
                "values": {
                    column: spread(seeds) | {"per_seed": dict(seeds)}
                    for column, seeds in measured.items()
                },
                "published": dict(row.published),
                "folders": {seed: str(job.folder) for seed, job in row.jobs.items()},
            }
            for row, measured in found
        ],
        "findings": [line for line in findings if line],
    }


def fill(
    folder: Path, rows: Sequence[Row], content: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Run the jobs of the rows, write the table after every run, and print it in the end.

    It becomes table.json, table.csv and table.md.

    Args:
        folder: Of the table.
        rows: With the jobs to run.
        content: Makes the table of what is finished.

    Returns:
        The content of table.json.

    Raises:
        ValueError: Data and configuration do not fit, or a folder holds other runs.
    """
    jobs = distinct(job for row in rows for job in row.jobs.values())
    run_all(jobs, report=lambda: write(folder, content()))
    filled = content()
    print(write(folder, filled), end="")
    return filled


def write(folder: Path, content: Mapping[str, Any]) -> str:
    """Write table.json, table.csv and table.md, and return the text of the last one."""
    text = markdown(content)
    write_json(folder / "table.json", content)
    write_text(folder / "table.csv", _csv(content))
    write_text(folder / "table.md", text)
    return text


def cells(content: Mapping[str, Any]) -> list[list[str]]:
    """Format the table as text, its heads in the first line."""
    shown = content["columns"]
    published = {c for row in content["rows"] for c in row["published"]}
    lines = [["", *(h for c in shown for h in ([c, f"{c}, paper"] if c in published else [c]))]]
    for row in content["rows"]:
        line = [row["name"]]
        for column in shown:
            digits = 4 if column.startswith(("AUC", "GFLOP")) else 0 if column in COUNTS else 2
            line.append(cell(row["values"].get(column), digits))
            if column in published:
                value = row["published"].get(column, NOTHING)
                line.append(value if isinstance(value, str) else f"{value:.2f}")
        lines.append(line)
    return lines


def cell(value: Mapping[str, Any] | None, digits: int) -> str:
    """Format what `spread` gives."""
    if value is None:
        return NOTHING
    text, deviation = f"{value['mean']:,.{digits}f}", value["standard_deviation"]
    return text if deviation is None else f"{text} ± {deviation:,.{digits}f}"


def markdown(content: Mapping[str, Any]) -> str:
    """Format the table and its findings for people."""
    findings = "\n".join(f"* {line}" for line in content["findings"])
    parts = [content["title"], drawn(cells(content)), content["note"], findings]
    return "\n\n".join(part for part in parts if part) + "\n"


def drawn(lines: Sequence[Sequence[str]]) -> str:
    """Draw lines of cells as a Markdown table with columns of equal width; heads come first."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        f"| {' | '.join(c.ljust(width) for c, width in zip(line, widths, strict=True))} |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _csv(content: Mapping[str, Any]) -> str:
    """Format one line per row and column, for a spreadsheet to filter and plot."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "column", "mean", "standard_deviation", "seeds", "published"])
    for row in content["rows"]:
        for column in content["columns"]:
            value, said = row["values"].get(column, {}), row["published"].get(column)
            if value or said is not None:  # None is written as an empty field
                numbers = [value.get(name) for name in ("mean", "standard_deviation")]
                seeds = len(value.get("per_seed", ()))
                writer.writerow([row["name"], column, *numbers, seeds, said])
    return text.getvalue()
