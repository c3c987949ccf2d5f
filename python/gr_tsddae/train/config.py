# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations: one frozen dataclass per command is its command line, its YAML and its help."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from gr_tsddae import nets
from gr_tsddae.data import kinds

SYNTH = "synth"
STOP_PATIENCE = 25  # epochs, of training a classifier


@dataclass(frozen=True, kw_only=True)
class NetworkChoice:
    """The network.

    Attributes:
        name: Name of a network, e.g. tsnet-base (the paper's) or resnet; `tsddae nets`
            lists all.
        options: Changes of that network, e.g. {dropout: 0, layers: 3}. A TS-Net has width, layers,
            heads, feedforward, dropout and the other fields of TSNetConfig.
    """

    name: str = "tsnet-base"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in nets.names():
            raise ValueError(f"network.name is {self.name!r}; there are: {', '.join(nets.names())}")


NetworkConfig = NetworkChoice  # as earlier scripts call it


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The windows.

    Attributes:
        kind: "synth" (endless windows, made while training), or the kind of a data set file, e.g.
            rml2016.10a or captures; `tsddae data kinds` lists all.
        path: File or folder of the data set; none for synth.
        options: Options of the data set's reader, e.g. {window_samples: 1024}; `tsddae data
            kinds` lists them.
        recipe: For synth: clean, rml, as-released or live. Several recipes joined by "+" take
            turns, e.g. live+rml.
        window_samples: For synth: samples per window. A data set has its own length.
        scaling: How a window is scaled before it enters the network: unit_power.
        split_seed: Seed of the split into training, validation and test set; give evaluate the
            same one.
        resident_gb: Keep windows that fit into so many GB on the device as one tensor; stream
            larger sets from their file.
        shuffle_windows: When streaming: windows to shuffle at once. Memory holds twice as many.
    """

    kind: str = SYNTH
    path: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)
    recipe: str = "live"
    window_samples: int = 128
    scaling: str = "unit_power"
    split_seed: int = 1
    resident_gb: float = 8.0
    shuffle_windows: int = 65_536

    def __post_init__(self) -> None:
        if self.kind != SYNTH and self.kind not in kinds():
            raise ValueError(
                f"data.kind is {self.kind!r}; there are: {', '.join((SYNTH, *kinds()))}"
            )
        if (self.path is None) != (self.kind == SYNTH):
            wanted = "takes no" if self.kind == SYNTH else "needs a"
            raise ValueError(f"data.kind {self.kind} {wanted} data.path")
        at_least(1, self, "window_samples", "shuffle_windows", prefix="data.")


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW and the schedule of its learning rate.

    Attributes:
        learning_rate: The rate of constant, the first one of plateau, the highest of onecycle.
        weight_decay: Weight decay of AdamW on weight matrices; biases and gains have none.
        batch: Windows per step, over all devices together.
        schedule: "plateau" halves the rate when the loss stops falling (a classifier of synth has
            no validation loss to follow). "onecycle" warms up for a tenth of the run and falls to
            zero. "constant" stays.
        plateau_patience: For plateau: losses without a new minimum until the rate is halved.
            Pre-training counts steps, fine-tuning counts epochs.
        min_learning_rate: For plateau: the lowest rate.
        clip_norm: Largest norm of the gradient; 0 does not clip.
        ema_decay: Decay per step of a running average of the weights, which is measured and kept;
            0 keeps the weights themselves.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    batch: int = 256
    schedule: Literal["plateau", "onecycle", "constant"] = "plateau"
    plateau_patience: int = 3
    min_learning_rate: float = 1e-12
    clip_norm: float = 1.0
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, self, "batch", "plateau_patience", prefix="optimiser.")
        if not self.learning_rate > 0:
            raise ValueError(f"optimiser.learning_rate is {self.learning_rate}: it must be over 0")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"optimiser.ema_decay is {self.ema_decay}: give 0 to under 1")
        at_least(0, self, "clip_norm", prefix="optimiser.")


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """Length of the run, its devices, checkpoints and log.

    Attributes:
        epochs: Passes over the training set.
        steps: Optimiser steps instead of epochs, rounded up to whole epochs of a data set. Synth
            needs steps, as its windows never end.
        stop_patience: Stop after so many losses without a new minimum; 0 never stops early.
            Pre-training counts steps, fine-tuning counts epochs by their validation loss, which
            synth does not have.
        device: "auto" (a GPU when torch sees one), "cpu" or "cuda".
        devices: Devices of this machine; under torchrun and SLURM, processes per node.
        nodes: Machines, each of which runs the same command under torchrun or SLURM.
        precision: "auto" is bf16-mixed where the hardware multiplies bfloat16 fast, 32 elsewhere.
        compile: Compile the network: minutes at the start, up to twice the speed on a GPU.
        augment: Rotate each window by a random phase, and mirror the spectrum of every second one.
        seed: Seed of weights, order, augmentation, noise and dropout.
        checkpoint_steps: Steps between checkpoints; Ctrl-C and SIGTERM write one as well.
        log_steps: Steps between lines of log.jsonl.
    """

    epochs: int = 60
    steps: int | None = None
    stop_patience: int = 0
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Literal["auto", "32", "bf16-mixed"] = "auto"
    compile: bool = False
    augment: bool = False
    seed: int = 1
    checkpoint_steps: int = 500
    log_steps: int = 50

    def __post_init__(self) -> None:
        at_least(1, self, "epochs", "steps", "devices", "nodes", "log_steps", prefix="trainer.")
        at_least(1, self, "checkpoint_steps", prefix="trainer.")
        at_least(0, self, "stop_patience", prefix="trainer.")
        if not 1 <= self.seed <= 1000:
            raise ValueError(f"trainer.seed is {self.seed}: it must be from 1 to 1000")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"trainer.device is {self.device!r}: use auto, cpu or cuda")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Keys that all training commands have.

    Attributes:
        name: The model's name, e.g. amc-mine.
        out: Model folder to write, with log, checkpoints and metrics.
        network: The network.
        data: The windows.
        optimiser: The optimiser.
        trainer: The run.
    """

    patience_in_steps: ClassVar[bool] = False  # instead of validations
    name: str
    out: Path
    network: NetworkChoice = field(default_factory=NetworkChoice)
    data: DataConfig = field(default_factory=DataConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.data.kind == SYNTH and self.trainer.steps is None:
            raise ValueError("synthetic windows never end: give trainer.steps")


# Options of pre-training -> the objectives that have them.
_OPTIONS_OF = {
    "ratio": ("noise",),
    "split": ("noise",),
    "weighted": ("noise",),
    "contrast_weight": ("noise",),
    "views": ("noise",),
    "crop": ("noise", "simclr", "simsiam"),
    "temperature": ("noise", "lsm", "simclr", "semiamc"),
}


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """Pre-training, without the network and the windows.

    Attributes:
        ratio: For noise: lambda of Eq. 7, spectral over temporal noise. With published_code, the
            share r.
        split: For noise: "paper" keeps the sum of squares at 1; "published_code" divides the noise
            and weights the loss as the authors' code does.
        weighted: For noise: weight each window's loss by its step as Eq. 7 is written; otherwise
            all steps weigh the same, as in the authors' code.
        objective: The task to learn. For a TS-Net: "noise" estimates both noises; "single" adds
            one noise and restores the window itself (the ablation "w/ single noise"). For
            spectrum-fm: "masked" fills in masked samples. For lsm: "lsm" compares the signal of
            one patch with the spectrum of another. For any network: "simclr" and "simsiam" compare
            two views, "semiamc" two quarter turns.
        contrast_weight: For noise: add the contrast (NT-Xent) between the features of two turned
            and cropped views of each window, times this weight; 0 adds none. A step takes three
            times as long.
        views: For noise: learn to denoise turned crops instead of whole windows.
        crop: For simclr, simsiam, contrast_weight and views: share of a window that a view keeps;
            1 does not crop. A network built for one length sees zeros around the crop.
        temperature: For lsm, simclr, semiamc and contrast_weight; null for the value of the
            respective paper.
        optimiser: The optimiser.
        trainer: The run; an experiment sets its seed.
    """

    ratio: float = 0.414
    split: Literal["paper", "published_code"] = "paper"
    weighted: bool = False
    objective: Literal["noise", "single", "masked", "lsm", "simclr", "simsiam", "semiamc"] = "noise"
    contrast_weight: float = 0.0
    views: bool = False
    crop: float = 0.5
    temperature: float | None = None
    optimiser: OptimiserConfig = field(
        default_factory=lambda: OptimiserConfig(plateau_patience=250)
    )
    trainer: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(epochs=15, stop_patience=1000)
    )

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"ratio is {self.ratio}: it must be over 0 and at most 1")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop is {self.crop}: it must be over 0 and at most 1")
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}: it must be over 0, or null")
        at_least(0, self, "contrast_weight")
        for name, objectives in _OPTIONS_OF.items():
            value = getattr(self, name)
            if self.objective not in objectives and value != getattr(PretrainSettings, name):
                raise ValueError(
                    f"{name} is {value}, an option of {', '.join(objectives)}: objective "
                    f"{self.objective} has none of that name"
                )
        for name, used in (("crop", self.looks_at_views), ("temperature", self.contrast_weight)):
            value = getattr(self, name)
            if self.objective == "noise" and value != getattr(PretrainSettings, name) and not used:
                raise ValueError(
                    f"{name} is {value}, which denoising of whole windows does not use: give "
                    "contrast_weight as well" + (", or views" if name == "crop" else "")
                )

    @property
    def looks_at_views(self) -> bool:
        """Whether denoising makes views of windows."""
        return bool(self.contrast_weight) or self.views


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(PretrainSettings, RunConfig):
    """Pre-train a network without labels, by default as the paper does, by denoising."""

    patience_in_steps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        PretrainSettings.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(RunConfig):
    """Train a classifier, from a pre-trained network or from nothing, and measure it.

    Attributes:
        init: Model folder to start from: a pre-trained network, or a classifier of the same
            network.
        noise_prior: For synth: the share of windows without a signal where the model will be used.
            Training draws all classes equally often; a receiver mostly hears nothing.
        test_windows: For synth: windows per class and SNR of the final measurement.
        calibrate: For data sets: scale the outputs by the temperature that fits the validation
            set best.
        trainer: The run.
    """

    init: Path | None = None
    noise_prior: float = 0.3
    test_windows: int = 200
    calibrate: bool = True
    trainer: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(stop_patience=STOP_PATIENCE)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, self, "test_windows")
        if not 0 < self.noise_prior < 1:
            raise ValueError(f"noise_prior is {self.noise_prior}: it must be between 0 and 1")
        if self.data.kind == SYNTH:
            self._need_no_validation()

    def _need_no_validation(self) -> None:
        """Refuse options that need a validation set: synthetic windows are all new."""
        if self.optimiser.schedule == "plateau":
            raise ValueError(
                "optimiser.schedule is plateau, which follows the validation loss, and synthetic "
                "windows have none: use onecycle or constant"
            )
        # The default, which nobody has asked for, does no harm.
        if self.trainer.stop_patience not in (0, STOP_PATIENCE):
            raise ValueError(
                f"trainer.stop_patience is {self.trainer.stop_patience}, which counts validations, "
                "and synthetic windows have none: use 0, trainer.steps says how long"
            )


@dataclass(frozen=True, kw_only=True)
class ProbeConfig(FinetuneConfig):
    """Train a classifier on the features of a frozen pre-trained network (linear probe).

    The features of a data set are computed once, which makes epochs cheap.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init is None:
            raise ValueError("a probe needs init, the folder of a pre-trained model")


@dataclass(frozen=True, kw_only=True)
class DistillConfig(FinetuneConfig):
    """Train a classifier, by default a small one, on the outputs of a larger one.

    Attributes:
        teacher: Model folder, or name, of the classifier to learn from, with the same classes,
            window length and scaling. It runs at every step, so a large teacher takes its time.
        temperature: Divide the logits of both by it before they are compared. Above 1, the wrong
            classes that the teacher finds likely matter more.
        hard_weight: Share of the loss that is cross-entropy with the true labels, from 0 to 1.
        feature_weight: Add the angle (1 - cosine) between the teacher's features and the
            student's, times this weight; a linear layer brings them to the same size. 0 adds none.
        network: The network that learns.
    """

    teacher: Path
    temperature: float = 2.0
    hard_weight: float = 0.1
    feature_weight: float = 0.0
    network: NetworkChoice = field(default_factory=lambda: NetworkChoice(name="tsnet-small"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}: it must be over 0")
        if not 0 <= self.hard_weight <= 1:
            raise ValueError(f"hard_weight is {self.hard_weight}: it must be from 0 to 1")
        at_least(0, self, "feature_weight")
        if self.feature_weight and self.network.name == "lsm":
            raise ValueError(
                f"feature_weight is {self.feature_weight}, and network.name lsm, which judges a "
                "window's parts: use 0"
            )


@dataclass(frozen=True, kw_only=True)
class FewshotConfig(FinetuneConfig):
    """Fine-tune on a few windows per class and SNR; one model folder per number of shots.

    Attributes:
        shots: Windows per class and SNR; each number makes a model.
        optimiser: The optimiser.
    """

    shots: tuple[int, ...] = (25, 100)
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(batch=128))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.shots or min(self.shots) < 1:
            raise ValueError(f"shots is {self.shots}: give numbers of at least 1")
        if self.data.kind == SYNTH:
            raise ValueError("synthetic windows never end: few shots need a data set")


# Keys that may change between a run and its resumption: they say where and how often, not what.
OUT_OF_BAND = (
    "out", "data.path", "trainer.device", "trainer.devices", "trainer.nodes", "trainer.compile",
    "trainer.checkpoint_steps", "trainer.log_steps",
)  # fmt: skip


def plain(config: Any, *, write_path: Callable[[Path], str] | None = None) -> Any:
    """Write a configuration as dicts, lists, text and numbers, for checkpoints, jobs and YAML.

    Paths that exist are absolute and without links, so that they mean the same from everywhere.
    Other paths stay as they are: `init` may be the name of a model. `write_path` changes that.
    """
    if dataclasses.is_dataclass(config):
        config = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {str(k): plain(value, write_path=write_path) for k, value in config.items()}
    if isinstance(config, tuple | list):
        return [plain(value, write_path=write_path) for value in config]
    if not isinstance(config, Path):
        return config
    if write_path:
        return write_path(config)
    return str(config.resolve() if config.exists() else config)


def for_card(config: Any) -> dict[str, Any]:
    """Write a configuration for a model's card, which travels: files and folders by name alone."""
    values = plain(config, write_path=lambda path: path.name)
    del values["out"]
    return values


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """List the dotted keys in which two `plain` configurations differ, but for `OUT_OF_BAND`."""
    old, new = _flat(old), _flat(new)
    return sorted(
        key
        for key in (old.keys() | new.keys()) - set(OUT_OF_BAND)
        if (key in old) != (key in new) or not _same(old[key], new[key])
    )


def _same(old: Any, new: Any) -> bool:
    """Compare two values; earlier versions recorded paths as they were given."""
    return old == new or (isinstance(old, str) and os.path.realpath(old) == new)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def check_name(name: str) -> None:
    """Raise ValueError when a model must not have a name: paths and messages will hold it."""
    if not name or "/" in name or name.startswith("."):
        raise ValueError(f"name is {name!r}: use letters, digits, '-' and '_'")


def at_least(limit: float, config: Any, *names: str, prefix: str = "") -> None:
    """Raise ValueError where a number of a configuration is too low; null is none."""
    for name in names:
        if (value := getattr(config, name)) is not None and not value >= limit:
            raise ValueError(f"{prefix}{name} is {value}: it must be at least {limit}")
