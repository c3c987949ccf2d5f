# SPDX-License-Identifier: GPL-3.0-or-later
"""Temperature scaling: make confidence mean what it says, without changing a decision.

Guo et al. (2017): one number T divides all logits. It is fitted on windows the network was not
trained on, and folded into the last layer, so that whoever runs the model need not know of it.

Where a window's parts vote (LSM), the last layer gives the logits of a part. So T is fitted through
the vote; it keeps every part's decision, and may change that of a window whose parts disagree.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.inference.metrics import calibration_error

log = logging.getLogger(__name__)

LOWEST, HIGHEST = 0.05, 20.0


def fit_temperature(
    logits: torch.Tensor,
    label: torch.Tensor,
    vote: Callable[[torch.Tensor], torch.Tensor] = lambda logits: logits,
) -> float:
    """The temperature of the highest likelihood.

    Args:
        logits: of windows not trained on, (N, K); or what `vote` takes.
        label: their true classes, (N,).
        vote: makes logits of windows, (N, K), from those that the temperature divides.

    Returns:
        T, from 0.05 to 20: above 1 where the network is too sure of itself. 1 where every decision
        is right, since likelihood then rises towards T = 0 without end and tells nothing.

    Raises:
        ValueError: when there are no windows, or a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    if not len(label):
        raise ValueError("no windows to fit a temperature on; calibrate on a validation part")
    if not logits.isfinite().all():
        raise ValueError("logits hold NaN or infinity: no temperature can be fitted")
    logits, label = logits.detach().double().cpu(), label.cpu()
    if bool((vote(logits).argmax(1) == label).all()):
        log.warning("all %d windows are right: the temperature stays 1", len(label))
        return 1.0

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(vote(logits / math.exp(log_temperature)), label).item()

    # In 1/T the loss is convex where nothing votes, so that it has one minimum in log T as well.
    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return math.exp(found.x)


@torch.no_grad()
def apply_temperature(network: nn.Module, temperature: float) -> None:
    """Divide a network's outputs by the temperature, by way of its last layer, in place.

    Args:
        network: its `head[-1]` is a `nn.Linear` that gives the logits.
        temperature: T.

    Raises:
        ValueError: when T is not a positive number.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}: it must be a positive number")
    last = network.head[-1]
    last.weight /= temperature
    last.bias /= temperature


def calibrate(network: nn.Module, logits: torch.Tensor, label: torch.Tensor) -> dict[str, Any]:
    """Fit the temperature and fold it into the network.

    A shift of priors belongs after it: the fit sees classes as often as the validation part has
    them.

    Args:
        network: see `apply_temperature`.
        logits: what its last layer gives for windows it was not trained on, (N, M, K): see
            `PartLogits`.
        label: their true classes, (N,).

    Returns:
        For the card: `temperature`, `windows`, and the calibration error `ece_before` and
        `ece_after` on these windows.

    Raises:
        ValueError: see `fit_temperature`.
    """
    logits, label = logits.detach().cpu(), label.cpu()
    temperature = fit_temperature(logits, label, network.vote)
    apply_temperature(network, temperature)
    before, after = (
        calibration_error(network.vote(logits / t).softmax(1), label) for t in (1.0, temperature)
    )
    return {
        "temperature": round(temperature, 4),
        "windows": len(label),
        "ece_before": before,
        "ece_after": after,
    }
