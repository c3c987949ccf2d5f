# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from windows to probabilities as OpenVINO runs it on a CPU.

torch has all cores work on one operation after another, and every one ends with a wait. Here each
core takes windows of its own all the way, scaling and spectrum included, and torch takes no part.
"""

import contextlib
import copy
import functools
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

from gr_tsddae.iq.windows import spectrum
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

# Windows that a core takes at once: few sizes, as the network is built for each. With 1 among them,
# none is ever filled up with windows that nobody asked for.
SHARES = (256, 64, 16, 4, 1)
# Of so many windows of a full batch, one is to be looked at in float32 as well.
EXACT_ONE_OF = 16
# Up to this length the DFT is a product with its matrix: more work than a fast transform, but work
# that a processor does better than what OpenVINO has.
LONGEST_PRODUCT_SAMPLES = 256

# A conversion sets the level of the root logger to ERROR and then sets it back. Two at once could
# leave it there.
_CONVERTING = threading.Lock()


class OpenVino:
    """A folded TS-Net for windows as received.

    In float32, results of a window do not depend on what else is in a batch, to the last bit.

    Args:
        folded: On the CPU, in float32; not changed.
        scale: Received rows (B, 2, L) to scaled ones.
        precision: float32, or bfloat16, where the processor has that; `fill_exact` is in float32
            whatever the rest is in.
        threads: How many cores; None takes torch's number.
        largest: Windows there mostly are at most; more are taken, in small shares. None: no limit.

    Raises:
        ImportError: If the package openvino is not installed.
    """

    def __init__(
        self,
        folded: FoldedTSNet,
        scale: Callable[[torch.Tensor], torch.Tensor],
        precision: torch.dtype = torch.float32,
        threads: int | None = None,
        largest: int | None = None,
    ):
        # OpenVINO reports every conversion to its makers, from copies of this process, unless the
        # package that does so is missing. A receiver talks to nobody unasked.
        sys.modules.setdefault("openvino_telemetry", None)
        import openvino

        self.window_samples = folded.window_samples
        self._cores = threads or torch.get_num_threads()
        self._lock = threading.Lock()
        program = _Program(copy.deepcopy(folded), scale)
        example = torch.ones(2, self.window_samples, 2)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing is deprecated, and what OpenVINO does
            # Checking a trace takes longer than all the rest; tests compare results.
            traced = torch.jit.trace(program.eval(), (example,), check_trace=False)
            with _CONVERTING:
                model = openvino.convert_model(traced, example_input=(example,))
        self.result_size, self.feature_size = (
            output.partial_shape[1].get_length() for output in model.outputs
        )
        whole = largest or SHARES[0] * self._cores
        if precision == torch.float32 or not _has_bfloat16():
            self._queues = self._exact = self._queues_of(model, "f32", whole)
        else:
            self._queues = self._queues_of(model, "bf16", whole)
            self._exact = self._queues_of(model, "f32", whole // EXACT_ONE_OF)

    def _queues_of(self, model: Any, precision: str, largest: int) -> dict[int, Any]:
        """Make a queue of requests per share, the largest share first; run each once."""
        import openvino

        options = {
            "NUM_STREAMS": self._cores,
            "INFERENCE_NUM_THREADS": self._cores,
            "ENABLE_CPU_PINNING": False,  # the radio's threads want a core now and then
            "INFERENCE_PRECISION_HINT": precision,
        }
        core, queues = _core(), {}
        for share in SHARES:
            if share > 1 and share * self._cores > largest:
                continue
            # Of a fixed size OpenVINO makes one pass of what stands between two products.
            fixed = model.clone()
            fixed.reshape({fixed.inputs[0]: [share, self.window_samples, 2]})
            queue = openvino.AsyncInferQueue(core.compile_model(fixed, "CPU", options), self._cores)
            queue.set_callback(_keep)
            queues[share] = queue
            windows = np.ones((share, self.window_samples), np.complex64)
            found = np.empty((share, self.result_size), np.float32)
            for _ in range(self._cores):
                queue.start_async((_pairs(windows),), (found, 0))
            queue.wait_all()
        return queues

    def fill(self, found: np.ndarray, windows: np.ndarray) -> None:
        """Compute probabilities of any number of windows: complex64 (N, L) into float32 (N, K).

        Raises:
            RuntimeError: If OpenVINO fails; do not use this object any more then.
        """
        self._fill(found, 0, windows, self._queues)

    def fill_exact(self, found: np.ndarray, windows: np.ndarray) -> None:
        """Do as `fill`, in float32, for the few windows that need it."""
        self._fill(found, 0, windows, self._exact)

    def fill_features(self, found: np.ndarray, windows: np.ndarray) -> None:
        """Compute feature vectors: complex64 (N, L) into float32 (N, E). Raises as `fill`."""
        self._fill(found, 1, windows, self._queues)

    def _fill(
        self, found: np.ndarray, output: int, windows: np.ndarray, queues: dict[int, Any]
    ) -> None:
        with self._lock:  # a queue hands out its requests to one thread only
            try:
                for start, share in self._shares(len(windows), queues):
                    part = slice(start, start + share)
                    pairs = _pairs(windows[part])
                    queues[share].start_async((pairs,), (found[part], output))  # copies them
            except BaseException:
                with contextlib.suppress(Exception):
                    _wait(queues)  # nothing may write into `found` any more
                raise
            _wait(queues)
        if not np.isfinite(found).all():
            raise RuntimeError("it computed NaN or infinity")

    def _shares(self, count: int, shares: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Yield first window and window count of every share; cores get equal ones in turn."""
        start = 0
        while start < count:
            each = -(-(count - start) // self._cores)
            share = next(share for share in shares if share <= each)
            for _ in range(min(self._cores, (count - start) // share)):
                yield start, share
                start += share


@functools.cache
def _core() -> Any:
    """Load OpenVINO with its CPU plugin, once and for good, on a thread that ends.

    The plugin gives the thread that loads it a stack for its signal handlers, and unmaps that when
    it is unloaded, on whatever thread. Python's next Ctrl-C would be a segmentation fault.
    """
    import openvino

    def load() -> Any:
        core = openvino.Core()
        core.get_property("CPU", "FULL_DEVICE_NAME")  # or the first model would load it
        return core

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(load).result()


def _has_bfloat16() -> bool:
    """Tell whether the processor has bfloat16, and OpenVINO uses it."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _wait(queues: dict[int, Any]) -> None:
    for queue in queues.values():
        queue.wait_all()


def _pairs(windows: np.ndarray) -> np.ndarray:
    """View windows as pairs of I and Q: (B, L) -> float32 (B, L, 2)."""
    pairs = np.ascontiguousarray(windows, np.complex64).view(np.float32)
    return pairs.reshape(len(windows), -1, 2)


class _Program(nn.Module):
    """A network from pairs of I and Q (B, L, 2) to probabilities (B, K) and features (B, E)."""

    def __init__(self, folded: FoldedTSNet, scale: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.folded, self.scale = folded, scale
        length = folded.window_samples
        matrix = None
        if length <= LONGEST_PRODUCT_SAMPLES:
            matrix = spectrum(torch.eye(2 * length).view(-1, 2, length)).flatten(1)  # (2L, 2L)
        self.register_buffer("matrix", matrix)

    def forward(self, pairs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = self.scale(pairs.transpose(1, 2))  # (B, 2, L)
        features = self.folded.features(*self.folded.seen(rows, self._spectrum))
        return self.folded.head(features).softmax(1), features

    def _spectrum(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute `iq.windows.spectrum` by operations that OpenVINO does well."""
        if self.matrix is not None:
            return (rows.flatten(1) @ self.matrix).unflatten(1, (2, -1))
        windows = torch.view_as_complex(rows.transpose(1, 2).contiguous())
        return torch.view_as_real(torch.fft.fft(windows, norm="ortho")).transpose(1, 2)


def _keep(request: Any, place_and_output: tuple[np.ndarray, int]) -> None:
    place, output = place_and_output
    place[:] = request.get_output_tensor(output).data
