# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae data to-file`: the recording that it writes, read by others."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gr_tsddae.data import Dataset, DatasetError, MemoryStore, open_dataset, to_file
from gr_tsddae.data.__main__ import main
from gr_tsddae.data.to_file import write_recording

pytest.importorskip("sigmf")

L = 32


@pytest.fixture
def archive(tmp_path):
    """90 windows, 3 classes, 2 levels, in an order of their own; window 4 is not finite."""
    random = np.random.default_rng(2)
    rows = random.standard_normal((90, 2, L)).astype(np.float32)
    rows[4, 0, 3] = np.nan
    label = np.array(["AM-DSB", "BPSK", "QPSK"])[np.arange(90) % 3]
    path = tmp_path / "x.npz"
    np.savez(path, X=rows, y=label, snr=np.repeat([18, -6], 45))
    return path


def test_the_recording_is_valid_and_holds_every_window_with_its_truth(archive, tmp_path, capsys):
    out = tmp_path / "new" / "replay.v1"
    assert main(["to-file", "npz", str(archive), str(out), "--rate", "200e3", "--gain", "2"]) == 0
    meta = tmp_path / "new" / "replay.v1.sigmf-meta"
    assert f"wrote {meta}: 89 windows, {89 * L:,} samples" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "sigmf.validate", str(meta)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.parent.iterdir()) == [
        "replay.v1.sigmf-data",
        "replay.v1.sigmf-meta",
    ]

    import sigmf

    recording = sigmf.fromfile(str(meta))  # checks the checksum, too
    samples = recording.read_samples().reshape(-1, L)
    file = np.load(archive)
    annotations = recording.get_annotations()
    assert recording.get_global_field("core:sample_rate") == 200e3
    assert len(samples) == len(annotations) == 89
    for number, annotation in enumerate(annotations):
        window = annotation["tsddae:window"]
        assert window == number + (number >= 4)
        assert annotation["core:sample_start"] == number * L
        assert annotation["core:sample_count"] == L
        assert annotation["core:label"] == file["y"][window]
        assert annotation["tsddae:snr_db"] == file["snr"][window]
        assert annotation["core:comment"] == f"SNR {file['snr'][window]} dB"
        expected = 2 * (file["X"][window, 0] + 1j * file["X"][window, 1])
        np.testing.assert_array_equal(samples[number], expected)


def test_selection_and_merging(archive, tmp_path):
    out = str(tmp_path / "replay")
    arguments = ["--order", "by_class_and_snr", "--classes", "QPSK", "BPSK", "--snr-max", "0"]
    assert main(["to-file", "npz", str(archive), out, "--merge", *arguments]) == 0
    metadata = json.loads((tmp_path / "replay.sigmf-meta").read_text())
    found = [
        (a["core:sample_start"], a["core:sample_count"], a["core:label"], a["tsddae:snr_db"])
        for a in metadata["annotations"]
    ]
    assert found == [(0, 15 * L, "BPSK", -6), (15 * L, 15 * L, "QPSK", -6)]
    assert "core:sample_rate" not in metadata["global"]


def test_it_can_be_trained_on_like_any_recording(archive, tmp_path):
    """The labels are a person's: those a program wrote would be no truth."""
    out = tmp_path / "replay"
    option = ["--option", "licence=CC-BY-NC-SA-4.0"]
    assert main(["to-file", "npz", str(archive), str(out), *option]) == 0
    back = open_dataset("captures", str(out) + ".sigmf-meta", window_samples=L)
    assert back.licence == "CC-BY-NC-SA-4.0"
    original = open_dataset("npz", str(archive))
    assert back.classes == original.classes
    assert labels_by_samples(back) == labels_by_samples(original)
    assert len(back) == 89


def labels_by_samples(dataset):
    return {
        row.tobytes(): dataset.classes[label]
        for row, label in zip(dataset.rows(), dataset.label, strict=True)
    }


def test_nothing_is_overwritten_and_nothing_is_left_of_what_failed(archive, tmp_path, capsys):
    out = tmp_path / "replay"
    (tmp_path / "replay.sigmf-data").write_bytes(b"precious")
    assert main(["to-file", "npz", str(archive), str(out)]) == 1
    assert "replay.sigmf-data exists and is not overwritten" in capsys.readouterr().err
    assert main(["to-file", "npz", str(archive), str(tmp_path / "y"), "--classes", "FM"]) == 1
    assert "there are: AM-DSB, BPSK, QPSK" in capsys.readouterr().err
    for arguments in (["--gain", "0"], ["--rate", "-1"], ["--gain", "nan"]):
        assert main(["to-file", "npz", str(archive), str(tmp_path / "y"), *arguments]) == 1
        assert capsys.readouterr().err.startswith("error: the ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["replay.sigmf-data", "x.npz"]
    assert (tmp_path / "replay.sigmf-data").read_bytes() == b"precious"


class FailingStore(MemoryStore):
    """A disk that dies; and a witness of how much is read at once."""

    most = 0

    def read(self, index):
        self.most = max(self.most, len(index))
        if (index > 500).any():
            raise DatasetError("the disk died")
        return super().read(index)


def test_it_reads_by_slices_and_leaves_nothing_when_reading_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(to_file, "_SLICE_SAMPLES", 100 * L)
    store = FailingStore(np.ones((600, 2, L), np.float32))
    labels = np.zeros(600, np.int64)
    dataset = Dataset(
        kind="npz", path="x", store=store, index=np.arange(600), label=labels, level_db=labels,
        classes=("a",),
    )  # fmt: skip
    steps = []
    with pytest.raises(DatasetError, match="the disk died"):
        write_recording(dataset, tmp_path / "out", progress=steps.append)
    assert not list(tmp_path.iterdir())
    assert steps == [100] * 5 and store.most == 100
