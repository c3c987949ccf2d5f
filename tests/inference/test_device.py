# SPDX-License-Identifier: GPL-3.0-or-later
"""The device and the precision that a user's words mean."""

import pytest
import torch

from gr_tsddae.inference import device
from gr_tsddae.inference.device import resolve_device, resolve_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


@pytest.mark.parametrize("gpu_count", [0, 2])
def test_auto_is_a_gpu_where_there_is_one(monkeypatch, gpu_count):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu_count > 0)
    assert resolve_device("auto").type == ("cuda" if gpu_count else "cpu")
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("word", ["gpu", "", "cuda:x", "meta", "mps", "tpu"])
def test_an_unknown_device_is_refused(word):
    with pytest.raises(ValueError, match=f"device '{word}' is not known; use auto, cpu"):
        resolve_device(word)


@pytest.mark.parametrize(("word", "gpu_count"), [("cuda", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_refused(monkeypatch, word, gpu_count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpu_count)
    with pytest.raises(ValueError, match=f"'{word}': torch sees {gpu_count} .* use auto or cpu"):
        resolve_device(word)


def test_one_of_several_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == GPU


@pytest.mark.parametrize("fast", [True, False])
def test_auto_precision_is_bfloat16_where_that_is_fast(monkeypatch, fast):
    asked = []
    monkeypatch.setattr(device, "multiplies_bfloat16_fast", lambda kind: asked.append(kind) or fast)
    assert resolve_precision("auto", GPU) == (torch.bfloat16 if fast else torch.float32)
    assert resolve_precision("float32", GPU) == torch.float32
    assert resolve_precision("bfloat16", CPU) == torch.bfloat16
    assert asked == ["cuda"]


@pytest.mark.parametrize("word", ["float16", "half", ""])
def test_an_unknown_precision_is_refused(word):
    with pytest.raises(ValueError, match=f"precision '{word}': choose auto, float32 or bfloat16"):
        resolve_precision(word, CPU)
