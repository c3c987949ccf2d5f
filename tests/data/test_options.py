# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of readers: what YAML makes of them, and what is said of those that cannot be."""

import inspect
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

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
        ("techrec", "snrs_db", 10, "a list, each a whole number"),
        ("techrec", "snrs_db", "10", "a list, each a whole number"),
        ("techrec", "snrs_db", [0, 0.5], "a list, each a whole number"),
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


def reader_of(annotation):
    """A reader with one option, `given`, of this type."""

    def read(kind, path, *, given=None): ...

    read.__annotations__ = {} if annotation is inspect.Parameter.empty else {"given": annotation}
    return read


@pytest.mark.parametrize(
    ("annotation", "value", "wanted"),
    [
        (Sequence[str], ["a", "b"], ["a", "b"]),
        (list[float], (1, "2e3"), [1.0, 2000.0]),
        (list, ["a", 1], ["a", 1]),
        (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
        (tuple[str, int], ["a", "4"], ("a", 4)),
        (set[int], [3, 3], {3}),
        (Sequence[Sequence[int]], [[1], [2, 3]], [[1], [2, 3]]),
        (dict[str, float], {"a": "2.4M"}, {"a": 2.4e6}),
        (dict[str, float], {"a": "1e3"}, {"a": 1000.0}),
        (Mapping[int, str], {1: "one"}, {1: "one"}),
        (dict, {"a": 1}, {"a": 1}),
        (Path, "sub/file", Path("sub/file")),
        (Path | None, None, None),
        (int | str, "five", "five"),
        (int | str, "5", "5"),
        (int | float, 2.5, 2.5),
        (str | Sequence[str], ["a"], ["a"]),
        (bool | None, True, True),
        (Literal[1, 2], 2, 2),
        (typing.Annotated[int, "samples"], "3", 3),
        (Any, {"what": "ever"}, {"what": "ever"}),
        (inspect.Parameter.empty, "as it is", "as it is"),
    ],
)
def test_every_annotation_a_reader_may_have(annotation, value, wanted):
    found = as_annotated("mine", reader_of(annotation), {"given": value})["given"]
    assert found == wanted and type(found) is type(wanted)


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (Sequence[str], "ab", "a list, each text, in quotes"),
        (Sequence[str], [1], "a list, each text"),
        (tuple[str, int], ["a"], "a list of text, in quotes .*, a whole number"),
        (dict[str, float], {"a": "x"}, "keys and values, each a number"),
        (dict[str, float], [1], "keys and values"),
        (Path, 5, "a path"),
        (int | str, [1], "a whole number, or text"),
        (Literal[1, 2], True, "one of 1, 2"),
        (Literal["a", None], "b", "one of a, null"),
    ],
)
def test_what_does_not_fit_is_said(annotation, value, words):
    with pytest.raises(DatasetError, match=rf"^mine: given is .*; give {words}"):
        as_annotated("mine", reader_of(annotation), {"given": value})


@pytest.mark.parametrize("annotation", [np.ndarray, Sequence[np.ndarray], complex, "Nowhere"])
def test_an_annotation_that_nobody_can_type_is_refused_in_one_sentence(annotation):
    with pytest.raises(DatasetError, match=r"^mine: option given is annotated .*; annotate it"):
        as_annotated("mine", reader_of(annotation), {"given": 1})
