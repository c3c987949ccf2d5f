# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a benchmark that also judges: its figures are printed and written, and its faults."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gr_tsddae.bench.machine import describe
from gr_tsddae.files import write_json


def conclude(name: str, result: dict[str, Any], **only_written: Any) -> int:
    """Print a result, write it to results/NAME.json with the machine; return the exit status.

    Args:
        name: of the file.
        result: figures, and under "faults" a sentence for each thing that is wrong.
        **only_written: what is too long to be printed.
    """
    print(json.dumps(result, indent=1))
    path = Path(__file__).parent / "results" / f"{name}.json"
    write_json(path, {"machine": describe("cpu"), **result, **only_written})
    print(f"wrote {path}")
    for fault in result["faults"]:
        print(f"WRONG: {fault}", file=sys.stderr)
    return 1 if result["faults"] else 0
