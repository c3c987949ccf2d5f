# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model of wireless technologies says of recordings, by `tsddae classify` and `survey`.

A table lists recording, dtype and sample_rate_hz (both empty where the file says it), technology
and what it is. `classify` decides about every window; those in bursts are pooled to decisions of
10 ms, or of all there is. `survey` names the emission of the greatest energy.

    python benchmarks/technologies.py --root DIR --json benchmarks/results/technologies.json
"""

import collections
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from gr_tsddae import classify, zoo
from gr_tsddae.bench.machine import describe
from gr_tsddae.files import write_json
from gr_tsddae.inference.decision import pooled
from gr_tsddae.iq.captures import open_capture
from gr_tsddae.survey import __main__ as survey
from listed import parser_of, rows_there

TABLE = Path(__file__).with_name("technologies.csv")
DECISION_S = 0.01
IN_BURST = 0.1  # of the power of the strong windows (their 95th percentile)


def spoken(command: Any, arguments: list[str]) -> tuple[Any, str]:
    """Run a command; give what it printed as JSON (None where it failed), and its errors."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        failed = command.main(arguments)
    return (None if failed else json.loads(out.getvalue())), errors.getvalue().strip()


def power_of(path: Path, row: dict[str, str], decisions: list[dict[str, Any]]) -> np.ndarray:
    """Measure the power of the recording in the stretch of each decision, (n,)."""
    options: dict[str, Any] = {}
    if row["dtype"]:
        options = {"dtype": row["dtype"], "sample_rate_hz": float(row["sample_rate_hz"])}
    with open_capture(path, **options) as capture:
        power = np.abs(capture.read(0, capture.sample_count)) ** 2
        total = np.concatenate(([0.0], np.nancumsum(power, dtype=np.float64)))
        ratio = capture.sample_rate_hz / decisions[0]["sample_rate_hz"]
    ends = [
        [round(d["first_sample"] * ratio) for d in decisions],
        [round((d["first_sample"] + d["sample_count"]) * ratio) for d in decisions],
    ]
    first, last = np.clip(ends, 0, len(power))
    return (total[last] - total[first]) / np.maximum(1, last - first)


def judged(path: Path, row: dict[str, str], model: str) -> dict[str, Any]:
    """Ask both commands about a recording."""
    card = zoo.read_card(zoo.find(model))
    told = ["--dtype", row["dtype"], "--rate", row["sample_rate_hz"]] if row["dtype"] else []
    told = [str(path), *told, "--model", model, "--json", "--quiet"]
    window_s = card.window_samples / card.sample_rate_hz
    decisions, errors = spoken(classify, [*told, "--interval", str(window_s), "--device", "cpu"])
    found: dict[str, Any] = {"recording": row["path"], "what": row["what"]}
    found["technology"] = row["technology"]
    said: collections.Counter[str] = collections.Counter()
    if decisions:
        rows = np.array([list(d["probabilities"].values()) for d in decisions])
        power = power_of(path, row, decisions)
        inside = power >= IN_BURST * np.quantile(power, 0.95)
        times = np.array([d["first_sample"] for d in decisions]) / decisions[0]["sample_rate_hz"]
        slot = (times // DECISION_S).astype(int)
        for number in np.unique(slot[inside]):
            mine = rows[inside & (slot == number)]
            each = pooled(mine, np.full(len(mine), 1 / len(mine)))
            said[card.classes[int(each.argmax())]] += 1
        best = collections.Counter(card.classes[i] for i in rows[inside].argmax(1))
        found["windows"] = dict(best.most_common())
    else:
        found["error"] = errors.splitlines()[-1] if errors else "nothing was said"
    found["decisions"] = dict(said.most_common())
    emissions, _ = spoken(survey, [*told, "--threshold", "0", "--device", "cpu"])
    if emissions:
        strong = max(emissions["emissions"], key=energy, default=None)
        found["survey"] = strong and strong["label"]
        found["survey_confidence"] = strong and strong["confidence"]
    return found


def energy(emission: dict[str, Any]) -> float:
    """Energy of an emission over the noise, in any unit."""
    seconds = (emission["stop_s"] - emission["start_s"]) * emission["measured"].get("duty", 1.0)
    return seconds * emission["bandwidth_hz"] * 10 ** (emission["snr_db"] / 10)


def table(found: list[dict[str, Any]]) -> list[str]:
    """Format as a table for a page."""
    lines = ["| recording | what | 10 ms decisions | the survey |", "|---|---|---|---|"]
    for row in found:
        said = ", ".join(f"{name} {count}" for name, count in row["decisions"].items())
        name = Path(row["recording"]).name
        line = f"| {name} | {row['what']} | {said or row.get('error', '')} |"
        lines.append(f"{line} {row.get('survey') or 'nothing found'} |")
    return lines


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Count decisions and recordings that are right, by technology."""
    result: dict[str, Any] = {}
    for name in dict.fromkeys(row["technology"] for row in found):
        rows = [row for row in found if row["technology"] == name]
        counted = [row for row in rows if row["decisions"]]
        shares = [row["decisions"].get(name, 0) / sum(row["decisions"].values()) for row in counted]
        result[name] = {
            "recordings": len(rows),
            "too_short": len(rows) - len(counted),
            "decisions": sum(sum(row["decisions"].values()) for row in counted),
            "decisions_right": sum(row["decisions"].get(name, 0) for row in counted),
            "recordings_right": sum(share > 0.5 for share in shares),
            "survey_right": sum(row.get("survey") == name for row in rows),
        }
    return result


def main() -> None:
    parser = parser_of(__doc__, TABLE)
    parser.add_argument("--model", default="wtc-small")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = [
        judged(arguments.root / row["path"], row, arguments.model) for row in rows_there(arguments)
    ]
    print(*table(found), sep="\n")
    card = zoo.read_card(zoo.find(arguments.model))
    result = {
        "model": card.name,
        "weights_sha256": card.weights_sha256,
        "by_technology": summary(found),
        "by_recording": found,
        "machine": describe(),
    }
    for name, counts in result["by_technology"].items():
        print(name, json.dumps(counts))
    if arguments.json:
        write_json(arguments.json, result)


if __name__ == "__main__":
    main()
