# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of a benchmark are what its scores bear out."""

import dataclasses

from gr_tsddae.train.experiments.comparison import findings
from gr_tsddae.train.experiments.table import Row


@dataclasses.dataclass
class Known:
    """A row with given scores."""

    network: str
    protocol: str
    row: Row


def known(network, published, *scores):
    class Given(Row):
        def scores(self):
            return {"average": dict(enumerate(scores, 1))}

    said = {} if published is None else {"average": published}
    return Known(network, "scratch", Given(name=network, jobs={}, published=said))


def test_findings_say_who_is_ahead_and_what_stands_the_other_way_round():
    lines = findings(
        [
            known("a", 60.0, 50, 51, 52),
            known("b", 50.0, 56, 57.2, 58),
            known("c", 40.0, 49, 53, 50),
        ],
        "average",
    )
    text = "\n".join(lines)
    assert "scratch: b is ahead with 57.07 (mean over 3 seeds)" in text
    assert "b − a: +6.07, standard error 0.07 over 3 seeds" in text
    assert "b − c: +6.40" in text
    assert "Spearman +0.50; 1 of 3 pairs stand the other way round, 1 of them" in text
    assert "beyond chance: b (scratch) over a (scratch)" in text


def test_the_order_is_of_common_seeds_and_published_ties_have_none():
    rows = [
        known("a", 60.0, 50),
        known("b", 50.0, 49, 60),  # ahead of a by its second seed alone
        known("tied", 50.0, 40, 41),
    ]
    text = "\n".join(findings(rows, "average"))
    assert "0 of 2 pairs stand the other way round" in text


def test_one_seed_tells_no_chance():
    text = "\n".join(findings([known("a", None, 50.0), known("b", None, 49.0)], "average"))
    assert "a − b: +1.00; one seed, so chance cannot be told from effect" in text
    assert "Spearman" not in text


def test_pre_training_is_held_against_the_same_network_from_scratch():
    tuned = dataclasses.replace(known("a", None, 52, 53), protocol="finetuned")
    few = dataclasses.replace(known("a", None, 30, 31), protocol="5-shot")
    few_scratch = dataclasses.replace(known("a", None, 30, 30), protocol="5-shot-scratch")
    lines = findings([known("a", None, 50, 51), tuned, few, few_scratch], "average")
    assert [line.partition(" (")[0] for line in lines] == [
        "Pre-training of a, finetuned: average +2.00 points",
        "Pre-training of a, 5-shot: average +0.50 points",
    ]


def test_rows_without_a_finished_run_have_no_finding():
    assert findings([known("a", 50.0), known("b", 40.0), known("c", 30.0)], "average") == []
