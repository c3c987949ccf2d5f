# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that runs a folded TS-Net, and when a faster one takes over.

A stream must be labelled at once, and preparing a network takes a while. So an engine begins eager,
unless OpenVINO was asked for, which is ready soon. A network prepared meanwhile takes over when it
is ready and measures faster.
"""

import atexit
import contextlib
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from gr_tsddae.inference.engines.compiled import CACHE_VARIABLE, CompiledTSNet, keep_compiled_code
from gr_tsddae.inference.engines.graphs import CAPTURING, Graphs
from gr_tsddae.inference.engines.openvino import OpenVino
from gr_tsddae.iq.windows import to_rows
from gr_tsddae.missing import pip_line
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

log = logging.getLogger(__name__)

Made = TypeVar("Made")

ENGINES = ("auto", "eager", "openvino", "compiled", "graphs")
# The network's time after which "auto" prepares a faster one: a short run would never gain by it.
BUSY_S = {"openvino": 5.0, "compiled": 20.0}


def resolve_engine(engine: str, device: torch.device) -> str:
    """Check an engine's name against the device, and return it.

    Raises:
        ValueError: If the name is unknown, or this device or installation has no such engine.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine {engine!r}: choose {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
    if engine == "graphs" and device.type == "cpu":
        raise ValueError("engine 'graphs' needs a CUDA device; use auto or openvino on a CPU")
    if engine == "openvino" and device.type != "cpu":
        raise ValueError(f"engine 'openvino' runs on a CPU, not on {device}; use auto or graphs")
    if engine == "openvino" and not openvino_is_there():
        raise ValueError(
            "engine 'openvino' needs the package of that name; use auto, or run: "
            f"{pip_line('openvino')}"
        )
    return engine


def openvino_is_there() -> bool:
    """Tell whether the package is installed, without the time that importing it takes."""
    found = importlib.util.find_spec("openvino")
    return found is not None and found.origin is not None  # any folder of that name has a spec


class Engine:
    """Runs a folded network, and finds a faster way while it runs.

    Attributes:
        compiled: The network compiled, once that is ready and faster; else None.
        openvino, graphs: What computes probabilities of windows now, or None.
        running: "eager", "openvino", "compiled", "graphs" or "compiled graphs".

    Args:
        name: See `resolve_engine`.
        folded: On its device, in its precision.
        scale: Received rows (B, 2, L) to scaled ones.
        batches: Sizes that batches have, the largest last.
        exact: The same network in float32; None where `folded` is that.
    """

    def __init__(
        self,
        name: str,
        folded: FoldedTSNet,
        scale: Callable[[torch.Tensor], torch.Tensor],
        batches: tuple[int, ...],
        exact: FoldedTSNet | None = None,
    ):
        self.name = name
        self.compiled: CompiledTSNet | None = None
        self.openvino: OpenVino | None = None
        self.graphs: Graphs | None = None
        self._folded = folded
        self._exact = exact or folded
        self._scale = scale
        self._batches = batches
        self._device = next(folded.buffers()).device
        # A GPU is worth compiling for the smaller batches of a stream with a latency limit, too.
        self._to_compile = batches[-2:] if self._device.type == "cuda" else batches[-1:]
        self._busy_s = 0.0
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._closing = False
        on_cpu = self._device.type == "cpu"
        self._auto_takes = "openvino" if on_cpu and openvino_is_there() else "compiled"
        if self._device.type == "cuda" and name in ("auto", "graphs"):
            self.graphs = self._guarded("CUDA graphs", lambda: self._captured(folded))
        if name == "openvino":  # asked for, and ready within seconds: from the first window
            self.openvino = self._guarded("OpenVINO", self._openvino)
        elif name in ("compiled", "graphs"):
            self._prepare_in_background("compiled")

    @property
    def running(self) -> str:
        if self.openvino is not None:
            return "openvino"
        compiled = "compiled" if self.compiled is not None else ""
        return f"{compiled} graphs".strip() if self.graphs is not None else compiled or "eager"

    def worked(self, seconds: float) -> None:
        """Tell how long the network worked; "auto" prepares a faster one once it is worth it."""
        self._busy_s += seconds
        if self.name == "auto" and self._thread is None and self._busy_s > BUSY_S[self._auto_takes]:
            self._prepare_in_background(self._auto_takes)

    def wait(self) -> None:
        """Wait until nothing is being prepared any more."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def probabilities(self, network: nn.Module, windows: torch.Tensor) -> torch.Tensor:
        """Compute class probabilities: windows as received, complex64 (B, L), to float32 (B, K)."""
        return network(self._scale(to_rows(windows))).float().softmax(1)

    def _openvino(self) -> OpenVino:
        return OpenVino(self._exact, self._scale, self._folded.dtype, largest=self._batches[-1])

    def _captured(self, network: nn.Module) -> Graphs:
        return Graphs(
            lambda windows: self.probabilities(network, windows),
            self._folded.window_samples,
            self._batches,
            self._device,
        )

    def leave_openvino(self, error: RuntimeError) -> None:
        """Leave OpenVINO for the eager network, for good."""
        log.warning("OpenVINO failed (%s); going on without", _reason(error))
        self.openvino = None

    def close(self) -> None:
        """Give up preparing. Python must not end while torch compiles: it would abort."""
        self._closing = True
        if self._child is not None:
            self._child.kill()
        self.wait()

    def _prepare_in_background(self, way: str) -> None:
        what, prepare = {
            "openvino": ("OpenVINO", self._prepare_openvino),
            "compiled": ("torch.compile", self._compile),
        }[way]
        atexit.register(self.close)

        def work() -> None:
            try:
                self._guarded(what, prepare)
            finally:
                atexit.unregister(self.close)
                if way == "openvino" and self.openvino is None:
                    self._auto_takes, self._thread = "compiled", None  # the next best

        self._thread = threading.Thread(target=work, name=f"tsddae {way}", daemon=True)
        self._thread.start()

    def _prepare_openvino(self) -> None:
        began = time.perf_counter()
        openvino = self._openvino()
        if self._closing:
            return
        before, after = self._seconds(self._folded), self._seconds_of(openvino)
        self._say("OpenVINO ready", began, before, after)
        if after < before:
            self.openvino = openvino

    def _compile(self) -> None:
        began = time.perf_counter()
        tune = self._device.type == "cuda"
        keep_compiled_code()
        self._fill_cache(tune)
        if self._closing:
            return
        with CAPTURING if self._device.type == "cuda" else contextlib.nullcontext():
            compiled = CompiledTSNet(self._folded, self._to_compile, tune=tune).compile()
        if self.graphs is None:
            before, after = (self._seconds(net) for net in (self._folded, compiled))
            graphs = None
        else:
            graphs = self._captured(compiled)
            before, after = self._seconds_of(self.graphs), self._seconds_of(graphs)
        self._say("compiled", began, before, after)
        if after < before:
            self.compiled, self.graphs = compiled, graphs

    def _say(self, what: str, began: float, before: float, after: float) -> None:
        log.info(
            "%s in %.1f s: %d windows take %.2f ms, %.2f ms before",
            what, time.perf_counter() - began, self._batches[-1], 1e3 * after, 1e3 * before,
        )  # fmt: skip

    def _fill_cache(self, tune: bool) -> None:
        """Compile in another process, which leaves the compiled code in the cache."""
        with tempfile.TemporaryDirectory(prefix="tsddae-") as folder:
            order = Path(folder) / "order.pt"
            torch.save((self._folded, self._to_compile, tune), order)
            if self._closing:
                return
            here = {
                CACHE_VARIABLE: os.path.abspath(os.environ[CACHE_VARIABLE]),
                "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
            }
            self._child = subprocess.Popen(
                [sys.executable, "-m", "gr_tsddae.inference.engines.compiled", str(order)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # Python's -m looks into the working directory first: not into the user's, where
                # any file may be called like one of our modules.
                cwd=folder,
                env=os.environ | here,
            )
            _, said = self._child.communicate()
            if self._child.returncode and not self._closing:
                lines = said.decode(errors="replace").strip().splitlines()
                raise RuntimeError(lines[-1] if lines else f"rc {self._child.returncode}")

    @torch.inference_mode()
    def _seconds(self, network: nn.Module) -> float:
        """Measure the least time of a full batch."""
        windows = torch.randn(
            self._batches[-1], self._folded.window_samples, dtype=torch.complex64
        ).to(self._device)
        return _least_seconds(lambda: self.probabilities(network, windows).cpu())

    def _seconds_of(self, direct: OpenVino | Graphs) -> float:
        """Measure the same of an engine that takes windows from the host."""
        random = np.random.default_rng(1)
        shape = self._batches[-1], direct.window_samples
        windows = (random.standard_normal(shape) + 1j).astype(np.complex64)
        found = np.empty((len(windows), direct.result_size), np.float32)
        return _least_seconds(lambda: direct.fill(found, windows))

    @staticmethod
    def _guarded(what: str, make: Callable[[], Made]) -> Made | None:
        """Call `make`; when it fails, log one line and return None."""
        try:
            return make()
        except Exception as error:  # of any compiler, linker or driver
            if "interpreter shutdown" not in str(error):  # else Python ends, and all is well
                log.warning("%s failed (%s); going on without", what, _reason(error))
            return None


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _least_seconds(run: Callable[[], object], repeats: int = 5) -> float:
    run()
    durations = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        durations.append(time.perf_counter() - began)
    return min(durations)
