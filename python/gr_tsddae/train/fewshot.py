# SPDX-License-Identifier: GPL-3.0-or-later
"""Few shots (paper, Section 4.3): fine-tune on K windows of each class at each SNR."""

import dataclasses

from gr_tsddae import zoo
from gr_tsddae.files import write_json
from gr_tsddae.train.config import FewshotConfig
from gr_tsddae.train.finetune import train_classifier
from gr_tsddae.train.run.run import Run
from gr_tsddae.train.windows.sources import DatasetSource


def fewshot(config: FewshotConfig) -> dict[int, zoo.Card | None]:
    """Fine-tune once per number of shots, into the folders `config.out/25-shot` and so on.

    Validation and test set are those of a fine-tuning on the whole data set.

    Returns:
        Shots -> card, as `finetune`.

    Raises:
        ValueError: As `finetune`; or a class has too few windows at an SNR.
    """
    source = DatasetSource(config.data, labelled=True)
    cards = {}
    with Run(config, validated=True).alone():
        for shots in config.shots:
            one = dataclasses.replace(
                config,
                name=f"{config.name}-{shots}-shot",
                out=config.out / f"{shots}-shot",
                shots=(shots,),
            )
            cards[shots] = train_classifier(one, source.few_shot(shots))
        if all(cards.values()):
            write_json(
                config.out / "metrics.json",
                {shots: dict(card.accuracy) for shots, card in cards.items()},
            )
    return cards
