# SPDX-License-Identifier: GPL-3.0-or-later
"""Detect anomalies without examples of them: a denoiser of normal windows cannot denoise them.

The score of a window is its denoising error, Eq. 7 averaged over fixed steps and fixed noises. It
is the same for a window wherever and whenever it is scored.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gr_tsddae import zoo
from gr_tsddae.data import Dataset, DatasetError
from gr_tsddae.files import replacing, write_json
from gr_tsddae.inference.device import resolve_device
from gr_tsddae.iq.windows import SCALINGS
from gr_tsddae.nets.diffusion import SCORE_DRAWS, SCORE_STEPS, STEPS, Diffusion
from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.experiments.experiment import DatasetConfig, PretrainSettings
from gr_tsddae.train.experiments.jobs import METRICS_FILE, Job, claimed
from gr_tsddae.train.measure.details import roc_per_level
from gr_tsddae.train.pretrain import pretrain_on
from gr_tsddae.train.windows.sources import DatasetSource

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AnomalyConfig(DatasetConfig):
    """Detect anomalies by the denoising error of a network that has seen normal windows only.

    Attributes:
        dataset: Kind of the file: icarus, or any kind with classes.
        normal: The normal classes. All others are anomalies, which only the test set needs: their
            labels leave them out of training, and measure.
        steps: Diffusion steps t at which windows are denoised. At small steps the noise is faint
            and fine detail counts; at large steps coarse shape counts.
        draws: Noises per step; the randomness of a score falls with their square root.
        batch: Windows per pass when scoring.
        seed: Seed of training and of the noises.
        pretrain: Pre-training of the denoiser.
    """

    dataset: str = "icarus"
    normal: tuple[str, ...] = ("normal",)
    steps: tuple[int, ...] = SCORE_STEPS
    draws: int = SCORE_DRAWS
    batch: int = 512
    seed: int = 1
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.steps or not all(1 <= step <= STEPS for step in self.steps):
            raise ValueError(f"steps is {list(self.steps)}: give numbers from 1 to {STEPS}")
        if self.draws < 1 or self.batch < 1:
            raise ValueError(f"draws is {self.draws}, batch {self.batch}: both must be at least 1")
        if self.pretrain.objective != "noise":
            raise ValueError(
                f"pretrain.objective is {self.pretrain.objective}: scores need the estimates of "
                "noises; use noise"
            )


def anomaly(config: AnomalyConfig) -> dict[str, Any]:
    """Pre-train on the normal windows of the training set, score the test set, and write scores.

    `config.out` gets the denoiser (pretrained/), metrics.json, and scores.npz with score, anomaly
    (bool), level_db and index (the window's number in the file) of every window of the test set.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: Data and configuration do not fit, or the folder holds another run.
    """
    source = DatasetSource(config.data, labelled=True)
    if unknown := sorted(set(config.normal) - set(source.classes)):
        raise DatasetError(
            f"normal names {', '.join(unknown)}; the classes of {config.path} are "
            f"{', '.join(source.classes)}"
        )
    wanted = np.isin(source.dataset.label, [source.classes.index(name) for name in config.normal])
    source.train = source.train[wanted[source.train]]
    source.validated = source.validated[wanted[source.validated]]
    test = source.dataset.select(source.test)
    anomalous = ~wanted[source.test]
    if anomalous.all() or not anomalous.any():
        raise DatasetError(f"{config.path}: the test set needs normal windows and others")
    job = Job(
        train=lambda pretraining: _pretrain(pretraining, source),
        config=config.run(
            PretrainConfig,
            config.pretrain,
            "pretrained",
            seed=config.seed,
            # Other normal classes are another run.
            name="denoiser-of-" + "+".join(config.normal).replace("/", "_"),
        ),
    )
    with claimed(job.folder) as mine:
        if not mine:
            raise ValueError(f"another process trains in {job.folder}; wait for it")
        if not job.finished():
            job.run()
    per_step = scores(zoo.load(job.folder).network, test, config)
    result = _measure(per_step, anomalous, test, config)
    for level, curve in result["roc"].items():
        where = "overall" if level == "all" else f"at {result['level_name']} {level} dB"
        print(f"AUC {where}: {curve['auc']:.4f}")
    print(f"wrote {config.out / METRICS_FILE}")
    return result


def _pretrain(config: PretrainConfig, source: DatasetSource) -> None:
    """Pre-train on the windows that a source has left."""
    pretrain_on(config, source, how="by denoising normal windows alone")


@torch.inference_mode()
def scores(network: nn.Module, dataset: Dataset, config: AnomalyConfig) -> np.ndarray:
    """Compute the denoising error of every window at every step, averaged over noises.

    All windows get the same noises, so that a score depends on its window alone.

    Args:
        network: A denoiser, (noisy (B, 2, L), step (B,)) -> two estimates (B, 2, L).
        dataset: N windows.
        config: Names steps, noises and the pre-training.

    Returns:
        float64 (N, steps); higher is more anomalous.
    """
    device = resolve_device(config.pretrain.trainer.device)
    network = network.to(device).eval()
    diffusion = Diffusion(ratio=config.pretrain.ratio, split=config.pretrain.split).to(device)
    scale = SCALINGS[config.scaling]
    noises = diffusion.standard_noises(
        len(config.steps), config.draws, dataset.window_samples, seed=config.seed
    ).to(device)
    found = np.empty((len(dataset), len(config.steps)))
    for start in range(0, len(dataset), config.batch):
        some = slice(start, start + config.batch)
        rows = scale(torch.from_numpy(dataset.rows(some)).to(device))
        found[some] = diffusion.errors(network, rows, config.steps, noises).cpu().numpy()
    return found


def _measure(
    per_step: np.ndarray, anomalous: np.ndarray, test: Dataset, config: AnomalyConfig
) -> dict[str, Any]:
    label = anomalous.astype(np.int64)
    level = test.level_db if test.level_name else None
    score = per_step.mean(1)

    def auc(values: np.ndarray) -> float:
        return roc_per_level(values, label, None)["all"]["auc"]

    result = {
        "dataset": {"kind": test.kind, "path": test.path, "split_seed": config.split_seed},
        "normal": list(config.normal),
        "level_name": test.level_name,
        "windows": len(test),
        "anomalies": int(anomalous.sum()),
        "steps": list(config.steps),
        "draws": config.draws,
        "mean_score": {
            "normal": round(float(score[~anomalous].mean()), 6),
            "anomaly": round(float(score[anomalous].mean()), 6),
        },
        "auc_per_step": {
            step: auc(per_step[:, column]) for column, step in enumerate(config.steps)
        },
        "roc": roc_per_level(score, label, level),
    }
    _write_scores(config.out / "scores.npz", score, anomalous, test)
    write_json(config.out / METRICS_FILE, result)
    return result


def _write_scores(path: Path, score: np.ndarray, anomalous: np.ndarray, test: Dataset) -> None:
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, score=score, anomaly=anomalous, level_db=test.level_db, index=test.index)
