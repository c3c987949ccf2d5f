# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's row of Table 1 (or Figure 5) for a data set, beside the same network from scratch."""

from dataclasses import dataclass
from typing import Any, Literal

from gr_tsddae.train.experiments import table
from gr_tsddae.train.experiments.experiment import NOTE, SHOTS_NOTE, ProtocolsConfig
from gr_tsddae.train.experiments.jobs import Job
from gr_tsddae.train.experiments.published import table_1
from gr_tsddae.train.experiments.table import Row


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig(ProtocolsConfig):
    """Run the paper's row of a data set, and print it beside the published one.

    Attributes:
        rows: Rows of the table. finetuned, probe and shots start from a network pre-trained on the
            training set without its labels; scratch and shots-scratch start from nothing.
        shots: Windows per class and SNR of the rows with shots.
        probe: The linear probe.
    """

    rows: tuple[Literal["finetuned", "probe", "shots", "scratch", "shots-scratch"], ...] = (
        "finetuned", "probe", "shots", "scratch", "shots-scratch",
    )  # fmt: skip
    shots: tuple[int, ...] = (25, 100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rows:
            raise ValueError("rows is empty: name at least one")

    @property
    def has_shots(self) -> bool:
        return bool(self.shots) and any(kind.startswith("shots") for kind in self.rows)


def reproduce(config: ReproduceConfig) -> dict[str, Any]:
    """Run what is not done yet, and write the table to `config.out`: see `table.fill`."""
    config.check()
    rows = rows_of(config)
    return table.fill(config.out, list(rows.values()), lambda: _table(config, rows))


def rows_of(config: ReproduceConfig) -> dict[str, Row]:
    """Make the rows by their short names, e.g. "25-shot"."""
    rows: dict[str, Row] = {}
    for kind in config.rows:
        scratch = kind.endswith("scratch")
        for shots in config.shots if kind.startswith("shots") else (None,):
            short = kind if shots is None else kind.replace("shots", f"{shots}-shot")
            name = "from scratch" if scratch else "TS-DDAE"
            if short not in ("finetuned", "scratch"):
                name += f" ({short.removesuffix('-scratch')})"
            jobs: dict[int, Job] = {}
            for seed in config.seeds:
                here = f"seed-{seed}"
                start = None if scratch else config.pretrain_job(f"{here}/pretrained", seed=seed)
                jobs[seed] = config.protocol_job(
                    kind, f"{here}/{short}", shots=shots, seed=seed, start=start
                )
            rows[short] = Row(name=name, jobs=jobs, published=table_1(config.dataset, name))
    return rows


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
        note=f"{NOTE} {SHOTS_NOTE}" if config.has_shots else NOTE,
    )
