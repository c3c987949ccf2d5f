# SPDX-License-Identifier: GPL-3.0-or-later
"""Search hyper-parameters by Optuna on the validation set; several processes may share a search.

Trials are in study.db. A trial trains in a folder of its own whose lock it holds. When its process
has died, the trial is repeated with the same values in the same folder, and so goes on from its
checkpoint. The test set is never read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
import yaml

from gr_tsddae.files import write_text
from gr_tsddae.train.config import FinetuneConfig, PretrainConfig, plain
from gr_tsddae.train.experiments.experiment import (
    ClassifierSettings,
    DatasetConfig,
    PretrainSettings,
    require_ratio,
)
from gr_tsddae.train.experiments.jobs import Job, claimed
from gr_tsddae.train.finetune import Classification, classifier
from gr_tsddae.train.learn.method import VALIDATION_LOSS
from gr_tsddae.train.measure.predict import predict_finite
from gr_tsddae.train.pretrain import pretrain
from gr_tsddae.train.run.run import Run
from gr_tsddae.train.windows.feed import seed_of
from gr_tsddae.train.windows.sources import DatasetSource

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

_FOLDER = "folder"  # of a trial, where it is not its number's


@dataclass(frozen=True, kw_only=True)
class SearchConfig(DatasetConfig):
    """Search hyper-parameters by their result on the validation set, and write best.yaml.

    Attributes:
        trials: Number of trials, with those of earlier and parallel commands with the same --out.
        objective: Maximise the "accuracy" or minimise the "loss" on the validation set.
        parameters: Names of what is searched. With ratio, every trial pre-trains first. Without,
            trials start from init, or from nothing.
        learning_rate: Range for fine-tuning; searched on a logarithmic scale.
        dropout: Range for the network when fine-tuning.
        weight_decay: Range for fine-tuning; searched on a logarithmic scale.
        batch: Choices of windows per step.
        ratio: Range of lambda of Eq. 7.
        init: Pre-trained model folder to start from, when ratio is not searched.
        seed: Seed of the search and of every training in it.
        pretrain: Pre-training of a trial: give it a short budget.
        finetune: Fine-tuning of a trial: give it a short budget.
    """

    trials: int = 50
    objective: Literal["accuracy", "loss"] = "accuracy"
    parameters: tuple[
        Literal["learning_rate", "dropout", "weight_decay", "batch", "ratio"], ...
    ] = ("learning_rate", "dropout", "weight_decay", "batch", "ratio")
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    dropout: tuple[float, float] = (0.0, 0.5)
    weight_decay: tuple[float, float] = (1e-4, 0.1)
    batch: tuple[int, ...] = (64, 128, 256, 512)
    ratio: tuple[float, float] = (0.2, 1.0)
    init: Path | None = None
    seed: int = 1
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    finetune: ClassifierSettings = field(default_factory=ClassifierSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trials < 1 or not self.parameters or not self.batch:
            raise ValueError("trials, parameters and batch: give at least one of each")
        if self.init and "ratio" in self.parameters:
            raise ValueError("init is already pre-trained: leave ratio out of --parameters")
        if "ratio" in self.parameters:
            require_ratio(self.pretrain, "leave ratio out of --parameters")
        for name in ("learning_rate", "dropout", "weight_decay", "ratio"):
            low, high = getattr(self, name)
            if low > high or (low <= 0 and name != "dropout"):
                raise ValueError(f"{name} is {low} to {high}: give two ascending numbers over 0")


def search(config: SearchConfig) -> dict[str, Any]:
    """Run trials until there are `config.trials`, and write best.yaml to `config.out`.

    Returns:
        Values of the best trial.

    Raises:
        ImportError: optuna is not installed.
        ValueError: Data and configuration do not fit, or no trial has come to its end.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError("search needs optuna: pip install 'gr-tsddae[hpo]'") from error
    source = DatasetSource(config.data, labelled=True)
    config.out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with claimed(config.out, wait=True):  # one process makes the tables
        study = optuna.create_study(
            storage=f"sqlite:///{config.out.absolute() / 'study.db'}",
            study_name="search",
            direction="maximize" if config.objective == "accuracy" else "minimize",
            pruner=optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )
        _check_same(study, config)
    while turn := _next_trial(study, config):
        trial, holding = turn
        with holding:
            try:
                value = _value(trial, config, source)
            except (optuna.TrialPruned, FloatingPointError, torch.cuda.OutOfMemoryError) as error:
                why = str(error) or "worse than the median"
                log.info("trial %d ended early: %s", trial.number, why)
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            except Exception:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                raise
            else:
                study.tell(trial, value)
                log.info("trial %d: %s %.4f", trial.number, config.objective, value)
    return _conclude(study, config)


def _check_same(study: optuna.Study, config: SearchConfig) -> None:
    """Refuse to mix trials of different searches."""
    searched = plain(config)
    for key in ("trials", "out", "path", "init"):  # say how long and where, not what
        del searched[key]
    for part in ("pretrain", "finetune"):
        del searched[part]["trainer"]["device"]
    made_with = study.user_attrs.get("config")
    if made_with is None:
        study.set_user_attr("config", searched)
        return
    if changed := sorted(key for key in searched if made_with.get(key) != searched[key]):
        raise ValueError(
            f"{config.out} holds a search with another configuration ({', '.join(changed)}); "
            "choose another --out folder, or delete that one"
        )


def _next_trial(
    study: optuna.Study, config: SearchConfig
) -> tuple[optuna.Trial, contextlib.ExitStack] | None:
    """Take a trial with its values and the lock of its folder; None when there are enough."""
    import optuna

    states = optuna.trial.TrialState
    with claimed(config.out, wait=True):
        alive = 0
        for other in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            with claimed(_folder(other, config)) as dead:
                if not dead:
                    alive += 1
                    continue
                study.tell(other.number, state=states.FAIL)
                attributes = {_FOLDER: _folder(other, config).name}
                study.enqueue_trial(other.params, user_attrs=attributes)
        done = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
        if len(done) + alive >= config.trials:
            return None
        trial = study.ask()
        # The seed follows from the trial's number, so that resuming and other processes agree.
        study.sampler = optuna.samplers.TPESampler(
            seed=seed_of("search", config.seed, trial.number), constant_liar=True
        )
        _suggest(trial, config)
        holding = contextlib.ExitStack()
        holding.enter_context(claimed(_folder(trial, config)))
        return trial, holding


def _folder(trial: Any, config: SearchConfig) -> Path:
    return config.out / trial.user_attrs.get(_FOLDER, f"trial-{trial.number}")


def _suggest(trial: optuna.Trial, config: SearchConfig) -> None:
    for name in config.parameters:
        if name == "batch":
            trial.suggest_categorical(name, config.batch)
        else:
            log_scale = name in ("learning_rate", "weight_decay")
            trial.suggest_float(name, *getattr(config, name), log=log_scale)


def _configs(
    values: dict[str, Any], folder: str, config: SearchConfig
) -> tuple[PretrainConfig | None, FinetuneConfig]:
    """Configure a trial: its values take the place of the configuration's."""
    values = dict(values)
    start, init = None, config.init
    if "ratio" in values:
        start = config.run(
            PretrainConfig,
            config.pretrain,
            f"{folder}/pretrained",
            seed=config.seed,
            ratio=values.pop("ratio"),
        )
        init = start.out
    dropout = {"dropout": values.pop("dropout")} if "dropout" in values else {}
    tuned = config.run(
        FinetuneConfig,
        config.finetune,
        f"{folder}/finetuned",
        seed=config.seed,
        options=dropout,
        init=init,
        optimiser=dataclasses.replace(config.finetune.optimiser, **values),
    )
    return start, tuned


class _Observed(Classification):
    """A fine-tuning that tells Optuna its validation losses, and stops when Optuna says so."""

    def __init__(self, config: FinetuneConfig, network: torch.nn.Module, trial: optuna.Trial):
        super().__init__(config, network)
        self._trial = trial

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        import optuna

        loss = self.trainer.callback_metrics[VALIDATION_LOSS].item()
        minimised = self._trial.study.direction == optuna.study.StudyDirection.MINIMIZE
        self._trial.report(loss if minimised else -loss, self.trainer.current_epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def _value(trial: optuna.Trial, config: SearchConfig, source: DatasetSource) -> float:
    """Train, and measure on the validation set."""
    start, tuned = _configs(trial.params, _folder(trial, config).name, config)
    if start:
        job = Job(train=pretrain, config=start)
        if not job.finished():
            job.run()
    torch.manual_seed(tuned.trainer.seed)
    network = classifier(tuned, source)
    run = Run(tuned, validated=True)
    method = _Observed(tuned, network, trial)
    network = run.fit(method, source.feed(tuned, run.place), source.validation(tuned, run.place))
    if config.objective == "loss":
        return min(line[VALIDATION_LOSS] for line in run.losses())
    logits, label, _ = predict_finite(network, source.validation_set(), scaling=config.scaling)
    return (logits.argmax(1) == label).double().mean().item()


def _conclude(study: optuna.Study, config: SearchConfig) -> dict[str, Any]:
    import optuna

    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not done:
        raise ValueError(f"{config.out}: no trial has come to its end; give more --trials")
    best = study.best_trial
    start, tuned = _configs(best.params, _folder(best, config).name, config)
    result = {config.objective: best.value, "trial": best.number, **best.params}
    said = f"# Trial {best.number} of a search: validation {config.objective} {best.value:.4f}."
    _write_recipe(config.out / "best.yaml", tuned, f"{said} For `finetune --config`.")
    if start:
        note = f"{said} For `pretrain --config`, at full length."
        _write_recipe(config.out / "best-pretrain.yaml", start, note)
    print(f"best of {len(done)} finished trials: validation {config.objective} {best.value:.4f}")
    for name, value in best.params.items():
        print(f"  {name:<14}{value:.4g}")
    print(f"wrote {config.out / 'best.yaml'}")
    return result


def _write_recipe(path: Path, config: FinetuneConfig | PretrainConfig, comment: str) -> None:
    """Write all of a configuration but the run, whose short budget was the search's."""
    content = plain(config)
    for key in ("name", "out", "trainer"):
        del content[key]
    write_text(path, f"{comment}\n{yaml.safe_dump(content, sort_keys=False)}")
