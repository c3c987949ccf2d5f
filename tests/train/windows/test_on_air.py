# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings whose signal the survey finds, for models that want a multiple of the bandwidth."""

import json

import numpy as np
import pytest

from gr_tsddae import zoo
from gr_tsddae.data import DatasetError
from gr_tsddae.data.readers.spans import Span
from gr_tsddae.inference.pauses import is_on
from gr_tsddae.iq.captures import open_capture
from gr_tsddae.survey.__main__ import main as survey
from gr_tsddae.train.windows.on_air import _signal, cut_recordings
from gr_tsddae.train.windows.own_windows import OwnWindows

RATE_HZ, CARD = 200e3, zoo.read_card(zoo.find("air-small"))
SYMBOL_SAMPLES = 20  # 10 kBd


def bursts(seed, seconds=2.0, center_hz=30e3, pause=0.5):
    """BPSK that is on for the first part of every half second, 17 dB over white noise."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    bits = np.repeat(2.0 * random.integers(0, 2, count // SYMBOL_SAMPLES + 1) - 1, SYMBOL_SAMPLES)
    on = np.arange(count) % (RATE_HZ / 2) < (1 - pause) * RATE_HZ / 2
    noise = random.standard_normal((2, count)) * 0.15
    carrier = np.exp(2j * np.pi * center_hz / RATE_HZ * np.arange(count))
    return (bits[:count] * on * carrier + noise[0] + 1j * noise[1]).astype(np.complex64), on


def write(path, iq, annotations=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    iq.tofile(path.with_suffix(".sigmf-data"))
    info = {"core:datatype": "cf32_le", "core:version": "1.0.0", "core:sample_rate": RATE_HZ}
    meta = {
        "global": info,
        "captures": [{"core:sample_start": 0}],
        "annotations": annotations or [],
    }
    path.with_suffix(".sigmf-meta").write_text(json.dumps(meta))


def cut(folder, **options):
    return cut_recordings(folder, CARD, gate_db=5.0, options=options)


def test_levels_tell_pauses_however_little_they_lie_below():
    random = np.random.default_rng(1)
    truth = np.arange(1000) % 100 < 60
    for pause_db, faded_db in ((-9, 0), (-40, 12)):
        level_db = np.where(truth, -faded_db * np.arange(1000) / 1000, pause_db - faded_db / 2)
        power = 10 ** (level_db / 10) * random.gamma(64, 1 / 64, 1000)
        assert (is_on(power, 5.0) == truth).mean() > 0.995
    assert is_on(10 ** (-random.random(1000) * 3), 5.0).all()  # speech has all levels
    assert is_on(np.where(truth, 1.0, 0.5), 5.0).all()


def test_bursts_are_found_and_pauses_are_told(tmp_path):
    iq, on = bursts(1)
    write(tmp_path / "doorbell" / "1", iq)
    found = cut(tmp_path)
    exact, first = found.exact, (found.at_s * RATE_HZ).astype(int)
    assert found.on[exact].sum() > 20 and (~found.on[exact]).sum() > 10
    reach = (found.window_s * RATE_HZ * 0.4).astype(int)
    inside = on[first - reach] & on[first + reach] & on[first]
    outside = ~(on[first - reach] | on[first + reach] | on[first])
    assert (inside | outside).mean() > 0.95
    sure = inside | outside
    assert (found.on[sure] == inside[sure]).mean() > 0.97
    # Four samples per bandwidth: BPSK of rectangular symbols has lobes as wide as the symbol rate.
    windows = found.rows[exact & found.on][:, 0] + 1j * found.rows[exact & found.on][:, 1]
    spectrum = np.square(np.abs(np.fft.fft(windows))).mean(0)
    share = np.sort(spectrum)[::-1].cumsum() / spectrum.sum()
    assert 0.1 < np.searchsorted(share, 0.99) / len(share) < 0.6
    assert set(np.unique(found.burst[found.on])).isdisjoint(np.unique(found.burst[~found.on]))


def test_edges_of_annotations_win(tmp_path):
    iq, _ = bursts(2, pause=0)
    iq += bursts(3, center_hz=-40e3, pause=0)[0] * 3  # stronger: the survey alone would take it
    note = {
        "core:sample_start": 0, "core:sample_count": len(iq), "core:label": "mine",
        "core:freq_lower_edge": 20e3, "core:freq_upper_edge": 40e3,
    }  # fmt: skip
    write(tmp_path / "band", iq, [note])
    found = cut(tmp_path)
    assert found.classes == ("mine",)
    lasts_s = 1024 / (4 * 20e3)
    assert found.window_s[found.exact] == pytest.approx(lasts_s, rel=0.05)


def test_what_was_cut_out_of_one_recording_is_one_recording(tmp_path, capsys):
    """The survey's cut-outs can be taught, and nobody takes them for recordings of two days."""
    iq, _ = bursts(4, pause=0)
    iq += bursts(5, center_hz=-40e3, pause=0)[0]
    write(tmp_path / "band", iq)
    folder = tmp_path / "mine" / "doorbell"
    words = ["--model", "none", "--min-snr", "6", "--cut-out", str(folder), "--quiet"]
    assert survey([str(tmp_path / "band.sigmf-meta"), *words]) == 0
    assert len(list(folder.glob("*.sigmf-meta"))) == 2
    found = cut(tmp_path / "mine")
    assert len(found.names) == 1 and found.on[found.exact].sum() > 60
    write(tmp_path / "mine" / "sensor" / "1", bursts(6)[0])
    own = OwnWindows(
        tmp_path / "mine", card=CARD, shots=20, gate_db=5.0, noise_class=True, options={}, seed=1
    )
    assert own.recordings() == {"doorbell": 1, "sensor": 1}
    assert own.counts()["noise"]["train"] > 0
    noise = own.subset("train")
    assert (noise.label == 2).sum() >= 20 and noise.rows.shape[1:] == (2, 1024)


def test_what_cannot_be_cut_is_said(tmp_path):
    (tmp_path / "a").mkdir()
    bursts(7)[0].tofile(tmp_path / "a" / "1.cf32")
    with pytest.raises(DatasetError, match="does not say its sample rate"):
        cut(tmp_path)
    with pytest.raises(DatasetError, match=r"options\.hop_samples does not apply"):
        cut(tmp_path, hop_samples=10)
    with pytest.raises(DatasetError, match="options: sample_rate_hz is '2,4M'; give a number"):
        cut(tmp_path, sample_rate_hz="2,4M")
    assert len(cut(tmp_path, sample_rate_hz=f"{RATE_HZ / 1e3}k").rows)
    random = np.random.default_rng(0)
    noise = random.standard_normal((2, 100_000)).astype(np.float32)
    (noise[0] + 1j * noise[1]).tofile(tmp_path / "a" / "1.cf32")
    with pytest.raises(DatasetError, match="no labelled recording in which a signal was found"):
        cut(tmp_path, sample_rate_hz=1e6)


def test_a_stronger_neighbour_in_a_cut_out_is_not_learned(tmp_path):
    """A cut-out is four times as wide as its signal, and what is beside it is not its class."""
    iq = bursts(7, pause=0)[0] * 0.3 + bursts(8, center_hz=-10e3, pause=0)[0]
    write(tmp_path / "band", iq)
    words = ["--model", "none", "--min-snr", "6", "--cut-out", str(tmp_path / "mine"), "--quiet"]
    assert survey([str(tmp_path / "band.sigmf-meta"), *words]) == 0
    for path in (tmp_path / "mine").glob("*.sigmf-meta"):
        capture = open_capture(path)
        span = Span(0, capture.sample_count, "mine")
        found = _signal(capture, span, span.first, span.end)
        assert found.strongest.low_hz < 0 < found.strongest.high_hz, path.name
