# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of readers: what YAML makes of them, and what is said of those that cannot be."""

import inspect
import typing

import numpy as np
import pytest

from gr_tsddae.data import KINDS, DatasetError, _reader, open_dataset
from gr_tsddae.data.options import as_annotated


@pytest.fixture
def recordings(tmp_path):
    iq = np.exp(0.3j * np.arange(4000)).astype(np.complex64)
    for name in ("lte10Msps_g20_a_f806MHz_r1.bin", "a.cf32"):
        iq.tofile(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "name", "value", "words"),
    [
        ("captures", "max_windows_per_class", "many", "whole number, or null"),
        ("captures", "max_windows_per_class", 1.5, "whole number, or null"),
        ("captures", "min_power_db", "-40dB", "a number, or null"),
        ("captures", "min_power_db", float("nan"), "a number, or null"),
        ("captures", "window_samples", True, "a whole number"),
        ("captures", "window_samples", None, "a whole number"),
        ("captures", "hop_samples", [100], "a whole number"),
        ("captures", "label", 5, "text, in quotes"),
        ("captures", "scan", "nope", "true or false"),
        ("captures", "scan", 1, "true or false"),
        ("captures", "task", "foo", "one of amc, wtc, anomaly"),
        ("techrec", "snrs_db", 10, "a list of whole numbers"),
        ("techrec", "snrs_db", "10", "a list of whole numbers"),
        ("techrec", "snrs_db", [0, 0.5], "a list of whole numbers"),
        ("techrec", "seed", "abc", "a whole number"),
        ("rml2018.01a", "scan", "yes", "true or false"),
    ],
)
def test_a_value_of_another_type_is_named(recordings, kind, name, value, words):
    with pytest.raises(DatasetError) as error:
        open_dataset(kind, recordings, **{name: value})
    message = str(error.value)
    assert message.startswith(f"{kind}: {name} is {value!r}; give ") and words in message


def test_numbers_may_be_text(recordings):
    """YAML takes 1e3 for text."""
    path = recordings / "a.cf32"
    dataset = open_dataset("captures", path, window_samples="1e2", max_windows_per_class="1.5e1")
    assert (dataset.window_samples, len(dataset)) == (100, 15)
    assert len(open_dataset("captures", path, window_samples=100.0, min_power_db="-3")) == 40
    (recordings / "a.cf32").unlink()
    levels = {"snrs_db": np.array([0, 5]), "seed": "3", "window_samples": 1000}
    assert set(open_dataset("techrec", recordings, **levels).level_db.tolist()) == {0, 5}


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_has_a_type_that_can_be_checked(kind):
    reader = _reader(kind)
    parameters = inspect.signature(reader).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert as_annotated(kind, reader, defaults) == {
        name: list(value) if isinstance(value, tuple | range) else value
        for name, value in defaults.items()
    }
    assert defaults.keys() <= typing.get_type_hints(reader).keys()
