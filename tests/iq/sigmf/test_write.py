# SPDX-License-Identifier: GPL-3.0-or-later
"""The one writer of SigMF: any text, any number of annotations, read back by the library."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gr_tsddae.iq.captures import open_capture
from gr_tsddae.iq.sigmf.annotations import write_annotations
from gr_tsddae.iq.sigmf.write import annotation_text, meta_path, new_global, write_metadata

sigmf = pytest.importorskip("sigmf")

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    labels=st.lists(TEXTS, max_size=5), author=TEXTS, rate=st.none() | st.floats(1e-3, 1e12)
)  # fmt: skip
def test_what_is_written_is_read_back(tmp_path, labels, author, rate):
    np.zeros(100, np.complex64).tofile(tmp_path / "rec.sigmf-data")
    info = new_global(rate, author=author, hw="")
    notes = [
        {"core:sample_start": number, "core:sample_count": 1, "core:label": label}
        for number, label in enumerate(labels)
    ]
    path = tmp_path / "rec.sigmf-meta"
    size = write_metadata(path, info, [{"core:sample_start": 0}], map(annotation_text, notes))
    assert size == path.stat().st_size
    sigmf.fromfile(path).validate()
    assert json.loads(path.read_text("utf-8"))["annotations"] == notes
    with open_capture(path) as capture:
        assert [each.label for each in capture.annotations] == labels
        assert capture.metadata["core:author"] == author and "core:hw" not in capture.metadata
        assert capture.sample_rate_hz == rate


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_leaves_the_old_file(tmp_path, value):
    path = tmp_path / "rec.sigmf-meta"
    path.write_text("old")
    with pytest.raises(ValueError, match="JSON"):
        write_metadata(path, {"lab:gain": value}, [], [])
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_file_name_in_another_encoding(tmp_path):
    """A dataset that metadata name is found again, though UTF-8 cannot say its name."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path)))
    data = folder / os.fsdecode(b"caf\xe9.cf32")
    np.ones(10, np.complex64).tofile(data)
    info = new_global(None, dataset=data.name)
    write_metadata(folder / "a.sigmf-meta", info, [{"core:sample_start": 0}], [])
    with open_capture(folder / "a.sigmf-meta") as capture:
        assert capture.data_path == data
        meta = write_annotations(capture, [], folder / "out" / "b", model_name="m")
    assert open_capture(meta).sample_count == 10


@pytest.mark.parametrize("name", ["a.b", "a.b.sigmf-meta", "a.b.sigmf-data", "a.b.sigmf"])
def test_any_name_of_a_recording(name):
    assert meta_path(Path("x") / name) == Path("x/a.b.sigmf-meta")
