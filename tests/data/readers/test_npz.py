# SPDX-License-Identifier: GPL-3.0-or-later
"""Numpy archives of windows."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gr_tsddae.data import UNLABELLED, DatasetError, open_dataset

COUNT = 12
SUBSET = (
    Path(__file__).resolve().parents[4]
    / "shared/data/modulation-classification/rml2016_10b_subset_A.npz"
)


@pytest.fixture
def arrays():
    values = np.random.default_rng(1)
    return {
        "X": values.normal(size=(COUNT, 2, 64)),
        "y": values.choice(["QPSK", "BPSK", "noise"], COUNT),
        "snr": values.integers(-5, 5, COUNT) * 2.0,
    }


def opened(folder, arrays, **options):
    np.savez(folder / "file.npz", **arrays)
    return open_dataset("npz", folder / "file.npz", **options)


def test_reads_windows_names_and_levels(tmp_path, arrays):
    dataset = opened(tmp_path, arrays, licence="CC0-1.0")
    assert dataset.classes == ("BPSK", "QPSK", "noise")
    assert [dataset.classes[label] for label in dataset.label] == arrays["y"].tolist()
    np.testing.assert_array_equal(dataset.level_db, arrays["snr"])
    rows = dataset.rows(np.array([5, 0, 5]))
    np.testing.assert_array_equal(rows, arrays["X"][[5, 0, 5]].astype(np.float32))
    assert dataset.level_name == "SNR" and dataset.licence == "CC0-1.0"


def test_other_layouts(tmp_path, arrays):
    expected = opened(tmp_path, arrays).rows()
    layouts = (arrays["X"][:, 0] + 1j * arrays["X"][:, 1], arrays["X"].swapaxes(1, 2))
    for rows in layouts:
        np.testing.assert_array_equal(opened(tmp_path, arrays | {"X": rows}).rows(), expected)


def test_numbers_of_classes_get_names(tmp_path, arrays):
    numbers = {"X": arrays["X"], "y": np.arange(COUNT) % 2}
    dataset = opened(tmp_path, numbers, classes=["QPSK", "BPSK"])
    assert [dataset.classes[label] for label in dataset.label] == ["QPSK", "BPSK"] * 6
    for classes, count in ((None, 0), (["QPSK"], 1)):
        with pytest.raises(DatasetError, match=f"from 0 to 1, and {count} have a name; name all"):
            opened(tmp_path, numbers, classes=classes)


@pytest.mark.parametrize("header", [b"{'descr': (((", b"{'descr': '<f4', ", b"[" * 99, b"\xff" * 9])
def test_a_malformed_header_is_one_clear_error(tmp_path, header):
    header = header.ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
        archive.writestr("X.npy", content)
    with pytest.raises(DatasetError, match=r"is no \.npz of plain arrays, or cut short"):
        open_dataset("npz", tmp_path / "file.npz")


def test_labels_and_levels_may_be_absent(tmp_path, arrays):
    dataset = opened(tmp_path, {"X": arrays["X"]})
    assert dataset.classes == () and (dataset.label == UNLABELLED).all()
    assert dataset.level_name is None and dataset.summary()["unlabelled"] == COUNT


def test_unusable_windows_are_left_out_and_counted(tmp_path, arrays):
    arrays["X"][3, 1, 7] = np.nan
    arrays["X"][4, 0, 0] = 1e60  # infinite as float32
    arrays["X"][8] = 0
    dataset = opened(tmp_path, arrays)
    assert dataset.skipped == {"not finite": 2, "all zero": 1}
    good = np.delete(np.arange(COUNT), [3, 4, 8])
    np.testing.assert_array_equal(dataset.rows(), arrays["X"][good].astype(np.float32))
    assert [dataset.classes[label] for label in dataset.label] == arrays["y"][good].tolist()
    np.testing.assert_array_equal(dataset.level_db, arrays["snr"][good])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones((COUNT, 64, 3))}, r"X is float64 \(12, 64, 3\)"),
        ({"X": np.ones((COUNT, 2, 64), int)}, "X is int64"),
        ({"X": np.ones((0, 2, 64))}, r"\(0, 2, 64\)"),
        ({"X": np.zeros((COUNT, 2, 64))}, "no usable window"),
        ({"y": np.full(COUNT - 1, "a")}, r"y is <U1 \(11,\); X has 12 windows"),
        ({"y": np.arange(COUNT)}, "y holds numbers from 0 to 11"),
        ({"y": np.full((COUNT, COUNT), "a")}, "y is"),
        ({"y": np.array(["a"] * 11 + [""])}, "no name for window 11"),
        ({"y": np.array([None] * COUNT)}, "no .npz of plain arrays"),
        ({"snr": np.zeros(3)}, r"snr is float64 \(3,\)"),
        ({"snr": np.array(["0"] * COUNT)}, "must be numbers"),
        ({"snr": np.r_[np.zeros(7), np.inf, np.zeros(4)]}, "snr of window 7"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, arrays, change, message):
    with pytest.raises(DatasetError, match=message) as error:
        opened(tmp_path, arrays | change)
    assert "file.npz" in str(error.value)


def test_other_files_are_refused(tmp_path, arrays):
    path = tmp_path / "file.npz"
    with pytest.raises(DatasetError, match="No such file"):
        open_dataset("npz", path)
    opened(tmp_path, arrays)
    content = path.read_bytes()
    plain = io.BytesIO()
    np.save(plain, arrays["X"])
    marker = tmp_path / "ran"

    class Calls:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    for other in (b"", content[: len(content) // 2], plain.getvalue(), pickle.dumps(Calls())):
        path.write_bytes(other)
        with pytest.raises(DatasetError, match=r"no \.npz"):
            open_dataset("npz", path)
    np.savez(path, X=np.array([Calls()], dtype=object))
    with pytest.raises(DatasetError, match=r"no \.npz of plain arrays"):
        open_dataset("npz", path)
    assert not marker.exists()
    with pytest.raises(DatasetError, match="no array X"):
        opened(tmp_path, {"y": arrays["y"]})


def test_a_small_file_that_declares_a_huge_array(tmp_path):
    path = tmp_path / "file.npz"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (1 << 45, 2, 128)}
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("X.npy", head.getvalue())
    with pytest.raises(DatasetError, match=r"no \.npz of plain arrays"):
        open_dataset("npz", path)


@pytest.mark.skipif(not SUBSET.exists(), reason="the genuine windows are not here")
def test_genuine_windows():
    dataset = open_dataset("npz", SUBSET)
    assert len(dataset) == 1400 and len(dataset.classes) == 10 and dataset.skipped == {}
    cells = np.unique(np.stack([dataset.label, dataset.level_db]), axis=1, return_counts=True)
    assert len(cells[1]) == 200 and (cells[1] == 7).all()
    rows = dataset.rows()
    # The published windows are scaled to a mean magnitude of 1 / 128.
    magnitude = np.hypot(rows[:, 0], rows[:, 1]).mean(1)
    assert np.median(magnitude) == pytest.approx(1 / 128, rel=0.2)
