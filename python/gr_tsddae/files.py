# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that come into being whole: nobody reads half of one, whoever else writes it as well."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place when the block ends well.

    Each process has its own, so that several may write the same file at once: the last one counts.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text; see `replacing`."""
    with replacing(path) as partial:
        partial.write_text(text)


def write_json(path: Path, content: Any) -> None:
    """Write plain numbers, texts, lists and dicts; see `replacing`."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
