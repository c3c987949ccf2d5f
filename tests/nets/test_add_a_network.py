# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/add-a-network.md: its network becomes one of ours by the line the page gives."""

import re
import sys
import types
from pathlib import Path

import pytest
import torch

from gr_tsddae import nets

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-network.md"


def test_the_network_of_the_page(monkeypatch):
    text = PAGE.read_text()
    source = re.search(r"```python\n(# lines\.py\n.*?)```", text, re.DOTALL)[1]
    name, entry = re.search(r'^    "(\w+)": "([\w.:]+)",$', text, re.MULTILINE).groups()
    module = types.ModuleType(f"gr_tsddae.nets.{entry.partition(':')[0]}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source, module.__dict__)
    monkeypatch.setitem(nets._NETWORKS, name, entry)
    assert name in nets.names()
    network = nets.create(name, class_count=11)
    for length in (128, 1024):
        assert network(torch.ones(1, 2, length)).shape == (1, 11)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert f"{count:,} for 11 classes" in module.__doc__
    with pytest.raises(ValueError, match=r"^width is 5000: it is from 1 to 1024"):
        nets.create(name, class_count=11, width=5000)
    with pytest.raises(ValueError, match=f"'{name}' cannot be pre-trained by denoising"):
        nets.create_denoiser(name)
