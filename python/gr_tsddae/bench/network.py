# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows per second of TS-Net by size, precision, engine and batch, beside the device's limits.

    tsddae bench network --out DIR

A batch is timed from windows on the host to probabilities on the host, with scaling, spectrum and
copies. Windows are random, never zeros. Weights are untrained, which does not change the speed.
Compare results of one run only.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from gr_tsddae import nets
from gr_tsddae.bench import ceilings
from gr_tsddae.bench.cost import flop_per_window
from gr_tsddae.bench.machine import describe
from gr_tsddae.bench.roofline import draw
from gr_tsddae.command import Parser, number
from gr_tsddae.files import write_json
from gr_tsddae.inference.device import PRECISIONS, multiplies_bfloat16_fast, resolve_device
from gr_tsddae.inference.engines.compiled import CompiledTSNet
from gr_tsddae.inference.engines.engine import openvino_is_there
from gr_tsddae.inference.engines.graphs import Graphs
from gr_tsddae.inference.engines.openvino import OpenVino
from gr_tsddae.iq.windows import to_rows, unit_power
from gr_tsddae.nets.tsnet import SIZES as TSNET_SIZES
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

CLASS_COUNT = 12
SIZES = ("base", "small", "mini", "nano")
# "trained" is the network as training leaves it: neither folded nor compiled.
ENGINES = ("trained", "eager", "openvino", "compiled", "graphs", "compiled-graphs")
BATCHES = {"cpu": (1, 16, 256), "cuda": (1, 16, 256, 1024, 4096, 8192)}
BATCHES_IN_TURN = 4
LONGEST_SAMPLES = 2**20  # of a batch: 8192 windows of 128; more is not faster


@dataclass(frozen=True)
class Result:
    """One configuration.

    Attributes:
        windows_per_s: With one batch after another; graphs copy one while they compute another.
        p50_ms, p99_ms: Of a batch alone, from windows on the host to results on the host.
        first_s: From the loaded network to its first result, with compiling.
        memory_mib: Most memory in use on a CUDA device; else None.
        share: The network's FLOP/s over the ceiling of the faster precision.
    """

    size: str
    window_samples: int
    precision: str
    engine: str
    batch: int
    windows_per_s: float
    msamples_per_s: float
    p50_ms: float
    p99_ms: float
    share: float
    first_s: float
    memory_mib: float | None


class Bench:
    """Measures configurations on one device.

    Args:
        device: The device to measure.
        seconds: Time for each configuration, without compiling.
        tune_from: Try many kernels when compiling base for batches from this size on (CUDA).
    """

    def __init__(self, device: torch.device, *, seconds: float, tune_from: int | None):
        self.device = device
        self._seconds = seconds
        self._tune_from = tune_from
        brief = min(seconds, 0.5)
        self.ceilings = ceilings.ceilings_flops(device, brief)
        self.bandwidth = ceilings.bandwidth_bytes_per_s(device, brief)
        self.fast = max(PRECISIONS, key=self.ceilings.__getitem__)
        self.results: list[Result] = []
        self.failures: list[dict[str, object]] = []
        self.flop: dict[str, int] = {}

    def network(self, size: str, window_samples: int) -> None:
        """Prepare a size; all its configurations have the same weights."""
        torch.manual_seed(1)
        self._size, self._window_samples = size, window_samples
        self._trained = nets.create(f"tsnet-{size}", class_count=CLASS_COUNT).eval()
        # Folded: the step's embedding is computed per batch or not at all, but not per window.
        self._flop = flop_per_window(FoldedTSNet(self._trained, window_samples), window_samples)
        self.flop[f"{size} {window_samples}"] = self._flop
        self._compiled: dict[tuple[str, int], tuple[CompiledTSNet, float]] = {}

    def measure(self, precision: str, engine: str, batch: int) -> Result | None:
        """Measure one configuration; a failure gives None and an entry in `failures`."""
        cuda = self.device.type == "cuda"
        windows = random_windows(batch, self._window_samples)
        try:
            if cuda:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(self.device)
            compiled_s = 0.0
            if engine.startswith("compiled"):
                _, compiled_s = self._compile(precision, batch)
            began = time.perf_counter()
            run = self._run(precision, engine, batch)
            found = run(windows)
            first_s = time.perf_counter() - began + compiled_s
            if not np.isfinite(found).all():
                raise FloatingPointError("probabilities hold NaN or infinity")
            times = ceilings.durations_s(lambda: run(windows), seconds=self._seconds)
            many = None
            if engine.endswith("graphs"):
                stretch = np.tile(windows, (BATCHES_IN_TURN, 1))
                many = ceilings.durations_s(lambda: run(stretch), seconds=self._seconds)
            memory = torch.cuda.max_memory_reserved(self.device) / 2**20 if cuda else None
        except Exception as error:  # of a compiler or of memory: go on with the other rows
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            where = {"size": self._size, "precision": precision, "engine": engine, "batch": batch}
            self.failures.append({**where, "error": reason})
            print(f"{self._size} {precision} {engine} {batch}: {reason}", file=sys.stderr)
            return None
        middle, slow = np.quantile(times, (0.5, 0.99)).tolist()
        rate = batch / middle
        if many is not None:
            rate = BATCHES_IN_TURN * batch / statistics.median(many)
        result = Result(
            size=self._size,
            window_samples=self._window_samples,
            precision=precision,
            engine=engine,
            batch=batch,
            windows_per_s=rate,
            msamples_per_s=rate * self._window_samples / 1e6,
            p50_ms=1e3 * middle,
            p99_ms=1e3 * slow,
            share=rate * self._flop / self.ceilings[self.fast],
            first_s=first_s,
            memory_mib=memory,
        )
        self.results.append(result)
        print(line(result), flush=True)
        return result

    def _compile(self, precision: str, batch: int) -> tuple[CompiledTSNet, float]:
        """Compile the network for a batch size, once; give it and the seconds it took."""
        if (precision, batch) not in self._compiled:
            began = time.perf_counter()
            folded = FoldedTSNet(self._trained, self._window_samples).to(self.device)
            folded.to_precision(PRECISIONS[precision])
            tune = self._tune_from is not None and self._size == "base"
            tune = tune and precision == "bfloat16" and batch >= self._tune_from
            compiled = CompiledTSNet(folded, (batch,), tune=tune).compile()
            self._compiled[precision, batch] = compiled, time.perf_counter() - began
        return self._compiled[precision, batch]

    def _run(self, precision: str, engine: str, batch: int) -> Callable[[np.ndarray], np.ndarray]:
        """Make a function: windows (B, L) on the host -> probabilities (B, K) on the host."""
        device, dtype = self.device, PRECISIONS[precision]
        network: nn.Module
        if engine == "trained":
            network = nets.create(f"tsnet-{self._size}", class_count=CLASS_COUNT).eval()
            network.load_state_dict(self._trained.state_dict())
            network.to(device=device, dtype=dtype)
        elif engine.startswith("compiled"):
            network, _ = self._compile(precision, batch)
        else:
            network = FoldedTSNet(self._trained, self._window_samples).to(device)
            network.to_precision(dtype)

        def compute(windows: torch.Tensor) -> torch.Tensor:
            return network(unit_power(to_rows(windows))).float().softmax(1)

        if engine == "openvino" or engine.endswith("graphs"):
            if engine == "openvino":
                exact = FoldedTSNet(self._trained, self._window_samples)
                direct: OpenVino | Graphs = OpenVino(exact, unit_power, dtype, largest=batch)
            else:
                direct = Graphs(compute, self._window_samples, (batch,), device)

            def run(windows: np.ndarray) -> np.ndarray:
                found = np.empty((len(windows), CLASS_COUNT), np.float32)
                direct.fill(found, windows)
                return found

            return run

        @torch.inference_mode()
        def run_plainly(windows: np.ndarray) -> np.ndarray:
            return compute(torch.from_numpy(windows).to(device)).cpu().numpy()

        return run_plainly


def random_windows(batch: int, window_samples: int) -> np.ndarray:
    """Draw noise, complex64 (B, L)."""
    random = np.random.default_rng(1)
    pair = random.standard_normal((2, batch, window_samples), np.float32)
    return (pair[0] + 1j * pair[1]).astype(np.complex64)


HEADER = (
    f"{'size':<6} {'L':>5} {'precision':<9} {'engine':<15} {'batch':>5} {'windows/s':>10} "
    f"{'MS/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'ceiling':>8} {'first s':>8} {'MiB':>6}"
)


def line(r: Result) -> str:
    """Format a row of the table."""
    memory = "" if r.memory_mib is None else f"{r.memory_mib:.0f}"
    return (
        f"{r.size:<6} {r.window_samples:>5} {r.precision:<9} {r.engine:<15} {r.batch:>5} "
        f"{r.windows_per_s:>10.0f} {r.msamples_per_s:>8.3f} {r.p50_ms:>8.2f} {r.p99_ms:>8.2f} "
        f"{r.share:>8.1%} {r.first_s:>8.2f} {memory:>6}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tsddae bench network", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    add("--lengths", nargs="+", type=int, default=[128], metavar="SAMPLES")
    add(
        "--engines",
        nargs="+",
        choices=ENGINES,
        help="engines to measure (default: all that the device has)",
    )
    add("--precisions", nargs="+", choices=list(PRECISIONS), default=["bfloat16", "float32"])
    add("--batches", nargs="+", type=int, metavar="WINDOWS")
    add("--compile-batches", nargs="+", type=int, metavar="WINDOWS", help="default: 256 and, on "
        "CUDA, 1024; others are not compiled")  # fmt: skip
    add("--compile-precisions", nargs="+", choices=list(PRECISIONS), help="default: what the "
        "device multiplies fastest")  # fmt: skip
    add("--tune-from", type=int, metavar="WINDOWS", help="try many kernels for base in bfloat16 "
        "from this batch on; takes a minute or more on a GPU")  # fmt: skip
    add("--device", default="auto")
    add("--seconds", type=number, default=1.0, help="duration of each configuration")
    add(
        "--total-seconds",
        type=number,
        default=float("inf"),
        help="start no configuration after this time",
    )
    add("--out", type=Path, default=Path("."), help="folder for network.json and network.png")
    return parser


def configurations(
    options: argparse.Namespace, device: torch.device, fast: str
) -> Iterator[tuple[str, str, int]]:
    """List (precision, engine, batch) in the order to measure; compiled engines come last."""
    cuda = device.type == "cuda"
    engines = options.engines or engines_of(device)
    batches = options.batches or BATCHES[device.type]
    bfloat16 = multiplies_bfloat16_fast(device.type)
    to_compile = options.compile_batches or ((256, 1024) if cuda else (256,))
    for compiled in (False, True):
        for precision in options.precisions:
            for engine in engines:
                if engine.startswith("compiled") != compiled:
                    continue
                if engine == "trained" and precision != "float32":
                    continue
                if engine == "openvino" and precision != "float32" and not bfloat16:
                    continue  # OpenVINO would compute in float32
                if compiled and precision not in (options.compile_precisions or (fast,)):
                    continue
                for batch in batches:
                    if not compiled or batch in to_compile:
                        yield precision, engine, batch


def engines_of(device: torch.device) -> tuple[str, ...]:
    """List the engines that a device has."""
    if device.type == "cuda":
        return tuple(engine for engine in ENGINES if engine != "openvino")
    openvino = ("openvino",) if openvino_is_there() else ()
    return "trained", "eager", *openvino, "compiled"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        device = resolve_device(options.device)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if device.type == "cpu" and any("graphs" in engine for engine in options.engines or ()):
        print("engines with graphs need a CUDA device", file=sys.stderr)
        return 2
    if device.type == "cuda" and "openvino" in (options.engines or ()):
        print("openvino runs on a CPU", file=sys.stderr)
        return 2
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)  # takes no "cuda" without a number
    for size in options.sizes:
        for window_samples in options.lengths:
            try:
                TSNET_SIZES[size].tokens(window_samples)
            except ValueError as error:
                print(f"{size}: {error}", file=sys.stderr)
                return 2
    began = time.perf_counter()
    bench = Bench(device, seconds=options.seconds, tune_from=options.tune_from)
    print(f"{describe_limits(bench)}\n{HEADER}", flush=True)
    try:
        left_out = _measure_all(bench, options, ends=began + options.total_seconds)
    finally:  # also when stopped halfway
        write(options.out, bench, options)
    if left_out:
        print(f"{left_out} configurations left out: --total-seconds was over")
    return 0 if bench.results else 1


def _measure_all(bench: Bench, options: argparse.Namespace, *, ends: float) -> int:
    """Measure until a time of `time.perf_counter`; count the configurations left out."""
    left_out = 0
    # First every size without a compiler, then the compiled engines.
    for compiled in (False, True):
        for window_samples in options.lengths:
            for size in options.sizes:
                todo = [
                    (precision, engine, batch)
                    for precision, engine, batch in configurations(
                        options, bench.device, bench.fast
                    )
                    if engine.startswith("compiled") == compiled
                    and batch * window_samples <= LONGEST_SAMPLES
                ]
                if todo:
                    bench.network(size, window_samples)
                for configuration in todo:
                    if time.perf_counter() > ends:
                        left_out += 1
                        continue
                    bench.measure(*configuration)
    return left_out


def describe_limits(bench: Bench) -> str:
    """Format the device's limits."""
    found = ", ".join(f"{name} {flops / 1e12:.2f}" for name, flops in bench.ceilings.items())
    return f"matrix products, TFLOP/s: {found}; copies: {bench.bandwidth / 1e9:.0f} GB/s"


def write(folder: Path, bench: Bench, options: argparse.Namespace) -> None:
    """Write network.json, and network.png where matplotlib is installed."""
    plain = [r for r in bench.results if r.engine == "trained"]
    summary = {}
    for key in dict.fromkeys((r.size, r.window_samples) for r in bench.results):
        of_key = [r for r in bench.results if (r.size, r.window_samples) == key]
        best = max(of_key, key=lambda r: r.windows_per_s)
        name = " ".join(map(str, key))
        summary[name] = {"windows_per_s": best.windows_per_s, "share": best.share}
        summary[name] |= {k: asdict(best)[k] for k in ("precision", "engine", "batch")}
        reference = [r.windows_per_s for r in plain if (r.size, r.window_samples) == key]
        if reference:
            summary[name]["times_trained_float32"] = best.windows_per_s / max(reference)
        print(f"best of {name}: {summary[name]}")
    result = {
        "machine": describe(bench.device),
        "seconds": options.seconds,
        "ceilings_flop_per_s": bench.ceilings,
        "bandwidth_bytes_per_s": bench.bandwidth,
        "flop_per_window": bench.flop,
        "best": summary,
        "measured": [asdict(r) for r in bench.results],
        "failed": bench.failures,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "network.json"
    write_json(path, result)
    print(f"wrote {path}")
    if drawn := draw(folder / "network.png", result):
        print(f"wrote {drawn}")
