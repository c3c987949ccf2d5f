# SPDX-License-Identifier: GPL-3.0-or-later
"""The recordings that a benchmark's table lists, as far as they lie in a folder."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path


def parser_of(about: str, table: Path) -> argparse.ArgumentParser:
    """Make a parser with --root and --table; `about` is the benchmark's docstring."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="what paths start from")
    parser.add_argument("--table", type=Path, default=table)
    return parser


def rows_there(arguments: argparse.Namespace) -> list[dict[str, str]]:
    """Read the rows whose recordings are there; end the program where there is none."""
    with arguments.table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    there = [row for row in rows if (arguments.root / row["path"]).exists()]
    if not there:
        raise SystemExit(f"{arguments.root} holds none of the {len(rows)} recordings")
    return there
