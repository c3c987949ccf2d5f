# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting against a naive loop: whole windows, no sample in two groups, nothing lost unseen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_tsddae.data.dataset import DatasetError
from gr_tsddae.data.readers.cutting import Cut, Stretch, cut_into_windows, thin_out


def naive(stretches, window, hop):
    """(file, first sample, label) of every window, stretch by stretch."""
    found = []
    for each in stretches:
        start = each.first_sample
        while start + window <= each.first_sample + each.sample_count:
            found.append((each.file, start, each.label))
            start += hop
    return sorted(found)


def as_tuples(windows: Cut):
    return sorted(zip(windows.file, windows.first_sample, windows.label, strict=True))


@st.composite
def recordings(draw):
    """Stretches of up to three files, in time order and without overlaps, of two classes."""
    stretches = []
    for file in range(draw(st.integers(1, 3))):
        at = 0
        for _ in range(draw(st.integers(0, 4))):
            at += draw(st.integers(0, 30))
            count = draw(st.integers(1, 200))
            stretches.append(Stretch(file, at, count, draw(st.integers(0, 1))))
            at += count
    return draw(st.permutations(stretches))


@settings(max_examples=60, deadline=None)
@given(recordings(), st.integers(1, 20), st.integers(1, 30), st.integers(1, 7))
def test_blocks_tear_no_window_apart(stretches, window, hop, blocks):
    every = naive(stretches, window, hop)
    windows = cut_into_windows(
        stretches, window_samples=window, hop_samples=hop, blocks=blocks, group_by="block"
    )
    assert len(windows.file) + windows.straddling == len(every)
    assert set(as_tuples(windows)) <= set(every)
    if hop >= window:
        assert windows.straddling == 0
    group_of_sample = {}
    for file, first, group in zip(windows.file, windows.first_sample, windows.group, strict=True):
        for sample in range(first, first + window):
            assert group_of_sample.setdefault((file, sample), group) == group
    for key in {(each.file, each.label) for each in stretches}:
        here = (windows.file == key[0]) & (windows.label == key[1])
        assert len(np.unique(windows.group[here])) <= blocks
        assert (np.diff(windows.group[here]) >= 0).all()  # blocks follow in time
        assert not set(windows.group[here]) & set(windows.group[~here])


def test_blocks_are_of_about_one_size():
    windows = cut_into_windows(
        [Stretch(0, 5, 128 * 47 + 100, 0)],
        window_samples=128,
        hop_samples=128,
        blocks=10,
        group_by="block",
    )
    _, counts = np.unique(windows.group, return_counts=True)
    assert len(counts) == 10 and counts.sum() == 47
    assert set(counts) == {4, 5}


def test_overlapping_windows_lose_only_those_on_the_seams():
    windows = cut_into_windows(
        [Stretch(0, 0, 128 * 100, 0)],
        window_samples=128,
        hop_samples=32,
        blocks=4,
        group_by="block",
    )
    assert windows.straddling == 3 * 3  # three seams, each crossed by starts 32, 64, 96 before it


def test_groups_by_recording_and_by_window():
    stretches = [Stretch(0, 0, 50, 0), Stretch(1, 0, 30, 0), Stretch(1, 40, 20, 1)]
    options = {"window_samples": 10, "hop_samples": 10, "blocks": 3}
    by_recording = cut_into_windows(stretches, **options, group_by="recording")
    assert by_recording.group.tolist() == [0] * 5 + [1] * 5
    by_window = cut_into_windows(stretches, **options, group_by="window")
    assert by_window.group.tolist() == list(range(10))


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_samples": 0},
        {"hop_samples": -1},
        {"blocks": 2.5},
        {"group_by": "month"},
    ],
)
def test_wrong_numbers_are_named(wrong):
    options = {"window_samples": 10, "hop_samples": 10, "blocks": 3, "group_by": "block"}
    name, value = next(iter(wrong.items()))
    with pytest.raises(DatasetError, match=str(value)):
        cut_into_windows([Stretch(0, 0, 50, 0)], **(options | {name: value}))


def test_thinning_spreads_over_time():
    label = np.array([0] * 100 + [1] * 3)
    kept = thin_out(label, 10)
    assert kept.tolist() == [*range(0, 100, 10), 100, 101, 102]
    with pytest.raises(DatasetError, match="at least 1"):
        thin_out(label, 0)
