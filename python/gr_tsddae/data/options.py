# SPDX-License-Identifier: GPL-3.0-or-later
"""Check and convert reader options, which come from YAML and command lines."""

import collections.abc
import math
import operator
import os
import pathlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from gr_tsddae.command import number
from gr_tsddae.data.dataset import Dataset, DatasetError

_WORDS = {
    Any: "anything",
    int: "a whole number",
    float: "a number",
    str: "text, in quotes where it looks like something else",
    bool: "true or false",
    type(None): "null",
    pathlib.Path: "a path",
    pathlib.PurePath: "a path",
}
_UNIONS = (typing.Union, types.UnionType)
_LISTS = {  # what is annotated -> what the reader gets
    collections.abc.Sequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    **{kind: kind for kind in (list, tuple, set, frozenset)},
}
_MAPPINGS = (dict, collections.abc.Mapping)


def as_annotated(
    kind: str, reader: Callable[..., Dataset], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Convert options to the types that a reader's annotations name.

    A number may come as text, as YAML takes 1e3 and 2.4M for. A whole number may have a point.

    Args:
        kind: of the dataset, for messages.
        reader: its options are annotated with int, float, str, bool, Path, Literal, Any, with
            sequences, tuples, sets or mappings of these, or with unions. An option without an
            annotation takes every value.
        options: name -> value; the reader has an option of each name.

    Raises:
        DatasetError: a value does not fit; the message names option, value and what is wanted. Or
            an annotation is none of the above.
    """
    try:
        wanted = typing.get_type_hints(reader)
    except NameError:  # the reader's module imports it for type checkers alone
        wanted = dict(reader.__annotations__)
    found = {}
    for name, value in options.items():
        annotation = wanted.get(name, Any)
        try:
            words = _words(annotation)
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"{kind}: option {name} is annotated {annotation!r}, which no command line can "
                "give; annotate it with int, float, str, bool, Path, Literal, or a Sequence, "
                "tuple, set, dict or union of these"
            ) from error
        try:
            found[name] = _converted(value, annotation)
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{kind}: {name} is {value!r}; give {words}") from error
    return found


def _converted(value: Any, wanted: Any) -> Any:
    """Convert a value to this type; raise TypeError or ValueError where it does not fit."""
    kind, arguments = typing.get_origin(wanted) or wanted, typing.get_args(wanted)
    if kind is Any:
        return value
    if kind in _UNIONS:
        for member in sorted(arguments, key=lambda member: type(value) is not member):
            try:
                return _converted(value, member)
            except (TypeError, ValueError):
                continue
        raise TypeError(value)
    if kind is Literal:
        if (type(value), value) not in [(type(each), each) for each in arguments]:
            raise ValueError(value)
        return value
    if kind in _MAPPINGS:
        if not isinstance(value, Mapping):
            raise TypeError(value)
        of_key, of_value = arguments or (Any, Any)
        return {_converted(k, of_key): _converted(v, of_value) for k, v in value.items()}
    if kind in _LISTS:
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            raise TypeError(value)
        values = list(value)
        members = arguments if _is_fixed(kind, arguments) else (*arguments, Any)[:1] * len(values)
        return _LISTS[kind](_converted(v, of) for v, of in zip(values, members, strict=True))
    if kind in (pathlib.Path, pathlib.PurePath):
        return kind(os.fspath(value))
    if kind in (str, bool, type(None)):
        if not isinstance(value, kind):
            raise TypeError(value)
        return value
    if isinstance(value, bool):
        raise TypeError(value)
    if kind is int and not isinstance(value, str | float):
        return operator.index(value)
    found = number(value) if isinstance(value, str) else float(value)
    if not math.isfinite(found) or (kind is int and found != int(found)):
        raise ValueError(value)
    return kind(found)


def _words(wanted: Any) -> str:
    """Name what an annotation asks for; raise KeyError or TypeError where it is not supported."""
    kind, arguments = typing.get_origin(wanted) or wanted, typing.get_args(wanted)
    if kind in _UNIONS:
        return ", or ".join(map(_words, arguments))
    if kind is Literal:
        return f"one of {', '.join('null' if each is None else str(each) for each in arguments)}"
    if kind in _MAPPINGS:
        each = [_words(argument) for argument in arguments]
        return "keys and values" + (f", each {each[1]}" if each else "")
    if kind in _LISTS:
        if _is_fixed(kind, arguments):
            return f"a list of {', '.join(map(_words, arguments))}"
        return "a list" + (f", each {_words(arguments[0])}" if arguments else "")
    return _WORDS[kind]


def _is_fixed(kind: Any, arguments: tuple[Any, ...]) -> bool:
    """Tell whether a type is a tuple with a type for each place."""
    return kind is tuple and bool(arguments) and arguments[-1] is not Ellipsis
