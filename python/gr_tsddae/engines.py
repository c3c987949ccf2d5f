# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to run a folded TS-Net: as it is, compiled, or as CUDA graphs; and when to change over.

A stream must be labelled at once, and compiling takes a minute. So every engine begins eager; what
is compiled meanwhile is put in its place when it is ready and measures faster. Another process
compiles, at low priority, into torch's cache, which then makes it short work for a thread of this
one: here, compiling would hold up everything that is Python.
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from gr_tsddae.iq.windows import spectrum, to_rows
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

log = logging.getLogger(__name__)

ENGINES = ("auto", "eager", "compiled", "graphs")
BUSY_S = 20.0  # the network's time after which "auto" compiles: a short run would never gain by it
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
SLOTS = 2  # one batch is computed while the next one is copied


def resolve_engine(engine: str, device: torch.device) -> str:
    """An engine's name, checked against the device.

    Raises:
        ValueError: for an unknown name, or graphs on a device that has none.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine {engine!r}: choose {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
    if engine == "graphs" and device.type == "cpu":
        raise ValueError("engine 'graphs' needs a CUDA device; use auto or compiled on a CPU")
    return engine


def keep_compiled_code() -> None:
    """Let torch keep what it compiles where a restart of the machine leaves it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault(CACHE_VARIABLE, str(cache / "gr-tsddae" / "inductor"))


class CompiledTSNet(nn.Module):
    """A folded TS-Net, compiled for batches of given sizes; others take the folded one.

    Args:
        folded: on its device, in its precision.
        batches: sizes B to compile for.
        tune: try many kernels for each matrix product (on a GPU, minutes rather than seconds).
    """

    def __init__(self, folded: FoldedTSNet, batches: tuple[int, ...], *, tune: bool = False):
        super().__init__()
        keep_compiled_code()
        self.folded = folded
        self.feature_size = folded.feature_size
        self._batches = frozenset(batches)
        mode = "max-autotune-no-cudagraphs" if tune else "default"
        self._compiled = torch.compile(folded.features, dynamic=False, fullgraph=True, mode=mode)

    @torch.inference_mode()
    def compile(self) -> CompiledTSNet:
        """Compile now, for all sizes."""
        folded = self.folded
        device = next(folded.buffers()).device
        import torch._dynamo.config as dynamo  # heavy, and needed by nobody else

        # The limit is per function, of which every network loaded here is a version.
        limit = "recompile_limit" if hasattr(dynamo, "recompile_limit") else "cache_size_limit"
        with dynamo.patch({limit: 256}):
            for batch in sorted(self._batches):
                rows = torch.randn(
                    batch, 2, folded.window_samples, device=device, dtype=folded.dtype
                )
                self._compiled(rows, rows.flip(0).contiguous())
        return self

    def embed(self, rows: torch.Tensor) -> torch.Tensor:
        """Feature vectors of scaled windows, float32: (B, 2, L) -> (B, E)."""
        folded = self.folded
        if len(rows) not in self._batches or not torch.is_inference_mode_enabled():
            return folded.embed(rows)
        folded.check_window(rows.shape[-1])
        return self._compiled(rows.to(folded.dtype), spectrum(rows).to(folded.dtype))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.folded.head(self.embed(rows))


class Graphs:
    """The way from windows on the host to results on the host, as CUDA graphs of fixed sizes.

    A graph launches all kernels at once. Windows come through pinned memory on a stream of their
    own, so that the next batch is copied while one is computed.

    Args:
        compute: windows (B, L), complex64 on the device, to results (B, K), float32; launches the
            same kernels each time.
        window_samples: L.
        sizes: the sizes B there shall be; smaller batches are padded.
        device: a CUDA device.
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
        with torch.cuda.device(device):
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
        """Results of windows, any number of them: complex64 (N, L) into float32 (N, K)."""
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
        """Begin with a batch; returns at once."""
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


class Engine:
    """Runs a folded network, and finds a faster way while it runs.

    Attributes:
        compiled: the network compiled, once that is ready and faster; else None.
        graphs: what computes probabilities of windows now, or None.
        running: "eager", "compiled", "graphs" or "compiled graphs".

    Args:
        name: see `resolve_engine`.
        folded: on its device, in its precision.
        scale: received rows (B, 2, L) to scaled ones.
        batches: sizes that batches have, the largest last.
    """

    def __init__(
        self,
        name: str,
        folded: FoldedTSNet,
        scale: Callable[[torch.Tensor], torch.Tensor],
        batches: tuple[int, ...],
    ):
        self.name = name
        self.compiled: CompiledTSNet | None = None
        self.graphs: Graphs | None = None
        self._folded = folded
        self._scale = scale
        self._batches = batches
        self._device = next(folded.buffers()).device
        # A GPU is worth compiling for the smaller batches of a stream with a latency limit, too.
        self._to_compile = batches[-2:] if self._device.type == "cuda" else batches[-1:]
        self._busy_s = 0.0
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._closing = False
        if self._device.type == "cuda" and name in ("auto", "graphs"):
            self.graphs = self._guarded("CUDA graphs", lambda: self._captured(folded))
        if name in ("compiled", "graphs"):
            self._compile_in_background()

    @property
    def running(self) -> str:
        compiled = "compiled" if self.compiled is not None else ""
        return f"{compiled} graphs".strip() if self.graphs is not None else compiled or "eager"

    def worked(self, seconds: float) -> None:
        """Tell how long the network worked; "auto" compiles once it is worth it."""
        self._busy_s += seconds
        if self.name == "auto" and self._thread is None and self._busy_s > BUSY_S:
            self._compile_in_background()

    def wait(self) -> None:
        """Until nothing is being compiled any more."""
        if self._thread is not None:
            self._thread.join()

    def probabilities(self, network: nn.Module, windows: torch.Tensor) -> torch.Tensor:
        """Windows as received, complex64 (B, L), to class probabilities, float32 (B, K)."""
        return network(self._scale(to_rows(windows))).float().softmax(1)

    def _captured(self, network: nn.Module) -> Graphs:
        return Graphs(
            lambda windows: self.probabilities(network, windows),
            self._folded.window_samples,
            self._batches,
            self._device,
        )

    def close(self) -> None:
        """Give up compiling. Python must not end while torch compiles: it would abort."""
        self._closing = True
        if self._child is not None:
            self._child.kill()
        self.wait()

    def _compile_in_background(self) -> None:
        atexit.register(self.close)
        self._thread = threading.Thread(
            target=lambda: self._guarded("torch.compile", self._compile_and_take_over),
            name="tsddae compiler",
            daemon=True,
        )
        self._thread.start()

    def _compile_and_take_over(self) -> None:
        try:
            self._compile()
        finally:
            atexit.unregister(self.close)

    def _compile(self) -> None:
        began = time.perf_counter()
        tune = self._device.type == "cuda"
        keep_compiled_code()
        self._fill_cache(tune)
        if self._closing:
            return
        compiled = CompiledTSNet(self._folded, self._to_compile, tune=tune).compile()
        if self.graphs is None:
            before, after = (self._seconds(net) for net in (self._folded, compiled))
            graphs = None
        else:
            graphs = self._captured(compiled)
            before, after = _seconds_of_graphs(self.graphs), _seconds_of_graphs(graphs)
        log.info(
            "compiled in %.0f s: %d windows take %.2f ms, %.2f ms before",
            time.perf_counter() - began, self._batches[-1], 1e3 * after, 1e3 * before,
        )  # fmt: skip
        if after < before:
            self.compiled, self.graphs = compiled, graphs

    def _fill_cache(self, tune: bool) -> None:
        """Compile in another process; what it finds is then in the cache."""
        with tempfile.TemporaryDirectory(prefix="tsddae-") as folder:
            order = Path(folder) / "order.pt"
            torch.save((self._folded, self._to_compile, tune), order)
            if self._closing:
                return
            self._child = subprocess.Popen(
                [sys.executable, "-m", "gr_tsddae.engines", str(order)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            _, said = self._child.communicate()
            if self._child.returncode and not self._closing:
                lines = said.decode(errors="replace").strip().splitlines()
                raise RuntimeError(lines[-1] if lines else f"rc {self._child.returncode}")

    @torch.inference_mode()
    def _seconds(self, network: nn.Module) -> float:
        """Least time of a full batch."""
        windows = torch.randn(
            self._batches[-1], self._folded.window_samples, dtype=torch.complex64
        ).to(self._device)
        return _least_seconds(lambda: self.probabilities(network, windows).cpu())

    @staticmethod
    def _guarded(what: str, make: Callable[[], Graphs | None]) -> Graphs | None:
        """Make it; when that fails, say so in a line and go on without."""
        try:
            return make()
        except Exception as error:  # of any compiler, linker or driver
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            log.warning("%s failed (%s); going on without", what, reason)
            return None


def _seconds_of_graphs(graphs: Graphs) -> float:
    random = np.random.default_rng(1)
    shape = graphs.largest, graphs.window_samples
    windows = (random.standard_normal(shape) + 1j).astype(np.complex64)
    found = np.empty((graphs.largest, graphs.result_size), np.float32)
    return _least_seconds(lambda: graphs.fill(found, windows))


def _least_seconds(run: Callable[[], object], repeats: int = 5) -> float:
    run()
    durations = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        durations.append(time.perf_counter() - began)
    return min(durations)


def main(order: str) -> None:
    """What `Engine._fill_cache` starts: compile what is in a file it wrote, and forget it."""
    if hasattr(os, "nice"):
        os.nice(10)  # the radio comes first
    folded, batches, tune = torch.load(order, weights_only=False)
    CompiledTSNet(folded, batches, tune=tune).compile()


if __name__ == "__main__":
    main(sys.argv[1])
