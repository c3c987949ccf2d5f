# SPDX-License-Identifier: GPL-3.0-or-later
"""Add three signals to a model of the air, then three more, and measure what it remembers.

`teach --keep` learns from the recordings of some classes of a table (as taught_recordings.py has
it), and then from those of others, without the first recordings. New classes are judged on other
moments of the same recordings, old ones on synthetic windows and on windows that were kept.

    python benchmarks/taught_keep.py --root DIR --json benchmarks/results/taught-keep.json
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from gr_tsddae import zoo
from gr_tsddae.bench.machine import describe
from gr_tsddae.files import write_json
from gr_tsddae.train.teach import TeachConfig, teach
from listed import parser_of, rows_there
from taught_recordings import TABLE, linked


def learned(rows: list[dict[str, str]], root: Path, scratch: Path, base: str) -> dict[str, Any]:
    """Teach the classes of some rows, and tell how new and old classes do."""
    captures = scratch / "captures"
    captures.mkdir(parents=True)
    linked(rows, root, captures)
    card = teach(
        TeachConfig(
            captures=captures, base=base, out=scratch / "model", keep=True, measure=[], device="cpu"
        )
    )
    found = card.accuracy["by_burst"]["recordings"]
    new: dict[str, dict[str, int]] = {}
    for row in found:
        counts = new.setdefault(row["class"], {"bursts": 0, "right": 0})
        counts["bursts"] += row["bursts"]
        counts["right"] += row["right"]
    return {"new": new, "old": card.accuracy["base_classes"], "classes": list(card.classes)}


def main() -> None:
    parser = parser_of(__doc__, TABLE)
    parser.add_argument("--base", default="air-small")
    parser.add_argument("--first", default="radiosonde,rc-car,bpsk-satellite")
    parser.add_argument("--then", default="wifi,lte,fm", help="classes to add later; '' for none")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    rows = rows_there(arguments)
    started = time.process_time()
    base, steps = arguments.base, []
    with tempfile.TemporaryDirectory() as scratch:
        for number, names in enumerate(filter(None, (arguments.first, arguments.then))):
            some = [row for row in rows if row["class"] in names.split(",")]
            folder = Path(scratch) / str(number)
            steps.append(learned(some, arguments.root, folder, base))
            base = str(folder / "model")
            print(json.dumps(steps[-1]), flush=True)
    result = {
        "base": arguments.base,
        "base_weights_sha256": zoo.read_card(zoo.find(arguments.base)).weights_sha256,
        "steps": steps,
        "cpu_s": round(time.process_time() - started),
        "machine": describe(),
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
