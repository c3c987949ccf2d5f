# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw IQ: the extension or the user says how samples are stored."""

import re
from pathlib import Path

import numpy as np
import pytest
from iq_files import FORMATS, expect, stored, tone

from gr_tsddae.iq.captures import (
    CaptureFormatError,
    open_capture,
)


@pytest.mark.parametrize("name", FORMATS)
def test_raw_round_trip(tmp_path, name):
    iq, path = tone(), tmp_path / "capture.raw"
    path.write_bytes(stored(iq, name))
    with open_capture(path, dtype=name, sample_rate_hz=1e6, center_frequency_hz=433e6) as capture:
        got = capture.read(0, 100)
    assert got.dtype == np.complex64 and got.shape == (100,)
    error = got - iq
    assert max(np.abs(error.real).max(), np.abs(error.imag).max()) <= FORMATS[name][3] + 1e-6
    assert (capture.format, capture.sample_count) == (name, 100)
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (1e6, 433e6)
    assert capture.duration_s == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        (".cf32", "cf32"),
        (".fc32", "cf32"),
        (".cfile", "cf32"),
        (".complex", "cf32"),
        (".CF32", "cf32"),
        (".ci16", "ci16"),
        (".cs16", "ci16"),
        (".sc16", "ci16"),
        (".cs8", "ci8"),
        (".ci8", "ci8"),
        (".cu8", "cu8"),
        (".complex16s", "ci8"),  # Universal Radio Hacker counts the bits of the pair
        (".complex16u", "cu8"),
        (".complex32s", "ci16"),
        (".complex32u", "cu16"),
    ],
)
def test_extension_says_the_format(tmp_path, suffix, name):
    path = tmp_path / f"capture{suffix}"
    path.write_bytes(stored(tone(), name))
    capture = open_capture(path)
    assert capture.format == name
    np.testing.assert_allclose(capture.read(0, 100), tone(), atol=1e-2)


@pytest.mark.parametrize("name", ["capture.iq", "capture.raw", "capture.dat", "capture"])
def test_unknown_extensions_list_what_is_possible(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(16))
    suffix = re.escape(repr(Path(name).suffix))
    message = (
        rf"the extension {suffix} .* give dtype= one of cf32, cf64, ci8, ci16, ci32, cu8, cu16"
    )
    expect(CaptureFormatError, message, tmp_path / name)
