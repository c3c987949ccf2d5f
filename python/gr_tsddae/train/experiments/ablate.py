# SPDX-License-Identifier: GPL-3.0-or-later
"""How much each part of TS-DDAE contributes (Table 2), and what LSM's lesson adds to it."""

from dataclasses import dataclass
from typing import Any

from gr_tsddae.train.config import PretrainSettings
from gr_tsddae.train.experiments import table
from gr_tsddae.train.experiments.experiment import NOTE, SHOTS_NOTE, ShotsConfig
from gr_tsddae.train.experiments.published import table_2
from gr_tsddae.train.experiments.table import Row

CONTRAST_WEIGHT = 0.1  # makes both losses about as large when training starts

# A single noise is not divided into two, so that the options of the division have no meaning.
SINGLE_NOISE = {"objective": "single"} | {
    name: getattr(PretrainSettings, name) for name in ("ratio", "split", "weighted")
}
# Folder -> row of the table, options of the network, changes of pre-training.
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "full": ("TS-DDAE", {}, {}),
    "without-temporal": ("w/o temporal", {"temporal": False}, {}),
    "without-spectral": ("w/o spectral", {"spectral": False}, {}),
    "without-interactive": ("w/o interactive", {"interactive": False}, {}),
    "single-noise": ("w/ single noise", {}, SINGLE_NOISE),
    "contrast": ("TS-DDAE + contrast", {}, {"contrast_weight": CONTRAST_WEIGHT}),
    "views": ("TS-DDAE + turns and crops", {}, {"views": True}),
    "contrast-views": (
        "TS-DDAE + contrast, turns and crops",
        {},
        {"contrast_weight": CONTRAST_WEIGHT, "views": True},
    ),
}
PAPER = ("full", "without-temporal", "without-spectral", "without-interactive", "single-noise")


@dataclass(frozen=True, kw_only=True)
class AblateConfig(ShotsConfig):
    """Pre-train and fine-tune without each part of TS-DDAE in turn (Table 2 of the paper).

    Attributes:
        variants: Rows of the table: full, without-temporal, without-spectral, without-interactive,
            single-noise. And additions to pre-training: contrast (contrast_weight 0.1), views
            (turned crops), contrast-views (both).
        shots: Add rows that are fine-tuned on so many windows per class and SNR.
        finetuned: Have rows that are fine-tuned on all windows.
    """

    variants: tuple[str, ...] = PAPER
    finetuned: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.variants or set(self.variants) - set(VARIANTS):
            raise ValueError(f"variants is {list(self.variants)}: there are {', '.join(VARIANTS)}")
        if not self.finetuned and not self.shots:
            raise ValueError("finetuned is false and shots is empty: that leaves no row")


def ablate(config: AblateConfig) -> dict[str, Any]:
    """Run what is not done yet, and write the table to `config.out`: see `table.fill`."""
    config.check()
    rows = {
        (variant, shots): _row(config, variant, shots)
        for shots in ((None,) * config.finetuned + config.shots)
        for variant in config.variants
    }
    return table.fill(config.out, list(rows.values()), lambda: _table(config, rows))


def _row(config: AblateConfig, variant: str, shots: int | None) -> Row:
    name, options, changes = VARIANTS[variant]
    if shots is None:
        jobs = config.tuned_jobs(variant, options=options, **changes)
        return Row(name=name, jobs=jobs, published=table_2(config.dataset, name))
    jobs = {}
    for seed in config.seeds:
        here, same = f"{variant}/seed-{seed}", {"seed": seed, "options": options}
        start = config.pretrain_job(f"{here}/pretrained", **same, **changes)
        jobs[seed] = config.few_shot_job(f"{here}/{shots}-shot", shots=shots, start=start, **same)
    return Row(name=f"{name} ({shots}-shot)", jobs=jobs)


def _table(config: AblateConfig, rows: dict[tuple[str, int | None], Row]) -> dict[str, Any]:
    findings = [
        table.verdict(row.name, config.column, row, rows["full", shots])
        for (variant, shots), row in rows.items()
        if variant != "full" and ("full", shots) in rows
    ]
    return table.table(
        f"Ablations on {config.dataset}: {config.network.name} on {config.path.name}",
        list(rows.values()),
        findings=findings,
        note=f"{NOTE} {SHOTS_NOTE}" if config.shots else NOTE,
    )
