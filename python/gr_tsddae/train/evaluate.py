# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure any model on any data set: metrics.json, report.html and pictures."""

import dataclasses
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn

from gr_tsddae import zoo
from gr_tsddae.data import UNLABELLED, Dataset, DatasetError, kinds, open_dataset
from gr_tsddae.files import write_json
from gr_tsddae.inference.decision import pooled
from gr_tsddae.inference.device import resolve_device
from gr_tsddae.inference.metrics import metrics
from gr_tsddae.train.config import at_least
from gr_tsddae.train.measure.details import details, summary_lines
from gr_tsddae.train.measure.feature_map import FeatureMap, map_features
from gr_tsddae.train.measure.predict import predict
from gr_tsddae.train.windows.class_names import match_classes
from gr_tsddae.train.windows.synthetic_set import synthetic_set

SYNTH_SEED = 4_000_000_001  # far from the seeds of training, and not that of a card's measurement


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Measure a model on a data set; write metrics.json, report.html and pictures.

    Attributes:
        model: Name of a model, or its folder.
        out: Folder to write to.
        dataset: "synth" for fresh synthetic windows, or the kind of the file, e.g. rml2016.10a or
            captures; `tsddae data kinds` lists all.
        path: File or folder of the data set; not for synth.
        recipe: For synth: recipe of the windows, see gr_tsddae.synth.RECIPES.
        windows: For synth: windows per class and SNR.
        snrs_db: For synth: the SNRs, e.g. [6, 10, 20]; null for -20, -18, ... 30, as far as the
            recipe reaches.
        emission_windows: For recipes of the air: so many windows are of one emission. Above 1,
            decisions per emission are measured too, from the geometric mean of the probabilities.
        options: Options of the data set's reader.
        part: Measure on all of the data set, or on the test or validation set of its split, which
            training with the same split_seed never learned from.
        split_seed: Seed of the split.
        rename: Class of the data set -> class of the model, e.g. --rename.AM-SSB=noise for the
            released RML2016.10A, whose AM-SSB windows hold nothing but noise.
        leave_out: Classes of the data set to leave out, e.g. [AM-SSB].
        closed_set: Decide among the classes the data set holds, as benchmarks do; false lets the
            model choose among all of its classes, as in use.
        max_windows: Measure on a random subset of at most so many windows; null for all.
        confusion_snrs_db: SNRs (or SIRs) that get a confusion matrix, where the data set has them;
            the best one always gets one.
        tsne: Draw a map of the network's features (t-SNE); takes some seconds per picture.
        tsne_windows: Windows per map.
        tsne_snrs_db: SNRs (or SIRs) that get a map, where the data set has them.
        report: Write report.html and pictures; false writes metrics.json alone, without matplotlib.
        device: "auto" (a GPU when torch sees one), "cpu", "cuda", "cuda:1", ...
        bfloat16: Autocast products to bfloat16: faster on most GPUs, slightly different numbers.
        batch: Windows per pass; memory grows with this number alone.
        seed: Seed of subsets and maps.
    """

    model: str
    out: Path
    dataset: str = "synth"
    path: Path | None = None
    recipe: str = "live"
    windows: int = 200
    snrs_db: tuple[int, ...] | None = None
    emission_windows: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    part: Literal["all", "test", "validation"] = "all"
    split_seed: int = 1
    rename: dict[str, str] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    closed_set: bool = True
    max_windows: int | None = None
    confusion_snrs_db: tuple[int, ...] = (-4, 2)
    tsne: bool = True
    tsne_windows: int = 1000
    tsne_snrs_db: tuple[int, ...] = (-20, -6, 12)
    report: bool = True
    device: str = "auto"
    bfloat16: bool = False
    batch: int = 512
    seed: int = 1

    def __post_init__(self) -> None:
        if self.dataset != "synth" and self.dataset not in kinds():
            raise ValueError(f"no dataset {self.dataset!r}; there are: synth, {', '.join(kinds())}")
        if (self.path is None) != (self.dataset == "synth"):
            wanted = "takes no" if self.dataset == "synth" else "needs a"
            raise ValueError(f"--dataset {self.dataset} {wanted} --path")
        at_least(1, self, "windows", "emission_windows", "batch", "tsne_windows", "max_windows")
        if self.emission_windows > 1 and self.dataset != "synth":
            raise ValueError(
                f"emission_windows is {self.emission_windows}: --dataset {self.dataset} does not "
                "say which windows are of one emission; only synth does"
            )
        if self.snrs_db is not None and (self.dataset != "synth" or not self.snrs_db):
            raise ValueError(
                f"snrs_db is {list(self.snrs_db)} for --dataset {self.dataset}: give at least one "
                "SNR, of synth; a data set has its own"
            )


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Run the command: measure, write, and print a summary.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: Model and data set do not fit; the message says what to do.
    """
    model = zoo.load(config.model)
    zoo.need_classes(model.card)
    dataset = _open(config, model.card)
    result, maps = evaluate_dataset(model, dataset, config)
    config.out.mkdir(parents=True, exist_ok=True)
    write_json(config.out / "metrics.json", result)
    if config.report:
        from gr_tsddae.report.evaluation_page import write_report

        write_report(config.out, result, maps)
    print("\n".join(summary_lines(result)))
    if emissions := result.get("emissions"):
        print(
            "\n".join(summary_lines(emissions, f"emissions of {config.emission_windows} windows"))
        )
    print(f"wrote {config.out / ('report.html' if config.report else 'metrics.json')}")
    return result


def evaluate_dataset(
    model: zoo.Model, dataset: Dataset, config: EvaluateConfig
) -> tuple[dict[str, Any], list[FeatureMap]]:
    """Measure a model on an open data set, which is read a batch at a time.

    Returns:
        The content of metrics.json, with shares from 0 to 1; and maps of the network's features.

    Raises:
        DatasetError: Windows or classes do not fit the model, or no window is left.
    """
    card = model.card
    if dataset.window_samples != card.window_samples:
        raise DatasetError(
            f"{dataset.path} has windows of {dataset.window_samples} samples; "
            f"{card.name} takes {card.window_samples}"
        )
    network = model.network.to(resolve_device(config.device))
    skipped = dict(dataset.skipped)
    dataset = _measurable(dataset, config, skipped)
    to_model = match_classes(dataset, card.classes, config.rename)
    held = sorted(set(to_model.values())) if config.closed_set else list(range(len(card.classes)))
    if len(held) < 2:
        raise DatasetError(
            f"{dataset.path} holds the class {card.classes[held[0]]} only, and among one class "
            "every decision is right; use --closed_set=false to let the model choose among all"
        )
    outputs, finite = predict(
        network, dataset, scaling=card.scaling, batch=config.batch, bfloat16=config.bfloat16
    )
    if lost := int((~finite).sum()):
        skipped["not finite"] = skipped.get("not finite", 0) + lost
        dataset, outputs = dataset.select(finite), outputs[finite]
    if not len(dataset):
        raise DatasetError(f"{dataset.path}: every window holds NaN or infinity")
    label = np.array([held.index(to_model[i]) for i in dataset.label.tolist()])
    level = dataset.level_db if dataset.level_name else None
    classes = tuple(card.classes[i] for i in held)
    probability = outputs[:, held].softmax(1)
    measured = metrics(probability, label, level, classes, group=dataset.group)
    more = details(
        probability,
        label,
        level,
        classes,
        confusion_snrs_db=config.confusion_snrs_db,
        best_snr_db=measured.get("best_snr_db"),
    )
    outside = ~torch.isin(outputs.argmax(1), torch.tensor(held))
    if config.emission_windows > 1:
        more["emissions"] = _emissions(probability, label, level, classes, dataset.group)
    result = {
        "model": card.name,
        "command": command_line(config),
        "dataset": _about_data(dataset, config),
        "card": _about_model(card, network),
        "level_name": dataset.level_name,
        **measured,
        "outside_share": round(outside.double().mean().item(), 4),
        "skipped": skipped,
        **more,
    }
    maps = []
    if config.report and config.tsne:
        maps = map_features(
            network,
            dataset,
            label,
            scaling=card.scaling,
            levels_db=config.tsne_snrs_db,
            windows=config.tsne_windows,
            seed=config.seed,
        )
    return result, maps


def _emissions(
    probability: torch.Tensor,
    label: np.ndarray,
    level_db: np.ndarray | None,
    classes: tuple[str, ...],
    group: np.ndarray,
) -> dict[str, Any]:
    """Measure decisions about whole emissions, as a survey takes them."""
    _, first, emission = np.unique(group, return_index=True, return_inverse=True)
    count = np.bincount(emission)
    member = csr_array((1 / count[emission], (emission, np.arange(len(emission)))))
    together = pooled(probability.numpy(), member)
    return metrics(together, label[first], None if level_db is None else level_db[first], classes)


def command_line(config: EvaluateConfig) -> str:
    """Write the command that repeats this measurement."""
    words = ["tsddae", "train", "evaluate"]
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        default = f.default_factory() if callable(f.default_factory) else f.default
        if value != default:
            text = str(value) if isinstance(value, str | Path) else _yaml(value)
            words.append(f"--{f.name}={text}")
    return shlex.join(words)


def _yaml(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _open(config: EvaluateConfig, card: zoo.Card) -> Dataset:
    if config.dataset == "synth":
        return synthetic_set(
            config.recipe,
            window_samples=card.window_samples,
            windows_per_class=config.windows,
            seed=SYNTH_SEED,
            snrs_db=config.snrs_db,
            emission_windows=config.emission_windows,
        )
    return open_dataset(config.dataset, config.path, **config.options)


def _measurable(dataset: Dataset, config: EvaluateConfig, skipped: dict[str, int]) -> Dataset:
    """Select the labelled windows to measure, in the order of the file."""
    if config.part != "all":
        from gr_tsddae.data.splits import split

        dataset = dataset.select(getattr(split(dataset, seed=config.split_seed), config.part))
    if unknown := sorted(set(config.leave_out) - set(dataset.classes)):
        raise DatasetError(
            f"--leave_out names {', '.join(unknown)}, which {dataset.path} has not; "
            f"its classes: {', '.join(dataset.classes)}"
        )
    for name in config.leave_out:
        out = dataset.label == dataset.classes.index(name)
        skipped[f"class {name} left out"] = int(out.sum())
        dataset = dataset.select(~out)
    if unlabelled := int((dataset.label == UNLABELLED).sum()):
        skipped["unlabelled"] = skipped.get("unlabelled", 0) + unlabelled
        dataset = dataset.select(dataset.label != UNLABELLED)
    order = np.argsort(dataset.index, kind="stable")
    if config.max_windows is not None and config.max_windows < len(order):
        random = np.random.default_rng(config.seed)
        chosen = random.choice(len(order), config.max_windows, replace=False)
        skipped["not in the random subset"] = len(order) - config.max_windows
        order = order[np.sort(chosen)]
    if not len(order):
        raise DatasetError(f"{dataset.path} has no labelled windows to measure on")
    return dataset.select(order)


def _about_data(dataset: Dataset, config: EvaluateConfig) -> dict[str, Any]:
    about = {
        "kind": dataset.kind,
        "path": dataset.path,
        "window_samples": dataset.window_samples,
        "licence": dataset.licence,
        "groups": None if dataset.group is None else len(np.unique(dataset.group)),
        "closed_set": config.closed_set,
        "renamed": dict(config.rename),
        "part": config.part,
    }
    if config.part != "all":
        about["split_seed"] = config.split_seed
    if dataset.kind == "synth":
        about["windows_per_class_and_snr"] = config.windows
    return about


def _about_model(card: zoo.Card, network: nn.Module) -> dict[str, Any]:
    names = ("name", "task", "network", "window_samples", "scaling", "samples_per_symbol")
    more = ("bandwidth_multiple", "licence", "description", "weights_sha256")
    return {
        **{name: getattr(card, name) for name in (*names, *more)},
        "classes": list(card.classes),
        "parameters": sum(p.numel() for p in network.parameters()),
    }
