# SPDX-License-Identifier: GPL-3.0-or-later
"""One loaded network for all blocks of a process that run the same model on the same device."""

from __future__ import annotations

import os
import threading
from collections import deque
from types import TracebackType
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from gr_tsddae import zoo
from gr_tsddae.inference.recognizer import Recognizer


class Turns:
    """A lock that threads get in the order in which they asked for it, unlike `threading.Lock`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._queue: deque[threading.Lock] = deque()  # its head has the turn

    def __enter__(self) -> None:
        mine = threading.Lock()
        mine.acquire()
        with self._guard:
            self._queue.append(mine)
            if len(self._queue) == 1:
                mine.release()
        mine.acquire()

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            self._queue.popleft()
            if self._queue:
                self._queue[0].release()


class SharedModel:
    """A recogniser and whose turn it is."""

    def __init__(self, recognizer: Recognizer):
        self.recognizer, self.turns = recognizer, Turns()


_lock = threading.Lock()
# Gone with their last user.
_models: WeakValueDictionary[tuple, SharedModel] = WeakValueDictionary()


class SharedRecognizer:
    """A `Recognizer` in several hands: those made alike, of the same files, run one network.

    Passes follow each other, one batch of one block at a time, in the order in which blocks ask. A
    block asks for its next pass when it has its result, so all blocks that have work take turns,
    whatever the rates of their streams. A model whose files were changed is another model: a block
    that loads it anew gets the new one, the others keep theirs.

    Args:
        model, device, precision, batch_windows, engine: As for `Recognizer`.

    Raises:
        As `Recognizer` does.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "amc-nano",
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_windows: int | None = None,
        engine: str = "auto",
    ):
        self._shared = _shared_model(
            model, device=device, precision=precision, batch_windows=batch_windows, engine=engine
        )

    def window_probabilities(self, windows: np.ndarray) -> np.ndarray:
        """Wait for a turn; then as `Recognizer.window_probabilities`."""
        with self._shared.turns:
            return self._shared.recognizer.window_probabilities(windows)

    def judge(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Wait for a turn; then as `Recognizer.judge`."""
        with self._shared.turns:
            return self._shared.recognizer.judge(windows)

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Wait for a turn; then as `Recognizer.embed`."""
        with self._shared.turns:
            return self._shared.recognizer.embed(windows)

    def __getattr__(self, name: str) -> Any:
        if name == "_shared":  # it could not be made
            raise AttributeError(name)
        return getattr(self._shared.recognizer, name)


def _shared_model(model: str | os.PathLike[str], **options: Any) -> SharedModel:
    with _lock:  # also while loading: of two that want the same one, the second waits for it
        files = _files(model)
        asked = ("asked", files, *options.values())
        shared = _models.get(asked)
        if shared is None:
            shared = SharedModel(Recognizer(model, **options))
            if _files(model) == files:  # else they were replaced while one of them was read
                # "auto" and what it stands for are one model.
                shared = _models.setdefault(("is", files, *_traits(shared.recognizer)), shared)
                _models[asked] = shared
        return shared


def _traits(recognizer: Recognizer) -> tuple[str, ...]:
    return tuple(
        str(getattr(recognizer, name))
        for name in ("device", "precision", "engine_wanted", "batch_windows")
    )


def _files(model: str | os.PathLike[str]) -> tuple:
    """Tell a model's files from files that lay there before, or that lie elsewhere."""
    folder = zoo.find(model)
    stats = [(folder / name).stat() for name in (zoo.CARD_FILE, zoo.WEIGHTS_FILE)
             if (folder / name).exists()]  # fmt: skip
    return tuple((s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns) for s in stats)
