# SPDX-License-Identifier: GPL-3.0-or-later
"""The signals that people meet: `signals.yaml` of the package, and files of the user's own.

`signals.yaml` says what each field means and in which unit. Entries are checked when they are read.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

SHIPPED_FILE = Path(__file__).parents[1] / "signals.yaml"
SIZE_LIMIT_BYTES = 4 << 20

# Of the models that learn from emissions; "unknown" is a signal of none of these classes.
CLASSES = (
    *("noise", "carrier", "OOK", "AM-DSB", "AM-SSB", "FM", "2-FSK", "4-FSK", "GFSK"),
    *("BPSK", "QPSK", "OQPSK", "pi/4-DQPSK", "8PSK", "QAM16", "QAM64", "OFDM", "LoRa", "pulses"),
    "unknown",
)

Span = tuple[float, float]  # lowest and highest value


class SignalsError(ValueError):
    """A file of signals that cannot be used; the message names file, entry, field and limit."""


@dataclass(frozen=True, kw_only=True)
class Signal:
    """What a standard, or custom, says of a signal; None where it says nothing.

    Attributes:
        name: What a candidate is called.
        classes: Classes that the signal is.
        source: The standard.
        also: Classes that a recogniser may take it for with good reason.
        symbol_rates_hz: Symbol rates; empty where the signal has no symbols of one carrier.
        bandwidth_khz: Of the occupied bandwidth.
        deviation_hz: Of the outermost deviation of frequency keying.
        tones: Number of tones of frequency keying.
        ofdm_useful_us: Useful lengths of an OFDM symbol.
        ofdm_prefix_us: Lengths of its cyclic prefix.
        lora_bandwidths_khz: Bandwidths of LoRa's chirps.
        lora_spreading_factors: Their spreading factors.
        burst_ms: Of the length of a burst.
        period_ms: Times from one burst's begin to the next one's.
        frequencies_mhz: Region -> ranges.
        rare: Whether few people meet it: others of the same points come first.
        note: What else to know.
    """

    name: str
    classes: tuple[str, ...]
    source: str
    also: tuple[str, ...] = ()
    symbol_rates_hz: tuple[Span, ...] | None = None
    bandwidth_khz: Span | None = None
    deviation_hz: Span | None = None
    tones: int | None = None
    ofdm_useful_us: tuple[float, ...] | None = None
    ofdm_prefix_us: tuple[float, ...] | None = None
    lora_bandwidths_khz: tuple[float, ...] | None = None
    lora_spreading_factors: tuple[int, ...] | None = None
    burst_ms: Span | None = None
    period_ms: tuple[float, ...] | None = None
    frequencies_mhz: Mapping[str, tuple[Span, ...]] | None = None
    rare: bool = False
    note: str | None = None


def load_signals(files: Sequence[Path] = (), *, user_file: bool = True) -> list[Signal]:
    """Read the package's signals, then the user's; a later one replaces one of the same name.

    Args:
        files: Of the user, last ones first in rank.
        user_file: Whether to read `gr-tsddae/signals.yaml` of the user's configuration folder,
            where there is one.

    Raises:
        SignalsError: A file has a fault.
        OSError: A file cannot be read.
    """
    own = user_signals_file()
    paths = [SHIPPED_FILE, *([own] if user_file and own.is_file() else []), *files]
    found = {signal.name: signal for path in paths for signal in read_signals(path)}
    return list(found.values())


def user_signals_file() -> Path:
    """Where a user keeps signals that every survey shall know."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "gr-tsddae" / "signals.yaml"


def read_signals(path: Path) -> list[Signal]:
    """Read one file of signals.

    Raises:
        SignalsError: It has a fault.
        OSError: It cannot be read.
    """
    path = Path(path)
    if path.stat().st_size > SIZE_LIMIT_BYTES:
        raise SignalsError(f"{path} is larger than {SIZE_LIMIT_BYTES >> 20} MiB: split it")
    try:
        # The loader in C is ten times as fast; PyYAML may have been built without it.
        entries = yaml.load(
            path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SignalsError(f"{path} is no YAML text: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list):
        raise SignalsError(f"{path} holds {_kind(entries)}: write a list of signals")
    signals = [_signal(entry, number, path) for number, entry in enumerate(entries, 1)]
    names = [signal.name for signal in signals]
    for name in names:
        if names.count(name) > 1:
            raise SignalsError(f"{path} names {name!r} twice: give each signal a name of its own")
    return signals


def _signal(entry: Any, number: int, path: Path) -> Signal:
    where = f"{path}, entry {number}"
    if not isinstance(entry, dict):
        raise SignalsError(f"{where} is {_kind(entry)}: write fields such as `name: DMR`")
    if isinstance(entry.get("name"), str):
        where += f" ({entry['name']})"
    for field in ("name", "classes", "source"):
        if field not in entry:
            raise SignalsError(f"{where} has no `{field}`: add one")
    known = {field.name for field in fields(Signal)}
    values = {}
    for field, value in entry.items():
        if field not in known:
            close = difflib.get_close_matches(str(field), known, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"choose from {sorted(known)}"
            raise SignalsError(f"{where} has the field `{field}`, which is not known: {hint}")
        try:
            values[field] = _FIELDS[field](value)
        except ValueError as error:
            raise SignalsError(f"{where}, `{field}` is {value!r}: {error}") from None
    return Signal(**values)


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write some text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError("write numbers above 0")
    if not math.isfinite(value):
        raise ValueError("write finite numbers")
    return float(value)


def _list(value: Any, each: Callable[[Any], Any], *, least: int = 1) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) < least:
        raise ValueError("write a list" + (f" of at least {least}" if least else ""))
    return tuple(each(item) for item in value)


def _span(value: Any) -> Span:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("write [lowest, highest]")
    low, high = map(_number, value)
    if low > high:
        raise ValueError(f"the lowest value, {low:g}, is above the highest, {high:g}")
    return low, high


def _rate(value: Any) -> Span:
    return _span(value) if isinstance(value, list) else (_number(value),) * 2


def _class(value: Any) -> str:
    if value not in CLASSES:
        raise ValueError(f"choose classes from {', '.join(CLASSES)}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"write a whole number from {low} to {high}")
        return value

    return check


def _regions(value: Any) -> dict[str, tuple[Span, ...]]:
    if not isinstance(value, dict) or not value:
        raise ValueError("write regions with their ranges, such as {world: [[433.05, 434.79]]}")
    return {_text(region): _list(ranges, _span) for region, ranges in value.items()}


def _numbers(value: Any) -> tuple[float, ...]:
    return _list(value, _number)


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "name": _text,
    "classes": lambda value: _list(value, _class),
    "source": _text,
    "also": lambda value: _list(value, _class),
    "symbol_rates_hz": lambda value: _list(value, _rate, least=0),
    "bandwidth_khz": _span,
    "deviation_hz": _span,
    "tones": _whole(2, 64),
    "ofdm_useful_us": _numbers,
    "ofdm_prefix_us": _numbers,
    "lora_bandwidths_khz": _numbers,
    "lora_spreading_factors": lambda value: _list(value, _whole(5, 12)),
    "burst_ms": _span,
    "period_ms": _numbers,
    "frequencies_mhz": _regions,
    "rare": _flag,
    "note": _text,
}
