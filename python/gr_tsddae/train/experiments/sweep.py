# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy over lambda (Figure 4) or over the number of layers (Figure 10), as table and curve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gr_tsddae.files import replacing
from gr_tsddae.train.experiments import table
from gr_tsddae.train.experiments.experiment import ExperimentConfig, require_ratio
from gr_tsddae.train.experiments.published import sweep_text
from gr_tsddae.train.experiments.reproduce import NOTE
from gr_tsddae.train.experiments.table import Row

_DEFAULT = {"ratio": (0.2, 0.4, 0.6, 0.8, 1.0), "layers": (2.0, 3.0, 4.0, 5.0)}
_AXIS = {"ratio": "λ, spectral over temporal noise", "layers": "layers"}


@dataclass(frozen=True, kw_only=True)
class SweepConfig(ExperimentConfig):
    """Pre-train and fine-tune with each value of lambda (Fig. 4) or of the layers (Fig. 10).

    Attributes:
        over: "ratio" is lambda of Eq. 7, which only the objective noise has; "layers" the pairs of
            encoders.
        at: Its values; by default 0.2 to 1.0, or 2 to 5 layers, as in the paper.
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
    """Run what is not done yet, and write the table and sweep.png to `config.out`.

    Returns:
        The content of table.json.

    Raises:
        ValueError: when data and configuration do not fit, or `config.out` holds other runs.
    """
    config.check()
    rows = {value: _row(config, value) for value in config.at or _DEFAULT[config.over]}
    content = table.fill(config.out, list(rows.values()), lambda: _table(config, rows))
    _draw(config, list(rows), content)
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


def _draw(config: SweepConfig, values: list[float], content: dict[str, Any]) -> Path:
    """sweep.png: the average, or areas under the ROC; their spread over seeds, and each seed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    areas = config.column.startswith("AUC")
    for column in content["columns"]:
        # Best is far from the average; it is in the table.
        if column == "best" or column.startswith("AUC") != areas:
            continue
        found = [row["values"][column] for row in content["rows"]]
        means = [value["mean"] for value in found]
        spreads = [value["standard_deviation"] or 0.0 for value in found]
        axis.errorbar(values, means, yerr=spreads, marker="o", capsize=3, label=column)
        dots = [(x, y) for x, v in zip(values, found, strict=True) for y in v["per_seed"].values()]
        axis.scatter(*zip(*dots, strict=True), s=8, color="0.5", zorder=1)
    axis.set_xlabel(_AXIS[config.over])
    axis.set_xticks(values)
    axis.set_ylabel("area under the ROC" if areas else "accuracy, %")
    axis.grid(alpha=0.3)
    axis.legend()
    title = content["title"]
    if text := sweep_text(config.over, config.dataset):
        title += f"\n{text}"
    axis.set_title(title, fontsize=9)
    path = config.out / "sweep.png"
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=150)
    return path
