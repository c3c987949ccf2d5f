# SPDX-License-Identifier: GPL-3.0-or-later
"""Another model is loaded on a thread: the last one asked for counts, and a bad one is said."""

import threading
from typing import ClassVar

import pytest
from waiting import PATIENCE_S

from gr_tsddae.blocks.network.model_loader import ModelLoader


class Fake:
    """A network that remembers how it was made; some models make it fail, or wait."""

    made: ClassVar[list["Fake"]] = []
    begun, gate = threading.Event(), threading.Event()  # of the model "slow"

    def __init__(self, model, *, device="cpu", precision="float32", batch_windows=64, **more):
        if model == "slow":
            self.begun.set()
            self.gate.wait(PATIENCE_S)
        if model == "broken":
            raise OSError("its weights are cut short")
        self.model, self.device, self.precision = model, device, precision
        self.batch_windows, self.more = batch_windows, more
        self.window_samples = 1024 if model == "long" else 128
        Fake.made.append(self)


class WithEngine(Fake):
    engine_wanted = "openvino"


@pytest.fixture(autouse=True)
def fresh():
    Fake.made, Fake.begun, Fake.gate = [], threading.Event(), threading.Event()


def loaded(loader):
    loader.wait()
    return loader.outcome()


def test_the_new_network_takes_over_how_the_running_one_works():
    loader, running = ModelLoader(), Fake("old", device="cuda:1", precision="bfloat16")
    running.batch_windows = 7
    loader.request("new", running)
    found = loaded(loader)
    assert (found.model, found.device, found.precision, found.batch_windows, found.more) == (
        "new", "cuda:1", "bfloat16", 7, {},
    )  # fmt: skip
    assert loader.outcome() is None, "an outcome is told once"


def test_an_engine_is_asked_for_where_networks_have_one():
    loader = ModelLoader()
    loader.request("new", WithEngine("old"))
    assert loaded(loader).more == {"engine": "openvino"}


@pytest.mark.parametrize(
    ("model", "reason"), [("broken", "cut short"), ("long", "windows have 1024 samples.*cuts 128")]
)
def test_a_model_that_cannot_be_used_is_said_and_not_given(model, reason):
    loader = ModelLoader()
    loader.request(model, Fake("old"))
    with pytest.raises((OSError, ValueError), match=reason):
        raise loaded(loader)


@pytest.mark.parametrize("model", ["", None, 5])
def test_what_is_no_name_is_refused_at_once(model):
    with pytest.raises(ValueError, match="give a model's name or folder"):
        ModelLoader().request(model, Fake("old"))


def test_of_several_in_a_row_the_last_counts():
    loader, running = ModelLoader(), Fake("old")
    loader.request("slow", running)
    assert Fake.begun.wait(PATIENCE_S)
    loader.request("first", running)
    loader.request("last", running)
    Fake.gate.set()
    assert loaded(loader).model == "last"
    assert [network.model for network in Fake.made] == ["old", "slow", "last"]
