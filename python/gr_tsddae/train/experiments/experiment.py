# SPDX-License-Identifier: GPL-3.0-or-later
"""What the experiments share: one configuration, from which the training runs are derived."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from gr_tsddae.train.config import (
    SYNTH,
    DataConfig,
    FewshotConfig,
    FinetuneConfig,
    NetworkChoice,
    OptimiserConfig,
    PretrainConfig,
    PretrainSettings,
    ProbeConfig,
    RunConfig,
    TrainerConfig,
)
from gr_tsddae.train.evaluate import EvaluateConfig
from gr_tsddae.train.experiments.jobs import Job
from gr_tsddae.train.finetune import finetune, train_classifier
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.probe import probe
from gr_tsddae.train.windows.sources import DatasetSource

_Config = TypeVar("_Config", bound=RunConfig)

NOTE = (
    "Test set, mean ± standard deviation over seeds of weights and order, one split. Published "
    "figures are of tsnet-base on the released data; compare nothing else with them."
)
SHOTS_NOTE = (
    "Rows with shots learn from few windows, but stop and are calibrated by the whole validation "
    "set, whose labels someone with few shots would not have."
)


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """Training of a classifier; keys and defaults are those of `finetune`.

    Attributes:
        optimiser: The optimiser.
        trainer: The run; its seed is the experiment's.
        calibrate: Scale the outputs by the temperature that fits the validation set best.
    """

    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    trainer: TrainerConfig = field(default_factory=lambda: TrainerConfig(stop_patience=25))
    calibrate: bool = True


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """A network and the data set it learns from.

    Attributes:
        dataset: Kind of the file, e.g. rml2016.10a; `tsddae data kinds` lists all.
        path: File or folder of the data set.
        out: Folder to write to; each training run gets a folder in it. The same command resumes.
            Several commands with the same --out, e.g. one per GPU, share the runs among them.
        options: Options of the data set's reader.
        split_seed: Seed of the split into training, validation and test set, the same for all runs.
        scaling: How a window is scaled before it enters the network.
        resident_gb: Keep windows that fit into so many GB on the device as one tensor.
        network: The network; tsnet-base is the paper's and needs a GPU.
    """

    dataset: str
    path: Path
    out: Path
    options: dict[str, Any] = field(default_factory=dict)
    split_seed: int = 1
    scaling: str = "unit_power"
    resident_gb: float = 8.0
    network: NetworkChoice = field(default_factory=NetworkChoice)
    takes_synth: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.dataset == SYNTH and not self.takes_synth:
            raise ValueError(
                "dataset is synth, whose windows never end: write a file of them with tsddae synth "
                "(benchmark takes it as it is)"
            )
        for name, settings in vars(self).items():
            trainer = getattr(settings, "trainer", None)
            if trainer and trainer.devices * trainer.nodes > 1:
                raise ValueError(
                    f"{name}.trainer asks for several devices: here each run has one; start the "
                    "same command once per device, with CUDA_VISIBLE_DEVICES, to share the runs"
                )

    @property
    def data(self) -> DataConfig:
        """The data set as the training commands name it."""
        return DataConfig(
            kind=self.dataset,
            path=self.path,
            options=self.options,
            split_seed=self.split_seed,
            scaling=self.scaling,
            resident_gb=self.resident_gb,
        )

    def run(
        self,
        kind: type[_Config],
        settings: PretrainSettings | ClassifierSettings,
        folder: str,
        *,
        seed: int,
        options: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> _Config:
        """Configure a training run in a folder of `out`.

        Args:
            kind: The configuration of the command that trains.
            settings: How to train.
            folder: Below `out`.
            seed: Of the run.
            options: Of the network.
            **changes: Of the configuration.
        """
        network = dataclasses.replace(
            self.network, options={**self.network.options, **(options or {})}
        )
        found = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)} | {
            "name": f"{self.dataset}-{folder.replace('/', '-')}",
            "out": self.out / folder,
            "data": self.data,
            "network": network,
            "trainer": dataclasses.replace(settings.trainer, seed=seed),
        }
        return kind(**found | changes)


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(DatasetConfig):
    """Pre-training and fine-tuning, with several seeds.

    Attributes:
        seeds: Repeat every run with each of these seeds; 3 can just tell an effect from chance.
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

    def pretrain_job(self, folder: str, **settings: Any) -> Job:
        """Make a job of pre-training in a folder of `out`; the settings are those of `run`."""
        return Job(
            train=pretrain, config=self.run(PretrainConfig, self.pretrain, folder, **settings)
        )

    def classifier_job(
        self,
        folder: str,
        *,
        start: Job | None,
        settings: ClassifierSettings | None = None,
        train: Callable[[Any], Any] | None = None,
        kind: type[FinetuneConfig] = FinetuneConfig,
        **more: Any,
    ) -> Job:
        """Make a job of training a classifier.

        Args:
            folder: Below `out`.
            start: The job whose network to start from; None starts from nothing.
            settings: How to train; `self.finetune` when not given.
            train: The command; `finetune` when not given.
            kind: Its configuration.
            **more: See `run`.
        """
        init = start.folder if start else None
        config = self.run(kind, settings or self.finetune, folder, init=init, **more)
        return Job(
            train=train or finetune,
            config=config,
            needs=start,
            evaluation=self._evaluation(config),
        )

    def tuned_jobs(
        self, folder: str, *, options: Mapping[str, Any] | None = None, **changes: Any
    ) -> dict[int, Job]:
        """Make a job per seed: the fine-tuning of a network pre-trained with that seed.

        Args:
            folder: Below `out`.
            options: Of the network.
            **changes: Of the configuration of pre-training.
        """
        jobs = {}
        for seed in self.seeds:
            here, same = f"{folder}/seed-{seed}", {"seed": seed, "options": options}
            start = self.pretrain_job(f"{here}/pretrained", **same, **changes)
            jobs[seed] = self.classifier_job(f"{here}/finetuned", start=start, **same)
        return jobs

    def check(self) -> DatasetSource:
        """Open the windows, to raise now what would otherwise be raised after hours."""
        return DatasetSource(self.data, labelled=True)

    def _evaluation(self, config: FinetuneConfig) -> EvaluateConfig | None:
        """Ask for an evaluation on the test set: of detectors always, for the AUC per SIR."""
        if not self.reports and self.dataset != "icarus":
            return None
        return EvaluateConfig(
            model=str(config.out),
            out=config.out / "evaluation",
            dataset=self.dataset,
            path=self.path,
            options=self.options,
            part="test",
            split_seed=self.split_seed,
            report=self.reports,
            device=config.trainer.device,
        )


@dataclass(frozen=True, kw_only=True)
class ShotsConfig(ExperimentConfig):
    """An experiment that may have rows with few shots.

    Attributes:
        shots: Windows per class and SNR of the rows with few shots.
        fewshot: Training on few shots.
    """

    shots: tuple[int, ...] = ()
    fewshot: ClassifierSettings = field(
        default_factory=lambda: ClassifierSettings(optimiser=OptimiserConfig(batch=128))
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.shots)) < len(self.shots) or any(shots < 1 for shots in self.shots):
            raise ValueError(f"shots is {list(self.shots)}: give different numbers of at least 1")

    @property
    def has_shots(self) -> bool:
        """Whether there are rows with few shots."""
        return bool(self.shots)

    def check(self) -> DatasetSource:
        source = super().check()
        if self.has_shots:
            source.few_shot(max(self.shots))  # raises where a class has too few windows
        return source

    def few_shot_job(self, folder: str, *, shots: int, **settings: Any) -> Job:
        """Make a job of training on few shots; the settings are those of `classifier_job`."""
        return self.classifier_job(
            folder, settings=self.fewshot, train=_few_shot, kind=FewshotConfig, shots=(shots,),
            **settings,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ProtocolsConfig(ShotsConfig):
    """An experiment whose rows differ in how a classifier is trained.

    Attributes:
        probe: Training on frozen features.
    """

    probe: ClassifierSettings = field(default_factory=ClassifierSettings)

    def protocol_job(
        self, protocol: str, folder: str, *, shots: int | None, **settings: Any
    ) -> Job:
        """Make a job of a protocol: "probe", few shots, or `finetune` for any other."""
        if shots is not None:
            return self.few_shot_job(folder, shots=shots, **settings)
        if protocol == "probe":
            settings |= {"settings": self.probe, "train": probe, "kind": ProbeConfig}
        return self.classifier_job(folder, **settings)


def require_ratio(pretrain: PretrainSettings, instead: str) -> None:
    """Raise ValueError when pre-training has no ratio to vary; `instead` names the remedy."""
    if pretrain.objective != "noise":
        raise ValueError(
            f"pretrain.objective is {pretrain.objective}, and only noise has a ratio: {instead}, "
            "or give --pretrain.objective noise"
        )


def _few_shot(config: FewshotConfig) -> Any:
    """Run `fewshot` for one number of shots, with the model in `config.out` itself."""
    (shots,) = config.shots
    return train_classifier(config, DatasetSource(config.data, labelled=True).few_shot(shots))
