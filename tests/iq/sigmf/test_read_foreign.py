# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF of programs that do not keep to it: read where the meaning is plain, and always told."""

import json

import numpy as np
import pytest
from iq_files import edit_meta, expect, tone, write_sigmf
from recordings_of_programs import tar

from gr_tsddae.data import open_dataset
from gr_tsddae.data.dataset import DatasetError
from gr_tsddae.iq.captures import CaptureFormatError, CaptureMissingError, open_capture
from gr_tsddae.iq.cut_out import band_from_center


def label(**edges):
    return {"core:sample_start": 0, "core:sample_count": 90, "core:label": "x"} | {
        f"core:freq_{side}_edge": hz for side, hz in edges.items()
    }


def test_numbers_that_are_text(tmp_path):
    meta = write_sigmf(
        tmp_path, tone(), sample_rate="1e6",
        captures=[{"core:sample_start": "0", "core:frequency": "433.92e6"}],
        annotations=[label(lower="433.9e6", upper="433.95e6") | {"core:sample_count": "50"}],
    )  # fmt: skip
    with open_capture(meta) as capture:
        assert (capture.sample_rate_hz, capture.center_frequency_hz) == (1e6, 433.92e6)
        assert capture.annotations[0].band_hz == (433.9e6, 433.95e6)
        assert capture.annotations[0].sample_count == 50
        assert "core:sample_rate is the text '1e6'; it is read as a number" in capture.faults[0]


def test_a_rate_that_captures_name(tmp_path):
    def opened(*rates_hz, **info):
        captures = [
            {"core:sample_start": 10 * n, "core:sample_rate": hz} for n, hz in enumerate(rates_hz)
        ]
        return open_capture(write_sigmf(tmp_path, tone(), captures=captures, **info))

    assert opened(2e6, 2e6).sample_rate_hz == 2e6
    assert opened(2e6, sample_rate=2e6).faults == ()
    told = opened(2e6, 4e6, sample_rate=2e6)
    assert told.sample_rate_hz == 2e6
    assert "captures name sample rates of 4000000, and the whole" in told.faults[0]
    with pytest.raises(CaptureFormatError, match=r"changes its sample rate .*2000000 and 4000000"):
        opened(2e6, 4e6)
    assert opened("fast", -1, True).sample_rate_hz in (None, 1.0)


@pytest.mark.parametrize("name", [r"C:\data\Other.DAT", "somewhere/Other.DAT", "Other.DAT"])
def test_samples_named_as_on_another_machine(tmp_path, name):
    meta = write_sigmf(tmp_path, tone(), dataset=name)
    edit_meta(meta, lambda each: each["global"].pop("core:sha512"))
    meta.with_suffix(".sigmf-data").rename(tmp_path / "other.dat")
    np.testing.assert_array_equal(open_capture(meta).read(0, 100), tone())
    (tmp_path / "other.dat").rename(tmp_path / "rec.sigmf-data")
    with open_capture(meta) as capture:
        assert "core:dataset 'Other.DAT' is not there; rec.sigmf-data is read" in capture.faults[0]


def test_the_capture_that_holds_at_the_first_sample(tmp_path):
    captures = [
        {"core:sample_start": first, "core:frequency": hz}
        for first, hz in ((0, 1e8), (3000, 2e8), (5050, 3e8))
    ]
    with open_capture(write_sigmf(tmp_path, tone(), offset=5000, captures=captures)) as capture:
        assert [(s.first_sample, s.frequency_hz) for s in capture.segments] == [(0, 2e8), (50, 3e8)]
    with open_capture(write_sigmf(tmp_path, tone(), captures=captures[1:])) as capture:
        assert capture.center_frequency_hz is None
        assert "2 of 2 captures begin behind the 100 samples and are left out" in capture.faults[0]
    with open_capture(write_sigmf(tmp_path, tone(), captures=[{"core:frequency": 1e8}])) as capture:
        assert capture.center_frequency_hz == 1e8 and "taken for 0" in capture.faults[0]


@pytest.mark.parametrize(
    ("edges", "band_hz", "told"),
    [
        ({"lower": 2e8, "upper": 1e8}, (1e8, 2e8), "they are exchanged"),
        ({"lower": 1e8}, None, "one frequency edge, and is taken for the whole band"),
        ({"upper": 1e8}, None, "one frequency edge, and is taken for the whole band"),
        ({"lower": float("nan"), "upper": 1e8}, None, "one frequency edge"),
        ({"lower": 1e8, "upper": 1e8}, None, "both edges at 100000000 Hz"),
    ],
)
def test_edges_that_are_no_band_are_told(tmp_path, edges, band_hz, told):
    with open_capture(write_sigmf(tmp_path, tone(), annotations=[label(**edges)])) as capture:
        assert capture.annotations[0].band_hz == band_hz
        assert told in capture.faults[-1]


def test_labels_that_cover_no_sample_are_told(tmp_path):
    notes = [label(), label() | {"core:sample_start": 100}, label() | {"core:sample_count": 0}]
    with open_capture(write_sigmf(tmp_path, tone(), annotations=notes)) as capture:
        assert len(capture.annotations) == 1
        assert "2 of 3 labels cover none of the 100 samples" in capture.faults[0]


def test_a_label_outside_the_recorded_band(tmp_path):
    notes = [label(lower=1.001e8, upper=1.002e8), label(lower=3e8, upper=4e8)]
    notes[1]["core:label"] = "elsewhere"
    captures = [{"core:sample_start": 0, "core:frequency": 1e8}]
    meta = write_sigmf(tmp_path, tone(), captures=captures, annotations=notes, sample_rate=1e6)
    with open_capture(meta) as capture:
        assert band_from_center(capture, 0, (1e8, 9e8)) == (0, 5e5)
        assert band_from_center(capture, 0, (1.004e8, 1.009e8)) == pytest.approx((4e5, 5e5))
        assert band_from_center(capture, 0, (-2e5, -1e5)) == (-2e5, -1e5)
        with pytest.raises(
            ValueError, match=r"from 3e\+08|from 300000000 to 400000000 Hz, outside"
        ):
            band_from_center(capture, 0, (3e8, 4e8))
    dataset = open_dataset("captures", meta, window_samples=8)
    assert (dataset.classes, dataset.skipped["label outside the recorded band"]) == (("x",), 1)
    with pytest.raises(DatasetError, match="outside the recorded 99500000 to 100500000 Hz"):
        open_dataset("captures", meta, window_samples=8, strict=True)


def test_labels_that_all_lie_outside_the_recorded_band(tmp_path):
    captures = [{"core:sample_start": 0, "core:frequency": 1e8}]
    notes = [label(lower=3e8, upper=4e8)]
    meta = write_sigmf(tmp_path, tone(), captures=captures, annotations=notes, sample_rate=1e6)
    with pytest.raises(DatasetError, match="all labels lie outside the recorded bands; mend"):
        open_dataset("captures", meta, window_samples=8)


@pytest.mark.parametrize("rate_hz", [-5, 0])
def test_a_rate_at_which_nothing_can_be_cut_out(tmp_path, rate_hz):
    meta = write_sigmf(tmp_path, tone(), sample_rate=1e6)
    with pytest.raises(DatasetError, match=r"cut_rate_hz is .*: it must be above 0, or null"):
        open_dataset("captures", meta, window_samples=8, cut_rate_hz=rate_hz)


def test_archives_with_other_members_and_names(tmp_path):
    meta = write_sigmf(tmp_path, tone())
    text, data = meta.read_bytes(), meta.with_suffix(".sigmf-data").read_bytes()
    other = json.loads(text)
    other["global"]["core:dataset"] = "samples.bin"

    def archive(*members):
        (tmp_path / "a.sigmf").write_bytes(tar(members))
        return tmp_path / "a.sigmf"

    for path in (
        archive(("./rec.sigmf-data", data), ("./pic.png", b"x" * 999), ("./rec.sigmf-meta", text)),
        archive(("__MACOSX/rec.sigmf-meta", b"\0"), ("rec.sigmf-meta", text),
                ("rec.sigmf-data", data)),
        archive(("rec.sigmf-meta", json.dumps(other).encode()), ("samples.bin", data)),
    ):  # fmt: skip
        np.testing.assert_array_equal(open_capture(path).read(0, 100), tone())
    expect(CaptureMissingError, "has no .sigmf-meta in it", archive(("rec.sigmf-data", data)))
