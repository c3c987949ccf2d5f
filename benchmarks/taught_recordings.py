# SPDX-License-Identifier: GPL-3.0-or-later
"""Teach a model on some recordings and judge it on the others, until each was judged.

A table lists class, recording, dtype and sample_rate_hz (both empty where the file says it). Every
class's recordings are dealt out to folds; a model learns from all but those of a fold, and judges
these. A class with one recording is judged on other moments of it, which is said.

Two ways of asking are judged. A survey, as `tsddae survey --model` does it, names the emissions
that it finds. A Classifier hears bursts and pauses at 4 times the signal's bandwidth.

    python benchmarks/taught_recordings.py --root DIR --json benchmarks/results/taught.json
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from gr_tsddae import zoo
from gr_tsddae.bench.machine import describe
from gr_tsddae.files import write_json
from gr_tsddae.inference.metrics import rounded
from gr_tsddae.labels import NOISE
from gr_tsddae.train.measure.by_survey import survey_sums
from gr_tsddae.train.teach import TeachConfig, teach
from gr_tsddae.train.windows.on_air import cut_recordings
from listed import parser_of, rows_there

TABLE = Path(__file__).with_name("taught_recordings.csv")


def linked(rows: list[dict[str, str]], root: Path, folder: Path) -> dict[str, list[str]]:
    """Lay the recordings out as `teach` wants them; return the names of each class."""
    names: dict[str, list[str]] = {}
    for row in rows:
        source, mine = root / row["path"], names.setdefault(row["class"], [])
        suffix = source.suffix if source.suffix == ".wav" else ".iq"
        name = f"{len(mine):02d}-{source.stem.replace('.', '_').replace(' ', '-')}{suffix}"
        mine.append(name)
        (folder / row["class"]).mkdir(exist_ok=True)
        link = folder / row["class"] / name
        link.symlink_to(source.resolve())
        if row["dtype"]:
            text = f"dtype: {row['dtype']}\nsample_rate_hz: {row['sample_rate_hz']}\n"
            link.with_suffix(".yaml").write_text(text)
    return names


def judged(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Count over recordings, and average over them."""
    result: dict[str, Any] = {}
    for what, of in (("bursts", False), ("pauses", True)):
        rows = [row for row in found if (row["class"] == NOISE) == of]
        count = sum(row["bursts"] for row in rows)
        shares = [row["right"] / row["bursts"] for row in rows]
        result |= {
            what: count,
            f"{what}_right": rounded(sum(row["right"] for row in rows) / max(1, count)),
            f"{what}_right_mean_of_recordings": rounded(sum(shares) / max(1, len(shares))),
        }
    return result


def table(found: list[dict[str, Any]]) -> list[str]:
    """Format as a table for a page."""
    lines = ["| recording | class | learned from | right | said |", "|---|---|---|---|---|"]
    for row in found:
        said = ", ".join(f"{name} {count}" for name, count in row["said"].items())
        of = "pauses" if row["class"] == NOISE else row["class"]
        other = "other moments" if row["learned_from"] else "no"
        share = f"{row['right']} of {row['bursts']}"
        lines.append(f"| {row['recording'][3:]} | {of} | {other} | {share} | {said} |")
    return lines


def main() -> None:
    parser = parser_of(__doc__, TABLE)
    parser.add_argument("--base", default="air-small")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=TeachConfig.epochs)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    there = rows_there(arguments)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "captures"
        folder.mkdir()
        names = linked(there, arguments.root, folder)
        card = zoo.read_card(zoo.find(arguments.base))
        gate_db = TeachConfig.gate_db
        cut = cut_recordings(folder, card, gate_db=gate_db, options={})
        found: list[dict[str, Any]] = []
        surveyed: list[dict[str, Any]] = []
        for fold in range(arguments.folds):
            held_out = [
                f"{of}/{name}"
                for of, mine in names.items()
                for number, name in enumerate(mine)
                if len(mine) > 1 and number % min(arguments.folds, len(mine)) == fold
            ]
            config = TeachConfig(
                captures=folder, base=arguments.base, out=Path(scratch) / f"fold-{fold}",
                measure=held_out, epochs=arguments.epochs, device="cpu",
            )  # fmt: skip
            accuracy = teach(config, cut).accuracy
            surveyed += accuracy["by_survey"]["recordings"]
            found += [
                row
                for row in accuracy["by_burst"]["recordings"]
                if not row["learned_from"] or fold == 0
            ]
    found.sort(key=lambda row: (row["learned_from"], row["recording"]))
    apart = [row for row in found if not row["learned_from"]]
    same = [row for row in found if row["learned_from"]]
    result = {
        "base": card.name,
        "base_weights_sha256": card.weights_sha256,
        "folds": arguments.folds,
        "epochs": arguments.epochs,
        "recordings": len(there),
        "by_survey": survey_sums(surveyed)
        | {"recordings": sorted(surveyed, key=lambda row: row["recording"])},
        "by_classifier": {
            "other_recordings": judged(apart),
            "same_recordings": judged(same),
            "recordings": found,
        },
        "cpu_s": round(time.process_time() - started),
        "machine": describe(),
    }
    write_json(arguments.json, result)
    print(*table(found), sep="\n")
    for row in surveyed:
        print(f"survey: {row['recording']}, {row['class']}: {row['right']} of {row['emissions']}")
    print(json.dumps(survey_sums(surveyed)))
    print(json.dumps(judged(apart)))


if __name__ == "__main__":
    main()
