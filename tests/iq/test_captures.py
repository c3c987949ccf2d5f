# SPDX-License-Identifier: GPL-3.0-or-later
"""Which reader opens a file, what the user knows better, and the recordings of the project."""

import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from iq_files import expect, stored, tone, write_sigmf, write_wav

from gr_tsddae.iq.captures import (
    CaptureError,
    CaptureFormatError,
    open_capture,
)


def test_the_user_knows_better_than_the_file(tmp_path):
    tuning = [{"core:sample_start": 0, "core:frequency": 1e6}]
    meta = write_sigmf(tmp_path, tone(), sample_rate=2e6, captures=tuning)
    capture = open_capture(meta, sample_rate_hz=1e6, center_frequency_hz=5e6, dtype="cf32")
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (1e6, 5e6)


def test_a_dtype_that_contradicts(tmp_path):
    message = "says it holds ci16 samples, but dtype='cf32' was given; leave dtype out"
    wav = write_wav(tmp_path / "iq.wav", stored(tone(), "ci16"))
    expect(CaptureFormatError, message, wav, dtype="cf32")
    meta = write_sigmf(tmp_path, tone(), "ci16_le")
    expect(CaptureFormatError, message, meta, dtype="cf32")


def test_compressed_archives_and_collections(tmp_path):
    for name in ("rec.sigmf.gz", "rec.sigmf.xz", "rec.sigmf.zip"):
        expect(CaptureFormatError, "is compressed .* unpack it first", tmp_path / name)
    expect(CaptureFormatError, "names several recordings", tmp_path / "all.sigmf-collection")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.binary(max_size=200), suffix=st.sampled_from([".wav", ".sigmf", ".sigmf-meta"]))
def test_garbage_is_never_a_traceback(tmp_path, data, suffix):
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(data if suffix != ".wav" else b"RIFF\0\0\0\0WAVE" + data)
    try:
        open_capture(path)
    except CaptureError as error:
        assert "\n" not in str(error)


def test_importing_iq_stays_light():
    code = (
        "import sys, gr_tsddae.iq; "
        "heavy = {'torch', 'scipy', 'matplotlib', 'sigmf', 'gnuradio'} & set(sys.modules); "
        "assert not heavy, heavy; import gr_tsddae.iq.captures; "
        "heavy = {'torch', 'scipy', 'matplotlib', 'sigmf', 'gnuradio'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=with_this_path())


def with_this_path():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


RECORDINGS = Path(__file__).parents[2] / "examples" / "data"


METAS = sorted(RECORDINGS.glob("*.sigmf-meta"))


def test_there_are_recordings_and_they_are_small():
    assert len(METAS) >= 8
    files = list(RECORDINGS.rglob("*"))
    assert sum(file.stat().st_size for file in files) <= 6 * 2**20
    assert {meta.stem for meta in METAS} == {f.stem for f in files if f.suffix == ".sigmf-data"}


@pytest.mark.parametrize("meta", METAS, ids=lambda meta: meta.stem)
def test_recording(meta):
    sigmf = pytest.importorskip("sigmf")
    sigmf.fromfile(meta).validate()  # the library also compares core:sha512
    info = json.loads(meta.read_text())["global"]
    assert info["core:license"].startswith("https://spdx.org/licenses/")
    assert info["core:author"] and info["core:description"] and info["core:sha512"]
    assert "/work" not in meta.read_text() and "/home" not in meta.read_text()
    assert f"| {meta.stem} |" in (RECORDINGS / "README.md").read_text()
    with open_capture(meta, verify=True) as capture:
        assert capture.annotations
        covered = np.zeros(capture.sample_count, bool)
        spans = [
            (note.first_sample, note.first_sample + note.sample_count, note.band_hz)
            for note in capture.annotations
        ]
        for first, end, _ in spans:  # truth without gaps
            covered[first:end] = True
        assert covered.all()
        for (_, end, band), (first, _, other) in combinations(sorted(spans), 2):
            apart = band and other and (band[1] <= other[0] or other[1] <= band[0])
            assert end <= first or apart  # and without overlaps
        assert np.isfinite(capture.read(0, capture.sample_count)).all()


@pytest.mark.parametrize("meta", METAS, ids=lambda meta: meta.stem)
def test_recorded_signals_are_louder_than_the_noise_beside_them(meta):
    with open_capture(meta) as capture:
        power = [
            np.mean(np.abs(capture.read(a.first_sample, a.sample_count)) ** 2)
            for a in capture.annotations
        ]
    labels = [annotation.label for annotation in capture.annotations]
    noise = [p for p, label in zip(power, labels, strict=True) if label == "noise"]
    signal = [p for p, label in zip(power, labels, strict=True) if label != "noise"]
    assert signal
    assert not noise or min(signal) > 4 * max(noise)


@pytest.mark.parametrize(
    ("name", "offset"), [("bpsk-kr01", -0.00064), ("bpsk-pwsat2", -0.0053), ("bpsk-picsat", 0.004)]
)
def test_bpsk_recordings_have_the_line_that_bpsk_has(name, offset):
    with open_capture(RECORDINGS / f"{name}.sigmf-meta") as capture:
        burst = [a for a in capture.annotations if a.label == "BPSK"][-1]
        squared = capture.read(burst.first_sample, burst.sample_count) ** 2
    spectrum = np.abs(np.fft.fft(squared * np.hanning(len(squared))))
    line = np.fft.fftfreq(len(squared))[spectrum.argmax()] / 2
    assert line == pytest.approx(offset, abs=3e-4)
    assert spectrum.max() > 20 * np.median(spectrum)
