# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes: what their truth says is in the samples, and the files hold both."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from gr_tsddae.iq.captures import open_capture
from gr_tsddae.synth.__main__ import main
from gr_tsddae.synth.scene import SCENES, make_scene
from gr_tsddae.synth.scene.files import read_truth, write_scene
from gr_tsddae.synth.scene.render import Scene, Truth

RATE_HZ = 250e3


def scene(recipe: str = "clean", seed: int = 1, emitters: int = 3, seconds: float = 0.5):
    return make_scene(
        SCENES[recipe], seconds=seconds, rate_hz=RATE_HZ, emitters=emitters, seed=seed
    )


def power_in(iq: np.ndarray, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.fft(iq)) ** 2 / len(iq) ** 2
    hz = np.fft.fftfreq(len(iq), 1 / RATE_HZ)
    return float(spectrum[(hz >= low_hz) & (hz < high_hz)].sum())


@pytest.mark.parametrize("seed", range(4))
def test_the_snr_holds_in_the_occupied_bandwidth(seed):
    made = scene(seed=seed)
    hz = np.fft.fftfreq(len(made.iq), 1 / RATE_HZ)
    empty = np.ones(len(hz), bool)
    for truth in made.truths:
        empty &= np.abs(hz - truth.center_hz) > 2 * truth.bandwidth_hz + 1000
    density = np.mean(np.abs(np.fft.fft(made.iq)[empty]) ** 2) / len(hz) ** 2 / (hz[1] - hz[0])
    for truth in made.truths:
        width_hz = max(truth.bandwidth_hz, 1000.0)
        on = sum(stop - start for start, stop in truth.bursts) / 0.5
        power = power_in(made.iq, truth.center_hz - width_hz / 2, truth.center_hz + width_hz / 2)
        got = (power / (density * width_hz) - 1) / on
        expected = 10 ** (truth.snr_db / 10) * (0.99 if truth.bandwidth_hz else 1)
        assert 10 * np.log10(got / expected) == pytest.approx(0, abs=1.5), truth.label


@pytest.mark.parametrize("recipe", sorted(SCENES))
def test_emitters_keep_apart_and_inside_the_band(recipe):
    made = scene(recipe, emitters=3)
    truths = sorted(made.truths, key=lambda truth: truth.low_hz)
    assert len(truths) == 3
    assert truths[0].low_hz > -RATE_HZ / 2 and truths[-1].high_hz < RATE_HZ / 2
    assert all(a.high_hz < b.low_hz for a, b in itertools.pairwise(truths))
    assert all(0 <= t.start_s < t.stop_s <= 0.51 for t in truths)
    assert np.abs(made.iq.view(np.float32)).max() <= 1


def test_bursts_are_where_they_are_said_to_be():
    made = scene("bursts", seed=3, emitters=1)
    truth = made.truths[0]
    spectrum = np.fft.fft(made.iq)
    hz = np.fft.fftfreq(len(made.iq), 1 / RATE_HZ)
    spectrum[(hz < truth.low_hz) | (hz > truth.high_hz)] = 0
    power = np.abs(np.fft.ifft(spectrum)) ** 2
    on = np.zeros(len(power), bool)
    for start, stop in truth.bursts:
        on[round(start * RATE_HZ) : round(stop * RATE_HZ)] = True
    assert power[on].mean() > 0.5 * 10 ** (truth.snr_db / 10) * power[~on].mean()


def test_the_same_seed_gives_the_same_scene_and_another_another():
    np.testing.assert_array_equal(scene(seed=5).iq, scene(seed=5).iq)
    assert scene(seed=5).truths != scene(seed=6).truths


def test_the_command_writes_a_recording_with_its_truth(tmp_path):
    out = tmp_path / "wide"
    options = ["--seconds", "0.2", "--rate", "250e3", "--emitters", "2", "--seed", "4"]
    assert main(["scene", str(out), *options]) == 0
    made = scene("mixed", seed=4, emitters=2, seconds=0.2)
    with open_capture(f"{out}.sigmf-meta") as capture:
        assert capture.sample_rate_hz == 250e3 and capture.sample_count == 50_000
        iq = capture.read(0, 1000)
        assert {note.label for note in capture.annotations} == {t.label for t in made.truths}
    assert np.abs(iq - made.iq[:1000]).max() < 0.01
    truths = {truth.label: truth for truth in read_truth(tmp_path / "wide.sigmf-meta")}
    for truth in made.truths:
        read = truths[truth.label]
        assert (read.low_hz, read.high_hz, read.snr_db) == (
            truth.low_hz,
            truth.high_hz,
            truth.snr_db,
        )
        assert read.bursts == truth.bursts
        assert read.details == {k: v for k, v in truth.details.items() if v is not None}
    assert main(["scene", str(out), *options]) == 1  # nothing is overwritten


def test_the_recording_is_valid_sigmf(tmp_path):
    sigmf = pytest.importorskip("sigmf")
    meta = write_scene(scene(emitters=2, seconds=0.1), tmp_path / "x", "cf32")
    sigmf.sigmffile.fromfile(str(meta)).validate()


@pytest.mark.parametrize(
    ("seconds", "rate_hz", "emitters", "words"),
    [(0, 1e6, 1, "samples: choose"), (1, 1e6, -1, "at least 0"), (0.1, 20e3, 90, "do not fit")],
)
def test_what_cannot_be_drawn_is_refused(seconds, rate_hz, emitters, words):
    with pytest.raises(ValueError, match=words):
        make_scene(SCENES["clean"], seconds=seconds, rate_hz=rate_hz, emitters=emitters, seed=1)


def test_a_recording_without_truth_is_refused(tmp_path):
    meta = tmp_path / "x.sigmf-meta"
    meta.write_text(json.dumps({"global": {}, "captures": [], "annotations": []}))
    with pytest.raises(ValueError, match="holds no truth"):
        read_truth(meta)


def test_a_carrier_is_written_with_a_box_and_read_without_width(tmp_path):
    carrier = Truth("carrier", 0.0, 0.5, 20e3, 20e3, 12.0, ((0.0, 0.5),), {})
    made = Scene(np.zeros(125_000, np.complex64), RATE_HZ, (carrier,))
    meta = write_scene(made, tmp_path / "one")
    with open_capture(meta) as capture:
        assert capture.annotations[0].band_hz == (19_500.0, 20_500.0)
        assert not capture.faults
    assert read_truth(meta) == [carrier]
