# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts of the RML files, read back by the libraries everybody reads the released ones with."""

import errno
import io
import pickle
import pickletools
import subprocess
import sys

import numpy as np
import pytest

from gr_tsddae.synth.rml_files import sum_one, write_pickle, write_rml2018


def rows(count, samples=128, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 2, samples)).astype(np.float32)


def test_sum_one():
    """Against a loop, and one gain for I and Q."""
    raw = rows(5)
    scaled = sum_one(raw)
    assert scaled.dtype == np.float32
    for before, after in zip(raw, scaled, strict=True):
        magnitude = sum(abs(complex(i, q)) for i, q in before.T)
        np.testing.assert_allclose(after, before / magnitude, rtol=1e-5)


def test_pickle_loads_as_the_released_one():
    written = {("QPSK", -20): rows(3), ("AM-DSB", 18): rows(1, seed=1), ("8PSK", 0): rows(2)[:0]}
    file = io.BytesIO()
    write_pickle(file, written.items())
    loaded = pickle.loads(file.getvalue(), encoding="latin1")
    assert list(loaded) == list(written)
    for key, array in loaded.items():
        assert isinstance(key[0], str) and type(key[1]) is int
        assert array.dtype == np.float32 and array.flags.c_contiguous
        np.testing.assert_array_equal(array, written[key])
        array += 1  # writable


def test_pickle_is_as_python_2_wrote_it():
    """Protocol 2, byte strings, and no callable but numpy's three."""
    file = io.BytesIO()
    write_pickle(file, [(("QPSK", 2), rows(2))])
    opcodes = [
        (opcode.name, argument) for opcode, argument, _ in pickletools.genops(file.getvalue())
    ]
    assert opcodes[0] == ("PROTO", 2)
    assert {argument for name, argument in opcodes if name == "GLOBAL"} == {
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
    }
    assert not {name for name, _ in opcodes} & {"BINUNICODE", "BINBYTES", "STACK_GLOBAL"}
    assert isinstance(pickle.loads(file.getvalue(), encoding="bytes").popitem()[0][0], bytes)


def test_hdf5_layout(tmp_path):
    h5py = pytest.importorskip("h5py")
    slices = [(2, -20, rows(2, 16)), (0, 30, rows(1, 16, seed=1))]
    write_rml2018(tmp_path / "x.hdf5", slices, windows=3, window_samples=16, class_count=4)
    with h5py.File(tmp_path / "x.hdf5") as file:
        assert set(file) == {"X", "Y", "Z"}
        assert (file["X"].shape, file["X"].dtype) == ((3, 16, 2), np.float32)
        assert (file["Y"].dtype, file["Z"].dtype) == (np.int64, np.int64)
        np.testing.assert_array_equal(file["X"][1, :, 1], slices[0][2][1, 1])
        np.testing.assert_array_equal(file["X"][2, :, 0], slices[1][2][0, 0])
        np.testing.assert_array_equal(file["Y"][()], np.eye(4)[[2, 2, 0]])
        np.testing.assert_array_equal(file["Z"][()], [[-20], [-20], [30]])


@pytest.mark.parametrize("windows", [1, 3])
def test_hdf5_of_another_size_than_announced_is_not_left(tmp_path, windows):
    pytest.importorskip("h5py")
    with pytest.raises(ValueError, match=rf"{windows} (were )?announced"):
        write_rml2018(
            tmp_path / "x.hdf5",
            [(0, 0, rows(2, 16))],
            windows=windows,
            window_samples=16,
            class_count=2,
        )
    assert not list(tmp_path.iterdir())


def test_hdf5_on_a_disk_that_fills_up(tmp_path):
    """A limit on the file's size, set once the layout stands, fails writes as a full disk does."""
    pytest.importorskip("h5py")
    script = """
import resource, sys
from pathlib import Path
import numpy as np
from gr_tsddae.synth.rml_files import write_rml2018

def slices():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    for _ in range(30):
        yield 0, 0, np.ones((10, 2, 128), np.float32)

try:
    write_rml2018(Path(sys.argv[1]), slices(), windows=300, window_samples=128, class_count=24)
except OSError as error:
    print(error.__cause__.errno, error)
"""
    command = [sys.executable, "-c", script, tmp_path / "x.hdf5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{errno.EFBIG} {tmp_path}/x.hdf5 cannot be written")
    assert not list(tmp_path.iterdir())
