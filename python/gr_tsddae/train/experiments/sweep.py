# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy over lambda (Figure 4) or over the number of layers (Figure 10): a table and a curve."""

from dataclasses import dataclass
from typing import Any, Literal

from gr_tsddae.report.sweep_curve import write_curve
from gr_tsddae.train.experiments import table
from gr_tsddae.train.experiments.experiment import NOTE, ExperimentConfig, require_ratio
from gr_tsddae.train.experiments.published import sweep_text
from gr_tsddae.train.experiments.table import Row

_DEFAULT = {"ratio": (0.2, 0.4, 0.6, 0.8, 1.0), "layers": (2.0, 3.0, 4.0, 5.0)}
_AXIS = {"ratio": "λ, spectral over temporal noise", "layers": "layers"}


@dataclass(frozen=True, kw_only=True)
class SweepConfig(ExperimentConfig):
    """Pre-train and fine-tune with each value of lambda (Fig. 4) or of the layers (Fig. 10).

    Attributes:
        over: What to vary: "ratio" is lambda of Eq. 7, which only the objective noise has; "layers"
            is the number of pairs of encoders.
        at: The values; by default 0.2 to 1.0, or 2 to 5 layers, as in the paper.
    """

    over: Literal["ratio", "layers"]
    at: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over == "ratio":
            require_ratio(self.pretrain, "choose --over layers")
        if len(set(self.at)) < len(self.at):
            raise ValueError(f"at is {list(self.at)}: give each value once")
        for value in self.at:
            if self.over == "layers" and (value < 1 or value % 1):
                raise ValueError(f"at holds {value}: layers are whole numbers of at least 1")
            if self.over == "ratio" and not 0 < value <= 1:
                raise ValueError(f"at holds {value}: a ratio is over 0 and at most 1")


def sweep(config: SweepConfig) -> dict[str, Any]:
    """Run what is not done yet; write the table and sweep.png to `config.out`: see `table.fill`."""
    config.check()
    rows = {value: _row(config, value) for value in config.at or _DEFAULT[config.over]}
    content = table.fill(config.out, list(rows.values()), lambda: _table(config, rows))
    write_curve(
        config.out / "sweep.png",
        content,
        list(rows),
        axis_name=_AXIS[config.over],
        areas=config.column.startswith("AUC"),
    )
    return content


def _row(config: SweepConfig, value: float) -> Row:
    changed = {"options": {"layers": int(value)}} if config.over == "layers" else {"ratio": value}
    jobs = config.tuned_jobs(f"{config.over}-{value:g}", **changed)
    return Row(name=f"{config.over} {value:g}", jobs=jobs)


def _table(config: SweepConfig, rows: dict[float, Row]) -> dict[str, Any]:
    return table.table(
        f"{config.dataset} over {config.over}: {config.network.name} on {config.path.name}",
        list(rows.values()),
        findings=[sweep_text(config.over, config.dataset)],
        note=NOTE,
    )
