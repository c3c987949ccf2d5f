# SPDX-License-Identifier: GPL-3.0-or-later
"""ICARUS in its three layouts: the same windows, the same labels, normals at every SIR."""

import csv
import json

import numpy as np
import pytest

from gr_tsddae.data import DatasetError, open_dataset
from gr_tsddae.data.splits import split

L = 64


def iq_of(count, seed=0):
    real, imag = np.random.default_rng(seed).normal(size=(2, count))
    return (real + 1j * imag).astype(np.complex64)


def rows_of(iq):
    """(N * L + rest,) complex -> (N, 2, L), cut naively."""
    windows = [iq[start : start + L] for start in range(0, len(iq) - L + 1, L)]
    return np.array([[window.real, window.imag] for window in windows], np.float32)


def write_released(folder, name, iq, signal_type, sir_db="", header=None):
    (folder / "IQ").mkdir(exist_ok=True)
    (folder / "Metadata").mkdir(exist_ok=True)
    with (folder / "IQ" / name).open("wb") as file:
        np.array([2, len(iq)] if header is None else header, "<i4").tofile(file)
        iq.tofile(file)
    with (folder / "Metadata" / f"{name}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Signal_Type", "LTE_SR", "LTE_SNR_dB", "LTE_DSSS_SIR_dB"])
        table.writerow([signal_type, 7.68e6, 5, sir_db])


def write_sigmf(path, iq, annotations=(), **info):
    path.parent.mkdir(parents=True, exist_ok=True)
    iq.tofile(path.with_suffix(".sigmf-data"))
    metadata = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.2.0", **info},
        "captures": [{"core:sample_start": 0}],
        "annotations": list(annotations),
    }
    path.with_suffix(".sigmf-meta").write_text(json.dumps(metadata))


def span(first, count, label, comment=""):
    return {
        "core:sample_start": first,
        "core:sample_count": count,
        "core:label": label,
        "core:comment": comment,
    }


def test_released_layout(tmp_path):
    plain, weak, strong = iq_of(6 * L + 9, 1), iq_of(4 * L, 2), iq_of(5 * L, 3)
    write_released(tmp_path, "OnlyLTE_frame_1", plain, "LTE", "NaN")
    write_released(tmp_path, "Combined_LTE_DSSS_frame_2", weak, "LTE_DSSS", 10)
    write_released(tmp_path, "Combined_LTE_DSSS_frame_1", strong, "LTE_DSSS", 0)
    dataset = open_dataset("icarus", tmp_path, window_samples=L)
    assert dataset.classes == ("normal", "anomaly")
    assert (dataset.task, dataset.level_name) == ("anomaly", "SIR")
    naive = np.concatenate([rows_of(strong), rows_of(weak), rows_of(plain)])
    np.testing.assert_array_equal(dataset.rows(), naive)
    assert dataset.label.tolist() == [1] * 9 + [0] * 6
    assert dataset.level_db.tolist() == [0] * 5 + [10] * 4 + [0, 10] * 3
    assert len(np.unique(dataset.group)) == 15  # each file has fewer windows than blocks


def test_sigmf_says_it_in_annotations_paths_or_globally(tmp_path):
    iq = {name: iq_of(2 * L, seed) for seed, name in enumerate("abcde")}
    both = [span(0, L, "normal"), span(L, L, "anomaly", "SIR 5 dB")]
    trap = {"core:description": "ICARUS: LTE with and without a DSSS underlay"}
    write_sigmf(tmp_path / "a", iq["a"], both, **trap)
    write_sigmf(tmp_path / "b", iq["b"], [span(0, 2 * L, "anomaly", "SIR -3 dB")])
    write_sigmf(tmp_path / "normal" / "c_sir5", iq["c"], **trap)
    write_sigmf(
        tmp_path / "d_filtered", iq["d"], **{"icarus:label": "LTE+DSSS", "icarus:sir_db": 5}
    )
    write_sigmf(tmp_path / "lte_e", iq["e"])
    dataset = open_dataset("icarus", tmp_path, window_samples=L)
    order = [iq["a"], iq["b"], iq["d"], iq["e"], iq["c"]]
    np.testing.assert_array_equal(dataset.rows(), np.concatenate([rows_of(each) for each in order]))
    assert dataset.label.tolist() == [0, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    # The first window and lte_e's two are dealt to -3, 5, -3; c belongs to 5.
    assert dataset.level_db.tolist() == [-3, 5, -3, -3, 5, 5, 5, -3, 5, 5]
    by_recording = open_dataset("icarus", tmp_path, window_samples=L, group_by="recording")
    assert np.bincount(by_recording.group).tolist() == [2] * 5


def test_a_models_answers_are_no_truth(tmp_path):
    """Annotations of this program, and the copy it links beside what it has annotated."""
    guess = span(0, 4 * L, "anomaly", "SIR 0 dB") | {
        "core:generator": "gr-tsddae 0.1.0", "tsddae:model": "icarus-mini",
    }  # fmt: skip
    write_sigmf(tmp_path / "lte_1", iq_of(4 * L, 1), [guess, span(L, L, "anomaly", "SIR 5 dB")])
    write_sigmf(tmp_path / "lte_2", iq_of(3 * L, 2), [guess])
    write_sigmf(tmp_path / "a_lte_2", iq_of(1), [guess], **{"tsddae:model": "dsss-finder"})
    (tmp_path / "a_lte_2.sigmf-data").unlink()
    (tmp_path / "a_lte_2.sigmf-data").hardlink_to(tmp_path / "lte_2.sigmf-data")
    write_sigmf(tmp_path / "lte_3", iq_of(2 * L, 3), **{"tsddae:model": "anomaly-base"})
    dataset = open_dataset("icarus", tmp_path, window_samples=L)
    kept = [rows_of(iq_of(4 * L, 1))[1:2], rows_of(iq_of(3 * L, 2)), rows_of(iq_of(2 * L, 3))]
    np.testing.assert_array_equal(dataset.rows(), np.concatenate(kept))
    assert dataset.label.tolist() == [1] + [0] * 5
    assert dataset.skipped == {
        "recording whose samples are another's": 1, "annotation by gr-tsddae": 2,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["rows", "complex", "numbers"])
def test_npz(tmp_path, form):
    x = np.random.default_rng(0).normal(size=(8, 2, L)).astype(np.float32)
    x[3, 0, 5], x[6] = np.nan, 0
    y = np.array(["normal", "anomaly"] * 4)
    sir = np.array([np.nan, 0, np.nan, 0, np.nan, 5, np.nan, 5])
    np.savez(
        tmp_path / "a.npz",
        X=(x[:, 0] + 1j * x[:, 1]).astype(np.complex64) if form == "complex" else x,
        y=(y == "anomaly").astype(int) if form == "numbers" else y,
        sir=sir,
    )
    dataset = open_dataset("icarus", tmp_path / "a.npz", window_samples=L)
    kept = [0, 1, 2, 4, 5, 7]
    np.testing.assert_array_equal(dataset.rows(), x[kept])
    assert dataset.label.tolist() == [0, 1, 0, 0, 1, 1]
    assert dataset.level_db.tolist() == [0, 0, 5, 0, 5, 5]
    assert sum(dataset.skipped.values()) == 2
    (tmp_path / "a.npz").rename(tmp_path / "stand-in")  # it is one whatever it is called
    assert len(open_dataset("icarus", tmp_path / "stand-in", window_samples=L)) == 6


@pytest.mark.parametrize("name", [int, str])
def test_recordings_of_an_npz_stay_whole(tmp_path, name):
    x = np.random.default_rng(0).normal(size=(60, 2, L)).astype(np.float32)
    x[3] = 0
    group = np.arange(60) // 6
    np.savez(
        tmp_path / "a.npz",
        X=x, y=group % 2, sir=np.zeros(60), group=np.array([name(n + 70) for n in group]),
    )  # fmt: skip
    dataset = open_dataset("icarus", tmp_path / "a.npz", window_samples=L)
    assert dataset.group.tolist() == np.delete(group, 3).tolist()
    parts = [set(dataset.group[part]) for part in split(dataset, seed=1)]
    assert sum(map(len, parts)) == 10 and all(parts)


def test_each_sir_has_as_many_normal_windows(tmp_path):
    write_released(tmp_path, "OnlyLTE_frame_1", iq_of(31 * L), "LTE")
    for sir_db in (0, 5, 10):
        write_released(
            tmp_path, f"Combined_LTE_DSSS_frame_{sir_db}", iq_of(3 * L, sir_db), "LTE_DSSS", sir_db
        )
    dataset = open_dataset("icarus", tmp_path, window_samples=L)
    _, counts = np.unique(dataset.level_db[dataset.label == 0], return_counts=True)
    assert sorted(counts) == [10, 10, 11]


def no_table(folder):
    write_released(folder, "OnlyLTE_frame_1", iq_of(L), "LTE")
    (folder / "Metadata" / "OnlyLTE_frame_1.csv").unlink()


def cut_short(folder):
    write_released(folder, "OnlyLTE_frame_1", iq_of(L), "LTE", header=[2, 10 * L])


def no_sir(folder):
    write_released(folder, "Combined_LTE_DSSS_frame_1", iq_of(L), "LTE_DSSS")


def no_class(folder):
    write_sigmf(folder / "filtered", iq_of(L))


def two_things(folder):
    write_sigmf(folder / "a", iq_of(L), [span(0, L, "LTE"), span(10, 9, "DSSS", "SIR 5")])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, "holds no ICARUS recording"),
        (no_table, "each file of IQ/ needs its table"),
        (cut_short, "(64 would fit)"),
        (no_sir, "without its SIR"),
        (no_class, "does not say whether it is normal"),
        (two_things, "two annotations over sample 10"),
        (lambda folder: write_sigmf(folder / "lte", iq_of(9)), "longest stretch has 9"),
    ],
)
def test_one_clear_sentence(tmp_path, make, words):
    make(tmp_path)
    with pytest.raises(DatasetError) as error:
        open_dataset("icarus", tmp_path, window_samples=L)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_npz_errors(tmp_path):
    x, y, sir = np.ones((4, 2, L), np.float32), np.array(["normal", "anomaly"] * 2), np.zeros(4)
    path = tmp_path / "a.npz"
    for arrays, words in [
        ({"X": x, "y": y}, "lacks sir"),
        ({"X": x, "y": y[:3], "sir": sir}, "need one of each"),
        ({"X": x, "y": np.array(["odd"] * 4), "sir": sir}, "does not say"),
        ({"X": x, "y": np.array([0, 1, 2, 3]), "sir": sir}, "neither text nor 0 and 1"),
        ({"X": x, "y": y, "sir": np.full(4, np.nan)}, "anomalies without an SIR"),
        ({"X": x, "y": y, "sir": sir, "group": [1, 2]}, r"group is int64 \(2,\); .*\(4,\)"),
        ({"X": x, "y": y, "sir": sir, "group": sir}, "group is float64"),
        ({"X": x[:, :, :9], "y": y, "sir": sir}, "give window_samples=9"),
        ({"X": x, "y": np.array([None] * 4), "sir": sir}, "no .npz of plain arrays"),
    ]:
        np.savez(path, **arrays)
        with pytest.raises(DatasetError, match=words):
            open_dataset("icarus", path, window_samples=L)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match="or cut short"):
        open_dataset("icarus", path)
    with pytest.raises(DatasetError, match="neither a folder nor"):
        open_dataset("icarus", tmp_path / "nothing")
