# SPDX-License-Identifier: GPL-3.0-or-later
"""Stored numbers to complex64: names, zero, full scale, what is not finite."""

import numpy as np
import pytest
from iq_files import FORMATS, expect, stored, tone

from gr_tsddae.iq.captures import (
    CaptureFormatError,
    open_capture,
)
from gr_tsddae.iq.formats.sample_format import SampleFormat


def test_cu8_of_an_rtl_sdr_rests_at_zero(tmp_path):
    path = tmp_path / "capture.cu8"
    path.write_bytes(bytes([127, 128, 0, 255]))
    expected = [(-0.4 + 0.6j) / 128, (-127.4 + 127.6j) / 128]
    np.testing.assert_allclose(open_capture(path).read(0, 2), expected, rtol=1e-4)


def test_nan_and_infinity_come_as_they_are(tmp_path):
    path = tmp_path / "capture.cf32"
    np.array([np.nan, 1, np.inf, -np.inf], "<f4").tofile(path)
    i, q = open_capture(path).read(0, 2)
    assert np.isnan(i.real) and i.imag == 1 and q.real == np.inf and q.imag == -np.inf


def test_float64_beyond_float32_becomes_infinity_without_a_warning(tmp_path, recwarn):
    path = tmp_path / "capture.cf64"
    np.array([1e300, -1e300], "<f8").tofile(path)
    assert np.isinf(open_capture(path).read(0, 1)).all()
    assert not recwarn.list


@pytest.mark.parametrize("dtype", ["float", "xi16_le", "cf16", "cu64", "ci16_xe", "c", "", "cf8"])
def test_unknown_dtypes_list_what_is_possible(tmp_path, dtype):
    (tmp_path / "capture.iq").write_bytes(bytes(16))
    message = f"{dtype!r} is not a known format of samples; use one of cf32, "
    expect(CaptureFormatError, message, tmp_path / "capture.iq", dtype=dtype)


@pytest.mark.parametrize("name", FORMATS)
def test_format_names(name):
    sample_format = SampleFormat.parse(name)
    assert sample_format.name == name
    assert SampleFormat.parse(sample_format.sigmf_datatype) == sample_format
    assert sample_format.bytes_per_sample == len(stored(tone(1), name))
