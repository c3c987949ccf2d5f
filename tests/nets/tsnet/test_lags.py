# SPDX-License-Identifier: GPL-3.0-or-later
"""TS-Net's option `lags`: the autocorrelation that it sees, and where it is used."""

import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.nets.tsnet.folded import FoldedTSNet
from gr_tsddae.nets.tsnet.inputs import WAVES, rows_of, spectrum_rows, time_rows

OPTIONS = {"layers": 1, "stride_samples": 16, "kernel_samples": 16, "lags": True}


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "derived"])
def network(request):
    torch.manual_seed(3)
    made = nets.create(
        "tsnet-nano", class_count=4, window_samples=256, derived=request.param, **OPTIONS
    )
    return made.eval()


def test_a_repeated_window_stands_out_at_its_period(network):
    generator = torch.Generator().manual_seed(1)
    half = torch.randn(8, 2, 128, generator=generator)
    rows = torch.cat((half, half), 2)
    rows = rows / rows.square().sum(1).mean(1).sqrt()[:, None, None]
    config = network.backbone.config
    time, frequency = rows_of(config, rows)
    assert time.shape == (8, time_rows(config), 256)
    assert frequency.shape == (8, spectrum_rows(config), 256)
    lags = time[:, -2 * WAVES - 1]
    # |sum of x x*|^2 / L is L where all repeats, and near 1 where nothing does.
    assert lags[:, 0].exp().numpy() == pytest.approx([256.1] * 8, rel=1e-3)
    assert lags[:, 128].exp().numpy() == pytest.approx([256.1] * 8, rel=1e-3)
    assert lags[:, 20:108].exp().mean() < 10


def test_a_turned_carrier_changes_no_lag(network):
    generator = torch.Generator().manual_seed(2)
    iq = torch.randn(4, 256, dtype=torch.complex64, generator=generator)
    turned = iq * torch.polar(torch.ones(256), 2 * torch.pi * 7 / 256 * torch.arange(256))
    one, other = (
        rows_of(network.backbone.config, torch.stack((w.real, w.imag), 1))[0][:, -2 * WAVES - 1]
        for w in (iq, turned)
    )
    assert torch.allclose(one, other, atol=1e-3)


def test_the_folded_network_says_the_same(network):
    rows = torch.randn(5, 2, 256, generator=torch.Generator().manual_seed(4))
    folded = FoldedTSNet(network, 256)
    with torch.no_grad():
        assert torch.allclose(folded(rows), network(rows), atol=1e-3)


def test_the_option_is_a_truth():
    with pytest.raises(ValueError, match="lags is 3: it must be true or false"):
        nets.create("tsnet-nano", class_count=4, window_samples=256, **OPTIONS | {"lags": 3})
