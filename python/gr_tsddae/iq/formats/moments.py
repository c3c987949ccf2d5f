# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as recordings write them: ISO 8601 and RFC 3339 texts."""

import datetime


def unix_s(moment: str | None) -> float | None:
    """Return the Unix time of an ISO 8601 text (UTC where it names no zone), None for no time."""
    try:
        start = datetime.datetime.fromisoformat(_to_python_isoformat(moment or ""))
    except ValueError:
        return None
    if start.tzinfo is None:
        start = start.replace(tzinfo=datetime.timezone.utc)
    return start.timestamp()


def decimals(moment: str) -> int:
    """Count the decimals of the seconds in an ISO 8601 text."""
    digits = moment.partition(".")[2]
    return len(digits) - len(digits.lstrip("0123456789"))


def _to_python_isoformat(text: str) -> str:
    """Rewrite RFC 3339 for `datetime.fromisoformat` of Python 3.10: +00:00, six decimals."""
    text = text.strip().replace("Z", "+00:00").replace("z", "+00:00")
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{head}.{(digits + '000000')[:6]}{rest[len(digits) :]}"
