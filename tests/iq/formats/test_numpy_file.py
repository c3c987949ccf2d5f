# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays of numpy in every layout that people save, and those that are no samples."""

import io

import numpy as np
import pytest
from iq_files import expect, tone

from gr_tsddae.data import open_dataset
from gr_tsddae.iq.captures import (
    CaptureDamagedError,
    CaptureError,
    CaptureFormatError,
    open_capture,
)
from gr_tsddae.iq.sigmf.annotations import write_annotations

IQ = tone(500)
PAIRS = np.stack([IQ.real, IQ.imag], 1)
FIELDS = np.empty(500, [("I", ">i2"), ("Q", ">i2")])
FIELDS["I"], FIELDS["Q"] = np.rint(PAIRS.T * 2**15)


def save(folder, array, cut_bytes=0):
    file = io.BytesIO()
    np.save(file, array)
    path = folder / "a.npy"
    path.write_bytes(file.getvalue()[: len(file.getvalue()) - cut_bytes])
    return path


@pytest.mark.parametrize(
    "array",
    [
        IQ, IQ.astype(">c8"), IQ.astype("c16"), IQ[None], IQ[:, None],
        np.asfortranarray(IQ[:, None]), PAIRS, np.stack([IQ.real, IQ.imag]).T,
        np.asfortranarray(PAIRS), PAIRS[None],
        PAIRS[:, :, None], PAIRS.T.copy(), np.asfortranarray(PAIRS.T), PAIRS.T[None].copy(),
        PAIRS.astype("f8"), PAIRS.astype("f2"), PAIRS.T.astype("f2"), PAIRS.T.astype(">f4"),
        np.rint(PAIRS * 2**15).astype("i2"), np.rint(PAIRS.T * 2**15).astype(">i2"), FIELDS,
        FIELDS[:, None], FIELDS.view(">i2,>i2"),
        PAIRS.astype("f8").view([("re", "f8"), ("im", "f8")]),
        IQ.astype("c16").view([("samples", "c16")]), IQ.astype(">c8").view([("iq", ">c8")]),
    ],
)  # fmt: skip
def test_every_layout_gives_the_same_samples(tmp_path, array):
    with open_capture(save(tmp_path, array), sample_rate_hz=1e6) as capture:
        assert (capture.sample_count, capture.faults) == (500, ())
        np.testing.assert_allclose(capture.read(0, 500), IQ, atol=1e-3)
        np.testing.assert_array_equal(capture.read(123, 45), capture.read(0, 500)[123:168])


def test_i_before_q_is_read_by_data_and_cut_short(tmp_path):
    path = save(tmp_path, PAIRS.T.copy())
    dataset = open_dataset("captures", path, window_samples=100, label="tone")
    np.testing.assert_allclose(dataset.store.read([1])[0], PAIRS[100:200].T)
    with open_capture(path) as capture, pytest.raises(CaptureError, match="all I before all Q"):
        write_annotations(capture, [], tmp_path / "out", model_name="m")
    with open_capture(save(tmp_path, PAIRS.T.copy(), cut_bytes=400)) as capture:
        assert capture.sample_count == 400 and "are there" in capture.faults[0]
        np.testing.assert_allclose(capture.read(0, 400), IQ[:400])
    expect(CaptureDamagedError, "holds no samples", save(tmp_path, PAIRS.T.copy(), cut_bytes=2001))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(500), np.zeros((10, 50), "c8"), np.zeros(500, "i8"),
        np.zeros(500, [("iq", "i8")]), np.zeros(500, [("iq", "c8"), ("t", "f8")]),
        np.zeros(500, [("q", "i2"), ("i", "i2")]), np.zeros(500, [("i", "i2"), ("q", "i4")]),
        np.zeros(500, [("i", "i2"), ("q", "i2"), ("t", "i2")]),
        np.zeros(500, np.dtype({"names": "iq", "formats": ["i2", "i2"], "offsets": [0, 4]})),
        np.array([1j, None], object), np.array(["a"]),
    ],
)  # fmt: skip
def test_what_is_no_array_of_samples(tmp_path, array):
    expect(CaptureFormatError, r"a\.npy holds .*; save i \+ 1j \* q", save(tmp_path, array))


@pytest.mark.parametrize(
    ("array", "remedy"),
    [
        (np.zeros((500, 2), "i8"), r"type int64: .* full scale; save .* a\.astype\(numpy\.int16\)"),
        (np.zeros((2, 500), ">i8"), r"type >i8: .* full scale; save .* a\.astype\(numpy\.int16\)"),
        (np.zeros((500, 2), "u8"), r"type uint64: .* full scale; save .* a\.astype\(numpy\.uint8"),
        (np.zeros(500, [("i", "i8"), ("q", "i8")]), r"type int64: .* full scale"),
        (np.zeros(500, "c32"), r"type float128: save a\.astype\(numpy\.complex64\)"),
        (np.zeros((500, 2), bool), "type bool: samples of a radio have more than one bit"),
    ],
)
def test_numbers_of_a_type_that_nobody_can_scale(tmp_path, array, remedy):
    expect(CaptureFormatError, rf"a\.npy holds numbers of {remedy}", save(tmp_path, array))
