# SPDX-License-Identifier: GPL-3.0-or-later
"""The ablations of Table 2: what each part of TS-DDAE is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gr_tsddae.train import table
from gr_tsddae.train.experiments import ExperimentConfig
from gr_tsddae.train.published import table_2
from gr_tsddae.train.reproduce import NOTE
from gr_tsddae.train.table import Row

# Folder -> row of Table 2, options of the network, changes of pre-training.
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "full": ("TS-DDAE", {}, {}),
    "without-temporal": ("w/o temporal", {"temporal": False}, {}),
    "without-spectral": ("w/o spectral", {"spectral": False}, {}),
    "without-interactive": ("w/o interactive", {"interactive": False}, {}),
    "single-noise": ("w/ single noise", {}, {"objective": "single"}),
}


@dataclass(frozen=True, kw_only=True)
class AblateConfig(ExperimentConfig):
    """Pre-train and fine-tune without each part of TS-DDAE in turn (Table 2 of the paper).

    Attributes:
        variants: Which rows: full, without-temporal, without-spectral, without-interactive,
            single-noise.
    """

    variants: tuple[str, ...] = tuple(VARIANTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.variants or set(self.variants) - set(VARIANTS):
            raise ValueError(f"variants is {list(self.variants)}: there are {', '.join(VARIANTS)}")


def ablate(config: AblateConfig) -> dict[str, Any]:
    """Run what is not done yet, and write table.json, table.csv and table.md to `config.out`.

    Returns:
        The content of table.json.

    Raises:
        ValueError: when data and configuration do not fit, or `config.out` holds other runs.
    """
    config.check()
    rows = [_row(config, variant) for variant in config.variants]
    return table.fill(config.out, rows, lambda: _table(config, rows))


def _row(config: AblateConfig, variant: str) -> Row:
    name, options, changes = VARIANTS[variant]
    jobs = config.tuned_jobs(variant, options=options, **changes)
    return Row(name=name, jobs=jobs, published=table_2(config.dataset, name))


def _table(config: AblateConfig, rows: list[Row]) -> dict[str, Any]:
    full = next((row for row in rows if row.name == "TS-DDAE"), None)
    findings = [
        table.verdict(row.name, config.column, row, full)
        for row in rows
        if full and row is not full
    ]
    return table.table(
        f"Ablations on {config.dataset}: {config.network.name} on {config.path}",
        rows,
        findings=findings,
        note=NOTE,
    )
