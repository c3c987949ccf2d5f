# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either whole or not there: written beside their name and renamed at the end."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path, size_bytes: int = 0) -> Iterator[Path]:
    """A path to write to, renamed to `path` when the block ends well and deleted when it does not.

    Args:
        path: file to come; its folder is made.
        size_bytes: how large it will be at least, to refuse a full disk before hours of work.

    Raises:
        FileExistsError: when `path` exists: a data set is never overwritten.
        OSError: when it cannot be written.
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
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(f"{path} cannot be written ({error}); nothing of it is left") from error
    finally:
        partial.unlink(missing_ok=True)
