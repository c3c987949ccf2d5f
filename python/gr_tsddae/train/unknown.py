# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a model say `unknown`: measure its scores, and write one with a threshold into its card.

The threshold comes from emissions of the classes alone. Signals of no class only judge.
"""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.special import softmax

from gr_tsddae import zoo
from gr_tsddae.inference.metrics import rounded, unknown_metrics
from gr_tsddae.inference.rejection import EnergyAndDistance
from gr_tsddae.synth.air import outliers
from gr_tsddae.synth.air.recipe import SENDERS, Draw, draw_at_any_snr
from gr_tsddae.train.config import at_least
from gr_tsddae.train.measure.strangeness import Outputs, all_scores, outputs

log = logging.getLogger(__name__)

SEED = 4_100_000_000  # far from the seeds of training and of other measurements


@dataclass(frozen=True, kw_only=True)
class UnknownConfig:
    """Choose how a model tells signals of no class, and write it into the model's card.

    Windows are those of the recipe `air`: every class that the model shares with it, and signals of
    no class. Some kinds of these a training may have used (`air-open` does); the others never.

    Attributes:
        model: Name of a model that wants a multiple of the bandwidth, or its folder.
        score: The score that goes into the card; all are measured.
        recall: Share of the emissions of the classes that stays known.
        windows: Windows per class, and twice as many per kind of no class.
        emission_windows: Windows of one emission, whose scores are averaged as a survey does.
        snr_db: Lowest and highest SNR in the occupied bandwidth.
        write: Write the card; false measures alone.
    """

    model: str
    score: Literal["energy", "max_probability", "max_logit", "energy_and_distance"] = "max_logit"
    recall: float = 0.95
    windows: int = 400
    emission_windows: int = 8
    snr_db: tuple[float, float] = (5.0, 30.0)
    write: bool = True

    def __post_init__(self) -> None:
        if not 0.5 <= self.recall < 1:
            raise ValueError(f"recall is {self.recall}: it is from 0.5 to below 1")
        at_least(1, self, "emission_windows")
        at_least(10 * self.emission_windows, self, "windows")
        if not self.snr_db[0] <= self.snr_db[1]:
            raise ValueError(f"snr_db is {self.snr_db}: give the lowest and the highest")


def unknown(config: UnknownConfig) -> dict[str, Any]:
    """Run the command: measure, print, and write the card.

    Returns:
        What the card says, see `zoo.Card.rejection`.

    Raises:
        ValueError: The model does not fit the windows.
    """
    model = zoo.load(config.model)
    card = model.card
    zoo.need_classes(card)
    known = {name: SENDERS[name] for name in card.classes if name in SENDERS}
    if not card.bandwidth_multiple or len(known) < 2:
        raise ValueError(
            f"{card.name} is no model of the air: it must want a multiple of the bandwidth, and "
            f"share at least 2 classes with the recipe air ({', '.join(SENDERS)})"
        )
    fitted, label = _outputs(model, known, config, config.windows, SEED)
    ours, label_of_ours = _outputs(model, known, config, config.windows, SEED + 1)
    learned, _ = _outputs(model, outliers.LEARNED, config, 2 * config.windows, SEED + 2)
    judges, kind = _outputs(model, outliers.JUDGES, config, 2 * config.windows, SEED + 3)
    of_windows = all_scores((fitted, label), ours, learned, judges)
    scores = {
        name: [of_emissions(each, config.emission_windows) for each in sets]
        for name, sets in of_windows.items()
    }
    columns = np.array([card.classes.index(name) for name in known])
    probabilities = of_emissions(softmax(ours.logits, axis=1), config.emission_windows)
    right = probabilities.argmax(1) == columns[label_of_ours[:: config.emission_windows]]
    kind = kind[:: config.emission_windows]
    log.info("%-26s %s", "in percent", "of kinds never learned: AUROC, FPR at 95 %, OSCR; others")
    for name, (of_known, of_learned, of_judges) in scores.items():
        measured = unknown_metrics(of_known, right, of_judges)
        beside = unknown_metrics(of_known, right, of_learned)
        log.info("%-26s %s; %s", name, _percent(measured), _percent(beside))
    rejection = _rejection(config, scores[config.score], right, kind)
    if config.score == EnergyAndDistance.NAME:
        fit = EnergyAndDistance.fit(fitted.logits, label)
        rejection["reference"] = fit.reference()
    if config.write:
        zoo.save(model.folder, dataclasses.replace(card, rejection=rejection), model.network)
        log.info("wrote %s", model.folder / zoo.CARD_FILE)
    return rejection


def _outputs(
    model: zoo.Model, senders: Mapping[str, Draw], config: UnknownConfig, count: int, seed: int
) -> tuple[Outputs, np.ndarray]:
    """Draw `count` windows per sender; return outputs of the network and numbers of senders."""
    generator = torch.Generator().manual_seed(seed)
    together = config.emission_windows
    count = count // together * together
    which = torch.arange(len(senders)).repeat_interleave(count)
    drawn = draw_at_any_snr(
        list(senders.values()), which, config.snr_db, window_samples=model.card.window_samples,
        generator=generator, together=together,
    )  # fmt: skip
    found = [outputs(model.network, rows, scaling=model.card.scaling) for rows in drawn]
    features = {
        layer: np.concatenate([each.features[layer] for each in found])
        for layer in found[0].features
    }
    return Outputs(np.concatenate([each.logits for each in found]), features), which.numpy()


def of_emissions(of_windows: np.ndarray, windows: int) -> np.ndarray:
    """Average over emissions of so many windows in turn: (B, ...) -> (B // windows, ...)."""
    return of_windows.reshape(-1, windows, *of_windows.shape[1:]).mean(1)


def _rejection(
    config: UnknownConfig, scores: list[np.ndarray], right: np.ndarray, kind: np.ndarray
) -> dict[str, Any]:
    """Describe the chosen score for the card."""
    of_known, of_learned, of_judges = scores
    threshold = float(np.quantile(of_known, config.recall, method="inverted_cdf"))
    return {
        "score": config.score,
        "threshold": threshold,
        "recall": config.recall,
        "snr_db": list(config.snr_db),
        "windows_per_class": config.windows,
        "emission_windows": config.emission_windows,
        "never_learned": unknown_metrics(of_known, right, of_judges),
        "perhaps_learned": unknown_metrics(of_known, right, of_learned),
        "rejected": {
            name: rounded((of_judges[kind == i] > threshold).mean())
            for i, name in enumerate(outliers.JUDGES)
        },
    }


def _percent(measured: Mapping[str, float]) -> str:
    return " ".join(f"{100 * value:5.1f}" for value in measured.values())
