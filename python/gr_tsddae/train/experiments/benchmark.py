# SPDX-License-Identifier: GPL-3.0-or-later
"""All networks on one dataset under the same protocols and budget, beside the published figures."""

from __future__ import annotations

import dataclasses
import json
import logging
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from gr_tsddae import nets, zoo
from gr_tsddae.bench import cost
from gr_tsddae.bench.machine import device_name
from gr_tsddae.files import write_json
from gr_tsddae.train.config import FewshotConfig, NetworkChoice, OptimiserConfig, ProbeConfig
from gr_tsddae.train.experiments import comparison, table
from gr_tsddae.train.experiments.experiment import (
    ClassifierSettings,
    ExperimentConfig,
    PretrainSettings,
    few_shot,
)
from gr_tsddae.train.experiments.jobs import FAILED_FILE, RECORD_FILE, Job, distinct, run_all
from gr_tsddae.train.experiments.published import compared
from gr_tsddae.train.experiments.table import Row
from gr_tsddae.train.experiments.workers import run_workers
from gr_tsddae.train.objectives import objectives_of
from gr_tsddae.train.probe import probe
from gr_tsddae.train.run.lock import claimed

log = logging.getLogger(__name__)

COST_FILE = "cost.json"
# A network's own objective, which it has been published with; any network has the others.
OWN_OBJECTIVES = ("noise", "masked", "lsm")
NOTE = (
    "Test part, mean ± standard deviation over seeds of weights and order, one split, the same "
    "budget for all rows of a protocol. Published figures are of the released data, of tsnet-base "
    "and at their authors' budget. GFLOP: products and convolutions for one window, a multiply-add "
    "is two, no Fourier transforms. Training s: with what it starts from, on a machine that may "
    "have run several at once; of a run that was stopped, only what came after."
)
SHOTS_NOTE = "Rows with shots stop and are calibrated by all of the validation part."


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(ExperimentConfig):
    """Train all networks on a dataset, and print them beside the published figures.

    Attributes:
        networks: Names of networks; all there are when not given.
        network: Not used here: `networks` names them, `overrides` changes them.
        protocols: Which rows: scratch and fewshot-scratch train from nothing; finetuned, probe and
            fewshot start from a network pre-trained by its own objective (of a TS-Net noise, of
            spectrum-fm masked, of lsm lsm), and leave out networks without one.
        shots: Windows per class and SNR of the protocols with few shots.
        overrides: Network -> what differs for it: options (of the network), learning_rate, batch.
            A network that is given another budget is no fair comparison; the table says so.
        jobs: Processes at once on this machine; with several GPUs, spread over them.
        minutes: Begin no run after so many; the table is written of what is finished.
        probe: Training on frozen features.
        fewshot: Training on few shots.
    """

    networks: tuple[str, ...] = ()
    protocols: tuple[
        Literal["scratch", "finetuned", "probe", "fewshot", "fewshot-scratch"], ...
    ] = ("scratch", "finetuned")
    shots: tuple[int, ...] = (25,)
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: int = 1
    minutes: float | None = None
    probe: ClassifierSettings = field(default_factory=ClassifierSettings)
    fewshot: ClassifierSettings = field(
        default_factory=lambda: ClassifierSettings(optimiser=OptimiserConfig(batch=128))
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = ", ".join(nets.names())
        if self.network != NetworkChoice():
            raise ValueError("network is not used by benchmark: give networks, and overrides")
        for what, named in (("networks", self.networks), ("overrides", self.overrides)):
            if unknown := sorted(set(named) - set(nets.names())):
                raise ValueError(f"{what} names {', '.join(unknown)}; there are: {known}")
        for name, changes in self.overrides.items():
            if unknown := sorted(changes.keys() - {"options", "learning_rate", "batch"}):
                raise ValueError(
                    f"overrides.{name} has {', '.join(unknown)}; it takes options, learning_rate "
                    "and batch"
                )
        if not self.protocols or len(set(self.protocols)) < len(self.protocols):
            raise ValueError(f"protocols is {list(self.protocols)}: give at least one, each once")
        if len(set(self.networks)) < len(self.networks):
            raise ValueError(f"networks is {list(self.networks)}: give each once")
        if len(set(self.shots)) < len(self.shots) or any(shots < 1 for shots in self.shots):
            raise ValueError(f"shots is {list(self.shots)}: give different numbers of at least 1")
        if self.jobs < 1:
            raise ValueError(f"jobs is {self.jobs}: it must be at least 1")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes is {self.minutes}: it must be over 0, or null")


@dataclass(frozen=True)
class Entry:
    """A row, and what it is of."""

    network: str
    protocol: str  # e.g. "25-shot"
    row: Row


def benchmark(config: BenchmarkConfig) -> dict[str, Any]:
    """Run what is not done yet, and write table.json, .csv, .md and .html to `config.out`.

    A run that fails is reported in the end, after all others.

    Returns:
        The content of table.json.

    Raises:
        ValueError: when data and configuration do not fit, or `config.out` holds other runs.
        RuntimeError: in the end, when runs have failed.
    """
    began = time.time()
    source = config.check()
    if any(kind.startswith("fewshot") for kind in config.protocols):
        source.few_shot(max(config.shots, default=1))  # raises where a class has too few windows
    window_samples = source.window_samples
    del source
    found = entries(config)
    if not found:
        raise ValueError("no network has an objective of its own, which these protocols ask for")
    jobs = _jobs(found)
    for job in jobs:
        job.finished()  # raises now what a worker would
    config.out.mkdir(parents=True, exist_ok=True)
    if config.jobs == 1:
        work(config, began)
    else:
        run_workers(work, config, began, count=config.jobs)
    with claimed(config.out, wait=True):  # another command may be at the same table
        _measure(config, found, window_samples)
        content = _content(config, found)
        print(table.write(config.out, content), end="")
        _write_page(config.out, content)
    failed = [job for job in jobs if not job.finished() and job.given_up(began)]
    if failed:
        files = ", ".join(str(job.folder / FAILED_FILE) for job in failed)
        raise RuntimeError(f"{len(failed)} of {len(jobs)} runs failed, see {files}")
    missing = sum(not job.finished() for job in jobs)
    if missing and config.minutes is None:
        raise RuntimeError(
            f"{missing} of {len(jobs)} runs are not finished, as processes were killed (perhaps "
            "for memory: try fewer jobs); the same command goes on"
        )
    if missing:
        log.info("%d of %d runs are not finished; the same command goes on", missing, len(jobs))
    return content


def work(config: BenchmarkConfig, began: float) -> None:
    """One process's share of the runs."""
    found = entries(config)

    def report() -> None:
        torch.cuda.empty_cache()  # for the processes this one shares a GPU with
        table.write(config.out, _content(config, found))

    until = {} if config.minutes is None else {"until": began + 60 * config.minutes}
    run_all(_jobs(found), report=report, forgive_since=began, **until)


def entries(config: BenchmarkConfig) -> list[Entry]:
    """All rows, by protocol and network."""
    found = []
    for kind in config.protocols:
        for shots in config.shots if kind.startswith("fewshot") else (None,):
            for name in config.networks or nets.names():
                if kind.endswith("scratch") or own_objective(name):
                    found.append(_entry(config, name, kind, shots))
    return found


def own_objective(network: str) -> str | None:
    """The objective a network has been published with."""
    return next((name for name in OWN_OBJECTIVES if name in objectives_of(network)), None)


def _entry(config: BenchmarkConfig, name: str, kind: str, shots: int | None) -> Entry:
    protocol = kind if shots is None else kind.replace("fewshot", f"{shots}-shot")
    changes = config.overrides.get(name, {})
    shared = {f.name: getattr(config, f.name) for f in dataclasses.fields(ExperimentConfig)}
    network = NetworkChoice(name=name, options=changes.get("options", {}))
    base = ExperimentConfig(**shared | {"network": network})
    optimiser = {key: changes[key] for key in ("learning_rate", "batch") if key in changes}

    def part(of: Any) -> Any:
        return dataclasses.replace(of, optimiser=dataclasses.replace(of.optimiser, **optimiser))

    jobs = {}
    for seed in config.seeds:
        start, more = None, {"part": part(config.finetune)}
        if not kind.endswith("scratch"):
            start = _pretraining(base, part(config.pretrain), name, seed)
        if kind == "probe":
            more = {"part": part(config.probe), "train": probe, "kind": ProbeConfig}
        elif shots is not None:
            more = {"part": part(config.fewshot), "train": few_shot, "kind": FewshotConfig}
            more["shots"] = (shots,)
        jobs[seed] = base.classifier_job(
            f"{name}/{protocol}/seed-{seed}", seed=seed, start=start, **more
        )
    label = f"{name}, {protocol}" + (" (overrides)" if changes else "")
    # Published figures are of the published network.
    published = {} if changes.get("options") else compared(config.dataset, name, protocol)
    return Entry(name, protocol, Row(name=label, jobs=jobs, published=published))


def _pretraining(base: ExperimentConfig, part: PretrainSettings, name: str, seed: int) -> Job:
    objective = own_objective(name)
    if part.objective != objective:  # options of the one are none of the other
        part = PretrainSettings(objective=objective, optimiser=part.optimiser, trainer=part.trainer)
    base = dataclasses.replace(base, pretrain=part)
    return base.pretrain_job(f"{name}/pretrained/seed-{seed}", seed=seed)


def _jobs(found: list[Entry]) -> list[Job]:
    """By seed: a run that is cut short has all rows of its first seeds."""
    jobs = [entry.row.jobs for entry in found]
    return distinct(of[seed] for seed in jobs[0] for of in jobs)


def _measure(config: BenchmarkConfig, found: list[Entry], window_samples: int) -> None:
    """Costs of the networks that have a finished run; alone on the machine, if others let it."""
    device = config.finetune.trainer.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    path, name = config.out / COST_FILE, device_name(device)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if known.get("device") != name:
        known = {"device": name, "networks": {}}
    for entry in found:
        done = [job for job in entry.row.jobs.values() if job.finished()]
        if entry.network in known["networks"] or not done:
            continue
        network = zoo.load(done[0].folder).network
        known["networks"][entry.network] = {
            "parameters": cost.parameters(network),
            "GFLOP": cost.flop_per_window(network, window_samples) / 1e9,
            "windows/s": cost.windows_per_s(network, window_samples, device=device),
        }
    write_json(path, known)


def _content(config: BenchmarkConfig, found: list[Entry]) -> dict[str, Any]:
    content = table.table(
        f"Benchmark on {config.dataset}: {config.path.name}",
        [entry.row for entry in found],
        findings=comparison.findings(found, config.column),
        note=NOTE
        + (f" {SHOTS_NOTE}" if any("shot" in e.protocol for e in found) else "")
        + _overrides_note(config, found),
    )
    path = config.out / COST_FILE
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"networks": {}}
    if "device" in known:
        content["note"] += f" Windows/s: float32, batches of 512, on {known['device']}."
        content["device"] = known["device"]
    for entry, row in zip(found, content["rows"], strict=True):
        done = {seed: job for seed, job in entry.row.jobs.items() if job.finished()}
        costs = known["networks"].get(entry.network, {}) if done else {}
        for column, value in {"seeds": len(done), **costs}.items():
            row["values"][column] = {
                "mean": value, "standard_deviation": None, "per_seed": dict.fromkeys(done, value),
            }  # fmt: skip
        if done:
            each = {seed: _seconds(job) for seed, job in done.items()}
            row["values"]["training s"] = {
                "mean": statistics.fmean(each.values()), "standard_deviation": None,
                "per_seed": each,
            }  # fmt: skip
        row |= {"network": entry.network, "protocol": entry.protocol, "curve": _curve(done)}
        row["objective"] = None if "scratch" in entry.protocol else own_objective(entry.network)
    content["columns"] += ["seeds", "parameters", "GFLOP", "windows/s", "training s"]
    content["seeds"] = list(config.seeds)
    return content


def _overrides_note(config: BenchmarkConfig, found: list[Entry]) -> str:
    """What differs for networks that have rows: a smaller one is not the published one."""
    there = {entry.network for entry in found}
    said = []
    for name, changes in config.overrides.items():
        given = {**changes.get("options", {}), **changes}
        given.pop("options", None)
        if name in there and given:
            said.append(f"{name} with " + ", ".join(f"{k} {v}" for k, v in given.items()))
    return f" Overrides: {'; '.join(said)}." if said else ""


def _seconds(job: Job) -> float:
    record = json.loads((job.folder / RECORD_FILE).read_text(encoding="utf-8"))
    return record["seconds_since_resumed"] + (_seconds(job.needs) if job.needs else 0)


def _curve(done: dict[int, Job]) -> dict[str, float]:
    """SNR -> accuracy in per cent, the mean over seeds."""
    each = [job.metrics().get("accuracy_per_snr", {}) for job in done.values()]
    return {
        level: 100 * statistics.fmean(curve[level] for curve in each)
        for level in (each[0] if each else {})
    }


def _write_page(folder: Path, content: dict[str, Any]) -> None:
    try:
        from gr_tsddae.report.benchmark_page import write_page

        write_page(folder, content, table.cells(content))
    except ImportError:
        log.warning("no table.html and curves.png: they need matplotlib, pip install matplotlib")
