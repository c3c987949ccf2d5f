# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a deeper TS-Net from a trained shallow one, with nearly the same output."""

import dataclasses

import torch
from torch import nn

from gr_tsddae.nets.tsnet.network import TSNet


def can_deepen(shallow: TSNet, deep: TSNet) -> bool:
    """Tell whether two networks differ in their number of layers alone (and in dropout)."""
    same = dataclasses.replace(
        shallow.config,
        layers=deep.config.layers,
        dropout=deep.config.dropout,
        drop_path=deep.config.drop_path,
    )
    return same == deep.config and shallow.config.layers < deep.config.layers


@torch.no_grad()
def deepen(shallow: TSNet, deep: TSNet) -> None:
    """Give `deep` the weights of `shallow`; its further layers nearly pass on their input.

    The last linear map of every residual branch starts at zero, and so do the weight of the other
    embedding and the step; the last norm of a layer is that of the layer before. Only the norms
    in between and the SiLU behind Eq. 12, which no weight can open, change anything.

    Raises:
        ValueError: when the networks differ in more than their layers.
    """
    if not can_deepen(shallow, deep):
        raise ValueError(
            f"a network of {shallow.config} cannot grow into one of {deep.config}: "
            "only the number of layers may differ, and the second must have more"
        )
    deep.load_state_dict(shallow.state_dict(), strict=False)
    kept = shallow.config.layers
    for temporal in deep.temporal[kept:]:
        if deep.config.coupled:
            temporal.cross_scale.zero_()
        _silence(
            temporal.step,
            temporal.feedforward_in.contract,
            temporal.attention.out,
            temporal.conv.contract,
            temporal.feedforward_out.contract,
        )
        temporal.norms[-1].load_state_dict(deep.temporal[kept - 1].norms[-1].state_dict())
    for spectral in deep.spectral[kept:]:
        if deep.config.coupled:
            spectral.cross_scale.zero_()
        _silence(
            spectral.step,
            spectral.local.second,
            spectral.attended.norm_out,
            spectral.feedforward.contract,
        )
        spectral.norms[-1].load_state_dict(deep.spectral[kept - 1].norms[-1].state_dict())


def _silence(*modules: nn.Module) -> None:
    for module in modules:
        module.weight.zero_()
        module.bias.zero_()
