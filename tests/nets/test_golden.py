# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs that must not change: a trained model means what it meant, whatever is rebuilt inside.

Weights and windows come from formulas, so the numbers in golden.json do not depend on torch's
random generators. After a change that is meant to change outputs, write them anew:

    GR_TSDDAE_WRITE_GOLDEN=1 python -m pytest tests/nets/test_golden.py
"""

import json
import os
from pathlib import Path

import pytest
import torch

from gr_tsddae import nets
from gr_tsddae.nets.heads import TSNetDenoiser
from gr_tsddae.nets.tsnet import SIZES

FILE = Path(__file__).with_name("golden.json")
WRITE = bool(os.environ.get("GR_TSDDAE_WRITE_GOLDEN"))


def windows():
    """(2, 2, 128): two tones of different frequency, one fading."""
    n = torch.arange(128, dtype=torch.float64)
    phase = torch.stack((0.21 * n, 1.3 * n + 0.001 * n**2))
    level = torch.stack((torch.ones_like(n), torch.exp(-n / 64)))
    return (torch.stack((phase.cos(), phase.sin()), 1) * level[:, None]).float()


def check(name, values):
    golden = json.loads(FILE.read_text()) if FILE.exists() else {}
    if WRITE:
        golden[name] = [float(f"{value:.7g}") for value in values.flatten().tolist()]
        FILE.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n")
    wanted = torch.tensor(golden[name]).view_as(values)
    torch.testing.assert_close(values, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", nets.names())
@torch.inference_mode()
def test_classifier_outputs(name, fill):
    check(name, fill(nets.create(name, class_count=11))(windows()))


@torch.inference_mode()
def test_denoiser_outputs(fill):
    network = fill(TSNetDenoiser(SIZES["mini"]))
    temporal, spectral = network(windows(), torch.tensor([4, 1500]))
    check("tsnet-mini denoiser", torch.stack((temporal, spectral))[..., ::32])
