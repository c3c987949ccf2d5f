# SPDX-License-Identifier: GPL-3.0-or-later
"""What the paper's experiments share: one base configuration, from which the runs are derived."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gr_tsddae.train.config import (
    DataConfig,
    FewshotConfig,
    FinetuneConfig,
    NetworkChoice,
    OptimiserConfig,
    PretrainConfig,
    PretrainSettings,
    TrainerConfig,
)
from gr_tsddae.train.evaluate import EvaluateConfig
from gr_tsddae.train.experiments.jobs import Job
from gr_tsddae.train.finetune import finetune, train_classifier
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.windows.sources import DatasetSource

_Config = TypeVar("_Config", bound=FinetuneConfig)


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """Training a classifier; keys and defaults are those of `finetune`.

    Attributes:
        optimiser: The optimiser.
        trainer: The run; its seed is the experiment's.
        calibrate: Scale the outputs by the temperature that fits the validation part best.
    """

    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    trainer: TrainerConfig = field(default_factory=lambda: TrainerConfig(stop_patience=25))
    calibrate: bool = True


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """A network and the dataset it learns from.

    Attributes:
        dataset: Kind of the file, e.g. rml2016.10a; `python -m gr_tsddae.data kinds` lists all.
        path: File or folder of the dataset.
        out: Folder to write to, one folder per training run in it. The same command resumes;
            several started with the same --out, one per GPU, share the runs among them.
        options: Options of the dataset's reader.
        split_seed: Of the split into training, validation and test part, the same for all seeds.
        scaling: What a window's gain is before the network.
        resident_gb: Windows that fit into so many GB stay on the device as one tensor.
        network: The network; tsnet-base is the paper's and wants a GPU.
    """

    dataset: str
    path: Path
    out: Path
    options: dict[str, Any] = field(default_factory=dict)
    split_seed: int = 1
    scaling: str = "unit_power"
    resident_gb: float = 8.0
    network: NetworkChoice = field(default_factory=NetworkChoice)

    def __post_init__(self) -> None:
        if self.dataset == "synth":
            raise ValueError(
                "dataset is synth: its windows never end; write a file of them with "
                "python -m gr_tsddae.synth"
            )
        for name, part in vars(self).items():
            trainer = getattr(part, "trainer", None)
            if trainer and trainer.devices * trainer.nodes > 1:
                raise ValueError(
                    f"{name}.trainer asks for several devices: here each run has one; start the "
                    "same command once per device, with CUDA_VISIBLE_DEVICES, to share the runs"
                )

    @property
    def data(self) -> DataConfig:
        """The windows."""
        return DataConfig(
            kind=self.dataset,
            path=self.path,
            options=self.options,
            split_seed=self.split_seed,
            scaling=self.scaling,
            resident_gb=self.resident_gb,
        )

    def pretraining(
        self,
        part: PretrainSettings,
        folder: str,
        *,
        seed: int,
        options: dict[str, Any],
        **changes: Any,
    ) -> PretrainConfig:
        """Pre-training in a folder of `out`; the changes are of the configuration's keys."""
        return PretrainConfig(**self._run(part, folder, seed, options) | changes)

    def classification(
        self,
        part: ClassifierSettings,
        folder: str,
        *,
        seed: int,
        options: dict[str, Any],
        kind: Callable[..., _Config] = FinetuneConfig,
        **changes: Any,
    ) -> _Config:
        """As `pretraining`, for a classifier."""
        return kind(**self._run(part, folder, seed, options) | changes)

    def _run(self, part: Any, folder: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
        return {f.name: getattr(part, f.name) for f in dataclasses.fields(part)} | {
            "name": f"{self.dataset}-{folder.replace('/', '-')}",
            "out": self.out / folder,
            "data": self.data,
            "network": dataclasses.replace(
                self.network, options={**self.network.options, **options}
            ),
            "trainer": dataclasses.replace(part.trainer, seed=seed),
        }


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(DatasetConfig):
    """Pre-training and fine-tuning, over some seeds.

    Attributes:
        seeds: Every run is repeated with each of them; 3 tell chance from effect, barely.
        reports: Write an evaluation with pictures for every model.
        pretrain: Pre-training.
        finetune: Fine-tuning.
    """

    seeds: tuple[int, ...] = (1, 2, 3)
    reports: bool = False
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    finetune: ClassifierSettings = field(default_factory=ClassifierSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds is {list(self.seeds)}: give different numbers from 1 to 1000")

    @property
    def column(self) -> str:
        """The column of a table by which rows are compared."""
        return "AUC all" if self.dataset == "icarus" else "average"

    def pretrain_job(
        self, folder: str, *, seed: int, options: dict[str, Any] | None = None, **changes: Any
    ) -> Job:
        """Pre-training as a job in a folder of `out`."""
        config = self.pretraining(
            self.pretrain, folder, seed=seed, options=options or {}, **changes
        )
        return Job(train=pretrain, config=config)

    def classifier_job(
        self,
        folder: str,
        *,
        seed: int,
        start: Job | None,
        part: ClassifierSettings | None = None,
        train: Callable[[Any], Any] | None = None,
        options: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Job:
        """Training a classifier as a job, from the network of another job or from nothing.

        Args:
            folder: below `out`.
            seed: of the run.
            start: the job whose network to start from.
            part: how to train; `self.finetune` when not given.
            train: the command; `finetune` when not given.
            options: of the network.
            **changes: of the configuration.
        """
        config = self.classification(
            part or self.finetune,
            folder,
            seed=seed,
            options=options or {},
            init=start.folder if start else None,
            **changes,
        )
        return Job(
            train=train or finetune,
            config=config,
            needs=start,
            evaluation=self._evaluation(config),
        )

    def tuned_jobs(
        self, folder: str, *, options: dict[str, Any] | None = None, **changes: Any
    ) -> dict[int, Job]:
        """Seed -> fine-tuning of a network pre-trained with that seed.

        Args:
            folder: below `out`.
            options: of the network.
            **changes: of the configuration of pre-training.
        """
        jobs = {}
        for seed in self.seeds:
            here = f"{folder}/seed-{seed}"
            start = self.pretrain_job(f"{here}/pretrained", seed=seed, options=options, **changes)
            jobs[seed] = self.classifier_job(
                f"{here}/finetuned", seed=seed, start=start, options=options
            )
        return jobs

    def check(self) -> DatasetSource:
        """The windows, opened; raises now what would else be raised after hours."""
        return DatasetSource(self.data, labelled=True)

    def _evaluation(self, config: FinetuneConfig) -> EvaluateConfig | None:
        """On the test part: detectors are compared by the area under the ROC, per SIR."""
        if not self.reports and self.dataset != "icarus":
            return None
        device = config.trainer.device
        return EvaluateConfig(
            model=str(config.out),
            out=config.out / "evaluation",
            dataset=self.dataset,
            path=self.path,
            options=self.options,
            part="test",
            split_seed=self.split_seed,
            report=self.reports,
            device=device,
        )


def require_ratio(part: PretrainSettings, instead: str) -> None:
    """Raise ValueError when pre-training has no ratio to vary; `instead` says what to do."""
    if part.objective != "noise":
        raise ValueError(
            f"pretrain.objective is {part.objective}, and only noise has a ratio: {instead}, or "
            "give --pretrain.objective noise"
        )


def few_shot(config: FewshotConfig) -> Any:
    """`fewshot` for one number of shots, with the model in `config.out` itself."""
    (shots,) = config.shots
    return train_classifier(config, DatasetSource(config.data, labelled=True).few_shot(shots))
