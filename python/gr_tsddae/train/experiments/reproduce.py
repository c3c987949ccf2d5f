# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's row of Table 1 (or Figure 5) for a dataset, beside the same network from scratch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from gr_tsddae.train.config import FewshotConfig, OptimiserConfig, ProbeConfig
from gr_tsddae.train.experiments import table
from gr_tsddae.train.experiments.experiment import ClassifierSettings, ExperimentConfig, few_shot
from gr_tsddae.train.experiments.jobs import Job
from gr_tsddae.train.experiments.published import table_1
from gr_tsddae.train.experiments.table import Row
from gr_tsddae.train.probe import probe


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig(ExperimentConfig):
    """Run the paper's row of a dataset, and print it beside the published one.

    Attributes:
        rows: Which rows: finetuned, probe and shots start from a network pre-trained on the
            training part without its labels; scratch and shots-scratch from nothing.
        shots: Windows per class and SNR of the rows with shots.
        probe: The linear probe.
        fewshot: Training on few shots.
    """

    rows: tuple[Literal["finetuned", "probe", "shots", "scratch", "shots-scratch"], ...] = (
        "finetuned", "probe", "shots", "scratch", "shots-scratch",
    )  # fmt: skip
    shots: tuple[int, ...] = (25, 100)
    probe: ClassifierSettings = field(default_factory=ClassifierSettings)
    fewshot: ClassifierSettings = field(
        default_factory=lambda: ClassifierSettings(optimiser=OptimiserConfig(batch=128))
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rows:
            raise ValueError("rows is empty: name at least one")
        if len(set(self.shots)) < len(self.shots) or any(shots < 1 for shots in self.shots):
            raise ValueError(f"shots is {list(self.shots)}: give different numbers of at least 1")


def reproduce(config: ReproduceConfig) -> dict[str, Any]:
    """Run what is not done yet, and write table.json, table.csv and table.md to `config.out`.

    Returns:
        The content of table.json.

    Raises:
        ValueError: when data and configuration do not fit, or `config.out` holds other runs.
    """
    _check(config)
    rows = rows_of(config)
    return table.fill(config.out, list(rows.values()), lambda: _table(config, rows))


def rows_of(config: ReproduceConfig) -> dict[str, Row]:
    """Row's short name, e.g. "25-shot", -> row."""
    rows: dict[str, Row] = {}
    for kind in config.rows:
        scratch = kind.endswith("scratch")
        shots = config.shots if kind.startswith("shots") else (None,)
        for count in shots:
            short = kind if count is None else kind.replace("shots", f"{count}-shot")
            name = "from scratch" if scratch else "TS-DDAE"
            if short not in ("finetuned", "scratch"):
                name += f" ({short.removesuffix('-scratch')})"
            jobs = {seed: _job(config, kind, short, count, seed) for seed in config.seeds}
            rows[short] = Row(name=name, jobs=jobs, published=table_1(config.dataset, name))
    return rows


def _job(config: ReproduceConfig, kind: str, short: str, shots: int | None, seed: int) -> Job:
    folder = f"seed-{seed}"
    scratch = kind.endswith("scratch")
    start = None if scratch else config.pretrain_job(f"{folder}/pretrained", seed=seed)
    more: dict[str, Any] = {}
    if kind == "probe":
        more = {"part": config.probe, "train": probe, "kind": ProbeConfig}
    elif shots is not None:
        more = {"part": config.fewshot, "train": few_shot, "kind": FewshotConfig, "shots": (shots,)}
    return config.classifier_job(f"{folder}/{short}", seed=seed, start=start, **more)


def _check(config: ReproduceConfig) -> None:
    """Find out now what would fail after hours: an unreadable file, too few windows for shots."""
    source = config.check()
    if _has_shots(config):
        source.few_shot(max(config.shots))


def _has_shots(config: ReproduceConfig) -> bool:
    return bool(config.shots) and any(kind.startswith("shots") for kind in config.rows)


def _table(config: ReproduceConfig, rows: dict[str, Row]) -> dict[str, Any]:
    pairs = [("finetuned", "scratch", "Pre-training before training on all windows")]
    pairs += [
        (f"{n}-shot", f"{n}-shot-scratch", f"Pre-training before {n} shots") for n in config.shots
    ]
    findings = [
        table.verdict(what, config.column, rows[first], rows[second])
        for first, second, what in pairs
        if first in rows and second in rows
    ]
    return table.table(
        f"{config.dataset}: {config.network.name} on {config.path.name}",
        list(rows.values()),
        findings=findings,
        note=f"{NOTE} {SHOTS_NOTE}" if _has_shots(config) else NOTE,
    )


NOTE = (
    "Test part, mean ± standard deviation over seeds of weights and order, one split. Published "
    "figures are of tsnet-base on the released data; nothing else can be held against them."
)
SHOTS_NOTE = (
    "Rows with shots learn from few windows, but stop and are calibrated by all of the validation "
    "part, whose labels someone with few shots would not have."
)
