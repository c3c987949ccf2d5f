# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped model of wireless technologies: what it says of fresh windows and of recordings."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gr_tsddae import classify
from gr_tsddae.inference.recognizer import Recognizer
from gr_tsddae.iq.windows import to_complex
from gr_tsddae.synth import RECIPES, draw, wtc

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer("wtc-small", device="cpu")


def test_its_card_says_what_it_wants(recognizer):
    card = recognizer.card
    assert card.task == "wtc" and card.classes == wtc.CLASSES
    assert card.sample_rate_hz == wtc.RATE_HZ and card.window_samples == 1024
    assert card.samples_per_symbol is None and card.bandwidth_multiple is None
    assert "no recording" in card.training["source"]


@pytest.mark.parametrize(("snr_db", "least"), [(8.0, 0.7), (24.0, 0.75)])
def test_it_names_windows_that_it_never_saw(recognizer, snr_db, least):
    count = 40
    label = torch.arange(len(wtc.CLASSES)).repeat_interleave(count)
    rows = draw(
        RECIPES["wtc"],
        label,
        torch.full((len(label),), snr_db),
        window_samples=1024,
        generator=torch.Generator().manual_seed(987_654),
    )
    said = recognizer.window_probabilities(to_complex(rows).numpy()).argmax(1)
    right = (said == label.numpy()).reshape(-1, count).mean(1)
    assert right.mean() > least and right.min() > 0.4, dict(zip(wtc.CLASSES, right, strict=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("lte-downlink", "LTE"), ("wifi-80211a", "Wi-Fi"), ("nfm-2m-voice", None)],
)
def test_what_it_says_of_the_shipped_recordings(name, expected, monkeypatch, capsys):
    """Of most stretches with a signal in them, by the command; None: none of the technologies."""
    path = str(DATA / f"{name}.sigmf-meta")
    monkeypatch.setattr(
        sys, "argv", ["classify", path, "--model", "wtc-small", "--json", "--quiet"]
    )
    assert classify.main() == 0
    decisions = json.loads(capsys.readouterr().out)
    said = np.array([d["label"] for d in decisions])
    said = said[said != "noise"]
    if expected:
        assert (said == expected).mean() > 0.5, said
    else:
        assert (said == "other").mean() > 0.5, said
