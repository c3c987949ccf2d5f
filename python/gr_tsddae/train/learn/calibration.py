# SPDX-License-Identifier: GPL-3.0-or-later
"""Temperature scaling: make confidence equal accuracy, without changing a decision.

Guo et al. (2017): one number T divides all logits. It is fitted on windows the network was not
trained on, and folded into the last layer, so that a user of the model need not know of it.

Where a window's parts vote (LSM), the last layer gives the logits of a part. T is then fitted
through the vote. T keeps every part's decision, but may change that of a window whose parts
disagree.
"""

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
    """Find the temperature of the highest likelihood.

    Args:
        logits: Of windows not trained on, (N, K); or the input of `vote`.
        label: Their true classes, (N,).
        vote: Makes logits of windows, (N, K), from those that the temperature divides.

    Returns:
        T, from 0.05 to 20; above 1 where the network is overconfident. 1 where every decision is
        right: the likelihood then rises towards T = 0 without end and tells nothing.

    Raises:
        ValueError: There are no windows, or a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    if not len(label):
        raise ValueError("no windows to fit a temperature on; calibrate on a validation set")
    if not logits.isfinite().all():
        raise ValueError("logits hold NaN or infinity: no temperature can be fitted")
    logits, label = logits.detach().double().cpu(), label.cpu()
    if bool((vote(logits).argmax(1) == label).all()):
        log.warning("all %d windows are right: the temperature stays 1", len(label))
        return 1.0

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(vote(logits / math.exp(log_temperature)), label).item()

    # Without a vote the loss is convex in 1/T, so that it has one minimum in log T as well.
    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return math.exp(found.x)


@torch.no_grad()
def apply_temperature(network: nn.Module, temperature: float) -> None:
    """Divide a network's outputs by the temperature, in its last layer and in place.

    Args:
        network: Its `head[-1]` is a `nn.Linear` that gives the logits.
        temperature: T.

    Raises:
        ValueError: T is not a positive number.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature}: it must be a positive number")
    last = network.head[-1]
    last.weight /= temperature
    last.bias /= temperature


def calibrate(network: nn.Module, logits: torch.Tensor, label: torch.Tensor) -> dict[str, Any]:
    """Fit the temperature and fold it into the network.

    A shift of priors comes afterwards: the fit expects the classes of the validation set.

    Args:
        network: See `apply_temperature`.
        logits: Of windows it was not trained on, (N, M, K): see `PartLogits`.
        label: Their true classes, (N,).

    Returns:
        For the card: `temperature`, `windows`, and the calibration error `ece_before` and
        `ece_after` on these windows.

    Raises:
        ValueError: See `fit_temperature`.
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
