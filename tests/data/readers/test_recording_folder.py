# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of a folder: each once, with what its sidecar and its folder say."""

import json
import os
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gr_tsddae.data import DatasetError
from gr_tsddae.data.readers import trimmed_copy
from gr_tsddae.data.readers.recording_folder import find_recordings
from gr_tsddae.data.readers.same_samples import without_copies
from gr_tsddae.iq.captures import open_capture
from gr_tsddae.iq.sigmf.opinion import PROGRAM


def raw(path, count=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(zlib.crc32(str(path).encode()))  # no two are alike
    values.normal(size=2 * count).astype(np.float32).tofile(path)
    return path


def described(path, annotations=(), **info):
    raw(path.with_suffix(".sigmf-data"))
    metadata = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.2.0", **info},
        "captures": [{"core:sample_start": 0}],
        "annotations": list(annotations),
    }
    path.write_text(json.dumps(metadata))
    return path


def annotation(label, **more):
    return {"core:sample_start": 0, "core:sample_count": 10, "core:label": label, **more}


def names(found, root):
    return [each.capture.path.relative_to(root).as_posix() for each in found]


def test_labels_come_from_the_first_folder_unless_a_sidecar_says_another(tmp_path):
    raw(tmp_path / "doorbell" / "monday.cf32")
    raw(tmp_path / "doorbell" / "deep" / "tuesday.cf32")
    raw(tmp_path / "doorbell" / "third.iq").with_suffix(".yaml").write_text(
        "{dtype: cf32, sample_rate_hz: 1e6, label: gate}"
    )
    raw(tmp_path / "alone.cf32")
    found, notes = find_recordings(tmp_path)
    assert {name: each.label for name, each in zip(names(found, tmp_path), found, strict=True)} == {
        "alone.cf32": None,
        "doorbell/deep/tuesday.cf32": "doorbell",
        "doorbell/monday.cf32": "doorbell",
        "doorbell/third.iq": "gate",
    }
    assert found[-1].capture.sample_rate_hz == 1e6 and not +notes


def test_what_is_given_wins_over_the_sidecar(tmp_path):
    raw(tmp_path / "rec.iq")
    (tmp_path / "rec.iq.json").write_text('{"dtype": "ci16", "sample_rate_hz": 5}')
    found, _ = find_recordings(tmp_path, dtype="cf32", sample_rate_hz=2e6)
    capture = found[0].capture
    assert (capture.sample_count, capture.sample_rate_hz) == (100, 2e6)


def test_samples_count_once_however_often_they_are_described(tmp_path):
    source = described(tmp_path / "rec.sigmf-meta", [annotation("am")])
    copy = described(
        tmp_path / "annotated.sigmf-meta",
        [annotation("fm", **{"core:generator": f"{PROGRAM} 1.0"})],
        **{"core:recorder": "other"},
    )
    data = copy.with_suffix(".sigmf-data")
    data.unlink()
    os.link(source.with_suffix(".sigmf-data"), data)
    found, notes = find_recordings(tmp_path)
    assert len(found) == 1
    assert notes["recording whose samples are another's"] == 1


def speckled(seed, count=3000):
    values = np.random.default_rng(seed).normal(size=(2, count, 2)) @ [1, 1j]
    return 0.2 * values[0] * np.exp(0.01j * np.arange(count))


def pairs(iq, scale, zero=0.0):
    return np.stack([iq.real, iq.imag], 1) * scale + zero


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("copy.cu8", lambda iq: np.rint(pairs(iq, 127, 127.5)).clip(0, 255).astype("u1")),
        ("copy.cs8", lambda iq: np.trunc(pairs(iq, 127)).clip(-128, 127).astype("i1")),
        ("copy.cs16", lambda iq: np.rint(pairs(iq, 32767)).clip(-32768, 32767).astype("<i2")),
        ("copy.cf32", lambda iq: (3 * iq).astype("<c8")),
        ("copy.cf64", lambda iq: iq.astype("<c16")),
    ],
)
def test_a_copy_in_another_format_or_at_another_level_counts_once(tmp_path, name, numbers):
    (tmp_path / "a").mkdir()
    iq = speckled(1)
    iq = np.clip(iq.real, -0.9, 0.9) + 1j * np.clip(iq.imag, -0.9, 0.9)
    iq.astype("<c8").tofile(tmp_path / "a" / "z_1MSps.cf32")
    speckled(2).astype("<c8").tofile(tmp_path / "a" / "other.cf32")
    numbers(iq).tofile(tmp_path / "a" / name)
    found, notes = find_recordings(tmp_path)
    assert names(found, tmp_path) == ["a/other.cf32", "a/z_1MSps.cf32"]  # the one with a rate
    assert notes["recording whose samples are another's"] == 1
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / name).rename(tmp_path / "b" / name)
    with pytest.raises(DatasetError, match="the same samples under two labels"):
        find_recordings(tmp_path)


def test_the_same_signal_in_other_noise_is_no_copy(tmp_path):
    tone = 0.5 * np.exp(0.3j * np.arange(3000))
    for seed in (1, 2):
        iq = tone + 0.02 * speckled(seed)
        iq.astype("<c8").tofile(tmp_path / f"{seed}.cf32")
        np.rint(pairs(iq[::-1], 32767)).astype("<i2").tofile(tmp_path / f"{seed}.cs16")
    assert len(find_recordings(tmp_path)[0]) == 4


def test_a_link_into_another_class_is_refused(tmp_path):
    raw(tmp_path / "a" / "rec.cf32")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "link.cf32").symlink_to(tmp_path / "a" / "rec.cf32")
    with pytest.raises(DatasetError, match="the same samples under two labels"):
        find_recordings(tmp_path)


def test_what_has_to_be_unpacked_is_counted(tmp_path):
    raw(tmp_path / "a.cf32")
    for name in ("b.cf32.gz", "c.npz", "d.coco", "readme.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert find_recordings(tmp_path)[1]["file that is compressed or holds arrays"] == 3


def test_a_model_s_annotations_are_left_out_and_counted(tmp_path):
    own = {"core:generator": f"{PROGRAM} 1.0, model amc-nano"}
    described(tmp_path / "rec.sigmf-meta", [annotation("am"), annotation("fm", **own)])
    found, notes = find_recordings(tmp_path)
    assert [each.label for each in found[0].annotations] == ["am"]
    assert notes == Counter({f"annotation by {PROGRAM}": 1})


def test_hidden_files_and_loops_of_links_are_passed_over(tmp_path):
    raw(tmp_path / "a" / "rec.cf32")
    raw(tmp_path / ".hidden" / "rec.cf32")
    raw(tmp_path / "a" / ".rec.cf32")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    found, _ = find_recordings(tmp_path)
    assert names(found, tmp_path) == ["a/rec.cf32"]


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        ("{dtype: [ci16]}", "dtype is .*give a value"),
        ("{rate: 5}", "unknown key 'rate'"),
        ("{sample_rate_hz: fast}", "give a number"),
        ("- dtype", "no list of keys and values"),
        ("{dtype: 'cf32", "cannot be read"),
    ],
)
def test_a_sidecar_that_makes_no_sense_is_named(tmp_path, sidecar, reason):
    raw(tmp_path / "rec.iq").with_suffix(".yaml").write_text(sidecar)
    with pytest.raises(DatasetError, match=rf"rec\.yaml.* {reason}|rec\.yaml: {reason}"):
        find_recordings(tmp_path)


def test_a_folder_without_recordings_says_what_to_put_there(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DatasetError, match=r"holds no recording \(1 other files\)"):
        find_recordings(tmp_path)


def test_of_copies_the_one_with_the_true_labels_stays(tmp_path):
    source = described(tmp_path / "z.sigmf-meta")
    link = described(tmp_path / "a.sigmf-meta")
    link.with_suffix(".sigmf-data").unlink()
    os.link(source.with_suffix(".sigmf-data"), link.with_suffix(".sigmf-data"))
    notes: Counter[str] = Counter()
    kept = without_copies([open_capture(path) for path in (source, link)], notes)
    assert [Path(each.path).name for each in kept] == ["z.sigmf-meta"] and notes.total() == 1


def stretch(folder, name, iq, first=0, count=None):
    """Write samples of a recording, as they are or as integers of 16 bits."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = iq[first : None if count is None else first + count]
    if path.suffix == ".cs16":
        pairs(part, 2**15).astype("<i2").tofile(path)
    elif path.suffix == ".cu8":
        pairs(part, 100, 127).astype("u1").tofile(path)
    elif path.suffix == ".f32":
        part.real.astype("<f4").tofile(path)
    else:
        part.astype("<c8").tofile(path)
    return path


def sixteen_bits(seed, count):
    iq = speckled(seed, count)
    return np.rint(np.clip(pairs(iq, 2**15), -32768, 32767)) @ [1, 1j] / 2**15


@pytest.mark.parametrize(
    ("name", "first", "count", "whole"),
    [
        ("part.cf32", 0, 9_000, "whole.cf32"),
        ("part.cf32", 1, 9_999, "whole.cf32"),
        ("part.cf32", 5_001, None, "whole.cf32"),
        ("part.cf32", 7_777, 300, "whole.cf32"),
        ("part.cf32", 1_234, 40_000, "whole.cs16"),
        ("part.cu8", 1_234, 4_000, "whole.cu8"),
        ("part.f32", 1_234, 4_000, "whole.f32"),
    ],
)
def test_a_trimmed_copy_counts_once(tmp_path, caplog, name, first, count, whole):
    iq = sixteen_bits(1, 50_000)
    stretch(tmp_path / "a", whole, iq)
    stretch(tmp_path / "a", "other" + Path(whole).suffix, sixteen_bits(2, 30_000))
    stretch(tmp_path / "a", name, iq, first, count)
    found, notes = find_recordings(tmp_path)
    assert len(found) == 2 and "a/" + name not in names(found, tmp_path)
    assert notes["recording whose samples are part of another's"] == 1
    assert f"part{Path(name).suffix} holds samples of " in caplog.text
    assert f"from {first} on" in caplog.text
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / name).rename(tmp_path / "b" / name)
    with pytest.raises(DatasetError, match=rf"holds samples {first} to .*'b' and not 'a'; remove"):
        find_recordings(tmp_path)


def test_a_trimmed_copy_of_a_long_recording_counts_once(tmp_path, monkeypatch):
    """Of one in which marks are as far apart as they ever are."""
    monkeypatch.setattr(trimmed_copy, "_MOST_MARKS", 10)
    iq = sixteen_bits(1, 60_000)
    stretch(tmp_path / "a", "whole.cf32", iq)
    for first in (0, 4_097, 8_191, 55_000):
        stretch(tmp_path / "a", f"{first}.cf32", iq, first, 4_128)
    assert names(find_recordings(tmp_path)[0], tmp_path) == ["a/whole.cf32"]


def test_bursts_in_silence_are_found_in_a_trimmed_copy(tmp_path):
    iq = np.zeros(60_000, complex)
    iq[30_000:31_000] = sixteen_bits(1, 1_000)
    stretch(tmp_path / "a", "whole.cf32", iq)
    stretch(tmp_path / "a", "part.cf32", iq, 10_000, 40_000)
    assert names(find_recordings(tmp_path)[0], tmp_path) == ["a/whole.cf32"]


def test_what_is_alike_but_no_stretch_of_another_stays(tmp_path):
    iq, count = sixteen_bits(1, 50_000), 0
    spoilt = iq[1_000:30_000].copy()
    spoilt[-1] += 1 / 2**15
    parts = [
        iq, spoilt, np.concatenate([iq[:20_000], sixteen_bits(2, 7_000)]),
        iq[100:20_000] * 2, np.zeros(9_000), np.zeros(8_000), np.full(7_000, 0.5),
    ]  # fmt: skip
    for count, part in enumerate(parts):
        stretch(tmp_path / "a", f"{count}.cf32", np.asarray(part, complex))
    assert len(find_recordings(tmp_path)[0]) == len(parts)


def test_stretches_of_which_only_one_is_labelled_stay(tmp_path):
    iq = sixteen_bits(1, 20_000)
    stretch(tmp_path, "whole.cf32", iq)
    stretch(tmp_path, "a/first.cf32", iq, 0, 9_000)
    stretch(tmp_path, "b/second.cf32", iq, 9_000, 9_000)
    assert len(find_recordings(tmp_path)[0]) == 3
    described(tmp_path / "whole.sigmf-meta", [annotation("c", **{"core:sample_start": 8_990})])
    (tmp_path / "whole.cf32").rename(tmp_path / "whole.sigmf-data")
    with pytest.raises(DatasetError, match=r"first\.cf32 holds .*another label, 'a' and not 'c'"):
        find_recordings(tmp_path)
    (tmp_path / "a" / "first.cf32").unlink()
    assert len(find_recordings(tmp_path)[0]) == 2
