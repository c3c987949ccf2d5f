# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/add-a-network.md, followed to the letter: a file of one's own, a package, a line of ours."""

import re
import sys
from importlib import import_module

import pytest
import torch
from pages import DOCS, commands, run, write_files

from gr_tsddae import nets, zoo

PAGE = "add-a-network.md"


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """The page's module, imported as a program of one's own would; forgotten afterwards."""
    write_files(PAGE, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(nets._REGISTRY, "_places", dict(nets._REGISTRY._places))
    monkeypatch.delitem(sys.modules, "lines", raising=False)
    yield import_module("lines")
    sys.modules.pop("lines", None)


def test_the_network_of_the_page(lines):
    assert "lines" in nets.names()
    network = nets.create("lines", class_count=11)
    for length in (128, 1024):
        assert network(torch.ones(1, 2, length)).shape == (1, 11)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert f"{count:,} for 11 classes" in lines.__doc__
    with pytest.raises(ValueError, match=r"^width is 5000: it must be from 1 to 1024"):
        nets.create("lines", class_count=11, width=5000)
    with pytest.raises(ValueError, match="'lines' cannot be pre-trained by denoising"):
        nets.create_denoiser("lines")


@pytest.mark.timeout(600)
def test_trained_by_the_commands_of_the_page_and_loaded(tmp_path, lines):
    pytest.importorskip("lightning", reason="training is not installed")
    train, _ = commands(PAGE)
    assert "\nlines         Lines: one convolution" in "\n" + run(train, tmp_path)
    model = zoo.load(tmp_path / "my-lines")
    assert type(model.network) is lines.Lines and model.network.backbone.config.width == 16


def test_offered_by_the_package_of_the_page(tmp_path):
    pytest.importorskip("setuptools", reason="no setuptools")
    write_files(PAGE, tmp_path)
    _, install = commands(PAGE)
    assert "\nlines         Lines: one convolution" in run(install, tmp_path)


def test_one_line_makes_it_ours():
    """The page shows a line as those of `_NETWORKS` are."""
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    name, entry = re.search(r'^ +"(\w+)": "([\w.:]+)",$', page, re.MULTILINE).groups()
    assert name not in nets._NETWORKS and entry == "baselines.lines:Lines"
    assert sum(at.startswith("baselines.") for at in nets._NETWORKS.values()) > 10
