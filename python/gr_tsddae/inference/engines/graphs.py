# SPDX-License-Identifier: GPL-3.0-or-later
"""CUDA graphs of a network: all its kernels launched at once, copies beside the work."""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
import torch

SLOTS = 2  # one batch is computed while the next one is copied
# CUDA captures one graph at a time in a process, and whoever waits for the whole device meanwhile
# breaks it. Who captures, or compiles for a GPU, holds this.
CAPTURING = threading.Lock()


class Graphs:
    """Computes results of windows, from host memory to host memory, by CUDA graphs of fixed sizes.

    A graph launches all kernels at once. Windows come through pinned memory on a stream of their
    own, so that the next batch is copied while one is computed.

    Args:
        compute: Windows (B, L), complex64 on the device, to results (B, K), float32; launches the
            same kernels each time.
        window_samples: L.
        sizes: The sizes B there shall be; smaller batches are padded.
        device: A CUDA device.
    """

    def __init__(
        self,
        compute: Callable[[torch.Tensor], torch.Tensor],
        window_samples: int,
        sizes: tuple[int, ...],
        device: torch.device,
    ):
        self._device = device
        self._lock = threading.Lock()
        with CAPTURING, torch.cuda.device(device):
            self._copies = torch.cuda.Stream()
            self._work = torch.cuda.Stream()
            self._pool = torch.cuda.graph_pool_handle()
            # The largest first: the smaller ones then find room in its memory.
            self._slots = {
                size: [
                    _Slot(compute, window_samples, size, self._work, self._pool)
                    for _ in range(SLOTS)
                ]
                for size in sorted(set(sizes), reverse=True)
            }
        self._sizes = sorted(self._slots)
        self.window_samples = window_samples
        self.largest = self._sizes[-1]
        self.result_size = self._slots[self.largest][0].received.shape[1]  # K

    def fill(self, found: np.ndarray, windows: np.ndarray) -> None:
        """Compute results of any number of windows: complex64 (N, L) into float32 (N, K)."""
        with self._lock, torch.cuda.device(self._device):
            waiting: deque[tuple[_Slot, int, int]] = deque()
            for turn, start in enumerate(range(0, len(windows), self.largest)):
                if len(waiting) == SLOTS:
                    _collect(found, *waiting.popleft())
                part = windows[start : start + self.largest]
                size = next(size for size in self._sizes if size >= len(part))
                slot = self._slots[size][turn % SLOTS]
                slot.launch(part, self._copies, self._work)
                waiting.append((slot, start, len(part)))
            while waiting:
                _collect(found, *waiting.popleft())


class _Slot:
    """One graph, with its buffers on both sides."""

    def __init__(
        self,
        compute: Callable[[torch.Tensor], torch.Tensor],
        window_samples: int,
        size: int,
        work: torch.cuda.Stream,
        pool: tuple[int, int],
    ):
        self._sent = torch.zeros(size, window_samples, dtype=torch.complex64, pin_memory=True)
        self._windows = self._sent.to("cuda")
        torch.cuda.synchronize()
        with torch.inference_mode():
            with torch.cuda.stream(work):
                for _ in range(2):  # libraries make their plans and workspaces
                    compute(self._windows)
            torch.cuda.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(
                self._graph, pool=pool, stream=work, capture_error_mode="thread_local"
            ):
                self._result = compute(self._windows)
        self.received = torch.empty(self._result.shape, dtype=torch.float32, pin_memory=True)
        self._arrived = torch.cuda.Event()
        self.done = torch.cuda.Event(blocking=True)  # waiting leaves the processor to the radio

    @torch.inference_mode()
    def launch(
        self, windows: np.ndarray, copies: torch.cuda.Stream, work: torch.cuda.Stream
    ) -> None:
        """Begin with a batch, and return at once."""
        sent = self._sent.numpy()
        sent[: len(windows)] = windows
        sent[len(windows) :] = 0
        with torch.cuda.stream(copies):
            self._windows.copy_(self._sent, non_blocking=True)
            self._arrived.record(copies)
        with torch.cuda.stream(work):
            work.wait_event(self._arrived)
            self._graph.replay()
            self.received.copy_(self._result, non_blocking=True)
            self.done.record(work)


def _collect(found: np.ndarray, slot: _Slot, start: int, count: int) -> None:
    slot.done.synchronize()
    found[start : start + count] = slot.received.numpy()[:count]
