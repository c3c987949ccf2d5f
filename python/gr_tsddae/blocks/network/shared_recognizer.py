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
    """A lock that is given in the order in which it was asked for; a `threading.Lock` is not."""

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


class Engine:
    """A network and whose turn it is."""

    def __init__(self, recognizer: Recognizer):
        self.recognizer, self.turns = recognizer, Turns()


_lock = threading.Lock()
_engines: WeakValueDictionary[tuple, Engine] = WeakValueDictionary()  # gone with their last user


class SharedRecognizer:
    """Looks like a `Recognizer`; those made alike, of the same files, run one and the same.

    Passes follow each other, one batch of one block at a time in the order they came. A block asks
    for its next one when it has its result, so all blocks that have work take turns, whatever the
    rate of their streams. A model whose files were changed is another model: who loads it anew
    gets the new one, who does not keeps what it has.

    Args:
        model, options: as for `Recognizer`.

    Raises:
        as `Recognizer` does.
    """

    def __init__(self, model: str | os.PathLike[str] = "amc-nano", **options: Any):
        self._engine = _engine_of(model, options)

    def window_probabilities(self, windows: np.ndarray) -> np.ndarray:
        """As `Recognizer.window_probabilities`."""
        with self._engine.turns:
            return self._engine.recognizer.window_probabilities(windows)

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """As `Recognizer.embed`."""
        with self._engine.turns:
            return self._engine.recognizer.embed(windows)

    @property
    def step_windows(self) -> int:
        """Passes are padded to a multiple of so many windows: fewer are no cheaper."""
        return getattr(self._engine.recognizer, "_size_step", 1)

    def __getattr__(self, name: str) -> Any:
        if name == "_engine":  # it could not be made
            raise AttributeError(name)
        return getattr(self._engine.recognizer, name)

    def runs_with(self, other: SharedRecognizer) -> bool:
        """Whether both run the same loaded network."""
        return self._engine is other._engine


def _engine_of(model: str | os.PathLike[str], options: dict[str, Any]) -> Engine:
    with _lock:  # also while loading: of two that want the same one, the second shall wait for it
        files = _files(model)
        asked = ("asked", files, *sorted(options.items()))
        engine = _engines.get(asked)
        if engine is None:
            engine = Engine(Recognizer(model, **options))
            if _files(model) == files:  # else it was replaced meanwhile: which one was read?
                # "auto" and what it means are one engine
                engine = _engines.setdefault(("is", files, *_traits(engine.recognizer)), engine)
                _engines[asked] = engine
        return engine


def _traits(recognizer: Recognizer) -> tuple:
    return tuple(
        str(getattr(recognizer, name, ""))
        for name in ("device", "precision", "engine_wanted", "batch_windows")
    )


def _files(model: str | os.PathLike[str]) -> tuple:
    """What tells a model's files from those that lay there before, or lie elsewhere."""
    folder = zoo.find(model)
    stats = [(folder / name).stat() for name in (zoo.CARD_FILE, zoo.WEIGHTS_FILE)
             if (folder / name).exists()]  # fmt: skip
    return tuple((s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns) for s in stats)
