# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows put together again, against a naive sum over samples."""

from __future__ import annotations

import numpy as np
import pytest

from gr_tsddae.iq.overlap_add import PIECE_SAMPLES, OverlapAdd

L, H = 16, 8


def stream(count, seed=0):
    random = np.random.default_rng(seed)
    return (random.standard_normal((count, 2)) @ [1, 1j]).astype(np.complex64)


def naive(windows, first_samples, count):
    """Weighted mean of the windows over each sample, in double precision."""
    out = np.zeros(count, complex)
    for n in range(count):
        total = weight = 0.0
        for window, first in zip(windows, first_samples, strict=True):
            if first <= n < first + L:
                w = np.sin(np.pi * (n - first + 0.5) / L) ** 2
                total, weight = total + w * window[n - first], weight + w
        out[n] = total / weight if weight else 0.0
    return out


def put_together(windows, first_samples, count, batches):
    overlap = OverlapAdd(L)
    pieces = []
    for part in np.array_split(np.arange(len(windows)), batches):
        pieces += overlap.add(windows[part], np.asarray(first_samples)[part])
        assert overlap.position == sum(map(len, pieces))
    pieces += overlap.advance(count)
    assert overlap.position == count
    return np.concatenate(pieces)


@pytest.mark.parametrize("batches", [1, 3, 20])
def test_undisturbed_windows_give_the_stream_back(batches):
    iq = stream(20 * H + L)
    firsts = np.arange(0, 21 * H, H)
    windows = np.stack([iq[first : first + L] for first in firsts])
    out = put_together(windows, firsts, len(iq), batches)
    assert out.dtype == np.complex64
    np.testing.assert_allclose(out, iq, atol=1e-6)  # from the first sample to the last


@pytest.mark.parametrize("batches", [1, 4, 9])
def test_lost_windows_and_new_segments_are_as_a_naive_sum_has_them(batches):
    random = np.random.default_rng(3)
    # windows 3 and 4 lost; a retune at 99; a long gap; the end
    firsts = [0, 8, 16, 40, 48, 56, 99, 107, 300]
    windows = np.stack([stream(L, seed) for seed in random.integers(0, 99, len(firsts))])
    out = put_together(windows, firsts, 333, batches)
    np.testing.assert_allclose(out, naive(windows, firsts, 333), atol=1e-6)
    assert not out[32:40].any() and not out[72:99].any() and not out[316:].any()
    assert out[31] != 0 and out[40] != 0 and out[99] != 0


def test_a_sample_leaves_as_soon_as_nothing_can_change_it():
    overlap = OverlapAdd(L)
    windows = stream(3 * L).reshape(3, L)
    list(overlap.add(windows, np.array([0, 8, 16])))
    assert overlap.position == 24
    assert list(overlap.advance(20)) == []  # behind already
    assert sum(map(len, overlap.advance(30))) == 6
    rest = np.concatenate(list(overlap.advance(40)))
    np.testing.assert_allclose(rest, [*windows[2][14:], *[0] * 8], atol=1e-6)


def test_a_long_gap_comes_in_pieces_of_bounded_size():
    overlap = OverlapAdd(L)
    sizes = [len(piece) for piece in overlap.advance(5 * PIECE_SAMPLES + 7)]
    assert max(sizes) <= PIECE_SAMPLES
    assert sum(sizes) == overlap.position == 5 * PIECE_SAMPLES + 7


def test_restart_forgets_the_last_stream():
    overlap = OverlapAdd(L)
    list(overlap.add(stream(L)[None], np.array([8])))
    overlap.restart()
    assert not np.concatenate(list(overlap.advance(64))).any()


def test_what_cannot_be():
    with pytest.raises(ValueError, match="window_samples is 15"):
        OverlapAdd(15)
    overlap = OverlapAdd(L)
    list(overlap.advance(9))
    with pytest.raises(ValueError, match="starts at sample 8, but the stream has come to 9"):
        list(overlap.add(stream(L)[None], np.array([8])))
    assert list(overlap.add(np.empty((0, L), np.complex64), np.empty(0, np.uint64))) == []
