# SPDX-License-Identifier: GPL-3.0-or-later
"""The LSM article's Figure 4: few-shot accuracy over SNR in three panels, with TS-DDAE added."""

import functools
import logging
import math
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from gr_tsddae.data import DatasetError
from gr_tsddae.files import write_json, write_text
from gr_tsddae.inference.device import resolve_device
from gr_tsddae.train.experiments import table
from gr_tsddae.train.experiments.jobs import Job, run_all
from gr_tsddae.train.experiments.lsm_figure.point import (
    CONTENDERS,
    Budget,
    PointConfig,
    measure_point,
    opened,
    tasks_of,
)
from gr_tsddae.train.experiments.workers import WorkersConfig, share, tell_unfinished
from gr_tsddae.train.run.lock import claimed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Panel:
    """A panel, and the article's words on it."""

    title: str
    protocol: str
    methods: tuple[str, ...]
    published: str


PANELS = {
    "a": Panel(
        "contrastive methods, all classes",
        "contrastive",
        ("lsm", "simclr", "simsiam", "semiamc", "ts-ddae"),
        "LSM is ahead at all SNRs; 73.71 % at 4 dB, where SimCLR is 24.1, SimSiam 23.7 and SemiAMC "
        "(SCLBSS) 8.71 points behind",
    ),
    "b": Panel(
        "few-shot learners, five new classes",
        "few-shot",
        ("lsm", "prototypical", "relation", "ts-ddae"),
        "LSM has over 92 % with 5 shots above 0 dB, 99.09 % at most, and is 20 points ahead on "
        "average; its authors' log has 48.6 % at -10 dB, 75.8 % at -4 dB and 91.9 % at 0 dB",
    ),
    "c": Panel(
        "pre-training with labels, five new classes",
        "few-shot",
        ("lsm", "cnn2", "cnn-lstm", "resnet18", "ts-ddae"),
        "above 0 dB, LSM is at least 20 and at most 60 points ahead",
    ),
}
NOTE = (
    "Mean ± standard deviation over seeds and trials, per cent; chance is 9.1 in (a) with eleven "
    "classes, 20 in (b) and (c). Differences are of the same trials with the same windows, ± one "
    "standard error over all trials. The trials of a seed share a network, so that errors are "
    "rather too small: a lead is clear when it is over two of them and every seed has it. Every "
    "encoder is frozen, and its heads are trained alike; prototypical and relation networks have "
    "no heads."
)


@dataclass(frozen=True, kw_only=True)
class FewshotFigureConfig(WorkersConfig):
    """Rebuild the LSM article's Figure 4 on one file, with TS-DDAE as one more line.

    Attributes:
        path: File with windows of every class at every SNR.
        out: Folder for figure.png, figure.json, figure.md and the points.
        dataset: Kind of the file.
        panels: Panel a compares contrastive methods, b few-shot learners, c pre-training by labels.
        snrs_db: SNRs to measure; all SNRs of the file when not given.
        seeds: Each seed divides classes and windows anew, and pre-trains anew.
        device: "auto" (a GPU when torch sees one), "cpu" or "cuda".
        budget: Windows and steps that every method gets.
    """

    path: Path
    dataset: str = "rml2016.10a"
    panels: tuple[Literal["a", "b", "c"], ...] = ("a", "b", "c")
    snrs_db: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (1, 2)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("panels", "seeds"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise ValueError(f"{name} is {list(given)}: give at least one, each once")
        if len(set(self.snrs_db)) < len(self.snrs_db):
            raise ValueError(f"snrs_db is {list(self.snrs_db)}: give each once")
        resolve_device(self.device)  # raises where there is no such device


def fewshot_figure(config: FewshotFigureConfig) -> dict[str, Any]:
    """Measure the points that are not there yet; write figure.png, .json and .md.

    Returns:
        The content of figure.json.

    Raises:
        ValueError: The file does not hold enough, or `config.out` holds other points.
        RuntimeError: Processes were killed.
    """
    began = time.time()
    levels = check(config)
    jobs = jobs_of(config, levels)
    share(work, config, levels, began, jobs=jobs)
    with claimed(config.out, wait=True):  # another command may be at the same figure
        found = content(config, jobs)
        print(_write(config.out, found), end="")
        _draw(config.out, found)
    tell_unfinished(config, jobs, "points")
    return found


def check(config: FewshotFigureConfig) -> tuple[int, ...]:
    """List the SNRs, and raise now what would otherwise be raised after hours."""
    dataset = opened(config.dataset, config.path)
    there = sorted({int(level) for level in dataset.level_db})
    if unknown := sorted(set(config.snrs_db) - set(there)):
        raise DatasetError(
            f"snrs_db names {', '.join(map(str, unknown))} dB; {config.path} has "
            f"{', '.join(map(str, there))}"
        )
    levels = tuple(sorted(config.snrs_db)) or tuple(there)
    for job in jobs_of(config, levels):
        if job.config.method == "lsm":  # the windows are the same for all methods
            tasks_of(job.config, dataset)
    return levels


def jobs_of(config: FewshotFigureConfig, levels: tuple[int, ...]) -> list[Job]:
    """Make a job per point, by seed and SNR: a command that is cut short has whole SNRs."""
    device = resolve_device(config.device).type
    wanted = dict.fromkeys(
        (PANELS[name].protocol, method)
        for name in sorted(config.panels)
        for method in PANELS[name].methods
    )
    jobs = []
    for seed in config.seeds:
        for level in _halving(levels):
            for protocol, method in wanted:
                point = PointConfig(
                    out=config.out / protocol / method / f"seed-{seed}" / f"{level:+d}dB",
                    dataset=config.dataset, path=config.path, protocol=protocol, method=method,
                    seed=seed, snr_db=level, budget=config.budget,
                )  # fmt: skip
                train = functools.partial(measure_point, device=device)
                jobs.append(Job(train=train, config=point))
    return jobs


def work(config: FewshotFigureConfig, levels: tuple[int, ...], began: float) -> None:
    """Measure one process's share of the points."""
    jobs = jobs_of(config, levels)
    if resolve_device(config.device).type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32
    run_all(
        jobs,
        report=lambda: _write(config.out, content(config, jobs)),
        until=config.until(began),
    )


def content(config: FewshotFigureConfig, jobs: list[Job]) -> dict[str, Any]:
    """Gather the finished points as plain numbers and text."""
    found = _accuracies(jobs)
    panels = {}
    for name in sorted(config.panels):
        panel = PANELS[name]
        lines = {}
        for (protocol, method, shots), levels in found.items():
            if protocol == panel.protocol and method in panel.methods:
                lines[method, shots] = levels
        order = {method: place for place, method in enumerate(panel.methods)}
        ordered = sorted(lines.items(), key=lambda item: (-item[0][1], order[item[0][0]]))
        panels[name] = {
            "title": panel.title,
            "lines": [_line(*key, levels) for key, levels in ordered],
            "findings": _findings(lines),
            "published": panel.published,
        }
    budget = config.budget
    return {
        "title": f"Few shots over SNR: {config.path.name}",
        "panels": panels,
        "note": f"{NOTE} {len(config.seeds)} seeds x {budget.trials} trials, "
        f"{budget.contrast_windows[3]} queries per class in (a), {budget.queries} in (b) and (c), "
        f"{budget.epochs} epochs of pre-training, {budget.episodes} episodes, {budget.head_steps} "
        "steps for a head.",
        "finished": sum(job.finished() for job in jobs),
        "points": len(jobs),
    }


Levels = dict[int, dict[tuple[int, int], float]]  # SNR -> (seed, trial) -> accuracy in per cent


def _accuracies(jobs: list[Job]) -> dict[tuple[str, str, int], Levels]:
    """Read the finished points: (protocol, method, shots) -> accuracies."""
    found: dict[tuple[str, str, int], Levels] = {}
    for job in jobs:
        if job.finished():
            point = job.config
            for shots, values in job.metrics()["accuracy"].items():
                levels = found.setdefault((point.protocol, point.method, int(shots)), {})
                levels.setdefault(point.snr_db, {}).update(
                    {(point.seed, trial): 100 * value for trial, value in enumerate(values)}
                )
    return found


def _line(method: str, shots: int, levels: Levels) -> dict[str, Any]:
    return {
        "name": f"{CONTENDERS[method].title}, {shots}-shot",
        "method": method,
        "shots": shots,
        "accuracy": {
            str(level): table.spread(each) | {"count": len(each)}
            for level, each in sorted(levels.items())
        },
    }


def _findings(lines: dict[tuple[str, int], Levels]) -> list[str]:
    """Compare LSM, then TS-DDAE, with every other method, in pairs of trials."""
    said = []
    for method, shots in sorted(lines, key=lambda key: -key[1]):
        if method != "lsm" and ("lsm", shots) in lines:
            line = _compared(shots, "lsm", lines["lsm", shots], method, lines[method, shots])
            said.append(line)
    for method, shots in sorted(lines, key=lambda key: -key[1]):
        if method not in ("lsm", "ts-ddae") and ("ts-ddae", shots) in lines:
            mine = lines["ts-ddae", shots]
            said.append(_compared(shots, "ts-ddae", mine, method, lines[method, shots]))
    return [line for line in said if line]


def _compared(shots: int, first: str, mine: Levels, second: str, theirs: Levels) -> str | None:
    """Subtract one method from another: on average over their common SNRs, and at the extremes.

    The differences of one trial at all SNRs count as one number.
    """
    pairs: dict[tuple[int, int], list[float]] = {}
    at = {}
    for level in sorted(mine.keys() & theirs.keys()):
        both = mine[level].keys() & theirs[level].keys()
        each = {key: mine[level][key] - theirs[level][key] for key in sorted(both)}
        if each:
            at[level] = statistics.fmean(each.values())
            for key, value in each.items():
                pairs.setdefault(key, []).append(value)
    # A seed that lacks an SNR would be compared at other SNRs than the rest.
    whole = [statistics.fmean(each) for each in pairs.values() if len(each) == len(at)]
    if not whole:
        return None
    mean = statistics.fmean(whole)
    error = statistics.stdev(whole) / len(whole) ** 0.5 if len(whole) > 1 else math.nan
    seeds = _per_seed(pairs, len(at))
    # Trials of a seed share a network: only other seeds show the chance between networks.
    agree = len(seeds) > 1 and (min(seeds.values()) > 0 or max(seeds.values()) < 0)
    clear = agree and abs(mean) > 2 * error
    verdict = ("ahead" if mean > 0 else "behind") if clear else "no clear lead"
    each = ", ".join(f"{value:+.1f} with seed {seed}" for seed, value in seeds.items())
    most, least = max(at, key=at.__getitem__), min(at, key=at.__getitem__)
    return (
        f"{shots}-shot: {CONTENDERS[first].title} − {CONTENDERS[second].title} {mean:+.1f} "
        f"± {error:.1f} points over {len(at)} SNRs and {len(whole)} trials, from "
        f"{at[least]:+.1f} at {least:+d} dB to {at[most]:+.1f} at {most:+d} dB; {each}: {verdict}"
    )


def _per_seed(pairs: dict[tuple[int, int], list[float]], levels: int) -> dict[int, float]:
    """Average the trials of each seed that have all levels."""
    found: dict[int, list[float]] = {}
    for (seed, _), each in pairs.items():
        if len(each) == levels:
            found.setdefault(seed, []).append(statistics.fmean(each))
    return {seed: statistics.fmean(each) for seed, each in sorted(found.items())}


def markdown(found: dict[str, Any]) -> str:
    """Format tables and findings for people."""
    parts = [f"# {found['title']}", found["note"]]
    if found["finished"] < found["points"]:
        parts.append(f"{found['finished']} of {found['points']} points are finished.")
    for name, panel in found["panels"].items():
        levels = sorted({int(level) for line in panel["lines"] for level in line["accuracy"]})
        lines = [["", *(f"{level:+d} dB" for level in levels)]]
        for line in panel["lines"]:
            each = (table.cell(line["accuracy"].get(str(level)), 1) for level in levels)
            lines.append([line["name"], *each])
        parts.append(f"## ({name}) {panel['title']}")
        parts.append(table.drawn(lines))
        parts.append("\n".join(f"* {line}" for line in panel["findings"]))
        parts.append(f"The article: {panel['published']}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _write(folder: Path, found: dict[str, Any]) -> str:
    text = markdown(found)
    write_json(folder / "figure.json", found)
    write_text(folder / "figure.md", text)
    return text


def _draw(folder: Path, found: dict[str, Any]) -> None:
    try:
        from gr_tsddae.report.fewshot_panels import write_figure

        write_figure(folder / "figure.png", found)
    except ImportError:
        log.warning("no figure.png: it needs matplotlib, pip install matplotlib")


def _halving(levels: tuple[int, ...]) -> list[int]:
    """Order the ends first, then middles: a figure that is cut short spans all SNRs."""
    order = dict.fromkeys((levels[0], levels[-1]))
    stretches = [(0, len(levels) - 1)]
    while stretches:
        low, high = stretches.pop(0)
        if high - low > 1:
            middle = (low + high) // 2
            order[levels[middle]] = None
            stretches += [(low, middle), (middle, high)]
    return list(order)
