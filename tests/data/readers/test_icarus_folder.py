# SPDX-License-Identifier: GPL-3.0-or-later
"""Class and SIR of an ICARUS recording: from its table, its annotations, or its name."""

import json
from collections import Counter

import numpy as np
import pytest

from gr_tsddae.data import DatasetError
from gr_tsddae.data.readers.icarus_folder import CLASSES, NO_SIR, annotated, label_of, released
from gr_tsddae.iq.sigmf.opinion import PROGRAM

NORMAL, ANOMALY = (CLASSES.index(name) for name in ("normal", "anomaly"))
IQ = (np.arange(64) + 1j).astype(np.complex64)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LTE", "normal"), ("OnlyLTE_frame_1", "normal"), ("normal", "normal"),
        ("LTE_DSSS", "anomaly"), ("abnormal", "anomaly"), ("Anomaly at 5 dB", "anomaly"),
    ],
)  # fmt: skip
def test_a_text_names_a_class(text, name):
    assert CLASSES[label_of(text, "here")] == name


@pytest.mark.parametrize("text", ["", "a filtered signal", "WiFi"])
def test_a_text_that_names_none_is_an_error_with_its_place(text):
    with pytest.raises(DatasetError, match="table 7 does not say whether it is normal"):
        label_of(text, "table 7")


def release(folder, name, **columns):
    for part in ("IQ", "Metadata"):
        (folder / part).mkdir(exist_ok=True)
    head = np.array([2, len(IQ)], "<i4").tobytes()
    (folder / "IQ" / name).write_bytes(head + IQ.tobytes())
    lines = [",".join(columns), ",".join(columns.values())]
    (folder / "Metadata" / f"{name}.csv").write_text("\n".join(lines))


def test_the_published_layout(tmp_path):
    release(tmp_path, "a", Signal_Type="LTE", LTE_SR="7.68e6", LTE_DSSS_SIR_dB="")
    release(tmp_path, "b", Signal_Type="LTE_DSSS", LTE_SR="", LTE_DSSS_SIR_dB="4.9")
    normal, anomaly = released(tmp_path)
    assert (normal.label, normal.level_db, normal.sample_count) == (NORMAL, NO_SIR, 64)
    assert (anomaly.label, anomaly.level_db) == (ANOMALY, 5)
    assert (normal.capture.sample_rate_hz, anomaly.capture.sample_rate_hz) == (7.68e6, None)
    with normal.capture as capture:
        np.testing.assert_array_equal(capture.read(0, 64), IQ)  # behind the header


def test_an_anomaly_without_sir_and_a_wrong_header_are_errors(tmp_path):
    release(tmp_path, "a", Signal_Type="LTE_DSSS", LTE_DSSS_SIR_dB="")
    with pytest.raises(DatasetError, match="anomaly without its SIR"):
        list(released(tmp_path))
    (tmp_path / "IQ" / "a").write_bytes(np.array([2, 65], "<i4").tobytes() + IQ.tobytes())
    with pytest.raises(DatasetError, match=r"begins with \[2, 65\].*64 would fit"):
        list(released(tmp_path))
    (tmp_path / "Metadata" / "a.csv").unlink()
    with pytest.raises(DatasetError, match="needs its table"):
        list(released(tmp_path))


def describe(folder, name, *annotations, **info):
    folder.mkdir(parents=True, exist_ok=True)
    (IQ + ord(name)).astype(np.complex64).tofile(folder / f"{name}.sigmf-data")  # no two are alike
    metadata = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.2.0", **info},
        "captures": [{"core:sample_start": 0}],
        "annotations": [
            {"core:sample_start": first, "core:sample_count": count, **more}
            for first, count, more in annotations
        ],
    }
    (folder / f"{name}.sigmf-meta").write_text(json.dumps(metadata))


def signals(folder):
    notes: Counter[str] = Counter()
    found = [
        (s.first_sample, s.sample_count, s.label, s.level_db) for s in annotated(folder, notes)
    ]
    return found, notes


def test_annotations_win_over_the_path_and_the_path_over_the_global_object(tmp_path):
    describe(
        tmp_path / "dsss_sir_10", "a",
        (0, 16, {"core:label": "normal"}), (16, 48, {"core:label": "anomaly SIR 5 dB"}),
    )  # fmt: skip
    describe(tmp_path / "dsss_sir_10", "b", **{"core:description": "normal"})
    describe(tmp_path / "z", "c", **{"core:description": "LTE, undisturbed"})
    found, notes = signals(tmp_path)
    assert found == [
        (0, 16, NORMAL, 10), (16, 48, ANOMALY, 5), (0, 64, ANOMALY, 10), (0, 64, NORMAL, NO_SIR),
    ]  # fmt: skip
    assert not +notes


def test_a_model_s_own_annotations_are_no_truth(tmp_path):
    own = {"core:label": "anomaly SIR 0 dB", "core:generator": f"{PROGRAM} 1.0"}
    describe(tmp_path, "a", (0, 16, own), **{"core:description": "normal"})
    found, notes = signals(tmp_path)
    assert found == [(0, 64, NORMAL, NO_SIR)] and notes == {f"annotation by {PROGRAM}": 1}


def test_two_claims_on_one_sample_are_an_error(tmp_path):
    describe(tmp_path, "a", (0, 20, {"core:label": "normal"}), (10, 20, {"core:label": "normal"}))
    with pytest.raises(DatasetError, match="two annotations over sample 10"):
        signals(tmp_path)
