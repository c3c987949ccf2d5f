# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth of each sample, against lists of samples; no GNU Radio."""

from __future__ import annotations

import json

import numpy as np

from gr_tsddae.blocks.accuracy.truth import (
    FORGOTTEN,
    NAMES_KEPT,
    NOTHING,
    OTHER_NAME,
    SEVERAL,
    Steps,
    Truth,
    read_annotations,
)  # fmt: skip


def annotation(start, count, label, **more):
    made = {"core:sample_start": start, "core:label": label, **more}
    return made if count is None else made | {"core:sample_count": count}


def test_annotations_against_a_list_of_samples(tmp_path):
    """Gaps, overlaps that agree and that do not, lengths left out, an offset, a model's words."""
    random = np.random.default_rng(6)
    entries, samples = [], [set() for _ in range(500)]
    for _ in range(60):
        start, count = int(random.integers(0, 480)), int(random.integers(1, 20))
        label, snr = "ab"[random.integers(0, 2)], [None, 3.0][random.integers(0, 2)]
        more = {} if snr is None else {"tsddae:snr_db": snr}
        entries.append(annotation(start + 7, count, label, **more))
        for place in range(start, min(start + count, 500)):
            samples[place].add((label, snr))
    entries.append(annotation(497, None, "c"))  # to the end of its segment, 3 samples
    for place in range(490, 493):
        samples[place].add(("c", None))
    entries.append(annotation(7, 500, "d", **{"core:generator": "gr-tsddae 0.1.0"}))
    metadata = {
        "global": {"core:offset": 7}, "annotations": entries,
        "captures": [{"core:sample_start": 7}, {"core:sample_start": 500}],
    }  # fmt: skip
    path = tmp_path / "x.sigmf-meta"
    path.write_text(json.dumps(metadata))
    truth = read_annotations(path)
    label, level = truth.over(np.arange(500), 1)
    for place, held in enumerate(samples):
        if len(held) == 1:
            name, snr = next(iter(held))
            assert truth.names[label[place]] == name
            assert level[place] == (NOTHING if snr is None else snr)
        else:
            expected = SEVERAL if held else NOTHING
            assert label[place] == expected, place


def test_steps_against_a_list_of_samples():
    random = np.random.default_rng(2)
    steps, told = Steps(limit=1000), np.full(400, NOTHING)
    for sample in np.sort(random.choice(400, 60, replace=False)):
        value = int(random.integers(0, 3))
        steps.tell(int(sample), value)
        told[sample:] = value
    first = np.arange(390)
    for length in (1, 2, 7):
        over = steps.over(first, first + length - 1)
        for at in first:
            held = set(told[at : at + length].tolist())
            assert over[at] == (held.pop() if len(held) == 1 else SEVERAL), (at, length)


def test_the_oldest_steps_are_forgotten():
    steps = Steps(limit=10)
    for number in range(100):
        steps.tell(10 * number, number)
    over = steps.over(np.array([5, 995]), np.array([5, 999]))
    assert over.tolist() == [FORGOTTEN, 99]


def test_names_stay_bounded():
    truth = Truth(limit=1000)
    for number in range(5000):
        truth.tell(number * 10, f"label {number}", 0)
    truth.reached(50_000)
    assert len(truth.names) == NAMES_KEPT + 1
    label, _ = truth.over(np.array([49_990]), 10)
    assert truth.names[label[0]] == OTHER_NAME


def test_levels_are_whole_decibels_and_nonsense_is_none():
    truth = Truth(limit=100)
    for number, level_db in enumerate((9.6, -9.6, None, float("nan"), float("inf"), 1e6)):
        truth.tell(number, "a", level_db)
    _, levels = truth.over(np.arange(6), 1)
    assert levels.tolist() == [10, -10, NOTHING, NOTHING, NOTHING, NOTHING]


def test_several_truths_and_a_new_stream():
    truth = Truth()
    truth.tell(0, "a", 3)
    truth.tell_several(10)
    label, level = truth.over(np.array([0, 12]), 5)
    assert (label.tolist(), level.tolist()) == ([0, SEVERAL], [3, SEVERAL])
    truth.restart()
    label, _ = truth.over(np.array([0]), 5)
    assert label.tolist() == [NOTHING] and truth.names == [] and truth.known_until == 0
