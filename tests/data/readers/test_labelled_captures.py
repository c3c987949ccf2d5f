# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as a dataset: windows are the file's samples, labels are a person's."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from iq_files import write_wav

import gr_tsddae
from gr_tsddae.data import UNLABELLED, DatasetError, open_dataset
from gr_tsddae.iq.captures import open_capture
from gr_tsddae.iq.sigmf.annotations import write_annotations


def iq_of(count, seed=0):
    """(count,) complex64 noise in which no two samples are alike."""
    real, imag = np.random.default_rng(seed).normal(size=(2, count))
    return (real + 1j * imag).astype(np.complex64)


def write_raw(path, iq):
    path.parent.mkdir(parents=True, exist_ok=True)
    iq.astype(np.complex64).tofile(path)
    return path


def write_sigmf(path, iq, annotations=(), captures=None, **info):
    """A SigMF pair of cf32; annotations are (first, count, label) or end with a generator."""
    path.parent.mkdir(parents=True, exist_ok=True)
    iq.astype(np.complex64).tofile(path.with_suffix(".sigmf-data"))
    names = ("sample_start", "sample_count", "label", "generator")
    metadata = {
        "global": {
            "core:datatype": "cf32_le",
            "core:version": "1.2.0",
            **{f"core:{key}": value for key, value in info.items()},
        },
        "captures": [
            {"core:sample_start": first, "core:frequency": 1e8 + first} for first in captures or [0]
        ],
        "annotations": [
            {f"core:{name}": value for name, value in zip(names, each, strict=False)}
            for each in annotations
        ],
    }
    path.with_suffix(".sigmf-meta").write_text(json.dumps(metadata))


def complex_windows(dataset, which=slice(None)):
    rows = dataset.rows(which)
    assert rows.dtype == np.float32
    return rows[:, 0] + 1j * rows[:, 1]


def test_a_folder_per_class(tmp_path):
    iq = {name: iq_of(1300, seed) for seed, name in enumerate(("bpsk/a", "bpsk/b", "am/deep/c"))}
    for name, samples in iq.items():
        write_raw(tmp_path / f"{name}.cf32", samples)
    (tmp_path / "bpsk" / "notes.txt").write_text("not a recording")
    dataset = open_dataset("captures", tmp_path)
    assert dataset.classes == ("am", "bpsk")
    assert dataset.summary()["classes"] == {"am": 10, "bpsk": 20}
    assert dataset.level_name is None and dataset.task == "amc"
    naive = [
        samples[start : start + 128]
        for name, samples in sorted(iq.items())
        for start in range(0, 1300 - 127, 128)
    ]
    np.testing.assert_array_equal(complex_windows(dataset), naive)
    assert dataset.label.tolist() == [0] * 10 + [1] * 20
    assert len(np.unique(dataset.group)) == 30  # ten blocks of a window in each of three files
    shuffled = np.array([29, 3, 3, 17])
    np.testing.assert_array_equal(complex_windows(dataset, shuffled), np.array(naive)[shuffled])
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(dataset)).rows(shuffled), dataset.rows(shuffled)
    )


def test_a_pickled_dataset_carries_no_samples(tmp_path):
    dataset = open_dataset("captures", write_raw(tmp_path / "a.cf32", iq_of(100_000)), label="x")
    dataset.rows(np.array([0]))
    assert len(pickle.dumps(dataset)) < 100_000  # the samples are 800 000 bytes


@pytest.mark.parametrize("name", ["ci16", "ci8", "cu8"])
def test_integer_samples_read_as_by_the_capture(tmp_path, name):
    integers = np.random.default_rng(1).integers(1, 100, (1000, 2))
    path = tmp_path / f"a.{name}"
    integers.astype({"ci16": "<i2", "ci8": "i1", "cu8": "u1"}[name]).tofile(path)
    dataset = open_dataset("captures", path, window_samples=100)
    with open_capture(path) as capture:
        np.testing.assert_array_equal(complex_windows(dataset).ravel(), capture.read(0, 1000))
    assert (dataset.label == UNLABELLED).all() and dataset.classes == ()


def test_annotations_are_labels_and_bounds(tmp_path):
    iq = iq_of(5000)
    annotations = [(100, 300, "fm"), (1000, 130, "am"), (2000, 400, "fm"), (2300, 200, "am")]
    write_sigmf(tmp_path / "band", iq, annotations, captures=[0, 256], license="CC0-1.0")
    dataset = open_dataset("captures", tmp_path, window_samples=50)
    assert dataset.classes == ("am", "fm") and dataset.licence == "CC0-1.0"
    # fm: 100..256 and 256..400 (a retune), 2000..2300; am: 1000..1130, 2400..2500
    fm = [100, 150, 200, 256, 306, *range(2000, 2300, 50)]
    am = [1000, 1050, 2400, 2450]
    first = dataset.store.first_sample[dataset.index]
    assert first[dataset.label == 1].tolist() == fm
    assert first[dataset.label == 0].tolist() == am
    assert dataset.skipped == {"has two labels": 2}
    naive = [iq[start : start + 50] for start in first]
    np.testing.assert_array_equal(complex_windows(dataset), naive)


def test_the_licences_of_all_recordings_hold(tmp_path):
    for number, licence in enumerate(("CC0-1.0", "MIT OR BSD-2-Clause", "CC0-1.0", "unknown")):
        write_sigmf(tmp_path / str(number), iq_of(300, number), license=licence)
    write_raw(tmp_path / "silent.cf32", iq_of(300, 9))
    assert open_dataset("captures", tmp_path).licence == "CC0-1.0 AND (MIT OR BSD-2-Clause)"


def test_the_programs_own_answers_are_no_labels(tmp_path):
    iq = iq_of(1000)
    own = (0, 500, "wrong", "gr-tsddae 0.2.0")
    write_sigmf(tmp_path / "bpsk" / "a", iq, [own])
    write_sigmf(tmp_path / "b", iq_of(1000, 1), [own, (500, 300, "qpsk", "inspectrum")])
    dataset = open_dataset("captures", tmp_path, window_samples=100)
    assert dataset.summary()["classes"] == {"bpsk": 10, "qpsk": 3}
    assert dataset.skipped == {"annotation by gr-tsddae": 2}


def test_a_recording_and_what_the_program_wrote_beside_it_count_once(tmp_path):
    path = write_raw(tmp_path / "bpsk" / "a.cf32", iq_of(1000))
    (path.parent / "a.yaml").write_text("{label: qpsk, sample_rate_hz: 1e6}")
    with open_capture(path, sample_rate_hz=1e6) as capture:
        write_annotations(capture, [], path.with_suffix(""), model_name="amc-nano")
    assert (path.parent / "a.sigmf-meta").exists()
    dataset = open_dataset("captures", tmp_path, window_samples=100)
    assert dataset.summary()["classes"] == {"qpsk": 10}
    assert dataset.skipped == {"recording whose samples are another's": 1}


def test_sidecars(tmp_path):
    integers = np.random.default_rng(2).integers(-9000, 9000, (400, 2)).astype("<i2")
    integers.tofile(tmp_path / "a.iq")
    about = '{"dtype": "ci16", "label": "tpms", "sample_rate_hz": 1000000}'
    (tmp_path / "a.iq.json").write_text(about)
    write_raw(tmp_path / "b.cf32", iq_of(300))
    (tmp_path / "b.yml").write_text("sample_rate_hz: 1M")
    write_raw(tmp_path / "c.cf32", iq_of(200))
    (tmp_path / "c.yaml").write_text("label: 433\nsample_rate_hz: 1e6\ncenter_frequency_hz: 433M")
    dataset = open_dataset("captures", tmp_path, window_samples=100)
    summary = dataset.summary()
    assert summary["classes"] == {"433": 2, "tpms": 4} and summary["unlabelled"] == 3
    np.testing.assert_allclose(
        complex_windows(dataset, dataset.label == 1).ravel(),
        (integers[:, 0] + 1j * integers[:, 1]) / 2**15,
        rtol=1e-6,
    )
    capture = dataset.store.captures[2]
    assert (capture.sample_rate_hz, capture.center_frequency_hz) == (1e6, 433e6)


def test_label_and_hop_given_by_the_user(tmp_path):
    path = write_raw(tmp_path / "a.cf32", iq_of(1000))
    dataset = open_dataset(
        "captures", path, window_samples=100, hop_samples=50, label="am", blocks=2
    )
    first = dataset.store.first_sample
    assert dataset.classes == ("am",)
    assert first.tolist() == [*range(0, 401, 50), *range(500, 901, 50)]
    assert dataset.group.tolist() == [0] * 9 + [1] * 9
    assert dataset.skipped == {"lies in two blocks": 1}


def test_useless_windows_are_counted(tmp_path):
    iq = iq_of(1000)
    iq[110] = np.nan
    iq[250] = np.inf
    iq[300:400] = 0
    iq[400:500] *= 1e-3
    iq[500:600] = 3e38  # finite, and its square is not in single precision
    iq[600:700] = 1e-30  # not zero, and its square is
    path = write_raw(tmp_path / "a.cf32", iq)
    dataset = open_dataset("captures", path, window_samples=100, min_power_db=-40)
    assert dataset.skipped == {"not finite": 2, "all zero": 1, "under -40 dB": 2}
    assert dataset.store.first_sample.tolist() == [0, 500, 700, 800, 900]
    assert len(open_dataset("captures", path, window_samples=100, scan=False)) == 10
    with pytest.raises(DatasetError, match="scan"):
        open_dataset("captures", path, scan=False, min_power_db=-40)


def test_at_most_so_many_windows(tmp_path):
    for seed, (name, count) in enumerate({"am": 1000, "fm": 200}.items()):
        write_raw(tmp_path / name / "a.cf32", iq_of(count, seed))
    dataset = open_dataset("captures", tmp_path, window_samples=100, max_windows_per_class=5)
    assert dataset.summary()["classes"] == {"am": 5, "fm": 2}
    assert dataset.skipped == {"over max_windows_per_class": 5}
    assert dataset.store.first_sample[:5].tolist() == [0, 200, 400, 600, 800]


def too_short(folder):
    write_raw(folder / "am" / "a.cf32", iq_of(1000))
    write_raw(folder / "fm" / "a.cf32", iq_of(90))


def unlike_rates(folder):
    write_sigmf(folder / "am" / "a", iq_of(1000), sample_rate=1e6)
    write_sigmf(folder / "fm" / "b", iq_of(1000, 1), sample_rate=2e6)


def silent_class(folder):
    write_raw(folder / "am" / "a.cf32", iq_of(1000))
    write_raw(folder / "fm" / "a.cf32", np.zeros(1000))


def unknown_key(folder):
    write_raw(folder / "a.cf32", iq_of(1000))
    (folder / "a.yaml").write_text("lable: am")


def empty_key(folder):
    write_raw(folder / "a.cf32", iq_of(1000))
    (folder / "a.yaml").write_text("label:")


def hostile_sidecar(folder):
    write_raw(folder / "a.cf32", iq_of(1000))
    (folder / "a.yaml").write_text("label: !!python/object/apply:os.system ['touch /tmp/pwned']")


def vague(folder):
    write_raw(folder / "a.iq", iq_of(1000))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, "holds no recording (0 other files)"),
        (lambda folder: (folder / "readme.md").write_text(""), "holds no recording (1 other"),
        (too_short, "class 'fm' has no usable window of 128 samples; its longest stretch has 90"),
        (unlike_rates, "recorded at 1e+06 samples/s"),
        (silent_class, "class 'fm' has no usable window"),
        (unknown_key, "unknown key 'lable'; it may give dtype"),
        (empty_key, "label is None"),
        (hostile_sidecar, "cannot be read"),
        (vague, "give dtype="),
    ],
)
def test_one_clear_sentence(tmp_path, make, words):
    folder = tmp_path / "recordings"
    folder.mkdir()
    make(folder)
    with pytest.raises(DatasetError) as error:
        open_dataset("captures", folder)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert str(folder) in str(error.value)


def test_rates_may_be_given_by_the_user(tmp_path):
    unlike_rates(tmp_path)
    assert len(open_dataset("captures", tmp_path, sample_rate_hz=1e6)) == 14


def test_the_rate_that_all_recordings_share(tmp_path, caplog):
    write_sigmf(tmp_path / "am" / "a", iq_of(1000), sample_rate=1e6)
    write_sigmf(tmp_path / "fm" / "b", iq_of(1000, 1), sample_rate=1e6)
    assert open_dataset("captures", tmp_path).sample_rate_hz == 1e6
    write_raw(tmp_path / "fm" / "c.cf32", iq_of(1000, 2))
    assert open_dataset("captures", tmp_path).sample_rate_hz is None
    assert "c.cf32 does not say its sample rate, and others do" in caplog.text
    assert open_dataset("captures", tmp_path, sample_rate_hz=2e6).sample_rate_hz == 2e6


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_and_folders(tmp_path):
    path = write_raw(tmp_path / "am" / "a.cf32", iq_of(1000))
    path.chmod(0)
    with pytest.raises(DatasetError, match="permissions"):
        open_dataset("captures", tmp_path)
    path.chmod(0o600)
    path.parent.chmod(0)
    try:
        with pytest.raises(DatasetError, match="permissions"):
            open_dataset("captures", tmp_path)
    finally:
        path.parent.chmod(0o700)


def test_one_bad_file_does_not_spoil_a_folder(tmp_path, caplog):
    write_raw(tmp_path / "am" / "a.cf32", iq_of(1000))
    (tmp_path / "am" / "b.cf32").write_bytes(b"12345")
    (tmp_path / "am" / "c.cf32").write_bytes(iq_of(300, 1).tobytes()[:-3])
    (tmp_path / "am" / "d.wav").write_bytes(b"no WAV")
    dataset = open_dataset("captures", tmp_path, window_samples=100)
    assert len(dataset) == 12
    assert dataset.skipped == {"file that cannot be read": 2, "recording with a fault": 1}
    for name in ("b.cf32 holds no samples", "c.cf32 ends inside a sample", "d.wav is not a WAV"):
        assert name in caplog.text
    with pytest.raises(DatasetError, match=r"b\.cf32"):
        open_dataset("captures", tmp_path, strict=True)


def test_the_same_samples_are_one_recording_wherever_they_lie(tmp_path):
    iq = iq_of(2000)
    write_raw(tmp_path / "am" / "a.cf32", iq)
    write_sigmf(tmp_path / "am" / "copy", iq)
    np.save(tmp_path / "am" / "again.npy", iq)
    write_raw(tmp_path / "fm" / "b.cf32", iq_of(2000, 1))
    dataset = open_dataset("captures", tmp_path, window_samples=100)
    assert dataset.summary()["classes"] == {"am": 20, "fm": 20}
    assert dataset.skipped == {"recording whose samples are another's": 2}
    write_raw(tmp_path / "fm" / "copy.cf32", iq)
    with pytest.raises(DatasetError, match="hold the same samples under two labels, 'fm' and 'am'"):
        open_dataset("captures", tmp_path)


def test_audio_beside_iq_and_sidecars_of_others_are_passed_over(tmp_path):
    write_raw(tmp_path / "am" / "a.cf32", iq_of(1000))
    (tmp_path / "am" / "a.json").write_text('{"model": "A", "id": 1}\n{"model": "A", "id": 1}\n')
    (tmp_path / "am" / "b.cf32").write_bytes(iq_of(500, 1).tobytes())
    (tmp_path / "am" / "b.json").write_text('{"model": "A", "type": "TPMS", "label": "x"}')
    write_wav(tmp_path / "am" / "listen.wav", bytes(1600), channels=1, rate=8000)
    write_wav(tmp_path / "am" / "gqrx_20200101_120000_145800000.wav", bytes(1600))
    write_wav(tmp_path / "am" / "SDRSharp_20200101_120000Z_145800000Hz_AF.wav", bytes(1600))
    (tmp_path / "am" / "._a.cf32").write_bytes(b"of a Mac")
    dataset = open_dataset("captures", tmp_path, window_samples=100)
    assert dataset.summary()["classes"] == {"am": 15}
    assert dataset.skipped == {
        "file of demodulated audio": 2,
        "file of one channel beside IQ": 1,
        "sidecar of another program": 2,
    }


def test_rates_in_names_count(tmp_path):
    for place, seed in (("a/g001_433.92M_250k.cf32", 0), ("b/g001_868.3M_1000k.cf32", 1)):
        write_raw(tmp_path / place, iq_of(1000, seed))
    with pytest.raises(DatasetError, match=r"at 250000 samples/s and .*868.* at 1e.06"):
        open_dataset("captures", tmp_path)


def two_emitters(folder, edges):
    """24 000 samples at 1 MS/s with a tone 200 kHz below, and one 200 kHz above the centre."""
    time = np.arange(24_000) / 1e6
    low, high = (np.exp(2j * np.pi * hz * time) for hz in (-200e3, 200e3))
    write_sigmf(folder / "band", low + 2 * high, sample_rate=1e6)
    meta = folder / "band.sigmf-meta"
    metadata = json.loads(meta.read_text())
    metadata["annotations"] = [
        {
            "core:sample_start": 0,
            "core:sample_count": 24_000,
            "core:label": label,
            "core:freq_lower_edge": 1e8 + center_hz - 10e3,
            "core:freq_upper_edge": 1e8 + center_hz + 10e3,
        }
        for label, center_hz in edges
    ]
    meta.write_text(json.dumps(metadata))


def test_a_label_with_frequency_edges_is_cut_out_there(tmp_path):
    two_emitters(tmp_path, [("low", -200e3), ("high", 200e3)])
    dataset = open_dataset("captures", tmp_path)
    assert dataset.sample_rate_hz == pytest.approx(80e3, rel=0.05)
    assert dataset.summary()["classes"] == {"high": 15, "low": 15}
    windows = complex_windows(dataset)
    for label, amplitude in ((0, 2), (1, 1)):  # at 0 Hz, and without the neighbour
        inner = windows[dataset.label == label][1:-1]
        np.testing.assert_allclose(np.abs(inner), amplitude, rtol=0.01)
        np.testing.assert_allclose(inner, inner[0, 0], rtol=0.02)
    assert len(pickle.dumps(dataset)) < 200_000
    at = open_dataset("captures", tmp_path, cut_rate_hz=200e3, window_samples=100)
    assert at.sample_rate_hz == 200e3 and len(at) == 96


def test_two_labels_in_one_band_are_a_conflict(tmp_path):
    two_emitters(tmp_path, [("low", -200e3), ("other", -195e3)])
    with pytest.raises(DatasetError, match=r"'low' has no usable window.*samples have two labels"):
        open_dataset("captures", tmp_path)


def test_labels_with_and_without_edges_need_one_rate(tmp_path):
    two_emitters(tmp_path, [("low", -200e3), ("high", 200e3)])
    write_sigmf(tmp_path / "noise" / "n", iq_of(9000), sample_rate=1e6)
    with pytest.raises(DatasetError, match=r"different rates; annotate it with .*cut_rate_hz="):
        open_dataset("captures", tmp_path)
    dataset = open_dataset("captures", tmp_path, cut_rate_hz=100e3)
    assert dataset.sample_rate_hz == 100e3
    assert dataset.summary()["classes"] == {"high": 18, "low": 18, "noise": 7}


def test_missing_path(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset("captures", tmp_path / "nothing.cf32")


READ_A_LARGE_FILE = """
import resource, sys
import numpy as np
from gr_tsddae.data import open_dataset

open_dataset("captures", sys.argv[1])
small = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dataset = open_dataset("captures", sys.argv[2])
dataset.rows(np.arange(0, len(dataset), 1000))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - small) / 1024)
"""


def test_memory_stays_small(tmp_path):
    """A recording of 256 MiB is scanned and sampled in a small part of that."""
    small = write_raw(tmp_path / "small.cf32", iq_of(1000))
    large = tmp_path / "large.ci16"
    with large.open("wb") as file:
        block = np.random.default_rng(0).integers(-99, 99, 1 << 22, np.int16).tobytes()
        for _ in range(32):
            file.write(block)
    environment = os.environ | {"PYTHONPATH": str(Path(gr_tsddae.__file__).parents[1])}
    command = [sys.executable, "-c", READ_A_LARGE_FILE, str(small), str(large)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100  # MiB


def test_a_recording_that_is_cut_while_it_is_learnt_from(tmp_path):
    """In a process of its own: touching pages that are gone ends it."""
    path = tmp_path / "x" / "a.cf32"
    path.parent.mkdir()
    np.ones(100_000, np.complex64).tofile(path)
    code = """
import os, sys
from gr_tsddae.data import DatasetError, open_dataset
dataset = open_dataset("captures", sys.argv[1], window_samples=100)
dataset.rows(slice(0, 2))
os.truncate(sys.argv[2], 1600)
try:
    dataset.rows()
except DatasetError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, tmp_path, path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path} was cut to 1600 bytes while it was being read")
