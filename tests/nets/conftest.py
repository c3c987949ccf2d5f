# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several networks ask."""

from collections.abc import Callable

import pytest
from torch import nn


def _unreached(network: nn.Module) -> list[str]:
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not (parameter.grad.any() or name.endswith("bias"))
    ]


@pytest.fixture(scope="session")
def unreached() -> Callable[[nn.Module], list[str]]:
    """Names the parameters of a network in training that a loss gave no gradient.

    Biases may have none: where a BatchNorm follows it takes them away, but for rounding. The walk
    over all networks looks at them in evaluation mode.
    """
    return _unreached
