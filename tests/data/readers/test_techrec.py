# SPDX-License-Identifier: GPL-3.0-or-later
"""TechRec: names, true SNR, noise that is the same every time, and copies that stay together."""

from pathlib import Path

import numpy as np
import pytest

from gr_tsddae.data import DatasetError, open_dataset

SNRS_DB = list(range(-15, 21, 5))
GENUINE = Path(__file__).parents[4] / "shared" / "data" / "rf-signal-classification-nas_SMACD"


def iq_of(count, seed, amplitude=0.01):
    real, imag = amplitude * np.random.default_rng(seed).normal(size=(2, count))
    return (real + 1j * imag).astype(np.complex64)


@pytest.fixture
def folder(tmp_path):
    """Three technologies with the names of the published files, and one that has none."""
    for seed, (name, windows) in enumerate(
        {
            "lte10Msps_g20_igent_f806MHz_r1": 12,
            "dvbt_g30_igent_f482MHz_r1": 9,
            "wf10Msps_g76_rabot_f5240MHz_r1": 7,
            "wf_g70_merelbeke_f2412MHz_r2": 4,
        }.items()
    ):
        iq = iq_of(windows * 1024 + 500, seed) * (1 + np.arange(windows * 1024 + 500) // 1024)
        iq.astype(np.complex64).tofile(tmp_path / f"{name}.bin")
    (tmp_path / "calibration.bin").write_bytes(b"\0" * 64)
    return tmp_path


def clean_of(folder):
    """The naive cut of all files in the order of their names, each window once per SNR."""
    cut = [
        np.fromfile(file, "<f4")[: windows * 2048].reshape(-1, 1024, 2).transpose(0, 2, 1)
        for file in sorted(folder.glob("*_*.bin"))
        for windows in [file.stat().st_size // 8192]
    ]
    return np.repeat(np.concatenate(cut), len(SNRS_DB), axis=0)


def test_classes_and_levels_come_from_names(folder):
    dataset = open_dataset("techrec", folder)
    summary = dataset.summary()
    assert summary["classes"] == {"dvbt": 9 * 8, "lte": 12 * 8, "wifi": 11 * 8}
    assert summary["levels_db"] == dict.fromkeys(SNRS_DB, 32)
    assert (dataset.task, dataset.level_name) == ("wtc", "SNR")
    assert dataset.skipped == {"file whose name gives no technology": 1}


def test_snr_is_true_and_the_signal_unchanged(folder):
    dataset = open_dataset("techrec", folder)
    clean = clean_of(folder)
    noise = dataset.rows() - clean
    power = np.square(clean.astype(np.float64)).sum(1).mean(1)
    noise_power = np.square(noise.astype(np.float64)).sum(1).mean(1)
    for snr in SNRS_DB:
        here = dataset.level_db == snr
        measured_db = 10 * np.log10(power[here] / noise_power[here])
        assert abs(measured_db.mean() - snr) < 0.05
        assert abs(measured_db - snr).max() < 0.6  # 4.5 standard deviations of one window's power
    unit = noise / np.sqrt(noise_power / 2)[:, None, None]
    # White, circular, Gaussian: no correlation from sample to sample or I to Q, kurtosis 3.
    assert abs((unit[:, :, 1:] * unit[:, :, :-1]).mean()) < 0.01
    assert abs((unit[:, 0] * unit[:, 1]).mean()) < 0.01
    assert abs((unit**4).mean() - 3) < 0.05


def test_noise_is_the_same_every_time_and_never_twice_the_same(folder):
    dataset = open_dataset("techrec", folder)
    which = np.array([17, 3, 200, 3])
    once = dataset.rows(which)
    np.testing.assert_array_equal(once, open_dataset("techrec", folder).rows()[which])
    assert (dataset.rows(which) != open_dataset("techrec", folder, seed=1).rows(which)).any()
    noise = (dataset.rows() - clean_of(folder)).reshape(len(dataset), -1)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    likeness = noise @ noise.T - np.eye(len(noise))
    assert abs(likeness).max() < 6 / np.sqrt(2048)


@pytest.mark.parametrize(("group_by", "groups"), [("recording", 4), ("block", 30), ("window", 32)])
def test_copies_of_a_window_stay_together(folder, group_by, groups):
    dataset = open_dataset("techrec", folder, group_by=group_by)
    assert len(np.unique(dataset.group)) == groups
    assert (dataset.group.reshape(-1, 8) == dataset.group[::8, None]).all()
    assert open_dataset("techrec", folder, group_by=None).group is None


def test_fewer_windows_and_levels(folder):
    dataset = open_dataset("techrec", folder, max_windows_per_class=3, snrs_db=[0, 10])
    assert dataset.summary()["classes"] == {"dvbt": 6, "lte": 6, "wifi": 6}
    assert dataset.skipped["over max_windows_per_class"] == 6 + 9 + 8


def test_errors_name_the_remedy(tmp_path, folder):
    with pytest.raises(DatasetError, match="no folder"):
        open_dataset("techrec", folder / "calibration.bin")
    with pytest.raises(DatasetError, match=r"snrs_db is \[0.5\]"):
        open_dataset("techrec", folder, snrs_db=[0.5])
    with pytest.raises(DatasetError, match="'dvbt' has no usable window of 10000 samples"):
        open_dataset("techrec", folder, window_samples=10_000)
    for file in folder.glob("*_*.bin"):
        file.unlink()
    with pytest.raises(DatasetError, match="no TechRec file among 1 "):
        open_dataset("techrec", folder)


@pytest.mark.skipif(not GENUINE.is_dir(), reason="the genuine recordings are not here")
def test_genuine_recordings(tmp_path):
    for name, original in {
        "dvbt_g30_igent_f482MHz_r1.bin": "techrec_dvbt_igent_482MHz_10Msps_A.cf32",
        "lte10Msps_g20_igent_f806MHz_r1.bin": "techrec_lte_igent_806MHz_10Msps_A.cf32",
    }.items():
        (tmp_path / name).symlink_to(GENUINE / original)
    dataset = open_dataset("techrec", tmp_path, snrs_db=[20])
    assert dataset.summary()["classes"] == {"dvbt": 302, "lte": 244}
    for label, (least, most) in enumerate([(0.91, 0.97), (0.80, 0.89)]):
        rows = dataset.rows(dataset.label == label)
        spectrum = np.abs(np.fft.fft(rows[:, 0] + 1j * rows[:, 1], axis=1)) ** 2
        # Within +-3.8 of 10 MHz lies all of DVB-T's 7.6 MHz, but not of LTE's 9 MHz.
        inside = abs(np.fft.fftfreq(1024)) < 0.38
        assert least < spectrum[:, inside].sum() / spectrum.sum() < most
