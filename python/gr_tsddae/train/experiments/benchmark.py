# SPDX-License-Identifier: GPL-3.0-or-later
"""All networks on one data set by the same protocols and budget, beside the published figures."""

import dataclasses
import json
import logging
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from gr_tsddae import nets, zoo
from gr_tsddae.bench import cost
from gr_tsddae.bench.machine import device_name
from gr_tsddae.files import write_json
from gr_tsddae.inference.device import resolve_device
from gr_tsddae.train.config import (
    SYNTH,
    DataConfig,
    FinetuneConfig,
    NetworkChoice,
    PretrainSettings,
)
from gr_tsddae.train.evaluate import EvaluateConfig
from gr_tsddae.train.experiments import comparison, table
from gr_tsddae.train.experiments.experiment import ProtocolsConfig
from gr_tsddae.train.experiments.jobs import FAILED_FILE, RECORD_FILE, Job, distinct, run_all
from gr_tsddae.train.experiments.published import compared
from gr_tsddae.train.experiments.table import Row
from gr_tsddae.train.experiments.workers import WorkersConfig, share, tell_unfinished
from gr_tsddae.train.objectives import objectives_of
from gr_tsddae.train.run.lock import claimed
from gr_tsddae.train.windows.sources import Source, SyntheticSource

log = logging.getLogger(__name__)

COST_FILE = "cost.json"
# A network has been published with its own objective; the others go with any network.
OWN_OBJECTIVES = ("noise", "masked", "lsm")
SYNTH_NOTE = (
    "All networks learn the same new windows in the same order, and are judged on windows of "
    "another seed. Average: over these SNRs; emissions: of {0.emission_windows} windows, by the "
    "geometric mean of their probabilities, average over the SNRs. GFLOP: for one window, a "
    "multiply-add is two, no Fourier transforms. Training s: with the measurement; of a run that "
    "was stopped, only the time since it resumed."
)
NOTE = (
    "Test set, mean ± standard deviation over seeds of weights and order, one split, the same "
    "budget for all rows of a protocol. Published figures are of the released data, of tsnet-base "
    "and at their authors' budget. GFLOP: products and convolutions for one window, a multiply-add "
    "is two, no Fourier transforms. Training s: with the pre-training it starts from, on a machine "
    "that may have run several at once; of a run that was stopped, only the time since it resumed."
)
SHOTS_NOTE = "Rows with shots stop and are calibrated by the whole validation set."


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """The windows of --dataset synth.

    Attributes:
        recipe: Of the windows to learn from, e.g. air-open.
        window_samples: Samples per window.
        test_recipe: Of the windows that judge, which have another seed.
        test_windows: Windows that judge, per class and SNR.
        test_snrs_db: SNRs of the windows that judge.
        emission_windows: For recipes of the air: so many windows that judge are of one emission.
            Above 1, emissions are a column.
    """

    recipe: str = "live"
    window_samples: int = 128
    test_recipe: str = "live"
    test_windows: int = 100
    test_snrs_db: tuple[int, ...] = (0, 10, 20)
    emission_windows: int = 1


@dataclass(frozen=True, kw_only=True)
class NetworksConfig(ProtocolsConfig):
    """What the runs of a benchmark are derived from.

    Attributes:
        dataset: Kind of the file, e.g. rml2016.10a; `tsddae data kinds` lists all. Or synth, for
            windows that are made while training.
        path: File or folder of the data set; not for synth.
        synth: The windows of --dataset synth.
    """

    path: Path | None = None
    synth: SynthConfig = field(default_factory=SynthConfig)
    takes_synth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.path is None) != (self.dataset == SYNTH):
            wanted = "takes no" if self.dataset == SYNTH else "needs a"
            raise ValueError(f"--dataset {self.dataset} {wanted} --path")
        if self.dataset != SYNTH and self.synth != SynthConfig():
            raise ValueError(f"synth is for --dataset synth, and --dataset is {self.dataset}")

    @property
    def data(self) -> DataConfig:
        if self.dataset != SYNTH:
            return super().data
        return DataConfig(
            recipe=self.synth.recipe,
            window_samples=self.synth.window_samples,
            scaling=self.scaling,
        )

    def check(self) -> Source:
        return SyntheticSource(self.data) if self.dataset == SYNTH else super().check()

    def classifier_job(self, folder: str, **settings: Any) -> Job:
        if self.dataset == SYNTH:
            # Noise judges as often as any class, and the training's own measurement is not used.
            share = SyntheticSource(self.data).noise_share
            settings |= {"noise_prior": share, "test_windows": 1}
        return super().classifier_job(folder, **settings)

    def _evaluation(self, config: FinetuneConfig) -> EvaluateConfig | None:
        if self.dataset != SYNTH:
            return super()._evaluation(config)
        return EvaluateConfig(
            model=str(config.out),
            out=config.out / "evaluation",
            recipe=self.synth.test_recipe,
            windows=self.synth.test_windows,
            snrs_db=self.synth.test_snrs_db,
            emission_windows=self.synth.emission_windows,
            closed_set=False,
            report=self.reports,
            device=config.trainer.device,
        )


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(NetworksConfig, WorkersConfig):
    """Train all networks on a data set, and print them beside the published figures.

    Attributes:
        networks: Names of networks; all networks when not given.
        network: Not used here: `networks` names them, `overrides` changes them.
        protocols: Rows of each network. scratch and fewshot-scratch train from nothing. finetuned,
            probe and fewshot start from a network pre-trained by its own objective (of a TS-Net
            noise, of spectrum-fm masked, of lsm lsm); they leave out networks without one.
        shots: Windows per class and SNR of the protocols with few shots.
        overrides: Network -> changes for it: options (of the network), learning_rate, batch. With
            another budget the comparison is not fair; the table says so.
    """

    networks: tuple[str, ...] = ()
    protocols: tuple[
        Literal["scratch", "finetuned", "probe", "fewshot", "fewshot-scratch"], ...
    ] = ("scratch", "finetuned")
    shots: tuple[int, ...] = (25,)
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        WorkersConfig.__post_init__(self)
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
        if self.dataset == SYNTH and any(kind.startswith("fewshot") for kind in self.protocols):
            raise ValueError(
                f"protocols is {list(self.protocols)}: synth has no few shots, its windows never "
                "end; write a file of them with tsddae synth"
            )

    @property
    def has_shots(self) -> bool:
        return bool(self.shots) and any(kind.startswith("fewshot") for kind in self.protocols)


@dataclass(frozen=True)
class Entry:
    """A row, and the network and protocol it is of."""

    network: str
    protocol: str  # e.g. "25-shot"
    row: Row


def benchmark(config: BenchmarkConfig) -> dict[str, Any]:
    """Run what is not done yet, and write table.json, .csv, .md and .html to `config.out`.

    Runs that fail are reported in the end, after all others.

    Returns:
        The content of table.json.

    Raises:
        ValueError: Data and configuration do not fit, or `config.out` holds other runs.
        RuntimeError: Runs have failed.
    """
    began = time.time()
    window_samples = config.check().window_samples
    found = entries(config)
    if not found:
        raise ValueError("no network has an objective of its own, which these protocols ask for")
    jobs = _jobs(found)
    share(work, config, began, jobs=jobs)
    with claimed(config.out, wait=True):  # another command may be at the same table
        _measure(config, found, window_samples)
        content = _content(config, found)
        print(table.write(config.out, content), end="")
        _write_page(config, content)
    failed = [job for job in jobs if not job.finished() and job.given_up(began)]
    if failed:
        files = ", ".join(str(job.folder / FAILED_FILE) for job in failed)
        raise RuntimeError(f"{len(failed)} of {len(jobs)} runs failed, see {files}")
    tell_unfinished(config, jobs, "runs")
    return content


def work(config: BenchmarkConfig, began: float) -> None:
    """Do one process's share of the runs."""
    found = entries(config)

    def report() -> None:
        torch.cuda.empty_cache()  # for the processes this one shares a GPU with
        table.write(config.out, _content(config, found))

    run_all(_jobs(found), report=report, forgive_since=began, until=config.until(began))


def entries(config: BenchmarkConfig) -> list[Entry]:
    """Make all rows, by protocol and network."""
    return [
        _entry(config, name, kind, shots)
        for kind in config.protocols
        for shots in (config.shots if kind.startswith("fewshot") else (None,))
        for name in config.networks or nets.names()
        if kind.endswith("scratch") or own_objective(name)
    ]


def own_objective(network: str) -> str | None:
    """Name the objective a network has been published with."""
    return next((name for name in OWN_OBJECTIVES if name in objectives_of(network)), None)


def _entry(config: BenchmarkConfig, name: str, kind: str, shots: int | None) -> Entry:
    protocol = kind if shots is None else kind.replace("fewshot", f"{shots}-shot")
    changes = config.overrides.get(name, {})
    optimiser = {key: changes[key] for key in ("learning_rate", "batch") if key in changes}

    def overridden(value: Any) -> Any:
        if not hasattr(value, "optimiser"):
            return value
        return dataclasses.replace(
            value, optimiser=dataclasses.replace(value.optimiser, **optimiser)
        )

    fields = dataclasses.fields(NetworksConfig)
    shared = {f.name: overridden(getattr(config, f.name)) for f in fields}
    shared["network"] = NetworkChoice(name=name, options=changes.get("options", {}))
    pretrain, objective = shared["pretrain"], own_objective(name)
    if objective and pretrain.objective != objective:  # which has other options
        shared["pretrain"] = PretrainSettings(
            objective=objective, optimiser=pretrain.optimiser, trainer=pretrain.trainer
        )
    one = NetworksConfig(**shared)
    jobs = {}
    for seed in config.seeds:
        start = None
        if not kind.endswith("scratch"):
            start = one.pretrain_job(f"{name}/pretrained/seed-{seed}", seed=seed)
        jobs[seed] = one.protocol_job(
            kind, f"{name}/{protocol}/seed-{seed}", shots=shots, seed=seed, start=start
        )
    label = f"{name}, {protocol}" + (" (overrides)" if changes else "")
    # Published figures are of the published network.
    published = {} if changes.get("options") else compared(config.dataset, name, protocol)
    return Entry(name, protocol, Row(name=label, jobs=jobs, published=published))


def _jobs(found: list[Entry]) -> list[Job]:
    """List the jobs by seed: a command that is cut short has all rows of its first seeds."""
    jobs = [entry.row.jobs for entry in found]
    return distinct(of[seed] for seed in jobs[0] for of in jobs)


def _measure(config: BenchmarkConfig, found: list[Entry], window_samples: int) -> None:
    """Measure the costs of networks that have a finished run, when this command's runs are over."""
    device = resolve_device(config.finetune.trainer.device)
    known, name = _costs(config), device_name(device)
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
    write_json(config.out / COST_FILE, known)


def _costs(config: BenchmarkConfig) -> dict[str, Any]:
    path = config.out / COST_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"networks": {}}


def _content(config: BenchmarkConfig, found: list[Entry]) -> dict[str, Any]:
    synthetic = config.dataset == SYNTH
    content = table.table(
        f"Benchmark on {config.dataset}: {config.path.name if config.path else _windows(config)}",
        [entry.row for entry in found],
        findings=comparison.findings(found, config.column),
        note=(SYNTH_NOTE.format(config.synth) if synthetic else NOTE)
        + (f" {SHOTS_NOTE}" if any("shot" in e.protocol for e in found) else "")
        + _overrides_note(config, found),
    )
    known = _costs(config)
    if "device" in known:
        content["note"] += (
            f" Windows/s: float32, {cost.PASS_SAMPLES} samples at once, on {known['device']}."
        )
        content["device"] = known["device"]
    for entry, row in zip(found, content["rows"], strict=True):
        done = {seed: job for seed, job in entry.row.jobs.items() if job.finished()}
        costs = known["networks"].get(entry.network, {}) if done else {}
        fixed = {"seeds": len(done), **costs}
        columns = {name: dict.fromkeys(done, value) for name, value in fixed.items()}
        if done:
            columns["training s"] = {seed: _seconds(job) for seed, job in done.items()}
        for column, each in columns.items():
            mean = statistics.fmean(each.values()) if each else 0
            row["values"][column] = {"mean": mean, "standard_deviation": None, "per_seed": each}
        row |= {"network": entry.network, "protocol": entry.protocol, "curve": _curve(done)}
        row["objective"] = None if "scratch" in entry.protocol else own_objective(entry.network)
    content["columns"] += ["seeds", "parameters", "GFLOP", "windows/s", "training s"]
    content["seeds"] = list(config.seeds)
    return content


def _windows(config: BenchmarkConfig) -> str:
    """Say how many windows of which recipe are learned, and which ones judge."""
    given, budget = config.synth, config.finetune
    levels = ", ".join(map(str, given.test_snrs_db))
    return (
        f"{budget.trainer.steps * budget.optimiser.batch} windows of {given.window_samples} "
        f"samples of {given.recipe}, judged by {given.test_windows} windows per class of "
        f"{given.test_recipe} at each of {levels} dB"
    )


def _overrides_note(config: BenchmarkConfig, found: list[Entry]) -> str:
    """Say what differs for networks that have rows: a smaller one is not the published one."""
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
    """Average the accuracy over seeds, in per cent: SNR -> accuracy."""
    each = [job.metrics().get("accuracy_per_snr", {}) for job in done.values()]
    return {
        level: 100 * statistics.fmean(curve[level] for curve in each)
        for level in (each[0] if each else {})
    }


def _write_page(config: BenchmarkConfig, content: dict[str, Any]) -> None:
    try:
        from gr_tsddae.report.benchmark_page import write_page

        write_page(config.out, content, table.cells(content))
    except ImportError:
        log.warning("no table.html and curves.png: they need matplotlib, pip install matplotlib")
