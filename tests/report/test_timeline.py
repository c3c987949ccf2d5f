# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline: right power in the right place, bounded memory, and a picture for every capture."""

import builtins
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from decisions import Decision

from gr_tsddae.iq.captures import Annotation, open_capture
from gr_tsddae.report.timeline import MAX_COLUMNS, _Colours, plot_timeline, spectrogram

CLASSES = ("BPSK", "QPSK", "WBFM", "noise")


def write(path, iq, **kwargs):
    np.asarray(iq, np.complex64).tofile(path)
    return open_capture(path, **kwargs)


def pixels(path):
    """(height, width, 3) floats from 0 to 1."""
    image = pytest.importorskip("matplotlib.image")
    return image.imread(path)[..., :3]


def has_colour(path, colour):
    from matplotlib.colors import to_rgb

    return bool((np.abs(pixels(path) - to_rgb(colour)).max(axis=-1) < 0.01).sum() > 50)


def decide(labels, confidence=0.9):
    return [Decision(x, 1000 * n, 1000, confidence) for n, x in enumerate(labels)]


@pytest.fixture
def tone(tmp_path):
    """Silence, then a tone of amplitude 0.5 at a quarter of the sample rate."""
    n = np.arange(100_000)
    iq = np.where(n < 50_000, 0, 0.5 * np.exp(2j * np.pi * 0.25 * n))
    return write(tmp_path / "tone.cf32", iq, sample_rate_hz=1e6, center_frequency_hz=433e6)


def test_spectrogram_of_a_tone(tone):
    power_db, edges = spectrogram(tone)
    columns, bins = power_db.shape
    assert len(edges) == columns + 1 and edges[0] == 0 and edges[-1] == 100_000
    middle = (edges[:-1] + edges[1:]) / 2
    loud = power_db[middle > 51_000]
    assert (loud.argmax(axis=1) == bins * 3 // 4).all()  # +0.25 of -0.5..0.5
    np.testing.assert_allclose(loud.max(axis=1), 20 * np.log10(0.5), atol=0.1)
    assert power_db[middle < 49_000].max() < -150


def test_spectrogram_is_bounded_and_covers_the_end(tmp_path):
    path = tmp_path / "long.cf32"
    with path.open("wb") as file:
        file.truncate(8 * 2**28)  # 2 GiB, sparse
        file.seek(-8 * 1024, 2)
        file.write(np.full(1024, 1 + 0j, np.complex64).tobytes())
    tracemalloc.start()
    power_db, edges = spectrogram(open_capture(path))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert power_db.shape == (MAX_COLUMNS, 512) and edges[-1] == 2**28
    assert peak_bytes < 32 * 2**20
    assert power_db[-1].max() > -40 > power_db[:-1].max()


@pytest.mark.parametrize("count", [1, 2, 31, 33, 100, 1000, 5000])
def test_spectrogram_of_short_captures(tmp_path, count):
    power_db, edges = spectrogram(write(tmp_path / "short.cf32", np.ones(count)))
    assert np.isfinite(power_db).all() and edges[-1] == count
    assert len(edges) == len(power_db) + 1 and (np.diff(edges) > 0).all()


def test_samples_that_are_not_finite_count_as_silence(tmp_path):
    iq = np.ones(4096, np.complex64)
    iq[1000:1010] = np.nan
    iq[2000] = np.inf
    assert np.isfinite(spectrogram(write(tmp_path / "nan.cf32", iq))[0]).all()


def test_picture(tone, tmp_path):
    decisions = decide(["noise"] * 50 + ["BPSK"] * 50)
    path = plot_timeline(tone, decisions, tmp_path / "new" / "t.png", classes=CLASSES)
    image = pixels(path)
    assert 1000 < image.shape[1] < 2000 and 500 < image.shape[0] < 1500
    colours = _Colours(CLASSES)
    assert has_colour(path, colours.style("BPSK")["facecolor"])
    assert has_colour(path, colours.style("noise")["facecolor"])
    assert not has_colour(path, colours.style("QPSK")["facecolor"])


def test_below_the_threshold_is_unknown(tone, tmp_path):
    colours = _Colours(CLASSES)
    sure = plot_timeline(tone, decide(["BPSK"] * 100, 0.7), tmp_path / "a.png", classes=CLASSES)
    assert has_colour(sure, colours.style("BPSK")["facecolor"])
    unsure = plot_timeline(
        tone,
        decide(["BPSK"] * 100, 0.7),
        tmp_path / "b.png",
        classes=CLASSES,
        confidence_threshold=0.8,
    )
    assert not has_colour(unsure, colours.style("BPSK")["facecolor"])
    assert has_colour(unsure, colours.style("unknown")["facecolor"])


def test_truth_is_a_track_of_its_own(tone, tmp_path):
    truth = replace(tone, annotations=(Annotation(0, 100_000, "WBFM"),))
    own = replace(tone, annotations=(Annotation(0, 100_000, "WBFM", "gr-tsddae 0.1.0"),))
    colour = _Colours(CLASSES).style("WBFM")["facecolor"]
    decisions = decide(["BPSK"] * 100)
    assert has_colour(plot_timeline(truth, decisions, tmp_path / "a.png", classes=CLASSES), colour)
    # What an earlier run said is no truth.
    assert not has_colour(
        plot_timeline(own, decisions, tmp_path / "b.png", classes=CLASSES), colour
    )


def test_pictures_without_rate_decisions_or_signal(tmp_path):
    silence = write(tmp_path / "silence.cf32", np.zeros(3))
    plot_timeline(silence, [], tmp_path / "a.png", classes=CLASSES)
    overlapping = [Decision("BPSK", 0, 3), Decision("QPSK", 1, 2, 0.2), Decision("alien", 2, 1)]
    path = plot_timeline(
        silence, overlapping, tmp_path / "b.png", classes=CLASSES, title="all three"
    )
    assert pixels(path).size


def test_colours_are_fixed_by_the_order_of_the_classes():
    classes = [f"class {n}" for n in range(24)]
    styles = [_Colours(classes).style(name) for name in classes]
    looks = {(style["facecolor"], style["hatch"]) for style in styles}
    assert len(looks) == 24
    assert styles[:5] == [_Colours(classes[:5]).style(name) for name in classes[:5]]
    assert _Colours(["b", "a"]).ordered({"unknown", "a", "z", "b"}) == ["b", "a", "z", "unknown"]


def test_without_matplotlib(tone, tmp_path, monkeypatch):
    genuine = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError("No module named 'matplotlib'")
        return genuine(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(RuntimeError, match="pip install matplotlib"):
        plot_timeline(tone, [], tmp_path / "t.png", classes=CLASSES)
