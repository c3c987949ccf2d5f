# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of readers, which come from YAML and command lines, held against what a reader takes."""

from __future__ import annotations

import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from gr_tsddae.data.dataset import Dataset, DatasetError

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text, in quotes where it looks like something else",
    bool: "true or false",
    type(None): "null",
    Sequence[int]: "a list of whole numbers",
}


def as_annotated(
    kind: str, reader: Callable[..., Dataset], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Options as a reader's annotations want them.

    A number may come as text, since YAML takes 1e3 for it, and a whole one with a point.

    Args:
        kind: of the dataset, for messages.
        reader: with annotations of int, float, str, bool, Literal, Sequence, or one of them or
            None.
        options: name -> value; all of them are the reader's.

    Raises:
        DatasetError: naming the option, its value and what is wanted.
    """
    wanted = typing.get_type_hints(reader)
    found = {}
    for name, value in options.items():
        try:
            found[name] = _converted(value, wanted[name])
        except (TypeError, ValueError) as error:
            raise DatasetError(
                f"{kind}: {name} is {value!r}; give {_words(wanted[name])}"
            ) from error
    return found


def _converted(value: Any, wanted: Any) -> Any:
    """The value as this type, or TypeError or ValueError."""
    arguments = typing.get_args(wanted)
    if _is_union(wanted):
        if value is None and type(None) in arguments:
            return None
        (wanted,) = set(arguments) - {type(None)}
        return _converted(value, wanted)
    if typing.get_origin(wanted) is Literal:
        if value not in arguments:
            raise ValueError(value)
        return value
    if typing.get_origin(wanted) is Sequence:
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            raise TypeError(value)
        return [_converted(each, arguments[0]) for each in value]
    if wanted in (str, bool):
        if not isinstance(value, wanted):
            raise TypeError(value)
        return value
    if isinstance(value, bool):
        raise TypeError(value)
    if wanted is int and not isinstance(value, str | float):
        return operator.index(value)
    number = float(value)
    if not math.isfinite(number) or (wanted is int and number != int(number)):
        raise ValueError(value)
    return wanted(number)


def _words(wanted: Any) -> str:
    arguments = typing.get_args(wanted)
    if _is_union(wanted):
        return ", or ".join(map(_words, arguments))
    if typing.get_origin(wanted) is Literal:
        return f"one of {', '.join(arguments)}"
    return _WORDS[wanted]


def _is_union(wanted: Any) -> bool:
    return typing.get_origin(wanted) in (typing.Union, types.UnionType)
