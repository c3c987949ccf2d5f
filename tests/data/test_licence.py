# SPDX-License-Identifier: GPL-3.0-or-later
"""The licence of data is what the format's was, unless it is said otherwise."""

import numpy as np
import pytest

from gr_tsddae.data import KINDS, DatasetError, open_dataset, reader_options
from gr_tsddae.synth.rml_files import write_rml2016


@pytest.fixture
def path(tmp_path):
    """Windows of one's own in RML2016's layout."""
    rows = np.ones((3, 2, 128), np.float32)
    write_rml2016(tmp_path / "file.pkl", [(("QPSK", 0), rows)], rows.nbytes)
    return tmp_path / "file.pkl"


def test_it_can_be_said_for_every_kind(path):
    assert all("licence" in reader_options(kind) for kind in KINDS)
    assert open_dataset("rml2016.10a", path).licence == "CC-BY-NC-SA-4.0"
    said = open_dataset("rml2016.10a", path, licence="GPL-3.0-or-later")
    assert said.licence == said.summary()["licence"] == "GPL-3.0-or-later"
    assert len(said) == 3


@pytest.mark.parametrize("licence", [1.0, "", ["MIT"]])
def test_it_is_text(path, licence):
    with pytest.raises(DatasetError, match=r"licence is .*SPDX"):
        open_dataset("rml2016.10a", path, licence=licence)
