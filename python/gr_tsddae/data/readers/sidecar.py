# SPDX-License-Identifier: GPL-3.0-or-later
"""A file beside a recording that describes it: NAME.yaml (or .yml, .json) of NAME.iq."""

import difflib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from gr_tsddae.command import number
from gr_tsddae.data.dataset import DatasetError

_SUFFIXES = (".yaml", ".yml", ".json")
_TYPES = {"dtype": str, "sample_rate_hz": number, "center_frequency_hz": number, "label": str}


def read_sidecar(file: Path, notes: Counter[str]) -> dict[str, Any]:
    """Read what NAME.yaml or NAME.iq.yaml (.yml, .json) says of NAME.iq; empty without one.

    JSON with keys of another program, as a decoder's, is passed over and counted in `notes`.

    Returns:
        Any of dtype, sample_rate_hz, center_frequency_hz and label.

    Raises:
        DatasetError: if a person wrote it and it cannot be used.
    """
    candidates = [file.with_name(file.name + suffix) for suffix in _SUFFIXES]
    candidates += [file.with_suffix(suffix) for suffix in _SUFFIXES]
    sidecar = next((each for each in candidates if each.is_file()), None)
    if sidecar is None:
        return {}
    is_json, content, fault = sidecar.suffix == ".json", None, None
    try:
        text = sidecar.read_text(encoding="utf-8")
        content = json.loads(text) if is_json else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        fault = " ".join(str(error).split())
    if is_json and (fault or _is_of_others(content)):  # decoders write one object per line
        notes["sidecar of another program"] += 1
        return {}
    if fault:
        raise DatasetError(f"{sidecar} cannot be read ({fault}); mend or remove it")
    known = ", ".join(_TYPES)
    if not isinstance(content, dict):
        raise DatasetError(f"{sidecar} is no list of keys and values; it may give {known}")
    for key, value in content.items():
        if key not in _TYPES:
            raise DatasetError(f"{sidecar} has the unknown key {key!r}; it may give {known}")
        if value is None or isinstance(value, (bool, list, dict)):
            raise DatasetError(f"{sidecar}: {key} is {value!r}; give a value, or leave it out")
        try:
            content[key] = _TYPES[key](value)  # YAML reads 1e6 and 2.4M as text
        except ValueError as error:
            raise DatasetError(f"{sidecar}: {key} is {value!r}; give a number") from error
    return content


def _is_of_others(content: Any) -> bool:
    """Tell whether another program, such as a decoder, wrote some JSON.

    What has only keys of ours, or nearly, is a person's: a slip of the pen is then named.
    """
    if not isinstance(content, dict):
        return True
    return not all(difflib.get_close_matches(key, _TYPES, cutoff=0.75) for key in content)
