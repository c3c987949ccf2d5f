# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a larger TS-Net from a trained one: deeper, or one that sees more."""

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


def can_see_more(plain: TSNet, derived: TSNet) -> bool:
    """Tell whether the second network sees derived rows, and nothing else differs but dropout."""
    same = dataclasses.replace(
        plain.config,
        derived=True,
        dropout=derived.config.dropout,
        drop_path=derived.config.drop_path,
    )
    return same == derived.config and not plain.config.derived


@torch.no_grad()
def see_more(plain: TSNet, derived: TSNet) -> None:
    """Give `derived` the weights of `plain`; it begins with weights of zero for the further rows.

    Raises:
        ValueError: when the networks differ in more than the rows they see.
    """
    if not can_see_more(plain, derived):
        raise ValueError(
            f"a network of {plain.config} cannot grow into one of {derived.config}: "
            "only the option derived may differ, and the second must have it"
        )
    weights = plain.state_dict()
    for name, wanted in derived.state_dict().items():
        had = weights[name]
        if had.shape != wanted.shape:  # of a projection, (C, rows, kernel)
            weights[name] = torch.zeros_like(wanted)
            weights[name][:, : had.shape[1]] = had
    derived.load_state_dict(weights)


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
