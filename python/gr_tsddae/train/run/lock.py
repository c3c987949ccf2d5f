# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a folder, in which one process at a time may write.

It is the system's lock on the file `lock`. The system releases it when the process ends, however it
ends. The file itself stays and has no meaning.
"""

import contextlib
import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path

LOCK_FILE = "lock"
_held: set[tuple[int, Path]] = set()  # thread, folder


@contextlib.contextmanager
def claimed(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of a folder, which dies with this process.

    Args:
        folder: A missing one is made.
        wait: Wait until the lock is free.

    Yields:
        Whether this process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mine = threading.get_ident(), folder.resolve()
    with (folder / LOCK_FILE).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        _held.add(mine)
        try:
            yield True
        finally:
            _held.remove(mine)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder to write to, unless the caller has it already.

    Raises:
        ValueError: Another process has it.
    """
    if (threading.get_ident(), folder.resolve()) in _held:
        yield
        return
    with claimed(folder) as mine:
        if not mine:
            raise ValueError(
                f"out is {folder}, where another process is writing: wait until it has ended, or "
                "choose another folder"
            )
        yield
