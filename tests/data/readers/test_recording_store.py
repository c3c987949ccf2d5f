# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows that stay in their recordings: the right samples, read late, from files that last."""

import pickle

import numpy as np
import pytest

from gr_tsddae.data import DatasetError, MemoryStore
from gr_tsddae.data.readers import recording_store
from gr_tsddae.data.readers.cutting import Stretch
from gr_tsddae.data.readers.recording_store import RecordingStore, usable_windows, window_power
from gr_tsddae.iq.captures import open_capture

LENGTH = 16
CUTTING = {
    "path": "folder", "classes": ("a", "b"), "window_samples": LENGTH, "blocks": 1,
    "group_by": "recording",
}  # fmt: skip


def iq_of(count, seed=0):
    real, imag = np.random.default_rng(seed).normal(size=(2, count))
    return (real + 1j * imag).astype(np.complex64)


@pytest.fixture
def captures(tmp_path):
    """Two recordings of other formats: 320 samples as floats, 160 as bytes."""
    iq_of(320).tofile(tmp_path / "one.cf32")
    (np.arange(320) % 256).astype(np.uint8).tofile(tmp_path / "two.cu8")
    return [open_capture(tmp_path / name) for name in ("one.cf32", "two.cu8")]


def store_of(captures, file, first):
    return RecordingStore(captures, np.array(file, np.int32), np.array(first, np.int64), LENGTH)


def test_windows_are_the_samples_of_their_recording_in_any_order(captures):
    store = store_of(captures, [0, 1, 0], [0, 32, 304])
    assert store.shape == (3, 2, LENGTH)
    rows = store.read(np.array([2, 0, 1, 2]))
    assert rows.dtype == np.float32
    for row, capture, first in zip(rows, (0, 0, 1, 0), (304, 0, 32, 304), strict=True):
        wanted = captures[capture].read(first, LENGTH)
        np.testing.assert_array_equal(row[0] + 1j * row[1], wanted)


def test_many_windows_are_read_in_pieces(captures, monkeypatch):
    firsts = np.arange(0, 304, 3)
    store = store_of(captures, np.zeros(len(firsts)), firsts)
    whole = store.read(np.arange(len(firsts)))
    monkeypatch.setattr(recording_store, "_CHUNK_SAMPLES", 5 * LENGTH)
    np.testing.assert_array_equal(store.read(np.arange(len(firsts))), whole)
    np.testing.assert_allclose(window_power(store), window_power(MemoryStore(whole)))


def test_a_pickled_store_takes_no_samples_along(captures):
    store = store_of(captures, [0], [0])
    before = store.read(np.array([0]))
    data = pickle.dumps(store)
    assert len(data) < 10_000
    np.testing.assert_array_equal(pickle.loads(data).read(np.array([0])), before)


def test_a_recording_that_is_gone_or_cut_meanwhile_is_an_error(captures):
    store = store_of(captures, [0, 1], [0, 0])
    store.read(np.array([0]))
    with captures[0].data_path.open("r+b") as file:
        file.truncate(64)
    with pytest.raises(DatasetError, match="was cut to 64 bytes"):
        store.read(np.array([0]))
    captures[1].data_path.unlink()
    with pytest.raises(DatasetError, match="cannot be read any more"):
        store.read(np.array([1]))


def test_a_released_store_holds_no_file_and_maps_it_again(captures):
    store = store_of(captures, [0], [0])
    before = store.read(np.array([0]))
    store.release()
    np.testing.assert_array_equal(store.read(np.array([0])), before)
    captures[0].data_path.unlink()
    np.testing.assert_array_equal(store.read(np.array([0])), before)  # still mapped
    store.release()
    with pytest.raises(DatasetError, match="cannot be read any more"):
        store.read(np.array([0]))


def test_power_is_exact_where_single_precision_ends():
    rows = np.zeros((4, 2, LENGTH), np.float32)
    rows[0], rows[1], rows[2], rows[3, 0, 0] = 1, 1e-30, 1e30, np.nan
    power = window_power(MemoryStore(rows))
    np.testing.assert_allclose(power[:3], [2, 2e-60, 2e60], rtol=1e-6)
    assert np.isnan(power[3])


@pytest.fixture
def faulty(tmp_path):
    """Ten windows: the first silent, the second with NaN, the third weak, all others loud."""
    iq = np.ones(10 * LENGTH, np.complex64)
    iq[:LENGTH], iq[LENGTH + 3], iq[2 * LENGTH : 3 * LENGTH] = 0, np.nan, 0.01
    iq.tofile(tmp_path / "rec.cf32")
    return [open_capture(tmp_path / "rec.cf32")]


def test_what_nothing_can_be_learnt_from_is_left_out_and_counted(faulty):
    stretches = [Stretch(0, 0, 10 * LENGTH, 0)]
    store, cut, skipped = usable_windows(faulty, stretches, min_power_db=-30, **CUTTING)
    assert skipped == {"not finite": 1, "all zero": 1, "under -30 dB": 1}
    assert (cut.first_sample // LENGTH).tolist() == [3, 4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(store.read(np.arange(7))[:, 0], np.ones((7, LENGTH)))
    _, cut, skipped = usable_windows(faulty, stretches, max_per_class=2, **CUTTING)
    assert len(cut.label) == 2 and skipped["over max_windows_per_class"] == 6
    _, cut, skipped = usable_windows(faulty, stretches, scan=False, **CUTTING)
    assert len(cut.label) == 10 and not skipped


def test_a_class_without_a_window_is_named_with_its_reason(faulty):
    short = [Stretch(0, 48, 112, 0), Stretch(0, 0, LENGTH - 1, 1)]
    with pytest.raises(DatasetError, match=r"class 'b' has no usable.*longest stretch has 15"):
        usable_windows(faulty, short, **CUTTING)
    silent = [Stretch(0, 48, 112, 0), Stretch(0, 0, LENGTH, 1)]
    with pytest.raises(DatasetError, match=r"class 'b' .*left out.*all zero: 1; record it again"):
        usable_windows(faulty, silent, **CUTTING)
    with pytest.raises(DatasetError, match="min_power_db needs to look"):
        usable_windows(faulty, silent, scan=False, min_power_db=-30, **CUTTING)
