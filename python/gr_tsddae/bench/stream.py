# SPDX-License-Identifier: GPL-3.0-or-later
"""A flowgraph with the classifier at a given rate: the fate of every sample, and the load.

    tsddae bench stream --rate-msps 20 --seconds 300 --policy drop_oldest

Noise, looped, through a throttle into the classifier (or several, which share one network), and
into a probe of the stream's own rate beside it.
"""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr

from gr_tsddae.bench.machine import available_cores, describe, memory_mib, process_age_s
from gr_tsddae.blocks import classifier
from gr_tsddae.command import Parser
from gr_tsddae.files import write_json

FATES = ("classified", "gated", "dropped", "flushed", "pending")
NOISE_SAMPLES = 1 << 18
LOOK_INTERVAL_S = 0.5  # as often as the probe says its rate
WARM_UP_SHARE, WARM_UP_S = 0.2, 10.0  # the slope of the memory begins after the longer one
TELLS_SLOPE = 5  # looks at the memory that a slope needs


@dataclass(frozen=True)
class Setting:
    """The flowgraph to measure.

    Attributes:
        rate_msps: Rate of the throttle, MS/s; 0 leaves the throttle out.
        classifiers: Number of classifiers on the same stream.
        other names: As of the classifier block.
    """

    rate_msps: float = 20.0
    seconds: float = 300.0
    model: str = "amc-nano"
    policy: str = "drop_oldest"
    classifiers: int = 1
    batch_windows: int = 0
    capacity_batches: int = 8
    max_latency_ms: float = 0.0
    gate_dbfs: float = -math.inf
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.rate_msps < math.inf:
            raise ValueError(f"rate_msps is {self.rate_msps}: give MS/s, or 0 for no throttle")
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"seconds is {self.seconds}: it must be above 0")
        if self.classifiers < 1:
            raise ValueError(f"classifiers is {self.classifiers}: it must be at least 1")


class Listener(gr.basic_block):
    """Keeps the time of a classifier's first decision and its last status."""

    def __init__(self) -> None:
        gr.basic_block.__init__(self, name="listener", in_sig=None, out_sig=None)
        self.first_decision_at: float | None = None
        self.first_decision_age_s: float | None = None  # of the process
        self.decisions = 0
        self.status: dict[str, Any] = {}
        for port, handler in (("decisions", self._on_decision), ("status", self._on_status)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    def _on_decision(self, message: pmt.pmt_base) -> None:
        if self.first_decision_at is None:
            self.first_decision_at = time.monotonic()
            self.first_decision_age_s = process_age_s()
        self.decisions += 1

    def _on_status(self, message: pmt.pmt_base) -> None:
        self.status = pmt.to_python(message)


class Flowgraph(gr.top_block):
    """Noise, looped -> [throttle] -> classifiers, and a probe of the rate."""

    def __init__(self, setting: Setting):
        gr.top_block.__init__(self, "stream benchmark")
        rate_hz = 1e6 * setting.rate_msps
        rng = np.random.default_rng(1)
        noise = 0.1 * (rng.normal(size=NOISE_SAMPLES) + 1j * rng.normal(size=NOISE_SAMPLES))
        chain = [blocks.vector_source_c(noise.astype(np.complex64).tolist(), True)]
        if rate_hz:
            chain.append(blocks.throttle(gr.sizeof_gr_complex, rate_hz))
            self.connect(*chain)
        self.chain = chain
        self.probe = blocks.probe_rate(gr.sizeof_gr_complex, 500.0, 1.0)  # ms; no smoothing
        self.connect(chain[-1], self.probe)
        self.classifiers = [
            classifier(
                model=setting.model, overflow=setting.policy, batch_windows=setting.batch_windows,
                capacity_batches=setting.capacity_batches,
                max_latency_ms=setting.max_latency_ms, gate_dbfs=setting.gate_dbfs,
                device=setting.device, precision=setting.precision, sample_rate_hz=rate_hz,
                engine=setting.engine,
            )
            for _ in range(setting.classifiers)
        ]  # fmt: skip
        self.listeners = [Listener() for _ in self.classifiers]
        for block, listener in zip(self.classifiers, self.listeners, strict=True):
            self.connect(chain[-1], block)
            for port in ("decisions", "status"):
                self.msg_connect(block, port, listener, port)


def measure(setting: Setting) -> dict[str, Any]:
    """Run the flowgraph for a while; docs/stream-speed.md explains the result."""
    began = time.monotonic()
    flowgraph = Flowgraph(setting)
    load_s = time.monotonic() - began
    memory: list[tuple[float, float]] = []  # seconds since the start, MiB
    rates_msps: list[float] = []
    started, cpu_s = time.monotonic(), time.process_time()
    flowgraph.start()
    while (elapsed_s := time.monotonic() - started) < setting.seconds:
        memory.append((elapsed_s, memory_mib()))
        time.sleep(min(LOOK_INTERVAL_S, max(0.0, setting.seconds - elapsed_s)))
        rates_msps.append(flowgraph.probe.rate() / 1e6)
    running = [block.counters() for block in flowgraph.classifiers]
    elapsed_s, cpu_s = time.monotonic() - started, time.process_time() - cpu_s
    memory.append((elapsed_s, memory_mib()))
    stalls_s = [block.batcher.longest_stall_s() for block in flowgraph.classifiers]
    flowgraph.stop()
    flowgraph.wait()
    ended = [block.counters() for block in flowgraph.classifiers]
    return {
        "setting": asdict(setting) | {"gate_dbfs": _finite(setting.gate_dbfs)},
        "environment": describe() | {"gnuradio": gr.version()},
        "seconds": elapsed_s,
        "load_s": load_s,
        "stream_msps": _stream_rate(rates_msps),
        "cpu": {"cores_busy": cpu_s / elapsed_s, "share": cpu_s / elapsed_s / available_cores()},
        "memory": _memory(memory),
        "classifiers": [
            _of_one(*each, elapsed_s=elapsed_s, started=started)
            for each in zip(flowgraph.listeners, running, ended, stalls_s, strict=True)
        ],
    }


def _of_one(
    listener: Listener,
    running: dict[str, int],
    ended: dict[str, int],
    stall_s: float,
    *,
    elapsed_s: float,
    started: float,
) -> dict[str, Any]:
    first_at, status = listener.first_decision_at, listener.status
    return {
        "taken_msps": running["samples_in"] / elapsed_s / 1e6,
        "classified_msps": running["samples_classified"] / elapsed_s / 1e6,
        "longest_stall_s": stall_s,
        "latency_p50_s": status.get("latency_p50_s"),
        "latency_p99_s": status.get("latency_p99_s"),
        "batch_limit_windows": status.get("batch_limit_windows"),
        "device": status.get("device"),
        "precision": status.get("precision"),
        "decisions": listener.decisions,
        "first_decision_s": None if first_at is None else first_at - started,
        "process_to_first_decision_s": listener.first_decision_age_s,
        "errors": status.get("errors"),
        "adds_up": adds_up(running) and adds_up(ended),
        "counters_at_the_end": running,
        "counters_after_stop": ended,
    }


def adds_up(counters: dict[str, int]) -> bool:
    """Tell whether every sample and every window has exactly one fate."""
    samples = sum(counters[f"samples_{fate}"] for fate in FATES)
    windows = sum(counters[f"windows_{fate}"] for fate in FATES if fate != "flushed")
    return (samples, windows) == (counters["samples_in"], counters["windows_in"])


def _stream_rate(rates_msps: list[float]) -> dict[str, float] | None:
    """Average the probe's rates but the first, which includes the start."""
    looks = rates_msps[1:]
    return {"mean": float(np.mean(looks)), "lowest": min(looks)} if looks else None


def _memory(looks: list[tuple[float, float]]) -> dict[str, float | None]:
    """Give start and end, and the slope of a line through the looks after the warm-up."""
    seconds, mib = np.array(looks).T
    warm_at_s = min(max(WARM_UP_SHARE * seconds[-1], WARM_UP_S), seconds[-1])
    late = seconds >= warm_at_s
    slope = None
    if late.sum() >= TELLS_SLOPE:
        slope = 3600 * float(np.polyfit(seconds[late], mib[late], 1)[0])
    return {
        "start_mib": float(mib[0]),
        "after_warm_up_mib": float(mib[late][0]),
        "end_mib": float(mib[-1]),
        "slope_mib_per_hour": slope,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def table(result: dict[str, Any]) -> str:
    """Format a result for people."""
    memory, cpu, stream = result["memory"], result["cpu"], result["stream_msps"]
    lines = [
        f"{result['setting']['model']}, {result['seconds']:.1f} s on "
        f"{result['environment']['processor']}, loaded in {result['load_s']:.2f} s"
    ]
    if stream:
        lines.append(f"stream      {stream['mean']:.3f} MS/s, at the lowest {stream['lowest']:.3f}")
    slope = memory["slope_mib_per_hour"]
    lines += [
        f"processor   {cpu['cores_busy']:.2f} cores busy, {cpu['share']:.0%} of all",
        f"memory      {memory['start_mib']:.0f} MiB, after warm-up "
        f"{memory['after_warm_up_mib']:.0f}, at the end {memory['end_mib']:.0f}"
        + ("" if slope is None else f"; {slope:+.1f} MiB/h"),
    ]
    for number, one in enumerate(result["classifiers"], 1):
        counters = one["counters_at_the_end"]
        taken = max(1, counters["samples_in"])
        shares = ", ".join(f"{fate} {counters[f'samples_{fate}'] / taken:.2%}" for fate in FATES)
        lines += [
            f"classifier {number}: {one['device']}, {one['precision']}",
            f"  taken {one['taken_msps']:.3f} MS/s, classified {one['classified_msps']:.3f} MS/s",
            f"  {counters['samples_in']:,} samples: {shares}; "
            f"{'they add up' if one['adds_up'] else 'THEY DO NOT ADD UP'}",
            f"  longest stall {_ms(one['longest_stall_s'])}, latency p50 "
            f"{_ms(one['latency_p50_s'])}, p99 {_ms(one['latency_p99_s'])}",
            f"  first decision {_ms(one['first_decision_s'])} after the start, "
            f"{_ms(one['process_to_first_decision_s'])} after that of the process; "
            f"{one['decisions']} decisions, {one['errors']} errors",
        ]
    return "\n".join(lines)


def _ms(seconds: float | None) -> str:
    return "(none)" if seconds is None else f"{1e3 * seconds:.1f} ms"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and perhaps write; return status 1 when the counters do not add up."""
    parser = Parser(prog="tsddae bench stream", description=__doc__.splitlines()[0])
    default = Setting()
    for name, kind, what in (
        ("rate_msps", float, "rate of the stream, MS/s; 0: as fast as possible"),
        ("seconds", float, "length of the measurement"),
        ("model", str, "name or folder of the model; `tsddae models` lists them"),
        ("classifiers", int, "classifiers on the same stream, which share one network"),
        ("batch_windows", int, "most windows per pass; 0: as suits the model"),
        ("capacity_batches", int, "full batches that may wait"),
        ("max_latency_ms", float, "latency target; 0: none"),
        ("gate_dbfs", float, "power gate; the noise has -17 dBFS"),
        ("device", str, "auto, cpu, cuda, ..."),
        ("precision", str, "auto, float32, bfloat16"),
        ("engine", str, "auto, eager, openvino, compiled, graphs"),
    ):
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, default=getattr(default, name),
            help=f"{what} (%(default)s)",
        )  # fmt: skip
    parser.add_argument(
        "--policy", choices=("drop_oldest", "drop_newest", "block"), default=default.policy,
        help="what happens when the network is too slow (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="file to write the result to")
    values = vars(parser.parse_args(arguments))
    path = values.pop("json")
    try:
        setting = Setting(**values)
        if path and not path.resolve().parent.is_dir():
            raise ValueError(f"json is {path}: there is no folder {path.resolve().parent}")
        result = measure(setting)
    except ValueError as error:  # ModelError is one
        name = str(error).partition(" ")[0]
        option = f"--{name.replace('_', '-')}" if name in values else name
        parser.error(option + str(error).removeprefix(name))
    print(table(result))
    if path:
        write_json(path, result)
        print(f"wrote {path}")
    return 0 if all(one["adds_up"] for one in result["classifiers"]) else 1
