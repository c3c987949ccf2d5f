# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading another model while the flowgraph runs."""

import threading
from typing import Protocol

from gr_tsddae import zoo


class Network(Protocol):
    """A network for a worker, such as a `Recognizer`; made of a model's name and the last three."""

    card: zoo.Card
    window_samples: int
    device_failures: int
    device: object
    precision: str
    batch_windows: int


class ModelLoader:
    """Loads and warms up a model on a thread of its own, for the worker to pick up.

    When several are asked for in a row, the last one counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: tuple[str, Network] | None = None
        self._thread: threading.Thread | None = None
        self._outcome: Network | Exception | None = None

    def request(self, model: str, running: Network) -> None:
        """Ask for a model, and return at once.

        Args:
            model: Name or folder.
            running: The network in use. The new one is of its class, takes over its device,
                precision and batch size, and must have its window length, which the stream is
                already cut to.

        Raises:
            ValueError: If `model` is not a name.
        """
        if not isinstance(model, str) or not model:
            raise ValueError(f"model is {model!r}: give a model's name or folder")
        with self._lock:
            self._wanted = model, running
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="tsddae model loader", daemon=True
                )
                self._thread.start()

    def outcome(self) -> Network | Exception | None:
        """Return a loaded network, or why it could not be loaded, once; None without news."""
        if self._outcome is None:  # the usual case, without the lock
            return None
        with self._lock:
            outcome, self._outcome = self._outcome, None
        return outcome

    def wait(self) -> None:
        """Wait until nothing is being loaded any more."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                wanted, self._wanted = self._wanted, None
                if wanted is None:
                    self._thread = None
                    return
            outcome = self._load(*wanted)
            with self._lock:
                if self._wanted is None:  # else it is out of date already
                    self._outcome = outcome

    @staticmethod
    def _load(model: str, running: Network) -> Network | Exception:
        try:
            # Only recognisers have engines.
            wanted = getattr(running, "engine_wanted", None)
            loaded = type(running)(
                model,
                **({} if wanted is None else {"engine": wanted}),
                device=str(running.device),
                precision=running.precision,
                batch_windows=running.batch_windows,
            )
            if loaded.window_samples != running.window_samples:
                raise ValueError(
                    f"restart the flowgraph with {model}: its windows have "
                    f"{loaded.window_samples} samples, this block cuts {running.window_samples}"
                )
        except Exception as error:  # reported by the worker; the old model stays
            return error
        return loaded
