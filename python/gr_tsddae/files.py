# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic writes: a file is there whole or not at all, whoever else reads or writes it meanwhile.

Text is UTF-8 in every locale; `print_any_text` lets a command print it.
"""

import contextlib
import io
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a file to write beside `path`; rename it to `path` when the block ends well.

    Each call has a file of its own, so that threads and processes may write one `path` at once:
    the last one counts. When the block fails, its file is deleted and `path` stays as it was. A
    device or a pipe (`/dev/stdout`) is written in place.

    Args:
        path: A file in a folder that exists.
        durable: Whether the new content is on the disk before the old one goes, so that even a
            power failure leaves one of them.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def creating(path: Path, size_bytes: int = 0) -> Iterator[Path]:
    """Yield a file to write, as `replacing` does, for a `path` that must not exist yet.

    Args:
        path: The new file; its folder is made.
        size_bytes: How large it will be at least: a full disk is refused before hours of work.

    Raises:
        FileExistsError: If `path` exists: a dataset is never overwritten.
        OSError: If it cannot be written.
    """
    if path.exists():
        raise FileExistsError(
            f"{path} exists and is not overwritten: choose another name or delete it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(path.parent).free
    if size_bytes > free_bytes:
        raise OSError(
            f"{path} needs {size_bytes / 1e9:.2f} GB and {free_bytes / 1e9:.2f} GB are free: "
            "make room, or ask for fewer windows"
        )
    try:
        with replacing(path) as partial:
            yield partial
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(f"{path} cannot be written ({error}); nothing of it is left") from error


def write_bytes(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a whole file; see `replacing`."""
    with replacing(path, durable=durable) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole file in UTF-8; see `replacing`."""
    write_bytes(path, text.encode())


def json_text(content: Any, **options: Any) -> str:
    """Return JSON for people: characters as they are, and null for a number that is not finite.

    Where UTF-8 cannot say a text (the name of a file in another encoding), all are escaped.

    Args:
        content: Plain numbers, texts, lists and dicts.
        options: See `json.dumps`; with `allow_nan=False` such a number is a ValueError.
    """
    if options.get("allow_nan", True):
        content = _finite(content)
    text = json.dumps(content, ensure_ascii=False, **options)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(content, **options)
    return text


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_json(path: Path, content: Any) -> None:
    """Write a whole JSON file; see `json_text` and `replacing`."""
    write_text(path, json_text(content, indent=1) + "\n")


def print_any_text() -> None:
    """Let `print` escape what the encoding of the terminal lacks; it would end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
