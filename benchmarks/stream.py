#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rate a whole flowgraph sustains with the classifier in it, in `drop` and in `block`.

    .venv/bin/python benchmarks/stream.py

A looped stretch of noise feeds the classifier block without a throttle (`block`: as fast as the
network goes), throttled at 1 MS/s (`drop_oldest`: what a live receiver needs), and at 20 MS/s
(`drop_oldest`, overloaded: the stream must keep its rate). Writes benchmarks/results/stream.json.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from gnuradio import blocks, gr

from gr_tsddae import blocks as tsddae
from machine import describe, results_folder

PARTS = ("classified", "gated", "dropped", "flushed", "pending")


class Flowgraph(gr.top_block):
    """Noise, looped -> [throttle] -> classifier."""

    def __init__(self, *, model: str, overflow: str, rate_hz: float | None, batch_windows: int):
        gr.top_block.__init__(self, "stream benchmark")
        rng = np.random.default_rng(1)
        noise = (rng.normal(size=1 << 18) + 1j * rng.normal(size=1 << 18)).astype(np.complex64)
        self.source = blocks.vector_source_c(noise.tolist(), True)
        self.classifier = tsddae.classifier(
            model=model, overflow=overflow, batch_windows=batch_windows,
            sample_rate_hz=rate_hz or 0.0,
        )  # fmt: skip
        chain = [self.source]
        if rate_hz:
            self.throttle = blocks.throttle(gr.sizeof_gr_complex, rate_hz)
            chain.append(self.throttle)
        self.connect(*chain, self.classifier)


def measure(*, seconds: float, **arguments) -> dict[str, object]:
    """Run for a while; rates are taken over the middle, counters at the end."""
    flowgraph = Flowgraph(**arguments)
    worker = flowgraph.classifier.worker
    flowgraph.start()
    time.sleep(1.0)
    before, began = flowgraph.classifier.counters(), time.perf_counter()
    time.sleep(seconds)
    after, elapsed_s = flowgraph.classifier.counters(), time.perf_counter() - began
    latencies_s = list(worker._latencies_s)
    flowgraph.stop()
    flowgraph.wait()
    counters = flowgraph.classifier.counters()

    def rate(part: str) -> int:
        return round((after[f"samples_{part}"] - before[f"samples_{part}"]) / elapsed_s)

    p50_s, p99_s = np.percentile(latencies_s, (50, 99))
    return {
        **arguments,
        "in_samples_per_s": rate("in"),
        "classified_samples_per_s": rate("classified"),
        "dropped_share": round(rate("dropped") / max(1, rate("in")), 4),
        "latency_p50_ms": round(1e3 * p50_s, 1),
        "latency_p99_ms": round(1e3 * p99_s, 1),
        "counters_add_up": counters["samples_in"] == sum(counters[f"samples_{p}"] for p in PARTS),
        "counters": counters,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="amc-nano")
    parser.add_argument("--batch", type=int, default=0, help="0: what suits the model")
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    measured = [
        measure(
            model=arguments.model,
            batch_windows=arguments.batch,
            overflow=overflow,
            rate_hz=rate_hz,
            seconds=arguments.seconds,
        )
        for overflow, rate_hz in (("block", None), ("drop_oldest", 1e6), ("drop_oldest", 20e6))
    ]
    print(f"{'policy':<12} {'offered':>9} {'in MS/s':>8} {'classified':>10} {'dropped':>8} "
          f"{'p50 ms':>7} {'p99 ms':>7}  adds up")  # fmt: skip
    for m in measured:
        offered = f"{m['rate_hz'] / 1e6:.0f} MS/s" if m["rate_hz"] else "all"
        print(
            f"{m['overflow']:<12} {offered:>9} {m['in_samples_per_s'] / 1e6:>8.3f} "
            f"{m['classified_samples_per_s'] / 1e6:>10.3f} {m['dropped_share']:>8.1%} "
            f"{m['latency_p50_ms']:>7.1f} {m['latency_p99_ms']:>7.1f}  {m['counters_add_up']}"
        )
    import torch

    result = {"machine": describe(torch.device("cpu")), "measured": measured}
    path = results_folder() / "stream.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
