# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations are counted as one does by hand, in fused layers too."""

import pytest
from torch import nn

from gr_tsddae import nets
from gr_tsddae.bench import cost


def test_operations_are_counted_by_hand():
    network = nn.Sequential(nn.Conv1d(2, 4, 3, bias=False), nn.Flatten(), nn.Linear(4 * 6, 5))
    wanted = 2 * (2 * 4 * 3 * 6 + 4 * 6 * 5)
    assert cost.flop_per_window(network, 8) == wanted


@pytest.mark.parametrize("kind", ["transformer", "gru", "lstm"])
def test_fused_layers_are_counted(kind):
    class Fused(nn.Module):
        def __init__(self):
            super().__init__()
            if kind in ("gru", "lstm"):
                self.layer = getattr(nn, kind.upper())(2, 4, batch_first=True)
            else:
                self.layer = nn.TransformerEncoderLayer(2, 1, 4, batch_first=True)

        def forward(self, rows):
            return self.layer(rows.transpose(1, 2))

    steps = 16
    if kind in ("gru", "lstm"):
        gates = {"gru": 3, "lstm": 4}[kind]
        wanted = 2 * steps * gates * (2 * 4 + 4 * 4)
    else:
        wanted = 2 * steps * (2 * 6 + 2 * 2 + 2 * (2 * 4)) + 2 * 2 * steps * steps * 2
    frozen = Fused().requires_grad_(False)  # as a model on disk comes back
    assert cost.flop_per_window(frozen, steps) == wanted


def test_work_is_that_of_the_paper_and_of_attention():
    base = nets.create("tsnet-base", class_count=11).eval()
    products = 4 * 2 * 2 * 128**2 * 256  # layers, products, mul + add, N^2 C
    assert cost.flop_per_window(base, 128) == 1_753_814_528 + products
