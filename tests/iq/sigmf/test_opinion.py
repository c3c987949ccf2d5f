# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's answers and the truth in one recording: every part tells them apart in the same way."""

import json

import numpy as np
import pytest

from gr_tsddae.blocks.accuracy.truth import read_annotations
from gr_tsddae.data import open_dataset
from gr_tsddae.iq.sigmf.annotated_recording import AnnotatedRecording
from gr_tsddae.iq.sigmf.model_annotation import ModelAnnotation
from gr_tsddae.iq.sigmf.opinion import generator, is_opinion

pytest.importorskip("sigmf")


def note(label, **more):
    return {"core:sample_start": 0, "core:sample_count": 500, "core:label": label, **more}


TRUE = {
    "by hand": {},
    "by another program": {"core:generator": "gr-tsddae-labeler 1.0"},
    "of a dataset": {"tsddae:snr_db": 3.0, "tsddae:window": 7},
    # A person took the prediction for true and deleted who made it, as the documentation says.
    "taken for true": {"tsddae:model": "amc-nano", "tsddae:confidence": 0.9},
}
OPINIONS = {
    "by a model": {"core:generator": generator(), "tsddae:confidence": 0.9, "tsddae:model": "m"},
    "by an earlier version": {"core:generator": "gr-tsddae 0.1.0"},
    "from the source tree": {"core:generator": "gr-tsddae"},
}


@pytest.mark.parametrize("name", [*TRUE, *OPINIONS])
def test_every_reader_agrees(tmp_path, name):
    opinion = name in OPINIONS
    fields = (TRUE | OPINIONS)[name]
    assert is_opinion(fields.get("core:generator")) == opinion
    random = np.random.default_rng(0)
    random.normal(size=(1000, 2)).astype("<f4").tofile(tmp_path / "rec.sigmf-data")
    metadata = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.2.0"},
        "captures": [{"core:sample_start": 0}],
        "annotations": [note("x", **fields), note("y") | {"core:sample_start": 500}],
    }
    meta = tmp_path / "rec.sigmf-meta"
    meta.write_text(json.dumps(metadata))

    truth = read_annotations(meta)  # what the Accuracy Probe takes for true
    assert set(truth.names) == ({"y"} if opinion else {"x", "y"})
    dataset = open_dataset("captures", meta, window_samples=100, blocks=1)
    assert dataset.classes == (("y",) if opinion else ("x", "y"))
    recording = AnnotatedRecording.existing(meta)
    recording.add(ModelAnnotation(900, 50, "new", "amc-nano", 0.8, None, None))
    recording.save(1000)
    kept = [each["core:label"] for each in json.loads(meta.read_text())["annotations"]]
    assert kept == (["y", "new"] if opinion else ["x", "y", "new"])
