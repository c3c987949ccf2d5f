# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several rooms share: one thread, and a small model that never saw a signal."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gr_tsddae import nets, zoo
from gr_tsddae.synth import CLASSES

MODEL_NAME = "amc-untrained"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks so small are fastest on one thread: several wait for each other longer than work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # of the processes that tests start
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def application() -> Iterator[Any]:
    """Qt's application, one for all tests of a process: Qt may abort at a second one."""
    widgets = pytest.importorskip("PyQt5.QtWidgets", reason="PyQt5 is not installed")
    if "DISPLAY" not in os.environ:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    made = widgets.QApplication.instance() or widgets.QApplication([])
    yield made
    made.processEvents()


@torch.no_grad()
def _fill(network: nn.Module) -> nn.Module:
    for number, (name, value) in enumerate(network.state_dict().items()):
        if not value.is_floating_point():
            continue
        index = torch.arange(value.numel(), dtype=torch.float64)
        wave = torch.sin(0.7 * index + 1.3 * number + 0.01 * index**1.5).view(value.shape)
        if "running_var" in name:
            value.copy_(1 + 0.3 * wave)
        elif value.ndim > 1:
            value.copy_(wave * (2 / value[0].numel()) ** 0.5)
        else:
            gain = name.endswith(("weight", ".scale"))  # of a norm or a channel; biases are near 0
            value.copy_(float(gain) + 0.1 * wave)
    return network.eval()


@pytest.fixture(scope="session")
def fill() -> Callable[[nn.Module], nn.Module]:
    """Gives a network weights by a formula: the same with every version of torch."""
    return _fill


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An untrained tsnet-nano for 128 samples; `zoo` finds it by its name, amc-untrained."""
    models = tmp_path_factory.mktemp("models")
    card = zoo.Card(
        name=MODEL_NAME,
        task="amc",
        network="tsnet-nano",
        classes=CLASSES,
        window_samples=128,
        scaling="unit_power",
        samples_per_symbol=8.0,
        weights_sha256="",
        licence="GPL-3.0-or-later",
    )
    network = _fill(nets.create("tsnet-nano", class_count=len(CLASSES)))
    zoo.save(models / MODEL_NAME, card, network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(zoo.PATH_VARIABLE, str(models))
        yield models / MODEL_NAME


@pytest.fixture(scope="session")
def bandwidth_model(model_folder: Path) -> Path:
    """The same network, for signals at four times their bandwidth: air-untrained."""
    model = zoo.load(model_folder)
    card = dataclasses.replace(
        model.card, name="air-untrained", samples_per_symbol=None, bandwidth_multiple=4.0
    )
    zoo.save(model_folder.parent / card.name, card, model.network)
    return model_folder.parent / card.name


@pytest.fixture(scope="session")
def one_rate_model(model_folder: Path) -> Path:
    """The same network, for all signals at 100 kS/s: rate-untrained."""
    model = zoo.load(model_folder)
    card = dataclasses.replace(
        model.card, name="rate-untrained", task="wtc", samples_per_symbol=None, sample_rate_hz=100e3
    )
    zoo.save(model_folder.parent / card.name, card, model.network)
    return model_folder.parent / card.name


@pytest.fixture(scope="session")
def recordings() -> Path:
    """A folder of genuine recordings and released windows, for those who have one."""
    folder = os.environ.get("GR_TSDDAE_RECORDINGS")
    if not folder:
        pytest.skip("GR_TSDDAE_RECORDINGS names no folder with recordings")
    return Path(folder)
