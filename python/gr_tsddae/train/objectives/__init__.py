# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks to pre-train networks with, by name; none of them looks at labels."""

from gr_tsddae.train.config import PretrainConfig
from gr_tsddae.train.objectives.denoising import Denoising, Restoration
from gr_tsddae.train.objectives.masked import MaskedReconstruction
from gr_tsddae.train.objectives.objective import Objective
from gr_tsddae.train.objectives.patches import PatchContrast
from gr_tsddae.train.objectives.simclr import SemiAMC, SimCLR
from gr_tsddae.train.objectives.simsiam import SimSiam

OBJECTIVES: dict[str, type[Objective]] = {
    "noise": Denoising,
    "single": Restoration,
    "masked": MaskedReconstruction,
    "lsm": PatchContrast,
    "simclr": SimCLR,
    "simsiam": SimSiam,
    "semiamc": SemiAMC,
}


def objectives_of(network: str) -> list[str]:
    """List the objectives that a network can be pre-trained with."""
    return [name for name, kind in OBJECTIVES.items() if network in kind.networks()]


def objective_of(config: PretrainConfig) -> type[Objective]:
    """Look up the objective of a configuration.

    Raises:
        ValueError: The network cannot be pre-trained with it.
    """
    kind, network = OBJECTIVES[config.objective], config.network.name
    if network not in kind.networks():
        raise ValueError(
            f"objective {config.objective!r} takes no {network}, but "
            f"{', '.join(kind.networks())}; {network} can be pre-trained with "
            f"{', '.join(objectives_of(network))}"
        )
    return kind
