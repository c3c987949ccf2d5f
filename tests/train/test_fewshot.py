# SPDX-License-Identifier: GPL-3.0-or-later
"""Few shots: as many windows as asked for, and the test set of everybody."""

import json

from gr_tsddae import zoo
from gr_tsddae.train.config import FewshotConfig
from gr_tsddae.train.fewshot import fewshot


def test_one_model_per_number_of_shots(settings):
    config = settings(FewshotConfig, shots=(2, 4), trainer={"epochs": 1})
    cards = fewshot(config)
    for shots in (2, 4):
        card = zoo.load(config.out / f"{shots}-shot").card
        assert card == cards[shots]
        assert card.name == f"tiny-{shots}-shot"
        assert card.training["windows"] == {
            "train": shots * 4, "validation": 32, "test": 32,
        }  # fmt: skip
    found = json.loads((config.out / "metrics.json").read_text())
    assert found["2"]["accuracy"] == cards[2].accuracy["accuracy"]
