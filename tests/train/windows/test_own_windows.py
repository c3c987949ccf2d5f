# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of one's own, in sets that lie apart in time."""

import json

import numpy as np
import pytest
import torch

from gr_tsddae import zoo
from gr_tsddae.data import DatasetError
from gr_tsddae.train.windows.own_windows import OwnWindows

L = 32
CARD = zoo.Card(
    name="base", task="amc", network="tsnet-nano", classes=("x", "y"), window_samples=L,
    scaling="unit_power", samples_per_symbol=8.0, weights_sha256="", licence="GPL-3.0-or-later",
)  # fmt: skip


def windows(folder, **changes):
    settings = {
        "card": CARD, "shots": 10, "gate_db": None, "noise_class": True, "options": {},
        "seed": 1,
    }  # fmt: skip
    return OwnWindows(folder, **settings | changes)


def test_parts_are_apart_and_shots_are_spread(emitters):
    own = windows(emitters, shots=12)
    taken = {name: own.subset(name) for name in own.split}
    rows = {name: {row.numpy().tobytes() for row in each.rows} for name, each in taken.items()}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not rows[one] & rows[other]
    counts = own.counts()
    assert {name: counts[name]["train"] for name in "ab"} == {"a": 12, "b": 12}
    assert own.recordings() == {"a": 2, "b": 1}
    # Class a has two recordings: it is measured on the one that it does not learn from.
    (apart,) = own.apart
    assert set(taken["test"].recording[taken["test"].label == 0].tolist()) == {apart}
    assert apart not in taken["train"].recording and apart not in taken["validation"].recording
    assert any("only one recording of b:" in line for line in own.lines())
    named = windows(emitters, measure=["a/1"])
    assert [named.names[i].endswith("a/1.cf32") for i in named.apart] == [True]


def test_noise_is_a_class_of_its_own_unless_it_was_recorded(emitters, tmp_path, record):
    own = windows(emitters)
    part = own.subset("train")
    assert own.classes == ("a", "b", "noise")
    assert part.label.bincount().tolist() == [10, 10, 10]
    noise = part.rows[part.label == 2]
    assert noise.mean().abs() < 0.15 and noise.std() == pytest.approx(1, abs=0.1)
    assert not torch.equal(noise, own.subset("validation").rows[-len(noise) :])
    recorded = tmp_path / "own"
    record(recorded / "a" / "1.cf32", 0.1, 20 * L)
    record(recorded / "noise" / "1.cf32", 0.3, 20 * L)
    assert windows(recorded).classes == ("a", "noise")
    assert windows(emitters, noise_class=False).classes == ("a", "b")


def test_pauses_are_noise(tmp_path, record):
    iq = record(tmp_path / "a" / "1.cf32", 0.1, 60 * L)
    iq[15 * L : 30 * L] /= 4  # 12 dB
    iq.astype(np.complex64).tofile(tmp_path / "a" / "1.cf32")
    record(tmp_path / "b" / "1.cf32", 0.2, 60 * L)
    own = windows(tmp_path, gate_db=5.0, shots=100)
    assert own.classes == ("a", "b", "noise") and own.left_out == {}
    counted = {name: sum(parts.values()) for name, parts in own.counts().items()}
    assert counted["b"] == 60 and counted["a"] + counted["noise"] == 60
    assert 12 <= counted["noise"] <= 15  # levels are averaged over four windows
    quiet = [own.subset(name) for name in own.split]
    for part in quiet:  # recorded pauses, and made noise
        recorded = part.rows[(part.label == 2) & (part.recording >= 0)]
        assert (recorded.square().mean((1, 2)) < 0.1).all()
    assert windows(tmp_path, gate_db=20.0).counts()["noise"]["train"] == 0
    assert windows(tmp_path, gate_db=5.0, noise_class=False).left_out == {
        "pauses": counted["noise"]
    }


def test_pauses_that_are_called_noise_stay(tmp_path, record):
    """As in recordings whose pauses are annotated: bursts of a, noise 30 dB below between them."""
    iq = record(tmp_path / "band.cf32", 0.1, 60 * L)
    iq[20 * L : 40 * L] /= 32
    iq.astype(np.complex64).tofile(tmp_path / "band.cf32")
    spans = (("a", 0), ("noise", 20), ("a", 40))
    metadata = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0}],
        "annotations": [
            {"core:sample_start": n * L, "core:sample_count": 20 * L, "core:label": name}
            for name, n in spans
        ],
    }
    (tmp_path / "band.cf32").rename(tmp_path / "band.sigmf-data")
    (tmp_path / "band.sigmf-meta").write_text(json.dumps(metadata))
    own = windows(tmp_path, gate_db=5.0, shots=100)
    assert own.classes == ("a", "noise") and own.left_out == {}
    assert [sum(parts.values()) for parts in own.counts().values()] == [40, 20]


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        ({"a/1": (99 * L, 1e6)}, "one class, 'a'.*at least 2"),
        ({"1": (99 * L, 1e6)}, "no class.*one folder per class"),
        ({"a/1": (99 * L, 1e6), "b/1": (9 * L, 1e6)}, "'b' has 9 windows.*10 are needed.* 320 sam"),
        ({"a/1": (99 * L, 1e6), "unknown/1": (99 * L, 1e6)}, "'unknown'.*rename"),
        ({"a/1": (99 * L, 1e6), "b/1": (99 * L, 2e6)}, "1e.06.*2e.06.*resample"),
    ],
)
def test_what_cannot_be_learned_is_said(tmp_path, record, recordings, message):
    for number, (name, (count, rate_hz)) in enumerate(recordings.items()):
        record(tmp_path / f"{name}.cf32", 0.1 + 0.01 * number, count, rate_hz=rate_hz)
    with pytest.raises(DatasetError, match=message) as found:
        windows(tmp_path)
    assert "\n" not in str(found.value)
