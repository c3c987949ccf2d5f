# SPDX-License-Identifier: GPL-3.0-or-later
"""RML2018.01A: slices of a file, whatever is asked for and by whom."""

import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gr_tsddae.data import DatasetError, open_dataset

h5py = pytest.importorskip("h5py")

COUNT = 120


@pytest.fixture
def arrays():
    values = np.random.default_rng(1)
    x = values.normal(size=(COUNT, 1024, 2)).astype(np.float32)
    column = values.integers(0, 24, COUNT)
    column[:24] = np.arange(24)
    y = np.eye(24, dtype=np.int64)[column]
    z = values.integers(-10, 16, (COUNT, 1)) * 2
    return {"X": x, "Y": y, "Z": z}


def written(path, arrays, **options):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, **options)
    return path


@pytest.fixture
def path(tmp_path, arrays):
    return written(tmp_path / "gold.hdf5", arrays)


def test_labels_levels_and_the_order_of_classes(path, arrays):
    dataset = open_dataset("rml2018.01a", path)
    assert len(dataset) == COUNT and dataset.window_samples == 1024
    # The corrected list of the thread radioML/dataset#25.
    assert " ".join(dataset.classes) == (
        "OOK 4ASK 8ASK BPSK QPSK 8PSK 16PSK 32PSK 16APSK 32APSK 64APSK 128APSK 16QAM 32QAM 64QAM "
        "128QAM 256QAM AM-SSB-WC AM-SSB-SC AM-DSB-WC AM-DSB-SC FM GMSK OQPSK"
    )
    for row in range(COUNT):
        assert arrays["Y"][row, dataset.label[row]] == 1
        assert dataset.level_db[row] == arrays["Z"][row, 0]


def test_classes_that_the_file_lacks_are_not_listed(tmp_path, arrays):
    keep = np.isin(arrays["Y"].argmax(1), (0, 3, 22))
    part = {name: values[keep] for name, values in arrays.items()}
    dataset = open_dataset("rml2018.01a", written(tmp_path / "part.hdf5", part))
    assert dataset.classes == ("OOK", "BPSK", "GMSK")
    names = np.array(dataset.classes)[dataset.label]
    assert names.tolist() == [
        {0: "OOK", 3: "BPSK", 22: "GMSK"}[c] for c in part["Y"].argmax(1).tolist()
    ]


def test_a_file_of_other_classes_needs_their_names(tmp_path, arrays):
    part = arrays | {"Y": np.eye(3, dtype=np.int64)[np.arange(COUNT) % 3]}
    path = written(tmp_path / "three.hdf5", part)
    with pytest.raises(DatasetError, match="name the columns of another Y with the option classes"):
        open_dataset("rml2018.01a", path)
    dataset = open_dataset("rml2018.01a", path, classes=["QPSK", "BPSK", "OOK"])
    named = [dataset.classes[label] for label in dataset.label]
    assert named == ["QPSK", "BPSK", "OOK"] * (COUNT // 3)
    np.testing.assert_array_equal(dataset.level_db, arrays["Z"][:, 0])


@pytest.mark.parametrize("options", [{}, {"chunks": (7, 1024, 2), "compression": "gzip"}])
def test_reads_any_windows_in_any_order(tmp_path, arrays, options, monkeypatch):
    path = written(tmp_path / "x.hdf5", {"X": arrays["X"]}, **options)
    with h5py.File(path, "a") as file:
        file["Y"], file["Z"] = arrays["Y"], arrays["Z"]
    dataset = open_dataset("rml2018.01a", path)
    naive = arrays["X"].transpose(0, 2, 1)
    monkeypatch.setattr("gr_tsddae.data.readers.rml2018._SLICE_WINDOWS", 16)
    dice = np.random.default_rng(2)
    for index in (
        np.arange(COUNT),
        np.arange(COUNT)[::-1],
        dice.integers(0, COUNT, 300),  # with repeats
        dice.permutation(COUNT)[:20],
        np.array([COUNT - 1]),
        np.array([5, 5, 5]),
        np.zeros(0, np.int64),
    ):
        rows = dataset.rows(index)
        assert rows.dtype == np.float32 and rows.shape == (len(index), 2, 1024)
        np.testing.assert_array_equal(rows, naive[index])


def test_runs_cover_all_and_are_bounded():
    from gr_tsddae.data.readers.rml2018 import _GAP_WINDOWS, _SLICE_WINDOWS, _runs

    dice = np.random.default_rng(3)
    for span, count in ((50, 20), (10_000, 3000), (100_000, 300), (5000, 9000)):
        numbers = np.sort(dice.integers(0, span, count))
        runs = list(_runs(numbers))
        assert [first for first, _ in runs] == [0, *(last for _, last in runs[:-1])]
        assert runs[-1][1] == count
        for first, last in runs:
            run = numbers[first:last]
            assert 0 <= run[-1] - run[0] < _SLICE_WINDOWS
            assert np.diff(run).max(initial=0) <= _GAP_WINDOWS


def test_every_process_opens_the_file_for_itself(path, arrays):
    dataset = open_dataset("rml2018.01a", path)
    dataset.rows(np.array([0]))  # opened here, before the fork and the pickle
    index = np.array([7, 3, 99])
    expected = arrays["X"].transpose(0, 2, 1)[index]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for rows in pool.map(dataset.rows, [index] * 4):
            np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset)).rows(index), expected)
    np.testing.assert_array_equal(dataset.rows(index), expected)


def test_windows_that_are_not_finite_do_not_pass(tmp_path, arrays):
    arrays["X"][17, 5, 0] = np.nan
    arrays["X"][40, 1023, 1] = np.inf
    arrays["X"][50] = 0
    path = written(tmp_path / "bad.hdf5", arrays)
    dataset = open_dataset("rml2018.01a", path)
    assert dataset.skipped == {}
    with pytest.raises(DatasetError, match=r"not finite are windows 17, 40; .*scan"):
        dataset.rows()
    with pytest.raises(DatasetError, match="windows 40;"):
        dataset.rows(np.array([41, 40, 40]))
    scanned = open_dataset("rml2018.01a", path, scan=True)
    assert scanned.skipped == {"not finite": 2, "all zero": 1}
    good = np.delete(np.arange(COUNT), [17, 40, 50])
    np.testing.assert_array_equal(scanned.rows(), arrays["X"].transpose(0, 2, 1)[good])
    np.testing.assert_array_equal(scanned.label, arrays["Y"][good].argmax(1))


@pytest.mark.parametrize("missing", ["X", "Y", "Z", "XYZ"])
def test_missing_arrays_are_named(tmp_path, arrays, missing):
    part = {name: values for name, values in arrays.items() if name not in missing}
    with pytest.raises(DatasetError, match=f"has no {' and no '.join(missing)}; needed"):
        open_dataset("rml2018.01a", written(tmp_path / "part.hdf5", part))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("X", lambda x: x[:, :128], r"X is float32 \(120, 128, 2\)"),
        ("X", lambda x: x.swapaxes(1, 2), r"\(120, 2, 1024\)"),
        ("X", lambda x: x.astype(np.int16), "int16"),
        ("X", lambda x: x[:0], r"\(0, 1024, 2\)"),
        ("Y", lambda y: y[:-1], r"Y is \(119, 24\)"),
        ("Y", lambda y: y.argmax(1), r"Y is \(120,\)"),
        ("Y", lambda y: y * 0, "row 0 of Y is not one-hot: it has 0 columns"),
        ("Y", lambda y: y * 2, "row 0 of Y is not one-hot: it has 1 columns set, with at most 2"),
        ("Y", lambda y: y + np.eye(120, 24, -100, int), "row 100 of Y .* it has 2 columns"),
        ("Y", lambda y: y.astype("S1"), "must be numbers"),
        ("Z", lambda z: z[:3], r"Z \(3, 1\)"),
        ("Z", lambda z: np.where(np.arange(120)[:, None] == 66, np.nan, z), "row 66 of Z is nan"),
    ],
)
def test_other_layouts_are_named(tmp_path, arrays, name, change, message):
    arrays[name] = change(arrays[name])
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset("rml2018.01a", written(tmp_path / "other.hdf5", arrays))
    assert "other.hdf5" in str(error.value)


def test_files_that_are_no_hdf5_or_cut_short(tmp_path, path):
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset("rml2018.01a", tmp_path / "absent.hdf5")
    content = path.read_bytes()
    for part in (b"", b"X" * 5000, content[:4], content[: len(content) // 2], content[:-1]):
        path.write_bytes(part)
        with pytest.raises(DatasetError, match="no HDF5 file, or one cut short"):
            open_dataset("rml2018.01a", path)


def test_a_file_that_vanishes_or_shrinks_under_the_reader(path):
    dataset = open_dataset("rml2018.01a", path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DatasetError, match="cannot be read"):
        dataset.rows()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
def test_memory_does_not_grow_with_the_file(tmp_path):
    count = 1 << 18
    path = tmp_path / "sparse.hdf5"
    with h5py.File(path, "w") as file:
        x = file.create_dataset("X", (count, 1024, 2), np.float32, fill_time="never")
        x[-1] = 1  # 2 GiB, of which the disk holds one window
        y = file.create_dataset("Y", (count, 24), np.int64, chunks=(1 << 12, 24), compression=1)
        for start in range(0, count, 1 << 16):
            y[start : start + (1 << 16)] = np.eye(24, dtype=int)[np.arange(1 << 16) % 24]
        file["Z"] = np.zeros((count, 1), np.int64)
    program = f"""
import numpy as np
from gr_tsddae.data import open_dataset
dataset = open_dataset("rml2018.01a", {str(path)!r})
dice = np.random.default_rng(1)
for _ in range(4):
    assert dataset.rows(dice.integers(0, len(dataset), 256)).shape == (256, 2, 1024)
assert not dataset.rows(np.arange(0, 60_000, 8)).any()
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size > count * 8192
    assert int(done.stdout) / 1024 < 400  # MiB; 60 of them are the windows of the last read
