# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectrogram with labelled boxes: no label covers another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gr_tsddae.iq.captures import open_capture
from gr_tsddae.survey.emission import Emission

pytest.importorskip("matplotlib")


def emission(number, low_hz, high_hz, start_s, stop_s, **more):
    return Emission(number, start_s, stop_s, low_hz, high_hz, 10.0 + number, [], **more)


@pytest.fixture
def capture(tmp_path):
    rng = np.random.default_rng(1)
    iq = rng.standard_normal(200_000) + 1j * rng.standard_normal(200_000)
    iq.astype(np.complex64).tofile(tmp_path / "noise.cf32")
    with open_capture(tmp_path / "noise.cf32", sample_rate_hz=1e6) as found:
        yield found


def labels_drawn(capture, emissions, path, monkeypatch):
    """Texts within the axes, with their extents in pixels."""
    from matplotlib.figure import Figure

    from gr_tsddae.survey.output.picture import draw

    seen = []
    save = Figure.savefig

    def spy(figure, *arguments, **options):
        axis = figure.axes[0]
        room = axis.get_window_extent()
        for text in axis.texts:
            seen.append((text.get_text(), text.get_window_extent(), room))
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", spy)
    draw(capture, emissions, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    return seen


def test_labels_do_not_cover_each_other(capture, tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    emissions = []
    for number in range(1, 101):
        low_hz, start_s = rng.uniform(-5e5, 4.8e5), rng.uniform(0, 0.19)
        emissions.append(
            emission(
                number,
                low_hz,
                low_hz + rng.uniform(1e3, 1e5),
                start_s,
                start_s + rng.uniform(1e-3, 0.2),
                label="pi/4-DQPSK" if number % 2 else "unknown",
                symbol_rate_hz=18000.0,
                candidates=["TETRA"],
            )
        )
    labels = labels_drawn(capture, emissions, tmp_path / "many.png", monkeypatch)
    assert len(labels) >= 60
    for (_, one, _), (_, other, _) in itertools.combinations(labels, 2):
        assert not one.overlaps(other)
    for _, extent, room in labels:
        assert room.x0 - 1 <= extent.x0 and extent.x1 <= room.x1 + 1
        assert room.y0 - 1 <= extent.y0 and extent.y1 <= room.y1 + 1


def test_a_label_says_number_class_rate_and_a_doubtful_candidate(capture, tmp_path, monkeypatch):
    alone = emission(
        3, -1e5, 1e5, 0.0, 0.1, label="FM", symbol_rate_hz=1200.0, candidates=["APRS (x), y"]
    )
    labels = labels_drawn(capture, [alone], tmp_path / "one.png", monkeypatch)
    assert [text for text, _, _ in labels] == ["3 wide FM 1200 Bd\nAPRS?"]


def test_boxes_beyond_the_band_are_no_trouble(capture, tmp_path, monkeypatch):
    outside = emission(1, 6e5, 7e5, 0.0, 0.1)
    labels_drawn(capture, [outside], tmp_path / "outside.png", monkeypatch)
    assert labels_drawn(capture, [], tmp_path / "none.png", monkeypatch) == []
